//! Classifies errors of the operating system: omit one path, or stop.

use rustix::io::Errno;

use crate::format::snapshot::Reason;

/// The meaning of an error for a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It concerns this path alone, which is omitted for this reason.
    Omit(Reason),
    /// The process cannot go on: the next paths would fail too.
    Fail(Errno),
}

impl From<Errno> for Refusal {
    /// Classifies an error of opening, listing or reading in a workspace.
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Self::Omit(Reason::Unreadable),
            // Another process replaced it by something of another kind: the entry that was listed is gone.
            Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP => Self::Omit(Reason::Vanished),
            Errno::NXIO | Errno::NODEV => Self::Omit(Reason::Special),
            Errno::NAMETOOLONG => Self::Omit(Reason::TooLong),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Fail(errno),
            _ => Self::Omit(Reason::ReadError),
        }
    }
}

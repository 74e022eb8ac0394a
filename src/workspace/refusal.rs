//! What to make of an operating system that refuses: leave one path out, or stop.

use rustix::io::Errno;

use crate::format::snapshot::Reason;

/// What a refusal means for a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It concerns this path alone, which is omitted for this reason.
    Omit(Reason),
    /// This process cannot go on: leaving the path out would leave out whatever comes next, too.
    Fail(Errno),
}

impl Refusal {
    /// Sorts an error of opening, listing or reading something in a workspace.
    pub(super) fn of(errno: Errno) -> Self {
        match errno {
            Errno::ACCESS | Errno::PERM => Self::Omit(Reason::Unreadable),
            // Another process replaced it by something of another kind: what was there is gone.
            Errno::NOENT | Errno::NOTDIR | Errno::ISDIR | Errno::LOOP => Self::Omit(Reason::Vanished),
            Errno::NXIO | Errno::NODEV => Self::Omit(Reason::Special),
            Errno::NAMETOOLONG => Self::Omit(Reason::TooLong),
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Fail(errno),
            _ => Self::Omit(Reason::ReadError),
        }
    }
}

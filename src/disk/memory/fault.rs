//! Simulated failures of calls.

use rustix::io::Errno;

use crate::error::Error;

/// A call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call that fails, counted from 0 when the fault is set. Calls that read count too.
    pub at_call: u64,
    /// The kind of failure.
    pub kind: FaultKind,
    /// True if every call after it fails as well.
    pub is_lasting: bool,
}

/// The kind of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultKind {
    /// The device does not answer (`EIO`). Strikes every call.
    Io,
    /// A signal came in between (`EINTR`). Strikes every call.
    Interrupted,
    /// The device is full (`ENOSPC`). Strikes calls that need room.
    NoSpace,
    /// The user's quota is used up (`EDQUOT`). Strikes calls that need room.
    OverQuota,
    /// Half of the bytes are written before the device is full. Strikes writes; other calls that need room just fail.
    ShortWrite,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [Self::Io, Self::Interrupted, Self::NoSpace, Self::OverQuota, Self::ShortWrite];

    /// True if it can happen to a call.
    pub(super) fn strikes(self, needs_room: bool) -> bool {
        needs_room || matches!(self, Self::Io | Self::Interrupted)
    }

    /// The error that the operating system would return.
    pub(super) fn error(self, operation: &str, path: &std::path::Path) -> Error {
        let errno = match self {
            Self::Io => Errno::IO,
            Self::Interrupted => Errno::INTR,
            Self::NoSpace | Self::ShortWrite => Errno::NOSPC,
            Self::OverQuota => Errno::DQUOT,
        };
        Error::io(operation, path, errno)
    }
}

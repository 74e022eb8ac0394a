//! Calls that fail.

use rustix::io::Errno;

use crate::error::Error;

/// Which call fails, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The call that fails, counted from 0 when the fault is set. Calls that read count too.
    pub at_call: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Whether every call after it fails as well.
    pub is_lasting: bool,
}

/// How a call fails.
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
    /// Every way to fail.
    pub const ALL: [Self; 5] = [Self::Io, Self::Interrupted, Self::NoSpace, Self::OverQuota, Self::ShortWrite];

    /// Whether it can happen to a call.
    pub(super) fn strikes(self, needs_room: bool) -> bool {
        needs_room || matches!(self, Self::Io | Self::Interrupted)
    }

    /// As the operating system would say it.
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

//! Events out of long work, for whoever wants to show them.

/// What long work reports as it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Files looked at while scanning, so far.
    Scanned(u64),
    /// Files and bytes still to be read and stored, known once the scan is over.
    Planned {
        /// Number of files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Files and bytes done since the last report.
    Done {
        /// Number of files.
        files: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The live folder is being changed from here on, and is between two states until the work is over.
    Changing,
    /// Stored objects compared with their ids.
    Checked {
        /// So far.
        objects: u64,
        /// In all.
        of: u64,
    },
}

/// Takes events; called from several threads.
pub trait Progress: Sync {
    /// One event happened.
    fn event(&self, event: Event);
}

/// Nobody is watching.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event) {}
}

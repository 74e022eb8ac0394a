//! Progress events of long operations.

/// A progress event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Number of files scanned so far.
    Scanned(u64),
    /// Work left to read and store, known once the scan is over.
    Planned {
        /// Number of files.
        files: u64,
        /// Total length in bytes.
        bytes: u64,
    },
    /// Work done since the last event.
    Advanced {
        /// Number of files.
        files: u64,
        /// Total length in bytes.
        bytes: u64,
    },
    /// The live folder is changing from here on: it is between two states until the work is over.
    FolderChanging,
    /// Progress of comparing stored objects with their ids.
    Checked {
        /// Number compared so far.
        objects: u64,
        /// Number in all.
        of: u64,
    },
}

/// Receives progress events, from several threads.
pub trait Progress: Sync {
    /// Receives one event.
    fn event(&self, event: Event);
}

/// Ignores all events.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event) {}
}

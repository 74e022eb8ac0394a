//! Facts that a repair knows again, collected by the passes that search for them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Action, Source};
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::format::snapshot::Snapshot;
use crate::id::SnapshotId;
use crate::store::Reader;

/// Facts that are known again.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Those with a number of their own.
    pub(super) transactions: BTreeMap<u64, Vec<Fact>>,
    /// Those that come after all others.
    pub(super) late: Vec<Fact>,
    pub(super) actions: Vec<Action>,
    /// Snapshots that a damaged transaction took and that nobody can read.
    pub(super) unreadable: Vec<SnapshotId>,
    /// The facts of some transactions are not known.
    pub(super) is_incomplete: bool,
}

impl Found {
    pub(super) fn add(&mut self, source: Source, transactions: BTreeMap<u64, Vec<Fact>>) {
        if !transactions.is_empty() {
            self.actions.push(Action::RecoverTransactions(source, transactions.len() as u64));
            self.transactions.extend(transactions);
        }
    }
}

/// A snapshot; none where it is damaged or missing. An error of the system is no answer.
pub(super) fn read(reader: &Reader, id: SnapshotId) -> Result<Option<Arc<Snapshot>>> {
    match reader.snapshot(id) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
        Err(error) => Err(error),
    }
}

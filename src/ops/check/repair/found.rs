//! Facts that a repair has recovered.

use std::collections::BTreeMap;

use super::{Action, Source};
use crate::format::facts::Fact;
use crate::id::SnapshotId;

/// Recovered facts.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Transactions that have a number.
    pub(super) transactions: BTreeMap<u64, Vec<Fact>>,
    /// Facts of new transactions, after all others.
    pub(super) late: Vec<Fact>,
    pub(super) actions: Vec<Action>,
    /// Unreadable snapshots of damaged transactions.
    pub(super) unreadable: Vec<SnapshotId>,
    /// The facts of some transactions are unknown.
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

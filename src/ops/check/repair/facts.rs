//! The pass that recovers lost facts from other places than intact transactions.
//!
//! - The journal is a checked copy of all facts.
//! - A transaction that does not match its hash proves nothing. A fact of it is used only if the snapshots that it
//!   names are there and agree.
//! - All other missing numbers are recorded as lost, so that later checks do not report them.
//! - Then snapshots without a name get one: [`names`].
//!
//! All of these go into a new pack, each transaction under its own number, before any damaged pack is changed.

use std::collections::BTreeMap;

use super::{Action, Found, Left, Round, Source, names};
use crate::error::{Result, unless_corrupt};
use crate::format::facts::{self, Fact};
use crate::format::snapshot::Snapshot;
use crate::id::SnapshotId;
use crate::limits::FACTS_LENGTH_MAX_BYTES;
use crate::store::Reader;
use crate::store::inspect::{Inspection, taken};
use crate::store::repair::write_pack;

pub(super) fn recover(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let inspection = &round.inspection;
    let mut found = Found::default();
    let only_in_journal = inspection.only_in_journal.iter();
    let of_journal = only_in_journal.map(|number| (*number, inspection.facts[number].clone())).collect();
    found.add(Source::Journal, of_journal);
    let from_damage = take_from_damage(inspection, &mut found)?;
    found.add(Source::DamagedRanges, from_damage);
    let lost = lost(inspection, &found, &mut round.left);
    found.is_incomplete = !found.unreadable.is_empty() || inspection.lost_transactions().next().is_some();
    found.add(Source::Nothing, lost);
    let numbered = found.actions.len();
    names::give(inspection, round.options, &mut found)?;
    if !put_last(inspection, &mut found) {
        round.left.push(Left::NoNumber);
        found.actions.truncate(numbered);
    }
    if !found.transactions.is_empty() {
        write_pack(inspection, &found.transactions, &[].into(), round.guard())?;
        round.complete_caches()?;
    }
    Ok(found.actions)
}

/// Facts of transactions that do not match their hash, if their number is free.
fn take_from_damage(inspection: &Inspection, found: &mut Found) -> Result<BTreeMap<u64, Vec<Fact>>> {
    let damaged = inspection.packs.iter().flat_map(|pack| &pack.damaged).map(|range| (range, true));
    // Transactions of a torn tail were most likely never acknowledged.
    let tails = inspection.packs.iter().flat_map(|pack| &pack.tail).map(|range| (range, false));
    let next = inspection.reader.state().sequence.saturating_add(1);
    let mut recovered = BTreeMap::new();
    for (range, was_acknowledged) in damaged.chain(tails) {
        for transaction in &range.unproven {
            let Ok(facts) = facts::decode(&transaction.facts) else { continue };
            let mut backed = Vec::new();
            for fact in facts {
                if is_backed(&inspection.reader, &fact)? {
                    backed.push(fact);
                } else if was_acknowledged && let Some((_, _, snapshot)) = taken(&fact) {
                    found.unreadable.push(snapshot);
                }
            }
            let number = transaction.sequence;
            let is_free = number == next || inspection.lost_transactions().any(|gap| gap.contains(&number));
            if is_free && number > 0 && !backed.is_empty() {
                recovered.entry(number).or_insert(backed);
            }
        }
    }
    recovered.retain(|number, _| !found.transactions.contains_key(number));
    Ok(recovered)
}

/// True if the snapshots that a fact names are there and agree. An unproven fact that removes something is never used.
fn is_backed(reader: &Reader, fact: &Fact) -> Result<bool> {
    let are_there = |ids: &[SnapshotId]| {
        let found: Result<Vec<_>> = ids.iter().map(|id| unless_corrupt(reader.snapshot(*id))).collect();
        Ok(found?.iter().all(Option::is_some))
    };
    match fact {
        Fact::WorkspaceAdded { .. }
        | Fact::WorkspaceMoved { .. }
        | Fact::FolderSeen { .. }
        | Fact::GenerationBegun { .. }
        | Fact::RestoreEnded { .. }
        | Fact::SnapshotIncomplete { incomplete: true, .. } => Ok(true),
        Fact::SnapshotTaken { workspace, snapshot, step, run, cause } => {
            let agrees = |found: &Snapshot| {
                (found.workspace, found.step, &found.run, found.cause) == (*workspace, *step, run, *cause)
            };
            Ok(unless_corrupt(reader.snapshot(*snapshot))?.is_some_and(|found| agrees(&found)))
        }
        Fact::RestoreBegun(restore) => {
            are_there(&restore.before.into_iter().chain([restore.target]).collect::<Vec<_>>())
        }
        Fact::Tagged { snapshot: Some(snapshot), .. }
        | Fact::Pinned { snapshot, pinned: true, .. }
        | Fact::EventNoted { snapshot, .. } => are_there(&[*snapshot]),
        Fact::Tagged { .. }
        | Fact::Pinned { .. }
        | Fact::SnapshotLost { .. }
        | Fact::SnapshotIncomplete { .. }
        | Fact::WorkspaceForgotten { .. }
        | Fact::WorkspaceRecalled { .. }
        | Fact::SnapshotForgotten { .. } => Ok(false),
    }
}

/// Empty transactions in the place of lost ones.
fn lost(inspection: &Inspection, found: &Found, left: &mut Vec<Left>) -> BTreeMap<u64, Vec<Fact>> {
    let gaps = || inspection.lost_transactions();
    let count = gaps().fold(0_u64, |sum, gap| sum.saturating_add(gap.end() - gap.start()).saturating_add(1));
    if count > LOST_RECORDED_MAX {
        left.push(Left::TooManyLost(count));
        return BTreeMap::new();
    }
    let lost = gaps().flat_map(Clone::clone).filter(|number| !found.transactions.contains_key(number));
    lost.map(|number| (number, Vec::new())).collect()
}

/// Most empty transactions, of some 25 bytes each.
const LOST_RECORDED_MAX: u64 = 1_000_000;

/// Gives the new facts the numbers after all others; `false` if no number is left for them.
fn put_last(inspection: &Inspection, found: &mut Found) -> bool {
    let known = found.transactions.keys().next_back().copied().unwrap_or(0);
    let mut number = inspection.reader.state().sequence.max(known);
    if number.checked_add(found.late.len() as u64).is_none() {
        return false;
    }
    let mut length_bytes = usize::MAX;
    for fact in std::mem::take(&mut found.late) {
        let fact_bytes = facts::encode(std::slice::from_ref(&fact)).len();
        length_bytes = length_bytes.saturating_add(fact_bytes);
        if length_bytes > TRANSACTION_LENGTH_MAX_BYTES {
            (number, length_bytes) = (number + 1, fact_bytes);
        }
        found.transactions.entry(number).or_default().push(fact);
    }
    true
}

/// Longest new transaction, far below the limit of a transaction.
const TRANSACTION_LENGTH_MAX_BYTES: usize = FACTS_LENGTH_MAX_BYTES / 4;

//! Recording a batch as one transaction.
//!
//! Under the store's lock, in this order: read the transactions of others; cut a torn tail, make durable what a dead
//! writer left, and complete the caches; let the caller decide on the facts (it gives out step numbers here); append
//! records and trailer to the pack; sync it. From then on the transaction is part of the store, and only caches are
//! written, without a sync: a group is appended to the journal, and to the indexes once much of the packs is not
//! covered by them. If appending fails, the pack is cut back to where it was.
//!
//! Invariants, without which a power loss could lose an acknowledged transaction:
//! - A cache never has more than is durable: a transaction enters index and journal after its pack was synced.
//! - A group is appended to an index only when the index covers all of the pack before it.
//! - Everything that a writer reads is durable before it decides on new facts, even if its writer died.

use std::sync::Arc;

use super::batch::{Batch, NewObject, remove_strays};
use super::journal::{JournalEnd, append_to_journal};
use super::pack::{Pack, index_name, pack_name};
use super::pack_writer::{PackWriter, append_transaction, record_entries, write_index};
use super::quarantine;
use super::recover::RecoveredTransaction;
use super::state::{Fold, State};
use super::view::View;
use super::{LOCK, Store};
use crate::disk::{Disk, LockMode};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::index;
use crate::format::journal::JournalGroup;
use crate::limits::{FACTS_LENGTH_MAX_BYTES, INDEX_TAIL_ENTRIES_MAX, PACK_LENGTH_MAX_BYTES, PACK_SEAL_ABOVE_BYTES};

/// The part of a transaction that the caller decides on when it knows the state that the transaction follows.
#[derive(Debug, Default)]
pub struct Final {
    /// Objects that depend on the state: the snapshot with its step number.
    pub objects: Vec<NewObject>,
    /// The facts of the transaction. Nothing is written without any.
    pub facts: Vec<Fact>,
}

/// The result of recording a batch.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The state after the transaction.
    pub state: Arc<State>,
    /// Bytes that the batch has added to the store's packs.
    pub stored_bytes: u64,
}

impl Batch<'_> {
    /// Records the batch with the facts that `decide` makes of the current state. If `decide` fails, or there are no
    /// facts, nothing is written and the batch is as it was.
    pub fn record(&mut self, decide: impl FnOnce(&State) -> Result<Final>) -> Result<Recorded> {
        let store = self.store;
        let disk = store.disk();
        if self.is_broken {
            return Err(Error::new(
                ErrorKind::Invalid,
                "write to",
                disk.display(""),
                "part of it could not be written before",
            ));
        }
        let _guard = disk.lock(LOCK, LockMode::Exclusive)?;
        store.refresh()?;
        store.refuse_newer()?;
        store.recover()?;
        remove_strays(disk)?;
        let before = store.state();
        if before.generation != self.generation() {
            let detail = "packs are being removed since this was begun, and some of what it needs may be in them";
            return Err(Error::new(ErrorKind::Conflict, "write to", disk.display(""), detail).with_hint("try again"));
        }
        let Final { objects, facts } = decide(&before)?;
        if facts.is_empty() {
            return Ok(Recorded { state: before, stored_bytes: 0 });
        }
        for record in self.encode(objects) {
            self.records.extend_from_slice(&record);
        }
        let sequence = store.state().sequence.checked_add(1).ok_or_else(|| {
            Error::new(ErrorKind::Limit, "write to", disk.display(""), "no number is left for another transaction")
        })?;
        facts::check(&facts)
            .map_err(|malformed| Error::new(ErrorKind::Invalid, "write to", disk.display(""), malformed))?;
        let encoded = facts::encode(&facts);
        // No reader would accept such a transaction, and all in it would be lost.
        if encoded.len() > FACTS_LENGTH_MAX_BYTES {
            let detail = format_args!("its facts are over {FACTS_LENGTH_MAX_BYTES} bytes: it names too many paths");
            return Err(Error::new(ErrorKind::Limit, "write to", disk.display(""), detail)
                .with_hint("name folders instead of the files in them, or do it in parts"));
        }
        let (pack, transaction) = self.write(sequence, encoded)?;
        let mut fold = Fold::of((*store.state()).clone());
        fold.transaction(sequence, facts);
        // An error here affects only caches: readers read from the packs what these lack.
        store.take_in(pack, &transaction, fold.state).or_else(|_| store.reload())?;
        Ok(Recorded { state: store.state(), stored_bytes: self.totals.stored_bytes })
    }

    /// Appends records and trailer to the active pack, or to a new one, and syncs it.
    fn write(&mut self, sequence: u64, facts: Vec<u8>) -> Result<(u32, RecoveredTransaction)> {
        let disk = self.store.disk();
        let view = self.store.view();
        if self.own_pack.is_none()
            && let Some(active) = view.active()
            && let length = active.file.length()?
            && length < PACK_SEAL_ABOVE_BYTES
            && length + (self.records.len() as u64) < PACK_LENGTH_MAX_BYTES
        {
            let (number, start) = (active.number, length);
            let end = append_transaction(disk, self.store.id(), (number, start), &self.records, (sequence, &facts))?;
            self.totals.stored_bytes += end - start;
            let entries = record_entries(&std::mem::take(&mut self.records), start);
            return Ok((number, RecoveredTransaction { sequence, facts, start, end, entries }));
        }
        // Groups are appended to the caches after this. Other processes may have written them since.
        self.store.reload()?;
        let number = view.expect_next_number(disk)?;
        let mut own = match self.own_pack.take() {
            Some(own) => own,
            None => PackWriter::create(disk, self.store.id())?,
        };
        self.is_broken = true;
        own.push(&std::mem::take(&mut self.records));
        self.totals.stored_bytes += own.end_transaction(sequence, &facts)?;
        let end = own.publish(number)?;
        self.is_broken = false;
        Ok((number, RecoveredTransaction { sequence, facts, start: end, end, entries: Vec::new() }))
    }
}

impl Store {
    /// Records facts alone.
    #[doc(hidden)]
    pub fn record(&self, decide: impl FnOnce(&State) -> Result<Vec<Fact>>) -> Result<Recorded> {
        self.batch().record(|state| Ok(Final { objects: Vec::new(), facts: decide(state)? }))
    }

    /// Makes the last transactions durable, if their writer died before it did. A caller that records nothing, because
    /// everything is there already, must call this before it reports success.
    #[doc(hidden)]
    pub fn settle(&self) -> Result<()> {
        if self.view().active().is_none_or(|active| active.is_settled()) {
            return Ok(());
        }
        let _guard = self.disk().lock(LOCK, LockMode::Exclusive)?;
        self.refresh()?;
        self.recover()
    }

    /// Recovers from a crash: cuts a torn tail, makes the active pack durable, and writes the groups that the journal
    /// lacks and the indexes that are missing or far behind. The caller holds the store's lock.
    pub(super) fn recover(&self) -> Result<()> {
        let view = self.view();
        let is_unsettled = match view.active() {
            Some(active) => settle_pack(self.disk(), active)?,
            None => false,
        };
        if view.is_far_behind() {
            return self.write_caches();
        }
        if !view.unjournaled.is_empty() {
            self.reload()?;
            self.write_journal(&self.view())?;
        }
        if is_unsettled || !view.unjournaled.is_empty() { self.reload() } else { Ok(()) }
    }

    /// Adds a durable transaction of a pack to the view, to the journal, and to the index if that is far behind. One
    /// that has no length here is in a new pack, which has its index.
    fn take_in(&self, pack: u32, transaction: &RecoveredTransaction, state: State) -> Result<()> {
        let view = self.view();
        let journal = append_to_journal(self.disk(), self.id(), self.write_journal(&view)?, &group(pack, transaction))?;
        if transaction.start == transaction.end {
            self.reload()?;
        } else {
            self.set_view(view.after(self.disk(), state, transaction, journal)?);
        }
        if self.view().is_far_behind() { self.write_caches() } else { Ok(()) }
    }

    /// Adds to journal and indexes all that they lack. The caller holds the store's lock.
    fn write_caches(&self) -> Result<()> {
        // Other processes may have written them since.
        self.reload()?;
        let (view, disk) = (self.view(), self.disk());
        self.write_journal(&view)?;
        for pack in view.packs.iter().filter(|pack| pack.lacks_index()) {
            match pack.index.append_at() {
                Some(at) if pack.index.tail_count() <= INDEX_TAIL_ENTRIES_MAX => {
                    let mut group = Vec::new();
                    index::put_group(&mut group, pack.index.end(), pack.index.unsaved());
                    disk.write(&index_name(pack.number), at, &group)?;
                }
                _ => write_index(disk, pack.number, &pack.encode_index(view.state.sequence)?)?,
            }
        }
        self.reload()
    }

    /// Adds to the journal the groups that it lacks. Returns its new end.
    fn write_journal(&self, view: &View) -> Result<JournalEnd> {
        view.unjournaled.iter().try_fold(view.journal, |end, (number, transaction)| {
            append_to_journal(self.disk(), self.id(), end, &group(*number, transaction))
        })
    }
}

/// The journal group of a transaction.
fn group(pack: u32, transaction: &RecoveredTransaction) -> JournalGroup<'_> {
    let (sequence, pack_end) = (transaction.sequence, transaction.end);
    JournalGroup { sequence, pack, pack_end, facts: transaction.journal_facts() }
}

/// Cuts the torn tail of the active pack and makes the rest durable. Returns true if that changed anything.
///
/// A writer that was killed may have left bytes, or a name, that it did not sync. Bytes that the journal or the index
/// cover are durable. All others are written again before they are synced: a failed sync of the dead writer may have
/// left its pages clean, and another sync would then do nothing.
pub(super) fn settle_pack(disk: &dyn Disk, active: &Pack) -> Result<bool> {
    let name = pack_name(active.number);
    let end = active.index.end();
    let is_torn = active.file.length()? > end;
    if is_torn {
        if active.has_unproven_tail {
            quarantine::keep_tail(disk, active, end)?;
        }
        disk.truncate(&name, end)?;
    }
    if active.settled_end < end {
        let length = usize::try_from(end - active.settled_end).expect("packs are shorter than 4 GiB");
        disk.write(&name, active.settled_end, &active.read(active.settled_end, length)?)?;
    }
    let is_unsettled = is_torn || active.settled_end < end;
    if is_unsettled {
        disk.sync(&name)?;
    }
    if active.index.append_at().is_none() {
        disk.sync_folder("packs")?;
    }
    Ok(is_unsettled)
}

//! Making a batch true.
//!
//! Under the store's lock, in this order: look at what others have written; cut the torn tail that a crash left, make
//! durable what a dead writer did not, and complete the caches; let the caller decide on the facts (step numbers are
//! given out here); append records and trailer to the pack; sync it. From then on the transaction is true, and only
//! caches are left to be written, unsynced: a group is appended to the journal, and once the pack has grown by some
//! transactions that index and journal do not cover, a group is appended to each. If appending fails, the pack is cut
//! back to where it was.
//!
//! Invariants, without which a power loss could take an acknowledged transaction:
//! - A cache never knows more than is durable: a transaction enters index and journal after its pack was synced.
//! - A group is appended to an index only when the index covers all of the pack before it.
//! - What a writer finds is durable before it decides anything on it, whoever wrote it and died.

use std::sync::Arc;

use super::batch::{Batch, NewObject, remove_strays};
use super::journal::{JournalPlace, append_to_journal};
use super::pack::{Pack, index_name, pack_name};
use super::pack_writer::{PackWriter, append_transaction, record_entries, write_index};
use super::quarantine;
use super::recover::RecoveredTransaction;
use super::state::State;
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
    /// Objects that depend on that state: the snapshot with its step number.
    pub objects: Vec<NewObject>,
    /// What becomes true; nothing is written without any.
    pub facts: Vec<Fact>,
}

/// A transaction that is true.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// The state after it.
    pub state: Arc<State>,
    /// Bytes that the store's packs grew by, with all of the batch.
    pub stored_bytes: u64,
}

/// The place where a transaction was written.
struct Written {
    pack: u32,
    start: u64,
    end: u64,
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
        // Written all the same, no reader would take it for a transaction, and all in it would be lost.
        if encoded.len() > FACTS_LENGTH_MAX_BYTES {
            let detail = format_args!("its facts are over {FACTS_LENGTH_MAX_BYTES} bytes: it names too many paths");
            return Err(Error::new(ErrorKind::Limit, "write to", disk.display(""), detail)
                .with_hint("name folders instead of the files in them, or do it in parts"));
        }
        let written = self.write(sequence, &encoded)?;
        let mut state = (*store.state()).clone();
        facts.into_iter().for_each(|fact| state.apply(fact));
        state.sequence = sequence;
        let entries = record_entries(&std::mem::take(&mut self.records), written.start);
        let transaction =
            RecoveredTransaction { sequence, facts: encoded, start: written.start, end: written.end, entries };
        // The transaction is true whatever became of the caches: what they lack is read from the packs.
        store.take_in(&written, &transaction, state).or_else(|_| store.reload())?;
        Ok(Recorded { state: store.state(), stored_bytes: self.totals.stored_bytes })
    }

    /// Appends records and trailer to the active pack, or to a new one, and syncs it.
    fn write(&mut self, sequence: u64, facts: &[u8]) -> Result<Written> {
        let disk = self.store.disk();
        let view = self.store.view();
        if self.own_pack.is_none()
            && let Some(active) = view.active()
            && let length = active.file.length()?
            && length < PACK_SEAL_ABOVE_BYTES
            && length + (self.records.len() as u64) < PACK_LENGTH_MAX_BYTES
        {
            let place = (active.number, length);
            let end = append_transaction(disk, self.store.id(), place, &self.records, (sequence, facts))?;
            self.totals.stored_bytes += end - length;
            return Ok(Written { pack: active.number, start: length, end });
        }
        if self.own_pack.is_none() {
            self.own_pack = Some(PackWriter::create(disk, self.store.id())?);
        }
        let own = self.own_pack.as_mut().expect("it was created if there was none");
        // The caches are added to after this, and others may have written them since, without a transaction.
        self.store.reload()?;
        let number = view.expect_next_number(disk)?;
        self.is_broken = true;
        own.push(&std::mem::take(&mut self.records));
        self.totals.stored_bytes += own.end_transaction(sequence, facts)?;
        let own = self.own_pack.take().expect("it was appended to");
        let end = own.publish(number)?;
        self.is_broken = false;
        Ok(Written { pack: number, start: end, end })
    }
}

impl Store {
    /// Records facts alone.
    pub fn record(&self, decide: impl FnOnce(&State) -> Result<Vec<Fact>>) -> Result<Recorded> {
        self.batch().record(|state| Ok(Final { objects: Vec::new(), facts: decide(state)? }))
    }

    /// Makes durable what was found, where its writer died before it could. A caller that records nothing, because all
    /// it wants is there already, must not say so before this.
    pub fn settle(&self) -> Result<()> {
        if self.view().active().is_none_or(|active| active.is_settled()) {
            return Ok(());
        }
        let _guard = self.disk().lock(LOCK, LockMode::Exclusive)?;
        self.refresh()?;
        self.recover()
    }

    /// Does the work that a crash left: cuts a torn tail, settles the active pack, and writes what the journal lacks,
    /// and indexes that are missing or far behind. The store's lock is held.
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

    /// Notes a transaction that was just made durable: in the view, in the journal, and in the index if that is far
    /// behind.
    fn take_in(&self, written: &Written, transaction: &RecoveredTransaction, state: State) -> Result<()> {
        let view = self.view();
        let place = self.write_journal(&view)?;
        let place = append_to_journal(self.disk(), self.id(), place, &group(written.pack, transaction))?;
        if written.start == written.end {
            // A pack that was published has its index.
            self.reload()?;
        } else {
            self.set_view(view.after(self.disk(), state, transaction, place)?);
        }
        if self.view().is_far_behind() { self.write_caches() } else { Ok(()) }
    }

    /// Brings journal and indexes up to what is in the packs. The store's lock is held.
    fn write_caches(&self) -> Result<()> {
        // Others may have written them since, without a transaction.
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
                _ => write_index(disk, pack.number, &pack.encode_index(self.id(), view.state.sequence)?)?,
            }
        }
        self.reload()
    }

    /// Adds to the journal what it lacks, and returns where it ends.
    fn write_journal(&self, view: &View) -> Result<JournalPlace> {
        view.unjournaled.iter().try_fold(view.journal, |place, (number, transaction)| {
            append_to_journal(self.disk(), self.id(), place, &group(*number, transaction))
        })
    }
}

/// The group of the journal for a transaction. Facts that no reader accepts are nothing, in the journal too: it then covers
/// their transaction, and is not read as damaged.
fn group(pack: u32, transaction: &RecoveredTransaction) -> JournalGroup<'_> {
    let facts = if facts::decode(&transaction.facts).is_ok() { &transaction.facts[..] } else { &facts::NONE };
    JournalGroup { sequence: transaction.sequence, pack, pack_end: transaction.end, facts }
}

/// Makes the active pack end where its last transaction does, and durable up to there. Returns whether that took
/// anything.
///
/// A writer that was killed may have left bytes that it did not sync, and a name. Caches are written after the sync, so
/// what either of them covers needs nothing. What neither does is written again before it is synced: the
/// sync that failed for the dead writer may have left its pages clean, and another one would then have nothing to do.
pub(super) fn settle_pack(disk: &dyn Disk, active: &Pack) -> Result<bool> {
    let name = pack_name(active.number);
    let end = active.index.end();
    let is_torn = active.file.length()? > end;
    if is_torn {
        if active.has_doubtful_tail {
            quarantine::keep_tail(disk, active, end)?;
        }
        disk.truncate(&name, end)?;
    }
    if active.settled_end < end {
        disk.write(&name, active.settled_end, &active.read(active.settled_end, end)?)?;
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

//! Runs a scenario once and then, for every change it made to the disk, in all the worlds where that was the last one.
//!
//! ```text
//! prepare   builds a store; then everything on the disk is durable
//! run       a list of acts; each is one transaction, or opening the store
//! -> milestones: what is in the store after each act that returned
//! ```
//!
//! After each of them, the store opened next must be at a milestone: at the last one acknowledged, or at the one the
//! scenario was on its way to. Then the next transaction is made, and everything is asked again with that one
//! acknowledged.
//!
//! - power loss: after every change, every legal loss of what was not synced (`MemoryDisk::power_losses`);
//! - kill: after every change and half-way through every write; the machine goes on, the next writer finds what the
//!   dead one did not sync, and then the power goes;
//! - fault: every call fails in every way, once or from then on.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use retrograde::disk::memory::{Fault, FaultKind, MemoryDisk};
use retrograde::disk::{Disk, Source, read_all};
use retrograde::error::{ErrorKind, Result};
use retrograde::format::facts::Fact;
use retrograde::format::pack::{
    ObjectKind, PACK_HEADER_LENGTH_BYTES, decode_header, decode_record, decode_trailer, transaction_is_intact,
};
use retrograde::id::{Digest, SnapshotId, StoreId};
use retrograde::ops::check::verify::{Affected, Finding, Level, Part, VerifyOptions, verify};
use retrograde::progress::Silent;
use retrograde::store::{Final, NewObject, State, Store, for_each_object};
use retrograde::time::Timestamp;

use super::moments::Moments;
use crate::support::depth::{AtLeast, is_turn, pick, turns};
use crate::support::rng::noise;

/// Something a store does, to be interrupted.
pub(crate) struct Scenario {
    /// The name of the scenario, for messages.
    pub(crate) name: &'static str,
    /// Builds the store that the scenario starts from.
    pub(crate) prepare: fn(&mut Session) -> Result<()>,
    /// The acts that are interrupted.
    pub(crate) run: fn(&mut Session) -> Result<()>,
    /// Most states of the disk tried for one moment, at quick and at full depth.
    pub(crate) states_per_change_max: (usize, usize),
    /// Fewest states of the disk tried in all.
    pub(crate) states_min: AtLeast,
    /// Faults tried on every call; `true` where they last.
    pub(crate) faults: &'static [(FaultKind, bool)],
}

/// A process at work in a store.
pub(crate) struct Session {
    disk: MemoryDisk,
    store: Option<Store>,
    acts_done: usize,
    /// Noted only when nothing is meant to fail.
    record: Option<Record>,
}

/// The changes that acts made, and the moments at which they returned.
#[derive(Default)]
struct Record {
    acts: Vec<Act>,
    milestones: Vec<Milestone>,
    known: BTreeSet<(ObjectKind, [u8; 16])>,
}

struct Act {
    /// Changes made to the disk before it began, and when it had returned.
    began: usize,
    done: usize,
}

/// The state that the store must have.
#[derive(Clone, Default)]
struct Milestone {
    store: Option<StoreId>,
    state: State,
    /// Objects that came with it.
    objects: Vec<StoredObject>,
}

#[derive(Clone)]
struct StoredObject {
    kind: ObjectKind,
    id: Digest,
    bytes: Arc<Vec<u8>>,
}

/// Every fault, once and lasting.
pub(crate) const ALL_FAULTS: &[(FaultKind, bool)] = &[
    (FaultKind::Io, false),
    (FaultKind::Io, true),
    (FaultKind::Interrupted, false),
    (FaultKind::Interrupted, true),
    (FaultKind::NoSpace, false),
    (FaultKind::NoSpace, true),
    (FaultKind::OverQuota, false),
    (FaultKind::OverQuota, true),
    (FaultKind::ShortWrite, false),
    (FaultKind::ShortWrite, true),
];

/// The telling ones, for scenarios that take long.
pub(crate) const FEW_FAULTS: &[(FaultKind, bool)] =
    &[(FaultKind::Io, false), (FaultKind::Io, true), (FaultKind::NoSpace, true), (FaultKind::ShortWrite, false)];

/// At quick depth each fault strikes one call in so many, so that each call is struck by some of the faults.
pub(super) const FAULT_EVERY: usize = 4;

/// Objects and bytes of one milestone read back for one state; which ones, goes round from state to state.
const OBJECTS_READ_MAX: usize = 32;
const BYTES_READ_MAX: usize = 1 << 20;

/// Packs up to this length are searched for gaps.
const GAPLESS_LENGTH_MAX_BYTES: u64 = 256 << 10;

impl Session {
    /// The disk that the session works on.
    pub(crate) fn disk(&self) -> &MemoryDisk {
        &self.disk
    }

    /// Opens the store, or creates it.
    pub(crate) fn open(&mut self) -> Result<()> {
        let began = self.disk.change_count();
        self.store = Some(Store::open_or_create(Arc::new(self.disk.clone()))?);
        self.note(began)
    }

    /// Does one thing that is wholly done or not at all: at most one transaction.
    pub(crate) fn act(&mut self, act: impl FnOnce(&Store) -> Result<()>) -> Result<()> {
        if self.store.is_none() {
            self.store = Some(Store::open_or_create(Arc::new(self.disk.clone()))?);
        }
        let began = self.disk.change_count();
        act(self.store.as_ref().expect("opened above"))?;
        self.note(began)
    }

    fn new(disk: MemoryDisk, record: Option<Record>) -> Self {
        Self { disk, store: None, acts_done: 0, record }
    }

    /// The act that began there has returned: from now on, what it did must stay.
    fn note(&mut self, began: usize) -> Result<()> {
        self.acts_done += 1;
        let store = self.store.as_ref().expect("an act needs a store");
        let Some(record) = &mut self.record else { return Ok(()) };
        record.acts.push(Act { began, done: self.disk.change_count() });
        let milestone = record.look(store)?;
        let last = record.milestones.last().map_or(0, |last| last.state.sequence);
        assert!(milestone.state.sequence <= last + 1, "an act is one transaction");
        record.milestones.push(milestone);
        Ok(())
    }
}

impl Record {
    /// The state of the store now, with the objects that were not there before.
    fn look(&mut self, store: &Store) -> Result<Milestone> {
        store.refresh()?;
        let mut objects = Vec::new();
        let mut new = Vec::new();
        for_each_object(&store.reader(), |object| new.push((object.kind, object.prefix)))?;
        for (kind, prefix) in new.into_iter().filter(|found| self.known.insert(*found)) {
            let (id, bytes) = store.object_with(kind, prefix)?;
            objects.push(StoredObject { kind, id, bytes });
        }
        Ok(Milestone { store: Some(store.id()), state: (*store.state()).clone(), objects })
    }

    /// The milestones that may be seen when only the first `changes` were made.
    fn allowed(&self, changes: usize) -> RangeInclusive<usize> {
        let done = self.acts.iter().filter(|act| act.done <= changes).count();
        let begun = self.acts.iter().filter(|act| act.began < changes || act.done <= changes).count();
        done..=begun
    }
}

/// A list of milestones, and those a store may be at.
struct History<'a> {
    milestones: &'a [Milestone],
    allowed: RangeInclusive<usize>,
}

/// The transaction made after a crash.
struct NextTransaction {
    /// The milestones until the crash, and that of this transaction as the last.
    milestones: Vec<Milestone>,
    /// The last milestone that was owed before it.
    acknowledged: usize,
    /// Changes made to the disk before it.
    began: usize,
}

/// A scenario that has run once, and the tally of what was tried since.
struct Lab<'a> {
    scenario: &'a Scenario,
    /// The disk before the run, and after it.
    prepared: MemoryDisk,
    finished: MemoryDisk,
    record: Record,
    state_count: usize,
    moments: Moments,
}

/// Interrupts a scenario in every way, and returns how many states of the disk were tried, and at which moments.
pub(crate) fn interrupt(scenario: &Scenario) -> (usize, Moments) {
    let mut session = Session::new(MemoryDisk::new(1), None);
    (scenario.prepare)(&mut session).expect("nothing fails while preparing");
    let prepared = session.disk.clone();
    prepared.settle();
    let mut record = Record::default();
    let base = match session.store {
        Some(store) => record.look(&store).expect("nothing fails while preparing"),
        None => Milestone::default(),
    };
    record.milestones.push(base);
    let mut session = Session::new(prepared.killed_after(0), Some(record));
    (scenario.run)(&mut session).expect("nothing fails in the first run");
    let record = session.record.take().expect("given above");
    let (finished, moments) = (session.disk.clone(), Moments::default());
    let mut lab = Lab { scenario, prepared, finished, record, state_count: 0, moments };
    lab.lose_power();
    lab.kill();
    lab.fail_calls();
    (lab.state_count, lab.moments)
}

impl Lab<'_> {
    fn lose_power(&mut self) {
        let (quick, full) = self.scenario.states_per_change_max;
        let count_max = pick(quick, full);
        for changes in 0..=self.finished.change_count() {
            let allowed = self.record.allowed(changes);
            for loss in self.moments.power_losses(&self.finished, changes, count_max) {
                let what = || format!("power loss before {}: {}", self.finished.describe_change(changes), loss.lost);
                let (store, at) = self.check(&loss.disk, &[self.past(allowed.clone())], &what);
                let next = self.transact_more(&loss.disk, &store, at..=at, &what);
                self.state_count += self.lose_more(&loss.disk, &next, pick(1, 2), &what) + 1;
            }
        }
    }

    fn kill(&mut self) {
        for changes in 0..=self.finished.change_count() {
            let disks = [Some(self.finished.killed_after(changes)), self.finished.killed_during(changes)];
            let half = usize::from(disks[1].is_some());
            let allowed = [self.record.allowed(changes), self.record.allowed(changes + half)];
            for (disk, allowed) in disks.into_iter().zip(allowed).filter_map(|(disk, allowed)| Some((disk?, allowed))) {
                let what = || format!("kill before {}", self.finished.describe_change(changes));
                let strays = disk.list("tmp").expect("nothing fails");
                assert!(strays.len() <= 1, "{}: {}: left {strays:?}", self.scenario.name, what());
                let acknowledged = *allowed.start();
                let (store, at) = self.check(&disk, &[self.past(allowed)], &what);
                self.trust_and_lose(&disk, at, &what);
                let next = self.transact_more(&disk, &store, acknowledged..=at, &what);
                self.state_count += self.lose_more(&disk, &next, pick(2, 8), &what) + 1;
            }
        }
    }

    /// The milestones that the scenario itself may have reached.
    fn past(&self, allowed: RangeInclusive<usize>) -> History<'_> {
        History::new(&self.record.milestones, allowed)
    }

    /// A writer that finds nothing to do acknowledges what it found: that must be durable then.
    fn trust_and_lose(&self, disk: &MemoryDisk, at: usize, what: &dyn Fn() -> String) {
        let disk = disk.killed_after(disk.change_count());
        let store = Store::open_or_create(Arc::new(disk.clone())).expect("checked before");
        if at.is_multiple_of(2) {
            store.settle().expect("nothing fails");
        } else {
            store.record(|_| Ok(Vec::new())).expect("nothing fails");
        }
        for loss in disk.power_losses(disk.change_count(), 0, pick(2, 4)) {
            let what = || format!("{}, then nothing to do, then power loss: {}", what(), loss.lost);
            self.check(&loss.disk, &[self.past(at..=at)], &what);
        }
    }

    fn fail_calls(&mut self) {
        for (turn, &(kind, is_lasting)) in self.scenario.faults.iter().enumerate() {
            for at_call in turns(turn, FAULT_EVERY) {
                let fault = Fault { at_call, kind, is_lasting };
                let mut session = Session::new(self.prepared.killed_after(0), None);
                session.disk.set_fault(Some(fault));
                let result = (self.scenario.run)(&mut session);
                if session.disk.call_count() <= at_call {
                    break;
                }
                let struck = session.disk.strike_count() > 0;
                session.disk.set_fault(None);
                if struck {
                    self.after_fault(session, result, &|| format!("{fault:?}"));
                }
            }
        }
    }

    fn after_fault(&mut self, session: Session, result: Result<()>, what: &dyn Fn() -> String) {
        let acknowledged = session.acts_done;
        let mut allowed = acknowledged..=acknowledged;
        if let Err(error) = result {
            let text = error.to_string();
            let is_clear = error.kind() == ErrorKind::Io && text.contains("/memory");
            assert!(is_clear, "{}: {}: {error:?}", self.scenario.name, what());
            allowed = acknowledged..=acknowledged + 1;
        }
        let disk = session.disk;
        for loss in disk.power_losses(disk.change_count(), 0, pick(2, 4)) {
            let what = || format!("{}, then power loss: {}", what(), loss.lost);
            self.check(&loss.disk, &[self.past(allowed.clone())], &what);
            self.state_count += 1;
        }
        let (fresh, at) = self.check(&disk, &[self.past(allowed)], what);
        // The process that met the fault may go on as if nothing had happened.
        let store = session.store.unwrap_or(fresh);
        let next = self.transact_more(&disk, &store, acknowledged..=at, what);
        self.state_count += self.lose_more(&disk, &next, pick(1, 4), what) + 1;
    }

    /// Opens the store and compares it with what it may be; returns the milestone of its history that it is at.
    fn check(&self, disk: &MemoryDisk, histories: &[History<'_>], what: &dyn Fn() -> String) -> (Store, usize) {
        let what = || format!("{}: {}", self.scenario.name, what());
        let store = Store::open_or_create(Arc::new(disk.clone())).unwrap_or_else(|error| panic!("{}: {error}", what()));
        assert_eq!(store.damage(), Vec::<String>::new(), "{}", what());
        expect_no_findings(disk, self.state_count, &what);
        let state = store.state();
        let (milestones, at) = histories.iter().find_map(|history| history.find(&state)).unwrap_or_else(|| {
            let allowed: Vec<_> = histories.iter().map(|history| &history.allowed).collect();
            panic!("{}: at sequence {}, which is none of {allowed:?}", what(), state.sequence)
        });
        if let Some(id) = histories.iter().find_map(|history| history.milestones[*history.allowed.start()].store) {
            assert_eq!(store.id(), id, "{}: another store", what());
        }
        let mut owed: Vec<_> =
            milestones[..=at].iter().flat_map(|milestone| milestone.some_objects(self.state_count)).collect();
        if self.state_count.is_multiple_of(2) {
            // An object may rest on an older one. Reading the older one first can heal what reading the newer one must
            // bear.
            owed.reverse();
        }
        for object in owed {
            let read = store.object(object.kind, &object.id);
            let read = read.unwrap_or_else(|error| panic!("{}: {error}", what()));
            assert!(read == object.bytes, "{}: other bytes in {}", what(), object.id);
        }
        // Objects of what did not come true may be there, but then they must be right: the next writer relies on them.
        for object in milestones[at + 1..].iter().flat_map(|milestone| milestone.some_objects(self.state_count)) {
            if store.contains(object.kind, &object.id) {
                let read = store.object(object.kind, &object.id);
                assert!(read.is_ok_and(|read| read == object.bytes), "{}: half of {}", what(), object.id);
            }
        }
        (store, at)
    }

    /// The next transaction must work and leave nothing behind. Of what it finds, `acknowledged..=at`, only the first
    /// is owed.
    fn transact_more(
        &self,
        disk: &MemoryDisk,
        store: &Store,
        found: RangeInclusive<usize>,
        what: &dyn Fn() -> String,
    ) -> NextTransaction {
        let (acknowledged, at) = found.into_inner();
        let mut milestones = self.record.milestones[..=at].to_vec();
        let began = disk.change_count();
        let mut objects = vec![content(&noise(began as u64 + 1_000_000, 700), None)];
        let mut known = milestones.iter().flat_map(|milestone| &milestone.objects);
        if let Some(old) = known.find(|object| object.kind == ObjectKind::Content) {
            objects.push(content(&[&old.bytes, &b"edited"[..]].concat(), Some(old.id)));
        }
        // The lost acts are tried again, as a user would.
        let lost = self.record.milestones[at + 1..].iter().flat_map(|milestone| &milestone.objects);
        objects.extend(lost.take(3).map(StoredObject::again));
        let came = objects.iter().map(StoredObject::of).collect();
        let fact = tag(1_000_000 + began as u64);
        let recorded = transact(store, objects, vec![fact.clone()]);
        recorded.unwrap_or_else(|error| panic!("{}: {}: the next transaction: {error}", self.scenario.name, what()));
        let strays = disk.list("tmp").expect("nothing fails");
        assert!(strays.is_empty(), "{}: {}: the next writer left {strays:?}", self.scenario.name, what());
        let gap = first_gap(disk);
        assert!(gap.is_none(), "{}: {}: the next writer left a gap at {gap:?}", self.scenario.name, what());
        let mut state = milestones[at].state.clone();
        state.apply(fact);
        state.sequence += 1;
        milestones.push(Milestone { store: Some(store.id()), state, objects: came });
        NextTransaction { milestones, acknowledged, began }
    }

    /// Loses power again: after the next transaction, which must be there, and at one moment while it was made. Returns
    /// how many states were tried.
    fn lose_more(
        &self,
        disk: &MemoryDisk,
        next: &NextTransaction,
        count_max: usize,
        what: &dyn Fn() -> String,
    ) -> usize {
        let last = next.milestones.len() - 1;
        let acknowledged = next.acknowledged;
        let done = disk.change_count();
        let moment = next.began + self.state_count % (done - next.began);
        let mut tried = 0;
        // While the next transaction is made, the one that failed before it may still come back, whole.
        let after = [History::new(&next.milestones, last..=last)];
        let during = [History::new(&next.milestones, acknowledged..=last), self.past(acknowledged..=acknowledged + 1)];
        for (changes, histories) in [(done, &after[..]), (moment, &during[..])] {
            for loss in disk.power_losses(changes, self.state_count as u64, count_max) {
                let before = disk.describe_change(changes);
                let what = || format!("{}, then power loss before {before}: {}", what(), loss.lost);
                self.check(&loss.disk, histories, &what);
                tried += 1;
            }
        }
        tried
    }
}

impl<'a> History<'a> {
    fn new(milestones: &'a [Milestone], allowed: RangeInclusive<usize>) -> Self {
        Self { milestones, allowed }
    }

    /// The milestone that adds up to `state`.
    fn find(&self, state: &State) -> Option<(&'a [Milestone], usize)> {
        let is_it = |at: &usize| self.milestones.get(*at).is_some_and(|milestone| milestone.state == *state);
        self.allowed.clone().find(is_it).map(|at| (self.milestones, at))
    }
}

impl Milestone {
    /// Some of its objects, others for another `turn`.
    fn some_objects(&self, turn: usize) -> impl Iterator<Item = &StoredObject> {
        let count = self.objects.len().max(1);
        let step = count.div_ceil(OBJECTS_READ_MAX);
        let mut left = BYTES_READ_MAX;
        (0..self.objects.len().div_ceil(step)).map_while(move |place| {
            let object = self.objects.get((place * step + turn) % count)?;
            let fits = left > 0;
            left = left.saturating_sub(object.bytes.len());
            fits.then_some(object)
        })
    }
}

impl StoredObject {
    fn of(object: &NewObject) -> Self {
        Self { kind: object.kind, id: object.id, bytes: Arc::new(object.bytes.clone()) }
    }

    fn again(&self) -> NewObject {
        NewObject { kind: self.kind, id: self.id, bytes: self.bytes.to_vec(), previous: None }
    }
}

/// The remains of a crash are no damage: verify says so, too. Long packs are skipped, as below. `turn` is the number
/// of the state.
pub(crate) fn expect_no_findings(disk: &MemoryDisk, turn: usize, what: &dyn Fn() -> String) {
    let names = disk.list("packs").expect("nothing fails");
    let length = |name: &String| disk.open(&format!("packs/{name}")).and_then(|file| file.length());
    if names.iter().any(|name| length(name).expect("nothing fails") > GAPLESS_LENGTH_MAX_BYTES) {
        return;
    }
    let found = verify_on(disk, level(turn)).unwrap_or_else(|error| panic!("{}: verify: {error}", what()));
    assert!(found.is_empty(), "{}: verify: {found:?}", what());
}

/// The depth at which a state is verified: at quick depth every object of one state in sixteen, and the structure of
/// the others.
pub(super) fn level(turn: usize) -> Level {
    if is_turn(turn, 16) { Level::Full } else { Level::Quick }
}

/// Findings, but for tags of the tests that name no snapshot.
pub(crate) fn verify_on(disk: &MemoryDisk, level: Level) -> Result<Vec<Finding>> {
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut findings = verify(&shared, &VerifyOptions { level, progress: &Silent })?.findings;
    findings.retain(|finding| {
        let is_tag = |affected: &Affected| affected.workspace.is_none() && affected.part == Part::Snapshot;
        finding.affects.is_empty() || !finding.affects.iter().all(is_tag)
    });
    Ok(findings)
}

/// The places at which a pack is not a row of intact transactions. Long packs are skipped: their transactions are
/// hashed when objects in them are read back often enough.
fn first_gap(disk: &MemoryDisk) -> Option<(String, usize)> {
    let names = disk.list("packs").expect("nothing fails");
    names.into_iter().filter(|name| name.ends_with(".pack")).find_map(|name| {
        let path = format!("packs/{name}");
        let length = disk.open(&path).and_then(|file| file.length()).expect("nothing fails");
        if length > GAPLESS_LENGTH_MAX_BYTES {
            return None;
        }
        let bytes = read_all(disk, &path).expect("nothing fails");
        let store = decode_header(&bytes).expect("nothing is damaged").store;
        let mut at = PACK_HEADER_LENGTH_BYTES;
        while at < bytes.len() {
            match transaction_end(store, &bytes, at) {
                Some(end) => at = end,
                None => return Some((name, at)),
            }
        }
        None
    })
}

/// The end of the intact transaction that begins at `start`.
fn transaction_end(store: StoreId, bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start;
    while let Ok(record) = decode_record(&bytes[at..]) {
        at += record.record_length_bytes();
    }
    let end = at + decode_trailer(&bytes[at..]).ok()?.length_bytes;
    transaction_is_intact(store, &bytes[start..end]).then_some(end)
}

/// Records objects with facts.
pub(crate) fn transact(store: &Store, objects: Vec<NewObject>, facts: Vec<Fact>) -> Result<()> {
    let mut batch = store.batch();
    batch.add(objects)?;
    batch.record(|_| Ok(Final { objects: Vec::new(), facts })).map(drop)
}

/// A file's content.
pub(crate) fn content(bytes: &[u8], previous: Option<Digest>) -> NewObject {
    NewObject { kind: ObjectKind::Content, id: Digest::of(bytes), bytes: bytes.to_vec(), previous }
}

/// A fact like no other.
pub(crate) fn tag(number: u64) -> Fact {
    let snapshot = SnapshotId(Digest::of(&number.to_le_bytes()));
    Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) }
}

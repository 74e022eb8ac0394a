//! Repairing a store: a fixpoint. Each round inspects the store, and the first pass that finds something to do does it.
//!
//! ```text
//!          .-------------------------------- did something <-------------------------------.
//!          v                                                                               |
//!  lock -> inspect -> format -> bits -> facts -> packs -> contents -> marks -> nothing left|-> done
//! ```
//!
//! | pass | work |
//! |---|---|
//! | `format` | removes things in the place of files and folders, and writes the file that names the store |
//! | `bits` | turns single flipped bits back |
//! | `facts` | recovers lost facts, and names snapshots that have no name |
//! | `packs` | saves objects of damaged records, writes damaged packs anew, rebuilds caches |
//! | `contents` | takes lost content from live folders; then gives up the objects that stay lost |
//! | `marks` | marks snapshots that lack something as incomplete, and takes marks away |
//!
//! Invariants:
//! - Only caches are deleted: all other files that cannot be used go to `quarantine/`, under names of their own.
//! - A dry run is the same run on an [`Overlay`]: it lists what a repair does, and changes nothing.
//! - Each pass is safe to kill at any moment, and the next run continues. An intact store does not change.

mod contents;
mod facts;
mod format;
mod marks;
mod names;
mod packs;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::verify::{Finding, Level, VerifyOutcome, examine};
use crate::disk::overlay::Overlay;
use crate::disk::{Disk, LockGuard};
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::{ObjectKey, ObjectKind};
use crate::id::{SnapshotId, WorkspaceId};
use crate::limits::REPAIR_ROUNDS_MAX;
use crate::progress::Progress;
use crate::store::Store;
use crate::store::heal::find_flips;
use crate::store::inspect::{Checked, Depth, Inspection, Problem, check_objects, inspect};
use crate::store::repair::{self, complete_caches, keep_still, lock};
use crate::time::Timestamp;

/// Options of a repair.
#[derive(Clone, Copy)]
pub struct RepairOptions<'a> {
    /// Changes nothing: the changes go into unlinked temporary files in this folder.
    pub dry_run: Option<&'a Path>,
    /// The present time.
    pub now: Timestamp,
    /// Receives progress events.
    pub progress: &'a dyn Progress,
}

/// The result of a repair.
#[derive(Debug, Default)]
pub struct RepairOutcome {
    /// The changes, in order.
    pub actions: Vec<Action>,
    /// The changes were made. A dry run only lists them.
    pub is_done: bool,
    /// Things that could not be done or read.
    pub left: Vec<Left>,
    /// Findings that a verify reports now; none in a dry run.
    pub findings_left: Option<u64>,
    /// The number of these findings that are about marked snapshots.
    pub findings_marked: u64,
}

/// One change to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// The file that names the store is written again, because of this problem.
    WriteFormat(Problem),
    /// A file that is no part of the store is moved to `quarantine/`, because of this problem.
    PutAside(Problem),
    /// A cache is made again, because of this problem.
    Rebuild(Problem),
    /// In the pack of this number, so many flipped bits are turned back: their transactions match their hashes again.
    TurnBack(u32, u64),
    /// So many transactions are recorded again.
    RecoverTransactions(Source, u64),
    /// An unknown workspace is added again; true if its path is known.
    RecoverWorkspace(WorkspaceId, bool),
    /// A snapshot that had no name gets one.
    RecoverSnapshot {
        /// Its workspace.
        workspace: WorkspaceId,
        /// The step as which it was taken.
        step: u64,
        /// Its id.
        snapshot: SnapshotId,
        /// The tag that it gets, because another snapshot has the step; none where it gets its step back.
        tag: Option<String>,
    },
    /// A step that is newer than the recovered ones becomes the head of its workspace again.
    KeepHead(WorkspaceId, u64),
    /// A snapshot that nobody can read and nothing names is recorded as lost.
    GiveUp(ObjectKey),
    /// A snapshot that an earlier repair recorded as lost is there again.
    FindAgain(ObjectKey),
    /// So many objects are stored again, because they are readable only in damaged records.
    Save(u64),
    /// A pack is written anew without its damaged records.
    Rewrite {
        /// Its number.
        pack: u32,
        /// Bytes outside of intact transactions.
        damaged_bytes: u64,
        /// Objects that are given up.
        lost: u64,
        /// It is longer than a pack may be, and its contents go into a new one.
        is_too_long: bool,
    },
    /// So many lost objects of each kind are stored again from live folders.
    BringBack(BTreeMap<ObjectKind, u64>),
    /// A snapshot is marked incomplete, or no longer.
    Mark {
        /// Its id.
        snapshot: SnapshotId,
        /// Its workspace and step, if it is a step.
        step: Option<(WorkspaceId, u64)>,
        /// It is incomplete; whole again otherwise.
        incomplete: bool,
    },
}

impl Action {
    /// The problem of the file that it writes or moves.
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::WriteFormat(problem) | Self::PutAside(problem) | Self::Rebuild(problem) => Some(problem),
            _ => None,
        }
    }
}

/// The source of recovered facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The journal, a checked copy.
    Journal,
    /// Damaged transactions; a fact is taken only if the snapshots that it names are there and agree.
    DamagedRanges,
    /// None: that these transactions are lost is recorded.
    Nothing,
}

/// Something that a repair could not do or read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Left {
    /// A live folder was not searched for lost content, because of this error.
    NotSearched(String),
    /// So many transactions are missing, more than anybody could have made: they are not recorded as lost.
    TooManyLost(u64),
    /// There is no number left for another transaction.
    NoNumber,
}

/// Repairs the store on `disk`.
pub fn repair(disk: &Arc<dyn Disk>, options: &RepairOptions<'_>) -> Result<RepairOutcome> {
    let Some(scratch) = options.dry_run else { return run(disk, options, REPAIR_ROUNDS_MAX) };
    let _guard = keep_still(&**disk);
    let overlay: Arc<dyn Disk> = Arc::new(Overlay::new(Arc::clone(disk), scratch));
    run(&overlay, options, REPAIR_ROUNDS_MAX)
}

/// One part of a repair. It returns its changes.
type Pass = fn(&mut Round<'_>) -> Result<Vec<Action>>;

const PASSES: [Pass; 7] =
    [format::write, turn_back, facts::recover, packs::rewrite, contents::bring_back, contents::give_up, marks::mark];

/// Recovered facts.
#[derive(Debug, Default)]
struct Found {
    /// Transactions that have a number.
    transactions: BTreeMap<u64, Vec<Fact>>,
    /// Facts of new transactions, after all others.
    late: Vec<Fact>,
    actions: Vec<Action>,
    /// Unreadable snapshots of damaged transactions.
    unreadable: Vec<SnapshotId>,
    /// The facts of some transactions are unknown.
    is_incomplete: bool,
}

impl Found {
    fn add(&mut self, source: Source, transactions: BTreeMap<u64, Vec<Fact>>) {
        if !transactions.is_empty() {
            self.actions.push(Action::RecoverTransactions(source, transactions.len() as u64));
            self.transactions.extend(transactions);
        }
    }
}

/// One inspection of the store, which the passes share.
struct Round<'a> {
    disk: &'a Arc<dyn Disk>,
    options: &'a RepairOptions<'a>,
    /// The store's lock. A pass that releases it ends the round.
    guard: Option<LockGuard>,
    inspection: Inspection,
    checked: OnceCell<Checked>,
    found: OnceCell<VerifyOutcome>,
    /// Objects that this repair has searched live folders for.
    searched: BTreeSet<ObjectKey>,
    left: Vec<Left>,
}

/// Repairs the store in at most `rounds_max` rounds. After more, the next repair continues.
fn run(disk: &Arc<dyn Disk>, options: &RepairOptions<'_>, rounds_max: usize) -> Result<RepairOutcome> {
    let mut outcome = RepairOutcome { is_done: options.dry_run.is_none(), ..RepairOutcome::default() };
    outcome.actions = format::clear(disk)?;
    let mut searched = BTreeSet::new();
    for rounds_left in (0..rounds_max).rev() {
        let mut round = Round::begin(disk, options, searched)?;
        let mut done = Vec::new();
        for pass in PASSES {
            done = pass(&mut round)?;
            if !done.is_empty() || round.guard.is_none() {
                break;
            }
        }
        round.left.retain(|left| !outcome.left.contains(left));
        outcome.left.append(&mut round.left);
        let is_settled = done.is_empty() && round.guard.is_some();
        outcome.actions.append(&mut done);
        if is_settled || rounds_left == 0 {
            outcome.count(&round.found()?.findings);
            break;
        }
        searched = round.searched;
    }
    Ok(outcome)
}

impl RepairOutcome {
    fn count(&mut self, findings: &[Finding]) {
        if self.is_done {
            self.findings_left = Some(findings.len() as u64);
            self.findings_marked = findings.iter().filter(|finding| finding.is_marked).count() as u64;
        }
    }
}

impl<'a> Round<'a> {
    fn begin(disk: &'a Arc<dyn Disk>, options: &'a RepairOptions<'a>, searched: BTreeSet<ObjectKey>) -> Result<Self> {
        let guard = lock(&**disk)?;
        let inspection = inspect(disk, Depth::Hashes, Some(&guard))?;
        let (checked, found, left) = (OnceCell::new(), OnceCell::new(), Vec::new());
        Ok(Self { disk, options, guard: Some(guard), inspection, checked, found, searched, left })
    }

    /// The lock, for a pass that changes packs.
    fn guard(&self) -> &LockGuard {
        self.guard.as_ref().expect("a pass that releases it ends the round")
    }

    /// Every object decoded and compared with its id.
    fn checked(&self) -> Result<&Checked> {
        get_or_try(&self.checked, || check_objects(&self.inspection, &|_| true, self.options.progress))
    }

    /// All findings of a verify.
    fn found(&self) -> Result<&VerifyOutcome> {
        get_or_try(&self.found, || examine(&self.inspection, self.checked()?, Level::Full))
    }

    /// Completes the caches for the present packs.
    fn complete_caches(&self) -> Result<()> {
        complete_caches(&Store::open(Arc::clone(self.disk))?, self.guard())
    }
}

/// Turns single flipped bits back. Nothing is lost, and the rest of the pack stays the same.
fn turn_back(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let flips = find_flips(&round.inspection)?;
    repair::turn_back(&**round.disk, &flips, round.guard())?;
    Ok(flips.iter().map(|(pack, flips)| Action::TurnBack(*pack, flips.len() as u64)).collect())
}

fn get_or_try<T>(cell: &OnceCell<T>, make: impl FnOnce() -> Result<T>) -> Result<&T> {
    if let Some(made) = cell.get() {
        return Ok(made);
    }
    let made = make()?;
    Ok(cell.get_or_init(|| made))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{Action, RepairOptions, run};
    use crate::disk::memory::MemoryDisk;
    use crate::disk::{Disk, read_all};
    use crate::format::facts::Fact;
    use crate::id::{Digest, SnapshotId};
    use crate::progress::Silent;
    use crate::store::Store;
    use crate::time::Timestamp;

    /// A store without `FORMAT` and with a flipped bit needs two rounds, and a third to see that nothing is left.
    fn damaged() -> Arc<dyn Disk> {
        let disk: Arc<dyn Disk> = Arc::new(MemoryDisk::new(1));
        let store = Store::open_or_create(Arc::clone(&disk)).unwrap();
        let snapshot = SnapshotId(Digest::of(b"pinned"));
        store.record(|_| Ok(vec![Fact::Pinned { snapshot, pinned: true, time: Timestamp(0) }])).unwrap();
        let pack = "packs/000001.pack";
        let last = read_all(&*disk, pack).unwrap().len() - 1;
        let byte = read_all(&*disk, pack).unwrap()[last] ^ 1;
        disk.write(pack, last as u64, &[byte]).unwrap();
        disk.remove("FORMAT").unwrap();
        disk
    }

    #[test]
    fn a_repair_ends_at_its_limit_of_rounds_and_the_next_one_continues() {
        let options = RepairOptions { dry_run: None, now: Timestamp(0), progress: &Silent };
        let whole = run(&damaged(), &options, 3).unwrap();
        assert!(matches!(whole.actions[..], [Action::WriteFormat(_), Action::TurnBack(1, 1), ..]), "{whole:?}");
        let disk = damaged();
        let rounds = [1, 1, 1].map(|rounds_max| run(&disk, &options, rounds_max).unwrap());
        assert!(matches!(rounds[0].actions[..], [Action::WriteFormat(_)]), "{rounds:?}");
        assert!(matches!(rounds[1].actions[..], [Action::TurnBack(1, 1)]), "{rounds:?}");
        assert_eq!((&rounds[2].actions, rounds[2].findings_left), (&whole.actions[2..].to_vec(), whole.findings_left));
    }
}

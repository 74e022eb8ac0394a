//! A git history as snapshots of a workspace.
//!
//! Each commit that [`Source`] chooses becomes a snapshot, along first parents, oldest first. The head of the workspace
//! is then the last of them or, if all branches are imported, git's HEAD. Nothing in the live folder is touched, and
//! git is never run. `ops::share::git` documents the mapping of states: unchanged commits of an export come back
//! exactly, others as far as git holds a state. Entries that a snapshot cannot have are omitted, commits that cannot be
//! read are skipped. Both are listed, and neither ends the import.
//!
//! Each snapshot is a transaction of its own. Larger ones would need fewer syncs, but a delta needs its base in the
//! store, and a history without deltas is some ten times larger. A snapshot holds the id of its commit, and a commit
//! that some snapshot of the workspace holds is not imported again. So an interrupted import can be continued, a
//! repeated one adds new commits, and new commits follow the same commits as in git.

mod about;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::ObjectId;

pub use source::{Commits, Skipped, Source};

use about::{Call, Known};
use source::Line;

use super::git::kept::Kept;
use super::git::load::Loader;
use super::git::{CommitResult, META_REF, Stop};
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::format::snapshot::{Cause, Omission, Snapshot};
use crate::history::name::check_run_name;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::keep::tag::tagged;
use crate::ops::record::add_snapshot::{HistoryEnd, add_snapshot, taken_fact};
use crate::ops::record::folder::lock_workspace;
use crate::ops::record::register::expect;
use crate::path::escaped;
use crate::progress::Progress;
use crate::store::Store;
use crate::time::Timestamp;

/// Options of an import from git.
#[derive(Clone)]
pub struct ImportGitOptions<'a> {
    /// The run of commits that name none.
    pub run: String,
    /// The current time; the tags get it.
    pub now: Timestamp,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

/// The result of an import from git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Snapshots taken.
    pub snapshots: u64,
    /// Commits that were imported before.
    pub known: u64,
    /// The first of the snapshots taken, and its step.
    pub first: Option<(SnapshotId, u64)>,
    /// The last of them, and its step.
    pub last: Option<(SnapshotId, u64)>,
    /// The number of snapshots that came back exactly as exported.
    pub exact: u64,
    /// Omitted paths of the last snapshot.
    pub omitted: Vec<Omission>,
    /// The number of snapshots with omitted paths.
    pub omitting: u64,
    /// Entries that no snapshot can have, not even as omitted: each once, by path.
    pub refused: Vec<RefusedEntry>,
    /// Commits that gave no snapshot, by id in hex.
    pub skipped: Vec<Skipped>,
    /// Commits of which something was guessed, with the guess.
    pub guessed: Vec<(String, String)>,
    /// Tags that were given to snapshots.
    pub tags: Vec<String>,
    /// Tags of the repository that were not, escaped if they are not text.
    pub skipped_tags: Vec<Skipped>,
    /// Bytes that the store's packs grew by.
    pub stored_bytes: u64,
}

/// An entry of a git tree that no snapshot can have, not even as omitted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RefusedEntry {
    /// Its path, as git has it: names joined with slashes.
    pub path: Vec<u8>,
    /// The reason.
    pub reason: &'static str,
}

/// Imports the commits of `source` into a workspace.
pub fn import_git(
    store: &Store,
    workspace: WorkspaceId,
    source: Source,
    options: &ImportGitOptions<'_>,
) -> Result<Imported> {
    check_run_name(&options.run)?;
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let Source { repository, lines, skipped, mut tags, skipped_tags } = source;
    let mut outcome = Imported { skipped, skipped_tags, ..Imported::default() };
    let kept = Kept::open(&repository).unwrap_or_else(|error| {
        outcome.guessed.push((META_REF.to_owned(), error.to_string()));
        Kept::default()
    });
    let state = store.state();
    let found = expect(&state, workspace)?;
    let head = found.head;
    let known = known_commits(store, found.steps.values().copied())?;
    let mut import = Import {
        store,
        workspace,
        repository: &repository,
        loader: Loader::new(store, &repository, kept, options.progress),
        options,
        known,
        head,
        before: None,
        refused: BTreeSet::new(),
    };
    let is_all = lines.len() > 1;
    let main_tip = lines.first().and_then(|line| line.commits.last().copied());
    for line in &lines {
        import.line(line, &mut outcome)?;
    }
    if is_all && let Some(tip) = main_tip.and_then(|tip| import.known.get(&tip).copied()) {
        import.make_head(tip, &mut outcome)?;
    }
    let Import { known, refused, .. } = import;
    outcome.refused = refused.into_iter().collect();
    let named = known.into_iter().filter_map(|(commit, snapshot)| Some((tags.remove(&commit)?, snapshot)));
    let named: BTreeMap<String, SnapshotId> =
        named.flat_map(|(names, snapshot)| names.into_iter().map(move |name| (name, snapshot))).collect();
    give_tags(store, workspace, named, options.now, &mut outcome)?;
    Ok(outcome)
}

/// Tags given in one transaction, whose facts are bounded.
const TAGS_AT_ONCE: usize = 500;

/// Gives the tags of commits to their snapshots. A tag that another snapshot has stays there.
fn give_tags(
    store: &Store,
    workspace: WorkspaceId,
    named: BTreeMap<String, SnapshotId>,
    now: Timestamp,
    outcome: &mut Imported,
) -> Result<()> {
    let named: Vec<(String, SnapshotId)> = named.into_iter().collect();
    for part in named.chunks(TAGS_AT_ONCE) {
        let (mut given, mut skipped) = (Vec::new(), Vec::new());
        store.record(|state| {
            let mut facts = Vec::new();
            (given, skipped) = (Vec::new(), Vec::new());
            for (name, snapshot) in part {
                match tagged(expect(state, workspace)?, name, *snapshot, false, now) {
                    Ok(None) => {}
                    Ok(Some(fact)) => {
                        given.push(name.clone());
                        facts.push(fact);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::Exists | ErrorKind::Invalid) => {
                        skipped.push(Skipped { name: escaped(name.as_bytes()), reason: error.to_string() });
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(facts)
        })?;
        outcome.tags.append(&mut given);
        outcome.skipped_tags.append(&mut skipped);
    }
    Ok(())
}

/// The snapshots of a workspace that were imported, by commit.
fn known_commits(store: &Store, snapshots: impl Iterator<Item = SnapshotId>) -> Result<HashMap<ObjectId, SnapshotId>> {
    let mut known = HashMap::new();
    for id in snapshots {
        let snapshot = match store.snapshot(id) {
            Ok(snapshot) => snapshot,
            // The commit of a lost or damaged snapshot is imported again.
            Err(error) if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NotFound) => continue,
            Err(error) => return Err(error),
        };
        let commit = snapshot.git.as_ref().filter(|_| snapshot.cause == Cause::Import);
        let commit = commit.and_then(|git| ObjectId::from_hex(git.head.as_ref()?.as_bytes()).ok());
        known.extend(commit.map(|commit| (commit, id)));
    }
    Ok(known)
}

struct Import<'a> {
    store: &'a Store,
    workspace: WorkspaceId,
    repository: &'a gix::Repository,
    loader: Loader<'a>,
    options: &'a ImportGitOptions<'a>,
    /// Snapshots by the commit they were made from.
    known: HashMap<ObjectId, SnapshotId>,
    /// The head of the workspace.
    head: Option<SnapshotId>,
    /// The snapshot that the next one follows.
    before: Option<(SnapshotId, Arc<Snapshot>)>,
    refused: BTreeSet<RefusedEntry>,
}

impl Import<'_> {
    fn line(&mut self, line: &Line, outcome: &mut Imported) -> Result<()> {
        let after = line.after.and_then(|commit| self.known.get(&commit).copied()).or(self.head);
        self.before = after.map(|id| self.store.snapshot(id).map(|snapshot| (id, snapshot))).transpose()?;
        for commit in &line.commits {
            if let Some(id) = self.known.get(commit).copied() {
                outcome.known += 1;
                self.before = Some((id, self.store.snapshot(id)?));
                continue;
            }
            match self.commit(*commit, line, outcome) {
                Ok(taken) => {
                    outcome.snapshots += 1;
                    outcome.first = outcome.first.or(Some(taken));
                    outcome.last = Some(taken);
                    self.known.insert(*commit, taken.0);
                }
                Err(Stop::Commit(error)) => {
                    outcome.skipped.push(Skipped { name: commit.to_string(), reason: error.to_string() });
                }
                Err(Stop::Import(error)) => return Err(error.during("import commit", commit)),
            }
        }
        Ok(())
    }

    /// Records one commit, and returns its snapshot and step.
    fn commit(&mut self, id: ObjectId, line: &Line, outcome: &mut Imported) -> CommitResult<(SnapshotId, u64)> {
        self.loader.begin();
        let Known { about, content, omissions, calls, is_exact } = self.known_of(id, line, outcome)?;
        let workspace = self.workspace;
        let end = HistoryEnd { workspace, head: self.head, parent: self.before.clone() };
        let added = add_snapshot(&mut self.loader.batch, end, content, about, |_, snapshot| {
            let noted = |Call { event, run, time }| Fact::EventNoted { workspace, snapshot, event, run, time };
            calls.into_iter().map(noted).collect()
        })?;
        outcome.stored_bytes += added.stored_bytes;
        outcome.exact += u64::from(is_exact);
        outcome.omitting += u64::from(!omissions.is_empty());
        outcome.omitted = omissions;
        let step = added.snapshot.step;
        self.head = Some(added.id);
        self.before = Some((added.id, Arc::new(added.snapshot)));
        Ok((added.id, step))
    }

    /// Makes an imported snapshot the head. Until then, the head is the last one taken.
    fn make_head(&mut self, id: SnapshotId, outcome: &mut Imported) -> Result<()> {
        if self.head == Some(id) || outcome.snapshots == 0 {
            return Ok(());
        }
        let snapshot = self.store.snapshot(id)?;
        self.store.record(|state| {
            let is_there = expect(state, self.workspace)?.steps.get(&snapshot.step) == Some(&id);
            // The same fact once more makes it the head.
            Ok(is_there.then(|| taken_fact(id, &snapshot)).into_iter().collect())
        })?;
        self.head = Some(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

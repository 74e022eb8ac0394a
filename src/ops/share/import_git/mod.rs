//! A git history as snapshots of a workspace.
//!
//! One snapshot a commit, along first parents, oldest first ([`Source`] says which); the workspace's head is the last
//! of them, or, where all branches are imported, what git's HEAD is. Nothing in the live folder is touched, and git is
//! never run. How states are mapped is told in `ops::share::git`: commits that an export wrote, and nobody changed,
//! come back exactly, others with what git holds of a state. What a commit has and a snapshot cannot have is omitted, a
//! commit that cannot be read is left out; both are listed, and neither ends the import.
//!
//! Each snapshot is committed on its own. Many at once would be fewer syncs, but what is stored against the version
//! before must find it in the store, and a history without deltas is some ten times larger. A snapshot keeps the id of
//! its commit, and a commit that some snapshot of the workspace has is not imported again: so an import that was
//! interrupted goes on where it was, one that is repeated adds what is new, and what is new follows what it followed in
//! git.

mod about;
mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::ObjectId;

pub use source::{Commits, LeftOutCommit, LeftOutTag, Source};

pub use super::git::load::Refused;

use about::{Call, Known};

use super::git::Stop;
use super::git::load::{Loader, Turn};
use crate::error::{ErrorKind, Result};
use crate::format::facts::Fact;
use crate::format::snapshot::{Cause, Omission, Snapshot};
use crate::history::name::check_run_name;
use crate::id::{SnapshotId, WorkspaceId};
use crate::ops::keep::tag::tagged;
use crate::ops::record::add_snapshot::{Place, add_snapshot, taken_fact};
use crate::ops::record::folder::lock_workspace;
use crate::ops::record::register::expect;
use crate::path::escaped;
use crate::progress::Progress;
use crate::store::Store;
use crate::time::Timestamp;

/// How to import.
#[derive(Clone)]
pub struct ImportGitOptions<'a> {
    /// The run of commits that do not name one.
    pub run: String,
    /// Now; tags are given at this time.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What was imported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Snapshots taken.
    pub snapshots: u64,
    /// Commits that the workspace had a snapshot of already.
    pub known: u64,
    /// The first of the snapshots taken, and its step.
    pub first: Option<(SnapshotId, u64)>,
    /// The last of them, and its step.
    pub last: Option<(SnapshotId, u64)>,
    /// How many came back exactly as they had been exported.
    pub exact: u64,
    /// Paths of the last snapshot that were not taken.
    pub omitted: Vec<Omission>,
    /// How many of the snapshots have omitted paths.
    pub omitting: u64,
    /// Entries that no snapshot can have, not even as omitted: each once, by path.
    pub refused: Vec<Refused>,
    /// Commits that gave no snapshot.
    pub left_out: Vec<LeftOutCommit>,
    /// Commits of which something was guessed, with what.
    pub guessed: Vec<(String, String)>,
    /// Tags that were given.
    pub tags: Vec<String>,
    /// Tags that were not.
    pub tags_left_out: Vec<LeftOutTag>,
    /// Bytes the store's packs grew by.
    pub stored_bytes: u64,
}

/// Imports the commits that were found in a repository into a workspace.
pub fn import_git(
    store: &Store,
    workspace: WorkspaceId,
    source: Source,
    options: &ImportGitOptions<'_>,
) -> Result<Imported> {
    check_run_name(&options.run)?;
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let Source { repository, lines, left_out, mut tags, tags_left_out } = source;
    let mut outcome = Imported { left_out, tags_left_out, ..Imported::default() };
    let mut loader = Loader::new(store, &repository, options.progress);
    if let Err(error) = loader.open_kept() {
        outcome.guessed.push((super::git::META_REF.to_owned(), error.to_string()));
    }
    let state = store.state();
    let found = expect(&state, workspace)?;
    let head = found.head;
    let known = known_commits(store, found.steps.values().copied())?;
    let mut import = Import {
        store,
        workspace,
        repository: &repository,
        loader,
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

/// Names the snapshots of commits that have tags. A name that is given to something else stays there.
fn give_tags(
    store: &Store,
    workspace: WorkspaceId,
    named: BTreeMap<String, SnapshotId>,
    now: Timestamp,
    outcome: &mut Imported,
) -> Result<()> {
    let named: Vec<(String, SnapshotId)> = named.into_iter().collect();
    for part in named.chunks(TAGS_AT_ONCE) {
        let (mut given, mut left_out) = (Vec::new(), Vec::new());
        store.record(|state| {
            let mut facts = Vec::new();
            (given, left_out) = (Vec::new(), Vec::new());
            for (name, snapshot) in part {
                match tagged(expect(state, workspace)?, name, *snapshot, now) {
                    Ok(None) => {}
                    Ok(Some(fact)) => {
                        given.push(name.clone());
                        facts.push(fact);
                    }
                    Err(error) if matches!(error.kind(), ErrorKind::Exists | ErrorKind::Invalid) => {
                        left_out.push(LeftOutTag { tag: escaped(name.as_bytes()), reason: error.to_string() });
                    }
                    Err(error) => return Err(error),
                }
            }
            Ok(facts)
        })?;
        outcome.tags.append(&mut given);
        outcome.tags_left_out.append(&mut left_out);
    }
    Ok(())
}

/// The commits that snapshots of a workspace were made from.
fn known_commits(store: &Store, snapshots: impl Iterator<Item = SnapshotId>) -> Result<HashMap<ObjectId, SnapshotId>> {
    let mut known = HashMap::new();
    for id in snapshots {
        let snapshot = match store.snapshot(id) {
            Ok(snapshot) => snapshot,
            // One that is lost or damaged is imported again.
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
    refused: BTreeSet<Refused>,
}

impl Import<'_> {
    fn line(&mut self, line: &source::Line, outcome: &mut Imported) -> Result<()> {
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
                    outcome.left_out.push(LeftOutCommit { commit: commit.to_string(), reason: error.to_string() });
                }
                Err(Stop::Import(error)) => return Err(error.during("import commit", commit)),
            }
        }
        Ok(())
    }

    /// Records one commit, and returns its snapshot and step.
    fn commit(
        &mut self,
        id: ObjectId,
        line: &source::Line,
        outcome: &mut Imported,
    ) -> std::result::Result<(SnapshotId, u64), Stop> {
        let mut batch = self.store.batch();
        let mut turn = Turn { batch: &mut batch, fresh: HashMap::new() };
        let Known { about, content, omissions, calls, is_exact } = self.known_of(&mut turn, id, line, outcome)?;
        let workspace = self.workspace;
        let place = Place { workspace, head: self.head, parent: self.before.clone() };
        let added = add_snapshot(&mut batch, place, content, about, |_, snapshot| {
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

    /// Makes a snapshot that was imported the head again, which the last one taken is.
    fn make_head(&mut self, id: SnapshotId, outcome: &mut Imported) -> Result<()> {
        if self.head == Some(id) || outcome.snapshots == 0 {
            return Ok(());
        }
        let snapshot = self.store.snapshot(id)?;
        self.store.record(|state| {
            let is_there = expect(state, self.workspace)?.steps.get(&snapshot.step) == Some(&id);
            // The same fact once more: taken as that step, and the head.
            Ok(is_there.then(|| taken_fact(id, &snapshot)).into_iter().collect())
        })?;
        self.head = Some(id);
        Ok(())
    }
}

#[cfg(test)]
mod tests;

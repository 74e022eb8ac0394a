//! A git history as snapshots of a workspace.
//!
//! The first-parent line of a range, oldest first, one snapshot a commit; the workspace's head is the last of them.
//! Nothing in the live folder is touched, and git is never run. How states are mapped is told in `ops::git`:
//! commits that an export wrote, and nobody changed, come back exactly, others with what git holds of a state.
//! Submodules, and blobs larger than memory should have to hold, are recorded as omitted.
//!
//! Each snapshot is committed on its own. Many at once would be fewer syncs, but what is stored against the version
//! before must find it in the store, and a history without deltas is some ten times larger. An import that is
//! interrupted has recorded what it got to, and says so in the workspace's log.

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::ByteSlice;
use gix::revision::plumbing::Spec;

use super::capture::lock_workspace;
use super::git::load::{Loader, Turn};
use super::git::{TRAILER_RUN, TRAILER_SNAPSHOT, TRAILER_STEP, failed, isolated};
use super::ingest;
use super::ingest::attached;
use crate::diff::{TreeDiffOptions, counts, tree::trees_with};
use crate::error::{Error, ErrorKind, Result, shown};
use crate::format::attributes::Owner;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{
    self, Attachment, Cause, ChangeCounts, GitState, Omission, Snapshot, decode_omitted, encode_omitted, history_digest,
};
use crate::format::tree::decode;
use crate::history::name::{check_run_name, check_tag_name};
use crate::id::{BlobId, SnapshotId, TreeId, WorkspaceId};
use crate::limits::MESSAGE_LENGTH_MAX_BYTES;
use crate::progress::Progress;
use crate::store::{Final, NewObject, Store};
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
    /// The first of them, and its step.
    pub first: Option<(SnapshotId, u64)>,
    /// The last of them, and its step.
    pub last: Option<(SnapshotId, u64)>,
    /// How many came back exactly as they had been exported.
    pub exact: u64,
    /// Paths of the last snapshot that were not taken.
    pub omitted: Vec<Omission>,
    /// Tags that were given.
    pub tags: Vec<String>,
    /// Bytes the store's packs grew by.
    pub stored_bytes: u64,
}

/// Imports the commits of `range` (a branch, `A..B`, or anything else that git reads as a revision; HEAD where none is
/// given) of the repository at `folder` into a workspace.
pub fn import_git(
    store: &Store,
    workspace: WorkspaceId,
    folder: &Path,
    range: Option<&str>,
    options: &ImportGitOptions<'_>,
) -> Result<Imported> {
    check_run_name(&options.run)?;
    let repository =
        isolated().open(folder).map_err(|e| failed(ErrorKind::NotFound, "open git repository", folder, e))?;
    let mut repository: gix::Repository = repository.into();
    repository.object_cache_size_if_unset(OBJECT_CACHE_BYTES);
    let line = Line::resolve(&repository, range)?;
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let tags = tags_of(&repository);
    let loader = Loader::new(store, &repository, options.progress)?;
    let branch = line.branch;
    let mut import = Import { store, workspace, repository: &repository, loader, options, branch, tags, head: None };
    let state = store.state();
    let found = super::snap::expect(&state, workspace)?;
    import.head = found.head.map(|id| store.snapshot(id).map(|head| (id, head))).transpose()?;
    let mut outcome = Imported::default();
    for commit in line.commits {
        let taken = import.commit(commit, &mut outcome);
        let taken = taken.map_err(|e| e.during("import commit", commit))?;
        outcome.snapshots += 1;
        outcome.first = outcome.first.or(Some(taken));
        outcome.last = Some(taken);
    }
    Ok(outcome)
}

/// Git objects kept decoded: trees of one commit are the bases of the next one's.
const OBJECT_CACHE_BYTES: usize = 32 << 20;

/// The commits to import.
struct Line {
    /// Oldest first.
    commits: Vec<ObjectId>,
    /// The branch they are on, if one was named.
    branch: Option<String>,
}

impl Line {
    fn resolve(repository: &gix::Repository, range: Option<&str>) -> Result<Self> {
        let range = range.unwrap_or("HEAD");
        let fail = |e: gix::Error| {
            let path = shown(repository.git_dir());
            Error::new(ErrorKind::NotFound, "find commits", format!("{range} in {path}"), e)
        };
        let spec = repository.rev_parse(range.as_bytes().as_bstr()).map_err(fail)?;
        let (tip, hidden, reference) = match *spec {
            Spec::Include(tip) => (tip, None, spec.first_reference()),
            Spec::Range { from, to } => (to, Some(from), spec.second_reference()),
            _ => {
                return Err(Error::new(ErrorKind::Invalid, "import", range, "it is neither one revision nor `A..B`"));
            }
        };
        let branch = match reference {
            Some(reference) if reference.name.as_bstr() == "HEAD" => repository.head_name().map_err(fail)?,
            Some(reference) => Some(reference.name.clone()),
            None => None,
        };
        let branch = branch.and_then(|name| {
            let (category, short) = name.category_and_short_name()?;
            (category == gix::refs::Category::LocalBranch).then(|| short.to_str_lossy().into_owned())
        });
        let commit_of = |id: ObjectId| -> Result<ObjectId> {
            let object = repository.find_object(id).map_err(fail)?;
            Ok(object.peel_to_commit().map_err(fail)?.id)
        };
        let hidden = match hidden {
            Some(from) => ids(repository.rev_walk([commit_of(from)?]).all().map_err(fail)?).collect::<Result<_>>()?,
            None => HashSet::new(),
        };
        let line = repository.rev_walk([commit_of(tip)?]).first_parent_only().all().map_err(fail)?;
        let wanted = ids(line).take_while(|id| !id.as_ref().is_ok_and(|id| hidden.contains(id)));
        let mut commits: Vec<ObjectId> = wanted.collect::<Result<_>>()?;
        commits.reverse();
        Ok(Self { commits, branch })
    }
}

fn ids(walk: gix::revision::Walk<'_>) -> impl Iterator<Item = Result<ObjectId>> {
    walk.map(|info| match info {
        Ok(info) => Ok(info.id),
        Err(e) => Err(Error::new(ErrorKind::Corrupt, "walk", "the history of commits", e)),
    })
}

/// Tags by the commit they name. What is no tag of a commit is passed over.
fn tags_of(repository: &gix::Repository) -> HashMap<ObjectId, Vec<String>> {
    let mut tags: HashMap<ObjectId, Vec<String>> = HashMap::new();
    let Ok(references) = repository.references() else { return tags };
    let Ok(found) = references.tags() else { return tags };
    for mut reference in found.flatten() {
        let name = reference.name().shorten().to_str().map(str::to_owned);
        if let (Ok(name), Ok(commit)) = (name, reference.peel_to_commit())
            && check_tag_name(&name).is_ok()
        {
            tags.entry(commit.id).or_default().push(name);
        }
    }
    tags
}

struct Import<'a> {
    store: &'a Store,
    workspace: WorkspaceId,
    repository: &'a gix::Repository,
    loader: Loader<'a>,
    options: &'a ImportGitOptions<'a>,
    branch: Option<String>,
    tags: HashMap<ObjectId, Vec<String>>,
    /// The snapshot that the next one follows.
    head: Option<(SnapshotId, Arc<Snapshot>)>,
}

/// What is known of a commit: from what an export kept, or from the commit itself.
struct About {
    root: TreeId,
    /// Paths in it, where they were counted.
    paths: Option<u64>,
    root_mode: u16,
    root_owner: Option<Owner>,
    run: String,
    time: Timestamp,
    message: String,
    event: Vec<u8>,
    times: Attachment,
    omitted: Attachment,
    attributes: Attachment,
    rules: BlobId,
    is_exact: bool,
}

impl Import<'_> {
    /// Records one commit, and returns its snapshot and step.
    fn commit(&mut self, id: ObjectId, outcome: &mut Imported) -> Result<(SnapshotId, u64)> {
        let mut batch = self.store.batch();
        let mut turn = Turn { batch: &mut batch, fresh: HashMap::new() };
        let about = self.about(&mut turn, id)?;
        let mut snapshot = self.describe(&mut turn, id, about, outcome)?;
        let tags = self.tags.remove(&id).unwrap_or_default();
        let (head, workspace, now) = (self.head.as_ref().map(|(id, _)| *id), self.workspace, self.options.now);
        let mut taken = None;
        let committed = batch.commit(|state| {
            let found = super::snap::expect(state, workspace)?;
            if found.head != head {
                return Err(Error::new(ErrorKind::Conflict, "record step in", workspace, "its head moved meanwhile"));
            }
            snapshot.step = super::snap::next_step(found)?;
            let bytes = snapshot::encode(&snapshot);
            snapshot::decode(&bytes).map_err(|e| e.during("record step", snapshot.step))?;
            let id = snapshot::snapshot_id(&bytes);
            taken = Some(id);
            let (step, run) = (snapshot.step, snapshot.run.clone());
            let mut facts = vec![Fact::SnapshotTaken { workspace, snapshot: id, step, run }];
            for name in tags {
                if !state.tags.contains_key(&name) {
                    outcome.tags.push(name.clone());
                    facts.push(Fact::Tagged { name, snapshot: Some(id), time: now });
                }
            }
            let previous = head.map(|head| head.0);
            let object = NewObject { kind: ObjectKind::Snapshot, id: id.0, bytes, previous };
            Ok(Final { objects: vec![object], facts })
        })?;
        outcome.stored_bytes += committed.stored_bytes;
        let taken = taken.expect("a commit that succeeded has decided");
        let step = snapshot.step;
        self.head = Some((taken, Arc::new(snapshot)));
        Ok((taken, step))
    }

    /// Stores the commit's tree, and gathers what is known of it.
    fn about(&mut self, turn: &mut Turn<'_, '_>, id: ObjectId) -> Result<About> {
        let commit = self.repository.find_commit(id).map_err(|e| self.failed(&e))?;
        let git_root = commit.tree_id().map_err(|e| self.failed(&e))?.detach();
        let previous = self.head.as_ref().map(|(_, head)| head.root);
        let kept = self.loader.kept().map(|kept| kept.snapshot(id)).transpose()?.flatten();
        if let Some(bytes) = kept {
            let kept = snapshot::decode(&bytes).map_err(|e| e.during("read kept snapshot of", id))?;
            self.loader.exact(turn, kept.root, git_root, previous)?;
            return self.about_kept(turn, &commit, kept);
        }
        let loaded = self.loader.plain(turn, git_root, previous)?;
        let facts = commit.decode().map_err(|e| self.failed(&e))?;
        let committer = facts.committer().map_err(|e| self.failed(&e))?;
        let (message, run) = said(&facts.message.to_str_lossy());
        let run = run.filter(|run| check_run_name(run).is_ok()).unwrap_or_else(|| self.options.run.clone());
        let omitted = encode_omitted(&sorted(loaded.omitted.to_vec()));
        Ok(About {
            root: loaded.id,
            paths: Some(loaded.paths),
            // Git does not know it; what the workspace's folder has is the likeliest.
            root_mode: self.head.as_ref().map_or(0o755, |(_, head)| head.root_mode),
            root_owner: None,
            run,
            time: Timestamp::from_seconds(committer.seconds()),
            message,
            event: event(&commit, &[])?,
            times: Attachment::Empty,
            omitted: ingest::attachment(turn.batch, omitted)?,
            attributes: Attachment::Empty,
            rules: ingest::any(turn.batch, Vec::new())?,
            is_exact: false,
        })
    }

    fn about_kept(&mut self, turn: &mut Turn<'_, '_>, commit: &gix::Commit<'_>, kept: Snapshot) -> Result<About> {
        self.loader.content(turn, kept.rules)?;
        for attachment in [&kept.times, &kept.omitted, &kept.attributes] {
            if let Some(blob) = attachment.blob() {
                self.loader.content(turn, blob)?;
            }
        }
        let told = match &kept.event {
            Attachment::Blob(id) => self.loader.read(*id)?,
            short => attached(self.store, short, 0)?,
        };
        Ok(About {
            root: kept.root,
            paths: None,
            root_mode: kept.root_mode,
            root_owner: kept.root_owner,
            run: kept.run,
            time: kept.time,
            message: kept.message,
            event: event(commit, &told)?,
            times: kept.times,
            omitted: kept.omitted,
            attributes: kept.attributes,
            rules: kept.rules,
            is_exact: true,
        })
    }

    /// Everything of the snapshot but its step.
    fn describe(
        &self,
        turn: &mut Turn<'_, '_>,
        id: ObjectId,
        about: About,
        outcome: &mut Imported,
    ) -> Result<Snapshot> {
        let before = self.head.as_ref().map(|(_, head)| head);
        let mut changes = match (before, about.paths) {
            (None, Some(added)) => ChangeCounts { added, ..ChangeCounts::default() },
            _ => self.changes(turn, about.root)?,
        };
        changes.modified += u64::from(before.is_some_and(|head| head.root_mode != about.root_mode));
        outcome.exact += u64::from(about.is_exact);
        outcome.omitted = match about.omitted.inline() {
            Some(bytes) => decode_omitted(bytes).map_err(|e| e.during("read omitted paths of", id))?,
            None => Vec::new(),
        };
        Ok(Snapshot {
            root: about.root,
            root_mode: about.root_mode,
            root_owner: about.root_owner,
            parents: self.head.iter().map(|(id, _)| *id).collect(),
            history: history_digest(before.map(|head| head.history), about.root),
            workspace: self.workspace,
            run: about.run,
            step: 1,
            time: about.time,
            cause: Cause::Import,
            message: about.message,
            changes,
            event: ingest::attachment(turn.batch, about.event)?,
            times: about.times,
            omitted: about.omitted,
            attributes: about.attributes,
            rules: about.rules,
            git: Some(GitState { head: Some(id.to_string()), branch: self.branch.clone() }),
        })
    }

    fn changes(&self, turn: &Turn<'_, '_>, root: TreeId) -> Result<ChangeCounts> {
        let load = |id: TreeId| match turn.fresh.get(&id) {
            Some(bytes) => decode(bytes).map_err(|e| e.during("read tree", id)),
            None => self.store.tree(id),
        };
        let before = self.head.as_ref().map(|(_, head)| head.root);
        Ok(counts(&trees_with(&load, before, Some(root), &TreeDiffOptions::default())?))
    }

    fn failed(&self, error: &gix::Error) -> Error {
        failed(ErrorKind::Corrupt, "read git repository", self.repository.git_dir(), error)
    }
}

/// What an agent told of the step, if it did, and where git has it.
fn event(commit: &gix::Commit<'_>, told: &[u8]) -> Result<Vec<u8>> {
    let told: serde_json::Value = serde_json::from_slice(told).unwrap_or_default();
    let mut event = match told {
        serde_json::Value::Object(event) => event,
        _ => serde_json::Map::new(),
    };
    let author = commit.author().map(|author| {
        let author = author.trim();
        format!("{} <{}>", author.name.to_str_lossy(), author.email.to_str_lossy())
    });
    let author = author.unwrap_or_default();
    event.insert("git".to_owned(), serde_json::json!({ "commit": commit.id.to_string(), "author": author }));
    Ok(serde_json::Value::Object(event).to_string().into_bytes())
}

/// The message without the trailers of an export, and the run that one of them names.
fn said(message: &str) -> (String, Option<String>) {
    let message = message.trim_end();
    let (body, trailers) = message.rsplit_once("\n\n").unwrap_or((message, ""));
    let value = |name: &str| {
        let mut lines = trailers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
    };
    let (Some(_), Some(step), Some(run)) = (value(TRAILER_SNAPSHOT), value(TRAILER_STEP), value(TRAILER_RUN)) else {
        return (shortened(message), None);
    };
    let ours = [TRAILER_SNAPSHOT, TRAILER_STEP, TRAILER_RUN];
    let is_ours =
        |line: &&str| ours.iter().any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")));
    let others: Vec<&str> = trailers.lines().filter(|line| !is_ours(line)).collect();
    let body = if body == format!("step {step}") { "" } else { body };
    let message = if others.is_empty() { body.to_owned() } else { format!("{body}\n\n{}", others.join("\n")) };
    (shortened(&message), Some(run))
}

/// As much of a message as a snapshot holds.
fn shortened(message: &str) -> String {
    let mut end = message.len().min(MESSAGE_LENGTH_MAX_BYTES);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    message[..end].to_owned()
}

fn sorted(mut omitted: Vec<Omission>) -> Vec<Omission> {
    omitted.sort_by(|a, b| a.path.cmp(&b.path));
    omitted
}

#[cfg(test)]
mod tests;

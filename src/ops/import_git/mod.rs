//! A git history as snapshots of a workspace.
//!
//! One snapshot a commit, along first parents, oldest first ([`Source`] says which); the workspace's head is the last
//! of them, or, where all branches are imported, what git's HEAD is. Nothing in the live folder is touched, and git is
//! never run. How states are mapped is told in `ops::git`: commits that an export wrote, and nobody changed, come back
//! exactly, others with what git holds of a state. What a commit has and a snapshot cannot have is omitted, a commit that
//! cannot be read is left out; both are listed, and neither ends the import.
//!
//! Each snapshot is committed on its own. Many at once would be fewer syncs, but what is stored against the version
//! before must find it in the store, and a history without deltas is some ten times larger. A snapshot keeps the id of its
//! commit, and a commit that some snapshot of the workspace has is not imported again: so an import that was interrupted
//! goes on where it was, one that is repeated adds what is new, and what is new follows what it followed in git.

mod source;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use gix::ObjectId;

pub use source::{Commits, LeftOutCommit, LeftOutTag, Source};

pub use super::git::load::Refused;

use super::capture::lock_workspace;
use super::git::commit::ReadCommit;
use super::git::load::{Loader, Turn};
use super::git::{Stop, TRAILER_RUN, TRAILER_SNAPSHOT, TRAILER_STEP, TRAILER_SUBJECT, TRAILER_TIME};
use super::ingest;
use super::ingest::attached;
use super::said;
use super::tag::tagged;
use crate::diff::{TreeDiffOptions, counts, tree::trees_with};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::Owner;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::format::path_list::paths_fit;
use crate::format::snapshot::{
    self, Attachment, Cause, ChangeCounts, GitState, Omission, Snapshot, decode_omitted, encode_omitted, history_digest,
};
use crate::format::tree::decode;
use crate::history::name::check_run_name;
use crate::id::{BlobId, SnapshotId, TreeId, WorkspaceId};
use crate::limits::{PATH_LENGTH_MAX_BYTES, PATH_LIST_LENGTH_MAX_BYTES};
use crate::path::escaped;
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
    let found = super::snap::expect(&state, workspace)?;
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
                match tagged(super::snap::expect(state, workspace)?, name, *snapshot, now) {
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

/// What is known of a commit: from what an export kept, or from the commit itself.
struct About {
    root: TreeId,
    /// Paths in it, where they were counted.
    paths: Option<u64>,
    root_mode: u16,
    root_owner: Option<Owner>,
    run: Option<String>,
    time: Timestamp,
    message: String,
    event: Vec<u8>,
    times: Attachment,
    omitted: Attachment,
    omissions: Vec<Omission>,
    attributes: Attachment,
    left_out: Attachment,
    rules: BlobId,
    is_exact: bool,
}

/// Most entries that the event of a step lists as refused; the import lists all of them.
const REFUSED_IN_EVENT_MAX: usize = 1_000;

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
        let about = self.about(&mut turn, id, line, outcome)?;
        let omissions = about.omissions.clone();
        let is_exact = about.is_exact;
        let mut snapshot = self.describe(&mut turn, id, about, line)?;
        let (head, workspace) = (self.head, self.workspace);
        let previous = self.before.as_ref().map(|(id, _)| id.0);
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
            let (step, run, cause) = (snapshot.step, snapshot.run.clone(), snapshot.cause);
            let facts = vec![Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause }];
            let object = NewObject { kind: ObjectKind::Snapshot, id: id.0, bytes, previous };
            Ok(Final { objects: vec![object], facts })
        })?;
        outcome.stored_bytes += committed.stored_bytes;
        outcome.exact += u64::from(is_exact);
        outcome.omitting += u64::from(!omissions.is_empty());
        outcome.omitted = omissions;
        let taken = taken.expect("a commit that succeeded has decided");
        let step = snapshot.step;
        self.head = Some(taken);
        self.before = Some((taken, Arc::new(snapshot)));
        Ok((taken, step))
    }

    /// Makes a snapshot that was imported the head again, which the last one taken is.
    fn make_head(&mut self, id: SnapshotId, outcome: &mut Imported) -> Result<()> {
        if self.head == Some(id) || outcome.snapshots == 0 {
            return Ok(());
        }
        let snapshot = self.store.snapshot(id)?;
        let workspace = self.workspace;
        let (step, run, cause) = (snapshot.step, snapshot.run.clone(), snapshot.cause);
        self.store.record(|state| {
            let is_there = super::snap::expect(state, workspace)?.steps.get(&step) == Some(&id);
            // The same fact once more: taken as that step, and the head.
            let fact = Fact::SnapshotTaken { workspace, snapshot: id, step, run: run.clone(), cause };
            Ok(if is_there { vec![fact] } else { Vec::new() })
        })?;
        self.head = Some(id);
        Ok(())
    }

    /// Stores the commit's tree, and gathers what is known of it.
    fn about(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ObjectId,
        line: &source::Line,
        outcome: &mut Imported,
    ) -> std::result::Result<About, Stop> {
        let unreadable = |reason| Stop::Commit(Error::corrupt("read git commit", id, reason));
        let commit = source::read_commit(self.repository, id).map_err(unreadable)?;
        let mut guessed: Vec<String> = commit.guessed.iter().map(|what| (*what).to_owned()).collect();
        match self.about_kept(turn, id, &commit) {
            Ok(Some(about)) => return Ok(about),
            Ok(None) => {}
            Err(Stop::Commit(error)) => guessed.push(format!("what was kept of its step cannot be used: {error}")),
            Err(stop) => return Err(stop),
        }
        let previous = self.before.as_ref().map(|(_, before)| before.root);
        let loaded = self.loader.plain(turn, commit.tree, previous)?;
        let Said { message, run, seconds } = without_trailers(&commit.message);
        let run = run.filter(|run| check_run_name(run).is_ok());
        let run = run.or_else(|| line.run.clone()).unwrap_or_else(|| self.options.run.clone());
        let omissions = sorted(loaded.omitted.to_vec());
        let omitted = encode_omitted(&omissions);
        let is_too_long = |omission: &Omission| omission.path.as_bytes().len() > PATH_LENGTH_MAX_BYTES;
        if !paths_fit(omissions.iter().map(|omission| &omission.path), &omitted) || omissions.iter().any(is_too_long) {
            let detail = "it has more or longer paths to leave out than can be listed";
            return Err(Stop::Commit(Error::new(ErrorKind::Limit, "import commit", id, detail)));
        }
        let before = self.before.as_ref().map(|(_, before)| before);
        let seconds = seconds.or(commit.seconds);
        let time = seconds.map(Timestamp::from_seconds);
        if time.map(Timestamp::seconds) != seconds {
            guessed.push("its date is out of reach; the nearest that a step can have is taken".to_owned());
        }
        let about = About {
            root: loaded.id,
            paths: Some(loaded.paths),
            // Git does not know it; what the workspace's folder has is the likeliest.
            root_mode: before.map_or(0o755, |before| before.root_mode),
            root_owner: None,
            run: Some(run),
            time: time.or(before.map(|before| before.time)).unwrap_or(Timestamp(0)),
            message,
            event: event(id, &commit, &[], &guessed, &loaded.refused),
            times: Attachment::Empty,
            omitted: ingest::attachment(turn.batch, omitted)?,
            omissions,
            attributes: Attachment::Empty,
            left_out: Attachment::Empty,
            rules: ingest::any(turn.batch, Vec::new())?,
            is_exact: false,
        };
        self.refused.extend(loaded.refused.iter().cloned());
        outcome.guessed.extend(guessed.into_iter().map(|what| (id.to_string(), what)));
        Ok(about)
    }

    /// What an export kept of the commit, if it did.
    fn about_kept(
        &mut self,
        turn: &mut Turn<'_, '_>,
        id: ObjectId,
        commit: &ReadCommit,
    ) -> std::result::Result<Option<About>, Stop> {
        let kept = self.loader.kept().map(|kept| kept.snapshot(id)).transpose().map_err(Stop::Commit)?.flatten();
        let Some(bytes) = kept else { return Ok(None) };
        let kept = snapshot::decode(&bytes).map_err(|e| Stop::Commit(e.during("read kept snapshot of", id)))?;
        let previous = self.before.as_ref().map(|(_, before)| before.root);
        self.loader.exact(turn, kept.root, commit.tree, previous)?;
        self.loader.content(turn, kept.rules)?;
        for attachment in [&kept.times, &kept.omitted, &kept.attributes, &kept.left_out] {
            if let Some(blob) = attachment.blob() {
                self.loader.content(turn, blob)?;
            }
        }
        let read = |attachment: &Attachment| match attachment {
            Attachment::Blob(id) => self.loader.read(*id).map_err(Stop::Commit),
            short => Ok(attached(self.store, short, 0)?),
        };
        let (told, omitted) = (read(&kept.event)?, read(&kept.omitted)?);
        let length = omitted.len();
        let omissions = decode_omitted(&omitted).ok().filter(|_| length <= PATH_LIST_LENGTH_MAX_BYTES);
        let unreadable = || Error::corrupt("read kept omitted paths of", id, "they are no list of paths");
        Ok(Some(About {
            root: kept.root,
            paths: None,
            root_mode: kept.root_mode,
            root_owner: kept.root_owner,
            run: kept.run,
            time: kept.time,
            message: kept.message,
            event: event(id, commit, &told, &[], &[]),
            times: kept.times,
            omitted: kept.omitted,
            omissions: omissions.ok_or_else(|| Stop::Commit(unreadable()))?,
            attributes: kept.attributes,
            left_out: kept.left_out,
            rules: kept.rules,
            is_exact: true,
        }))
    }

    /// Everything of the snapshot but its step.
    fn describe(&self, turn: &mut Turn<'_, '_>, id: ObjectId, about: About, line: &source::Line) -> Result<Snapshot> {
        let before = self.before.as_ref().map(|(_, before)| before);
        let mut changes = match (before, about.paths) {
            (None, Some(added)) => ChangeCounts { added, ..ChangeCounts::default() },
            _ => self.changes(turn, about.root)?,
        };
        changes.modified += u64::from(before.is_some_and(|before| before.root_mode != about.root_mode));
        Ok(Snapshot {
            root: about.root,
            root_mode: about.root_mode,
            root_owner: about.root_owner,
            parents: self.before.iter().map(|(id, _)| *id).collect(),
            history: history_digest(before.map(|before| before.history), about.root),
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
            left_out: about.left_out,
            rules: about.rules,
            // It is about the folder that was recorded, not about the one that this goes to.
            dropped: None,
            git: Some(GitState { head: Some(id.to_string()), branch: line.branch.clone() }),
        })
    }

    fn changes(&self, turn: &Turn<'_, '_>, root: TreeId) -> Result<ChangeCounts> {
        let load = |id: TreeId| match turn.fresh.get(&id) {
            Some(bytes) => decode(bytes).map_err(|e| e.during("read tree", id)),
            None => self.store.tree(id),
        };
        let before = self.before.as_ref().map(|(_, before)| before.root);
        Ok(counts(&trees_with(&load, before, Some(root), &TreeDiffOptions::default())?))
    }
}

/// What an agent told of the step, if it did, where git has it, and what is odd about it there.
fn event(id: ObjectId, commit: &ReadCommit, told: &[u8], guessed: &[String], refused: &[Refused]) -> Vec<u8> {
    let told: serde_json::Value = serde_json::from_slice(told).unwrap_or_default();
    let mut event = match told {
        serde_json::Value::Object(event) => event,
        _ => serde_json::Map::new(),
    };
    let mut git = serde_json::json!({ "commit": id.to_string(), "author": commit.author });
    if !guessed.is_empty() {
        git["guessed"] = guessed.into();
    }
    if !refused.is_empty() {
        let line = |refused: &Refused| format!("{}: {}", escaped(&refused.path), refused.reason);
        git["refused"] = refused.iter().take(REFUSED_IN_EVENT_MAX).map(line).collect::<Vec<_>>().into();
    }
    event.insert("git".to_owned(), git);
    serde_json::Value::Object(event).to_string().into_bytes()
}

/// What a message says, with and without an export's trailers.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    /// Without the trailers; empty where nobody has written any.
    message: String,
    run: Option<String>,
    /// The true time of a step that git cannot have.
    seconds: Option<i64>,
}

/// Takes the trailers of an export off a message.
fn without_trailers(message: &str) -> Said {
    let message = message.trim_end();
    let (body, trailers) = message.rsplit_once("\n\n").unwrap_or((message, ""));
    let value = |name: &str| {
        let mut lines = trailers.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let (Some(_), Some(_)) = (value(TRAILER_SNAPSHOT), value(TRAILER_STEP)) else {
        return Said { message: said::message(message.as_bytes(), &mut Vec::new()), ..Said::default() };
    };
    let ours = [TRAILER_SNAPSHOT, TRAILER_STEP, TRAILER_RUN, TRAILER_SUBJECT, TRAILER_TIME];
    let is_ours =
        |line: &&str| ours.iter().any(|name| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(": ")));
    let others: Vec<&str> = trailers.lines().filter(|line| !is_ours(line)).collect();
    let body = if value(TRAILER_SUBJECT) == Some(body) { "" } else { body };
    let message = if others.is_empty() { body.to_owned() } else { format!("{body}\n\n{}", others.join("\n")) };
    let seconds = value(TRAILER_TIME).and_then(|seconds| seconds.parse().ok());
    Said {
        message: said::message(message.as_bytes(), &mut Vec::new()),
        run: value(TRAILER_RUN).map(str::to_owned),
        seconds,
    }
}

fn sorted(mut omitted: Vec<Omission>) -> Vec<Omission> {
    omitted.sort_by(|a, b| a.path.cmp(&b.path));
    omitted
}

#[cfg(test)]
mod tests;

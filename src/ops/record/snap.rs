//! Taking a snapshot of a workspace.
//!
//! Capture into a batch, compare with the head, and commit if there is anything to record. The workspace's lock is held
//! throughout, so that two agents in one folder take turns and each gets a step number of its own; the store's lock is
//! held for the append only.
//!
//! Nothing that is said about a step keeps it from being recorded: broken words are repaired ([`super::said`]), and a tag
//! that cannot be given is reported beside the outcome.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use super::capture::{CaptureOptions, Captured, capture, lock_workspace, open_root};
use super::said::{self, Repair};
use super::{dropped, ingest};
use crate::diff::{Change, TreeDiffOptions, counts, tree::trees_with};
use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::decode_list;
use crate::format::facts::{Fact, Restore};
use crate::format::pack::ObjectKind;
use crate::format::path_list::paths_fit;
use crate::format::snapshot::{
    self, Attachment, Cause, ChangeCounts, Dropped, GitState, Omission, Snapshot, encode_omitted, encode_times,
    history_digest,
};
use crate::format::tree::Kind;
use crate::format::turn::ReadSummary;
use crate::id::{BlobId, SnapshotId, TreeId, WorkspaceId};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::look::attributed::{Attributed, AttributedTree, add_changes, is_attached};
use crate::path::TreePath;
use crate::progress::{Progress, Silent};
use crate::store::{Batch, Final, NewObject, State, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::config::Config;
use crate::workspace::git_notice::GitNotice;
use crate::workspace::places;
use crate::workspace::rules::Exclusion;

/// The run of steps that are of no agent session.
pub const RUN_DEFAULT: &str = "main";

/// What to record beside the files.
#[derive(Clone)]
pub struct SnapOptions<'a> {
    /// What is said about the step, any bytes; may be empty.
    pub message: Vec<u8>,
    /// The agent session, any bytes. What is no name of a run is made one.
    pub run: Vec<u8>,
    /// Facts of the step, any bytes; meant to be one JSON object.
    pub event: Option<Vec<u8>>,
    /// A name for the snapshot. It is not moved from another one.
    pub tag: Option<String>,
    /// Records a snapshot though nothing changed.
    pub allow_empty: bool,
    /// What `retro.toml` says.
    pub config: &'a Config,
    /// The user's home folder, see [`CaptureOptions`].
    pub home: Option<&'a Path>,
    /// Where the workspace's own git repository stands.
    pub git: Option<GitState>,
    /// Now.
    pub now: Timestamp,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

impl<'a> SnapOptions<'a> {
    /// A step of the run `main` of which nothing is said, watched by nobody.
    pub fn new(config: &'a Config, now: Timestamp) -> Self {
        Self {
            message: Vec::new(),
            run: RUN_DEFAULT.into(),
            event: None,
            tag: None,
            allow_empty: false,
            config,
            home: None,
            git: None,
            now,
            progress: &Silent,
        }
    }
}

/// What was recorded.
#[derive(Debug)]
pub struct SnapOutcome {
    /// Whether a snapshot was taken; if not, the rest tells of the head, from which nothing differs.
    pub recorded: bool,
    /// Whether the event of a call that changed nothing was kept with the head.
    pub noted: bool,
    /// The new snapshot, or the head.
    pub snapshot: SnapshotId,
    /// Its step.
    pub step: u64,
    /// Its root tree.
    pub tree: TreeId,
    /// What it follows.
    pub parents: Vec<SnapshotId>,
    /// Its run; none where nothing was recorded and the head is a snapshot around a restore.
    pub run: Option<String>,
    /// Paths that differ from the head before.
    pub changes: ChangeCounts,
    /// Of the deleted paths, those that are still there: the rules leave them out now.
    pub left_out: u64,
    /// True if the settings are others than those of the head before.
    pub rules_changed: bool,
    /// Paths that are left out though an earlier step has them.
    pub dropped: Option<Dropped>,
    /// What the tree does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// What was read, and why.
    pub read: ReadSummary,
    /// The paths that were left out, and the reasons.
    pub excluded: Vec<Exclusion>,
    /// Files of git's that could not be followed.
    pub git_notices: Vec<GitNotice>,
    /// Bytes the store's packs grew by.
    pub stored_bytes: u64,
    /// A restore that was begun here and not ended.
    pub unfinished: Option<Restore>,
    /// What was not recorded as it was given.
    pub repairs: Vec<Repair>,
    /// Why the snapshot did not get the tag that was asked for.
    pub tag_refused: Option<Error>,
}

/// What is said about a step, as it is recorded.
struct Words {
    message: String,
    run: String,
    event: Option<Vec<u8>>,
    repairs: Vec<Repair>,
}

/// A capture, and what it is compared with.
#[derive(Debug)]
pub(in crate::ops) struct Step {
    pub(in crate::ops) captured: Captured,
    pub(in crate::ops) head: Option<(SnapshotId, Arc<Snapshot>)>,
    changes: Vec<Change>,
    /// Deleted paths that are still there: the rules leave them out now.
    left_out: BTreeSet<TreePath>,
    /// Those that the head has not either, but an earlier snapshot, among them.
    dropped: Option<Dropped>,
    /// True if the settings are others than those of the head.
    has_other_settings: bool,
    /// Whether owners, ACLs or other attributes are not as the head has them.
    has_other_attributes: bool,
}

/// What a new snapshot is made from, beside the capture.
pub(in crate::ops) struct About<'a> {
    pub(in crate::ops) cause: Cause,
    pub(in crate::ops) message: &'a str,
    pub(in crate::ops) run: Option<&'a str>,
    pub(in crate::ops) event: Option<Vec<u8>>,
    pub(in crate::ops) git: Option<GitState>,
    pub(in crate::ops) now: Timestamp,
}

impl<'a> About<'a> {
    /// For a snapshot around a restore, which is of no run: what it holds is nobody's step.
    pub(in crate::ops) fn of_restore(cause: Cause, message: &'a str, now: Timestamp) -> Self {
        Self { cause, message, run: None, event: None, git: None, now }
    }
}

/// Takes a snapshot, if anything changed or it was asked for by a message or `allow_empty`. Else the event, if there is
/// one, is kept with the head, and a tag names the head.
pub fn snap(store: &Store, workspace: WorkspaceId, options: &SnapOptions<'_>) -> Result<SnapOutcome> {
    let mut words = options.words();
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let state = store.state();
    let found = expect(&state, workspace)?;
    let mut batch = store.batch();
    let root = open_root(store, found, options.home)?;
    let step = look(store, found, &root, &options.capture(), Some(&mut batch))?;
    let wanted = options.allow_empty || !words.message.is_empty();
    let mut tag_refused = None;
    let mut tagged = |state: &State, snapshot| {
        let found = state.workspaces.get(&workspace)?;
        match crate::ops::keep::tag::tagged(found, options.tag.as_deref()?, snapshot, options.now) {
            Ok(fact) => fact,
            Err(error) => {
                tag_refused = Some(error);
                None
            }
        }
    };
    let mut outcome = match &step.head {
        Some((id, head)) if !step.differs() && !wanted => {
            let mut outcome = unchanged(*id, head, &step, found);
            if words.event.is_some() || options.tag.is_some() {
                outcome.noted = words.event.is_some();
                // Most calls are much like the one before.
                let before = state.noted.get(id).and_then(|noted| noted.newest.back()).map(|last| last.event);
                outcome.stored_bytes = note(&mut batch, found, before, &mut words, options.now, &mut tagged)?;
            }
            // The head may be the work of a process that died before it synced; from here on it is promised.
            store.settle()?;
            outcome
        }
        _ => {
            let about = About {
                cause: Cause::Step,
                message: &words.message,
                run: Some(&words.run),
                event: words.event,
                git: options.git.clone(),
                now: options.now,
            };
            // The folder may be another one than when it was registered: restored, copied back, put there anew.
            let seen =
                places::folder_identity(root.handle(), root.path()).filter(|folder| found.folder != Some(*folder));
            let seen = seen.map(|folder| Fact::FolderSeen { workspace, folder, time: options.now });
            record(&mut batch, found, &step, about, |state, snapshot| {
                tagged(state, snapshot).into_iter().chain(seen).collect()
            })?
        }
    };
    (outcome.repairs, outcome.tag_refused) = (words.repairs, tag_refused);
    step.captured.remember(store);
    Ok(outcome)
}

/// Captures the folder of a workspace and compares it with its head. The workspace's lock is held where `batch` is given.
pub(in crate::ops) fn look(
    store: &Store,
    workspace: &Workspace,
    root: &Root,
    options: &CaptureOptions<'_>,
    batch: Option<&mut Batch<'_>>,
) -> Result<Step> {
    compared(store, workspace, root, capture(store, workspace.id, root, options, batch)?)
}

/// Compares what was captured with the head.
pub(in crate::ops) fn compared(store: &Store, workspace: &Workspace, root: &Root, captured: Captured) -> Result<Step> {
    let is_lost = |error: &Error| {
        let is_marked = workspace.head.is_some_and(|head| store.state().incomplete.contains(&head));
        is_marked && error.kind() == ErrorKind::Corrupt
    };
    // What a repair could not bring back must not stop the recording: it goes on as from nothing.
    let head = match workspace.head.map(|id| store.snapshot(id).map(|head| (id, head))).transpose() {
        Err(error) if is_lost(&error) => None,
        head => head?,
    };
    let compare = |before| {
        let load = |id| captured.load(store, id);
        trees_with(&load, before, Some(captured.root), &TreeDiffOptions::default())
    };
    let mut changes = match compare(head.as_ref().map(|(_, head)| head.root)) {
        Err(error) if is_lost(&error) => compare(None)?,
        changes => changes?,
    };
    let has_other_attributes = match &head {
        Some((_, head)) => match attribute_changes(store, head, &captured, &mut changes) {
            // Those of the head are damaged, and recorded anew.
            Err(error) if error.kind() == ErrorKind::Corrupt => true,
            differ => differ?,
        },
        None => false,
    };
    let left_out = dropped::left_out(root, &captured, &changes);
    let dropped = match &head {
        Some((id, head)) => dropped::dropped(store, root, &captured, (*id, head), &left_out)?,
        None => None,
    };
    let has_other_settings = match &head {
        Some((_, head)) => match dropped::has_other_settings(store, head, &captured) {
            Err(error) if error.kind() == ErrorKind::Corrupt => true,
            differ => differ?,
        },
        None => false,
    };
    Ok(Step { captured, head, changes, left_out, dropped, has_other_settings, has_other_attributes })
}

/// Adds what differs in attributes from the head to the other changes, and says whether anything does. Where nothing is
/// known of those of the head, as in an imported history, nothing does.
fn attribute_changes(store: &Store, head: &Snapshot, captured: &Captured, changes: &mut Vec<Change>) -> Result<bool> {
    let is_same = head.root_owner == Some(captured.root_owner) && is_attached(&head.attributes, &captured.attributes);
    if head.root_owner.is_none() || is_same {
        return Ok(false);
    }
    let (before, now) = (Attributed::of(store, head)?, captured.attributed());
    let old = AttributedTree { root: head.root, root_mode: head.root_mode, attributed: &before };
    let new = AttributedTree { root: captured.root, root_mode: captured.root_mode, attributed: &now };
    add_changes(changes, &|id| captured.load(store, id), &old, &new, &[])?;
    Ok(true)
}

/// Commits a snapshot of `step`, with whatever facts come with it.
pub(in crate::ops) fn record(
    batch: &mut Batch<'_>,
    workspace: &Workspace,
    step: &Step,
    about: About<'_>,
    more: impl FnOnce(&State, SnapshotId) -> Vec<Fact>,
) -> Result<SnapOutcome> {
    let mut snapshot = describe(batch, workspace, step, about)?;
    let mut id = None;
    let committed = batch.commit(|state| {
        snapshot.step = next_step(expect_head(state, workspace)?)?;
        let bytes = snapshot::encode(&snapshot);
        snapshot::decode(&bytes).map_err(|e| e.during("record step", snapshot.step))?;
        let taken = snapshot::snapshot_id(&bytes);
        id = Some(taken);
        let mut facts = vec![Fact::SnapshotTaken {
            workspace: workspace.id,
            snapshot: taken,
            step: snapshot.step,
            run: snapshot.run.clone(),
            cause: snapshot.cause,
        }];
        facts.extend(more(state, taken));
        let previous = snapshot.parents.first().map(|parent| parent.0);
        let object = NewObject { kind: ObjectKind::Snapshot, id: taken.0, bytes, previous };
        Ok(Final { objects: vec![object], facts })
    })?;
    Ok(SnapOutcome {
        recorded: true,
        noted: false,
        snapshot: id.expect("a commit that succeeded has decided"),
        step: snapshot.step,
        tree: snapshot.root,
        parents: snapshot.parents,
        run: snapshot.run,
        changes: snapshot.changes,
        left_out: step.left_out(),
        rules_changed: step.has_other_settings,
        dropped: step.dropped,
        omitted: step.captured.omitted.clone(),
        read: step.captured.read.clone(),
        excluded: step.captured.excluded.clone(),
        git_notices: step.captured.git_notices.clone(),
        stored_bytes: committed.stored_bytes,
        unfinished: workspace.unfinished.clone(),
        repairs: Vec::new(),
        tag_refused: None,
    })
}

/// The workspace of this id, if it is still recorded.
pub(in crate::ops) fn expect(state: &State, workspace: WorkspaceId) -> Result<&Workspace> {
    state.workspaces.get(&workspace).ok_or_else(|| {
        Error::new(ErrorKind::NotFound, "find workspace", workspace, "it is not recorded in this store")
            .with_hint("`retro workspace list` shows the recorded ones")
    })
}

/// Keeps the event of a call that changed nothing with the head that it followed, and gives the head a tag. Returns the
/// bytes that this took.
fn note(
    batch: &mut Batch<'_>,
    workspace: &Workspace,
    like: Option<BlobId>,
    words: &mut Words,
    time: Timestamp,
    tagged: &mut dyn FnMut(&State, SnapshotId) -> Option<Fact>,
) -> Result<u64> {
    let event = words.event.take().map(|event| ingest::any_like(batch, event, like)).transpose()?;
    let head = workspace.head.expect("only where something was recorded can nothing have changed");
    let run = words.run.clone();
    let fact = |event| Fact::EventNoted { workspace: workspace.id, snapshot: head, event, run, time };
    let committed = batch.commit(|state| {
        expect_head(state, workspace)?;
        Ok(Final { objects: Vec::new(), facts: event.map(fact).into_iter().chain(tagged(state, head)).collect() })
    })?;
    Ok(committed.stored_bytes)
}

/// The workspace, if its head is still the one that a capture was compared with.
fn expect_head<'s>(state: &'s State, workspace: &Workspace) -> Result<&'s Workspace> {
    let now = expect(state, workspace.id)?;
    if now.head == workspace.head {
        return Ok(now);
    }
    Err(Error::new(ErrorKind::Conflict, "record step in", workspace.id, "its head moved meanwhile")
        .with_hint("run it again"))
}

impl Step {
    /// Whether the workspace is not as its head has it.
    pub(in crate::ops) fn differs(&self) -> bool {
        let mode = self.captured.root_mode;
        let is_other = |head: &Snapshot| head.root != self.captured.root || head.root_mode != mode;
        self.has_other_attributes || self.head.as_ref().is_none_or(|(_, head)| is_other(head))
    }

    /// Whether the workspace is as a snapshot has it. What nobody knows of its owners and attributes makes no difference.
    pub(in crate::ops) fn is_at(&self, snapshot: &Snapshot) -> bool {
        let captured = &self.captured;
        let has_same_attributes = snapshot.root_owner.is_none()
            || (snapshot.root_owner == Some(captured.root_owner)
                && is_attached(&snapshot.attributes, &captured.attributes));
        (snapshot.root, snapshot.root_mode) == (captured.root, captured.root_mode) && has_same_attributes
    }

    /// What differs from the head.
    pub(in crate::ops) fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The number of deleted paths that are still there: a rule leaves them out now.
    pub(in crate::ops) fn left_out(&self) -> u64 {
        self.left_out.len() as u64
    }

    /// The dropped paths of a snapshot taken now.
    pub(in crate::ops) fn dropped(&self) -> Option<Dropped> {
        self.dropped
    }

    /// Returns whether the settings are others than those of the head.
    pub(in crate::ops) fn has_other_settings(&self) -> bool {
        self.has_other_settings
    }
}

impl<'a> SnapOptions<'a> {
    fn capture(&self) -> CaptureOptions<'a> {
        CaptureOptions::new(self.config, self.home, self.now, self.progress)
    }

    fn words(&self) -> Words {
        let mut repairs = Vec::new();
        let message = said::message(&self.message, &mut repairs);
        let run = said::run(&self.run, RUN_DEFAULT, &mut repairs);
        let event = self.event.as_ref().and_then(|event| said::event(event, &mut repairs));
        Words { message, run, event, repairs }
    }
}

/// Everything of a snapshot but its step.
fn describe(batch: &mut Batch<'_>, workspace: &Workspace, step: &Step, about: About<'_>) -> Result<Snapshot> {
    let Step { captured, head, changes, dropped, .. } = step;
    let times: Vec<(TreePath, Timestamp)> = changes
        .iter()
        .filter(|change| change.new.is_some_and(|side| side.kind != Kind::Folder))
        .filter_map(|change| Some((change.path.clone(), captured.modified(&change.path)?)))
        .collect();
    let before = head.as_ref().map(|(_, head)| head.history);
    let mut change_counts = counts(changes);
    let is_root_counted = changes.iter().any(|change| change.path.is_root());
    if !is_root_counted && head.as_ref().is_some_and(|(_, head)| head.root_mode != captured.root_mode) {
        change_counts.modified += 1;
    }
    Ok(Snapshot {
        root: captured.root,
        root_mode: captured.root_mode,
        root_owner: Some(captured.root_owner),
        parents: head.iter().map(|(id, _)| *id).collect(),
        history: history_digest(before, captured.root),
        workspace: workspace.id,
        run: about.run.map(str::to_owned),
        step: next_step(workspace)?,
        time: about.now,
        cause: about.cause,
        message: about.message.to_owned(),
        changes: change_counts,
        event: about.event.map_or(Ok(Attachment::Empty), |event| ingest::attachment(batch, event))?,
        times: ingest::attachment(batch, list_of_times(&times))?,
        omitted: ingest::attachment(batch, list_of_omitted(&captured.omitted)?)?,
        attributes: attached_attributes(batch, captured, head.as_ref().map(|(_, head)| &**head))?,
        left_out: {
            let before = head.as_ref().and_then(|(_, head)| head.left_out.blob());
            ingest::attachment_like(batch, captured.left_out.clone(), before)?
        },
        dropped: *dropped,
        rules: ingest::any(batch, captured.rules.text().as_bytes().to_vec())?,
        git: about.git,
    })
}

/// The times as a list, or nothing where there are more than anybody would read: they are a help, and no promise.
fn list_of_times(times: &[(TreePath, Timestamp)]) -> Vec<u8> {
    let list = encode_times(times);
    if paths_fit(times.iter().map(|(path, _)| path), &list) { list } else { Vec::new() }
}

/// The attributes of all paths, stored as what differs from those of the head where they are long.
fn attached_attributes(batch: &mut Batch<'_>, captured: &Captured, head: Option<&Snapshot>) -> Result<Attachment> {
    let list = captured.attributes.clone();
    if list.len() > PATH_LIST_LENGTH_MAX_BYTES || decode_list(&list).is_err() {
        let detail =
            "more than a snapshot can list: too many paths have owners, ACLs or extended attributes of their own";
        return Err(Error::new(ErrorKind::Limit, "record step", "attributes", detail)
            .with_hint("exclude the folders they are in, in retro.toml"));
    }
    ingest::attachment_like(batch, list, head.and_then(|head| head.attributes.blob()))
}

fn list_of_omitted(omitted: &[Omission]) -> Result<Vec<u8>> {
    let list = encode_omitted(omitted);
    if paths_fit(omitted.iter().map(|omission| &omission.path), &list) {
        return Ok(list);
    }
    let detail = format!("{} paths cannot be captured, more than a snapshot can list", omitted.len());
    Err(Error::new(ErrorKind::Limit, "record step", "omitted paths", detail)
        .with_hint("exclude the folders they are in, in retro.toml"))
}

/// The number of the step that follows.
pub(in crate::ops) fn next_step(workspace: &Workspace) -> Result<u64> {
    workspace.last_step.checked_add(1).ok_or_else(|| {
        Error::new(ErrorKind::Limit, "record step in", workspace.id, "no number is left for another step")
            .with_hint("`retro workspace forget` lets the folder begin anew")
    })
}

fn unchanged(id: SnapshotId, head: &Snapshot, step: &Step, workspace: &Workspace) -> SnapOutcome {
    SnapOutcome {
        recorded: false,
        noted: false,
        snapshot: id,
        step: head.step,
        tree: head.root,
        parents: head.parents.clone(),
        run: head.run.clone(),
        changes: ChangeCounts::default(),
        left_out: 0,
        rules_changed: false,
        dropped: head.dropped,
        omitted: step.captured.omitted.clone(),
        read: step.captured.read.clone(),
        excluded: step.captured.excluded.clone(),
        git_notices: step.captured.git_notices.clone(),
        stored_bytes: 0,
        unfinished: workspace.unfinished.clone(),
        repairs: Vec::new(),
        tag_refused: None,
    }
}

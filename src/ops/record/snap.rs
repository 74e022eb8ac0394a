//! Taking a snapshot of a workspace.
//!
//! ```text
//! scan --> take --> assemble --> record
//! \------ capture ----------/    a snapshot, or where nothing changed the event with the head
//! ```
//!
//! The workspace's lock is held throughout, so that two agents in one folder take turns and each gets a step number of
//! its own; the store's lock is held for the append only.
//!
//! No text about a step keeps it from being recorded: broken texts are repaired ([`super::said`]), and a tag that
//! cannot be given is reported in the outcome.

use std::path::Path;

use super::add_snapshot::{About, expect_head};
use super::capture::CaptureOptions;
use super::folder::{lock_workspace, open_root};
use super::ingest;
use super::register::expect;
use super::said::{self, Repair};
use super::step::{Step, look};
use crate::error::{Error, Result};
use crate::format::facts::{Fact, Restore};
use crate::format::snapshot::{Cause, ChangeCounts, Dropped, GitState, Omission, Snapshot};
use crate::format::turn::ReadSummary;
use crate::id::{SnapshotId, TreeId, WorkspaceId};
use crate::ops::keep::tag;
use crate::progress::{Progress, Silent};
use crate::store::{Batch, Final, State, Store, Workspace};
use crate::time::Timestamp;
use crate::workspace::beneath::Root;
use crate::workspace::config::Config;
use crate::workspace::folder_id;
use crate::workspace::git_notice::GitNotice;
use crate::workspace::rules::Exclusion;

/// The run of steps that are of no agent session.
pub const RUN_DEFAULT: &str = "main";

/// Options of a snapshot: facts to record beside the files, and settings of the capture.
#[derive(Clone)]
#[non_exhaustive]
pub struct SnapOptions<'a> {
    /// A message about the step, any bytes; may be empty.
    pub message: Vec<u8>,
    /// The agent session, any bytes. If they are not the name of a run, they are changed into one.
    pub run: Vec<u8>,
    /// Facts of the step, any bytes; meant to be one JSON object.
    pub event: Option<Vec<u8>>,
    /// A tag for the snapshot. It is not moved from another one.
    pub tag: Option<String>,
    /// Records a snapshot though nothing changed.
    pub allow_empty: bool,
    /// The settings of the folder.
    pub config: &'a Config,
    /// The user's home folder, see [`CaptureOptions`].
    pub home: Option<&'a Path>,
    /// The state of the workspace's own git repository.
    pub git: Option<GitState>,
    /// The current time.
    pub now: Timestamp,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

impl<'a> SnapOptions<'a> {
    /// A step of the run `main` without message, event or tag.
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

/// The step that was recorded, or the one that the folder still equals.
#[derive(Debug)]
pub struct SnapOutcome {
    /// True if a snapshot was taken. If not, the rest is about the head, which the folder equals.
    pub recorded: bool,
    /// True if the event of a call that changed nothing was kept with the head.
    pub noted: bool,
    /// The new snapshot, or the head.
    pub snapshot: SnapshotId,
    /// Its step.
    pub step: u64,
    /// Its root tree.
    pub tree: TreeId,
    /// The snapshots that it follows.
    pub parents: Vec<SnapshotId>,
    /// Its run; `None` if nothing was recorded and the head is a snapshot around a restore.
    pub run: Option<String>,
    /// Paths that differ from the head before.
    pub changes: ChangeCounts,
    /// Number of deleted paths that are still there: the rules exclude them now.
    pub newly_dropped: u64,
    /// True if the settings differ from those of the head before.
    pub rules_changed: bool,
    /// Paths that are excluded now although an earlier step has them.
    pub dropped: Option<Dropped>,
    /// Paths that the tree does not hold, or not exactly.
    pub omitted: Vec<Omission>,
    /// Files that were read, and why.
    pub read: ReadSummary,
    /// The excluded paths, and the reasons.
    pub excluded: Vec<Exclusion>,
    /// Files of git, such as its index, that could not be used.
    pub git_notices: Vec<GitNotice>,
    /// Bytes the store's packs grew by.
    pub stored_bytes: u64,
    /// A restore that began here and did not end.
    pub unfinished: Option<Restore>,
    /// Changes that were made to the message, the run and the event.
    pub repairs: Vec<Repair>,
    /// The reason why the snapshot did not get its tag.
    pub tag_refused: Option<Error>,
}

/// The texts about a step, as they are recorded.
struct Words {
    message: String,
    run: String,
    event: Vec<u8>,
    repairs: Vec<Repair>,
}

/// The fact that gives a snapshot the tag that was asked for, if it gets it.
type Tagging<'a> = dyn FnMut(&State, SnapshotId) -> Option<Fact> + 'a;

/// Takes a snapshot if anything changed, or if a message or `allow_empty` asks for one. Otherwise the event, if there
/// is one, is kept with the head, and a tag names the head.
pub fn snap(store: &Store, workspace: WorkspaceId, options: &SnapOptions<'_>) -> Result<SnapOutcome> {
    let words = options.words();
    let _lock = lock_workspace(store, workspace)?;
    store.refresh()?;
    let state = store.state();
    let found = expect(&state, workspace)?;
    let mut batch = store.batch();
    let root = open_root(store, found, options.home)?;
    let capture = CaptureOptions::new(options.config, options.home, options.progress);
    let step = look(store, found, &root, &capture, Some(&mut batch))?;
    let mut refused = None;
    let mut tagging = |state: &State, snapshot| {
        let workspace = state.workspaces.get(&workspace)?;
        let tagged = tag::tagged(workspace, options.tag.as_deref()?, snapshot, false, options.now);
        tagged.map_err(|error| refused = Some(error)).ok().flatten()
    };
    let repairs = words.repairs.clone();
    let is_asked_for = options.allow_empty || !words.message.is_empty();
    let mut outcome = match &step.head {
        Some((id, head)) if !step.differs() && !is_asked_for => {
            let is_noted = !words.event.is_empty();
            let stored_bytes = note(&mut batch, &state, found, *id, words, options, &mut tagging)?;
            // The process that recorded the head may have died before it synced; from here on the head is promised.
            store.settle()?;
            SnapOutcome { noted: is_noted, stored_bytes, ..SnapOutcome::of(*id, head, &step, found) }
        }
        _ => record(&mut batch, found, &root, &step, words, options, &mut tagging)?,
    };
    (outcome.repairs, outcome.tag_refused) = (repairs, refused);
    step.captured.remember(store);
    Ok(outcome)
}

/// Records the step.
fn record(
    batch: &mut Batch<'_>,
    workspace: &Workspace,
    root: &Root,
    step: &Step,
    words: Words,
    options: &SnapOptions<'_>,
    tagging: &mut Tagging<'_>,
) -> Result<SnapOutcome> {
    let Words { message, run, event, .. } = words;
    let (git, time) = (options.git.clone(), options.now);
    let about = About { cause: Cause::Step, message, run: Some(run), event, git, time };
    // The folder may not be the one that was registered: restored, copied back, created anew.
    let seen =
        folder_id::folder_identity(root.handle(), root.path()).filter(|folder| workspace.folder != Some(*folder));
    let seen = seen.map(|folder| Fact::FolderSeen { workspace: workspace.id, folder, time });
    let added = step.record(batch, workspace, about, |state, snapshot| {
        tagging(state, snapshot).into_iter().chain(seen).collect()
    })?;
    Ok(SnapOutcome {
        recorded: true,
        changes: added.snapshot.changes,
        newly_dropped: step.newly_dropped.len() as u64,
        rules_changed: step.has_other_settings,
        stored_bytes: added.stored_bytes,
        ..SnapOutcome::of(added.id, &added.snapshot, step, workspace)
    })
}

/// Keeps the event of a call that changed nothing with the head that it followed, and gives the head a tag. Returns the
/// bytes that this took.
fn note(
    batch: &mut Batch<'_>,
    state: &State,
    workspace: &Workspace,
    head: SnapshotId,
    words: Words,
    options: &SnapOptions<'_>,
    tagging: &mut Tagging<'_>,
) -> Result<u64> {
    let Words { event, run, .. } = words;
    if event.is_empty() && options.tag.is_none() {
        return Ok(0);
    }
    // Most calls are like the one before.
    let before = state.noted.get(&head).and_then(|noted| noted.newest.back()).map(|last| last.event);
    let event = (!event.is_empty()).then(|| ingest::any(batch, event, before)).transpose()?;
    let fact = |event| Fact::EventNoted { workspace: workspace.id, snapshot: head, event, run, time: options.now };
    let noted = event.map(fact);
    let recorded = batch.record(|state| {
        expect_head(state, workspace.id, workspace.head)?;
        Ok(Final { objects: Vec::new(), facts: noted.into_iter().chain(tagging(state, head)).collect() })
    })?;
    Ok(recorded.stored_bytes)
}

impl SnapOutcome {
    /// The outcome for a folder that equals a snapshot.
    fn of(id: SnapshotId, snapshot: &Snapshot, step: &Step, workspace: &Workspace) -> Self {
        Self {
            recorded: false,
            noted: false,
            snapshot: id,
            step: snapshot.step,
            tree: snapshot.root,
            parents: snapshot.parents.clone(),
            run: snapshot.run.clone(),
            changes: ChangeCounts::default(),
            newly_dropped: 0,
            rules_changed: false,
            dropped: snapshot.dropped,
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
}

impl SnapOptions<'_> {
    fn words(&self) -> Words {
        let mut repairs = Vec::new();
        let message = said::message(&self.message, &mut repairs);
        let run = said::run(&self.run, RUN_DEFAULT, &mut repairs);
        let event = self.event.as_ref().and_then(|event| said::event(event, &mut repairs)).unwrap_or_default();
        Words { message, run, event, repairs }
    }
}

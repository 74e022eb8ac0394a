//! Steps and their changes: `log`, `show`, `runs`, `diff`, `ls`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Counts, Event, Id, Kind, Mode, Omitted, Path, Time, Version, all, words};
use crate::diff::text::LineCounts;
use crate::diff::{Change as Difference, ChangeKind, Side as DiffSide};
use crate::format::snapshot::{ChangeCounts, Dropped as DroppedPaths, Snapshot};
use crate::format::tree::Entry as TreeEntry;
use crate::id::SnapshotId;
use crate::ops::look::log::LogEntry;
use crate::ops::look::runs::Run as RunFound;
use crate::ops::look::show::{Call as NotedCall, Shown as StepShown};
use crate::path::TreePath;

/// Recorded paths that are still in the folder, and that the rules exclude now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dropped {
    /// The last snapshot taken before any of them was excluded. The store may lack it.
    pub snapshot: Id,
    /// The number of paths.
    pub paths: u64,
    /// True if the step before does not report the same.
    pub new: bool,
}

impl From<&DroppedPaths> for Dropped {
    fn from(dropped: &DroppedPaths) -> Self {
        Self { snapshot: Id::of(dropped.base), paths: dropped.count, new: dropped.is_new }
    }
}

/// A step. One line each, newest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Step {
    /// The snapshot.
    pub snapshot: Id,
    /// Number in its workspace.
    pub step: u64,
    /// The root tree: equal trees have equal ids.
    pub tree: Id,
    /// The snapshots it follows.
    pub parents: Vec<Id>,
    /// The time at which it was taken.
    pub time: Time,
    /// The agent session; null for the snapshots around a restore.
    pub run: Option<String>,
    /// The message given with it.
    pub message: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// The event that the agent gave with it.
    pub event: Option<Event>,
    /// Numbers of changed paths.
    #[serde(flatten)]
    pub changed: Counts,
    /// The number of tool calls after this step that changed nothing.
    pub call_count: u64,
    /// Paths that an earlier snapshot has and the rules exclude now; null if there are none.
    pub dropped: Option<Dropped>,
    /// True if a repair found that parts of it are lost.
    pub incomplete: bool,
    /// Its changes; with `--stat`, `--name-status`, `--name-only` or `--patch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changes: Option<Vec<Change>>,
}

impl Step {
    /// A step as `log` lists it, with its changes if an option asks for them.
    pub fn new(entry: &LogEntry, changes: Option<Vec<Change>>) -> Self {
        let facts = (entry.id, &*entry.snapshot, &entry.event[..], &entry.changes);
        Self { changes, ..Self::of(facts, &entry.tags, entry.call_count, entry.is_incomplete) }
    }

    fn of(
        (id, snapshot, event, changed): (SnapshotId, &Snapshot, &[u8], &ChangeCounts),
        tags: &[String],
        call_count: u64,
        incomplete: bool,
    ) -> Self {
        Self {
            snapshot: Id::of(id),
            step: snapshot.step,
            tree: Id::of(snapshot.root),
            parents: snapshot.parents.iter().map(Id::of).collect(),
            time: snapshot.time.into(),
            run: snapshot.run.clone(),
            message: snapshot.message.clone(),
            tags: tags.to_vec(),
            event: Event::of(event),
            changed: changed.into(),
            call_count,
            dropped: snapshot.dropped.as_ref().map(Dropped::from),
            incomplete,
            changes: None,
        }
    }
}

/// A step in detail. One object. With `--event` only the event and those of its calls are printed, one a line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The step, as in `log`.
    #[serde(flatten)]
    pub step: Step,
    /// The workspace it belongs to.
    pub workspace: Id,
    /// True if it is kept whatever the storage budget.
    pub pinned: bool,
    /// The state of the workspace's own git repository; null if there is none.
    pub git: Option<GitState>,
    /// The rules in force, one each: `!` never recorded, `-` exclude, `+` include, `&` only, `=` exact path, `*` a
    /// built-in rule that looks at more than the name, `^` a mount that was recorded, `<` a limit, `~ .gitignore` if
    /// files that git ignores are excluded, `~ one-file-system` if other file systems are excluded.
    pub rules: Vec<String>,
    /// True if they differ from the rules of the step before.
    pub rules_changed: bool,
    /// Paths that are excluded because of something other than their path, such as a file beside them.
    pub excluded: Vec<Path>,
    /// The newest tool calls after this step that changed nothing.
    pub calls: Vec<Call>,
    /// Paths that could not be recorded, or not exactly, and the reasons.
    pub omitted: Vec<Omitted>,
}

impl Shown {
    /// A step with its changes.
    pub fn new(shown: &StepShown, changes: Vec<Change>) -> Self {
        let facts = (shown.id, &*shown.snapshot, &shown.event[..], &shown.changes);
        let step = Step::of(facts, &shown.tags, shown.call_count, shown.is_incomplete);
        let git = shown.snapshot.git.as_ref();
        Self {
            version: Version,
            step: Step { changes: Some(changes), ..step },
            workspace: Id::of(shown.snapshot.workspace),
            pinned: shown.is_pinned,
            git: git.map(|git| GitState { head: git.head.clone(), branch: git.branch.clone() }),
            rules: shown.rules.lines().map(ToOwned::to_owned).collect(),
            rules_changed: shown.rules_changed,
            excluded: all(&shown.excluded),
            calls: all(&shown.calls),
            omitted: all(&shown.omitted),
        }
    }
}

/// The state of a git repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitState {
    /// The commit; null if there is none yet.
    pub head: Option<String>,
    /// The branch; null if the head is detached.
    pub branch: Option<String>,
}

/// A tool call that changed nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Call {
    /// The time at which it was recorded.
    pub time: Time,
    /// Its agent session.
    pub run: String,
    /// The event that the agent gave with it; null if it cannot be read.
    pub event: Option<Event>,
}

impl From<&NotedCall> for Call {
    fn from(call: &NotedCall) -> Self {
        Self { time: call.time.into(), run: call.run.clone(), event: Event::of(&call.event) }
    }
}

/// A run, one agent session. One line each, the one with the newest step first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Run {
    /// Its name.
    pub run: String,
    /// Number of its steps.
    pub steps: u64,
    /// True if the folder stands at one of them.
    pub head: bool,
    /// Its first step.
    pub first: StepTime,
    /// Its last step.
    pub last: StepTime,
    /// Numbers of changed paths.
    #[serde(flatten)]
    pub changed: Counts,
    /// The agent, if the event of the last step names one.
    pub agent: Option<String>,
    /// The message of the last step.
    pub message: String,
    /// The event of the last step.
    pub event: Option<Event>,
}

impl Run {
    /// A run, and the agent that the event of its last step names.
    pub fn new(run: &RunFound, agent: Option<String>) -> Self {
        let end = |(id, snapshot): &(SnapshotId, std::sync::Arc<Snapshot>)| StepTime {
            snapshot: Id::of(id),
            step: snapshot.step,
            time: snapshot.time.into(),
        };
        Self {
            run: run.name.clone(),
            steps: run.count,
            head: run.has_head,
            first: end(&run.first),
            last: end(&run.last),
            changed: (&run.changes).into(),
            agent,
            message: run.last.1.message.clone(),
            event: Event::of(&run.event),
        }
    }
}

/// A step and its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepTime {
    /// The snapshot.
    pub snapshot: Id,
    /// Number in its workspace.
    pub step: u64,
    /// The time at which it was taken.
    pub time: Time,
}

words! {
    /// A kind of change.
    ChangeWord from ChangeKind {
        /// It is new.
        Added "added" = ChangeKind::Added,
        /// Its content changed.
        Modified "modified" = ChangeKind::Modified,
        /// It was deleted.
        Deleted "deleted" = ChangeKind::Deleted,
        /// A file became a folder, a symlink became a file, and so on.
        Type "type" = ChangeKind::Type,
        /// Only the permission bits changed.
        Mode "mode" = ChangeKind::Mode,
        /// Only owner, ACL or extended attributes changed.
        Attributes "attributes" = ChangeKind::Attributes,
        /// It had another path.
        Renamed "renamed" = ChangeKind::Renamed,
    }
}

/// A path that differs. One line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// The kind of change.
    pub change: ChangeWord,
    /// True if owner, ACL or extended attributes differ.
    pub attributes_changed: bool,
    /// The state before; null if the path was added.
    pub old: Option<Side>,
    /// The state after; null if the path was deleted.
    pub new: Option<Side>,
    /// With `--stat`: lines inserted and deleted; null for folders and binary contents, and if the kind of entry
    /// changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lines: Option<Option<Lines>>,
}

impl Change {
    /// A path that differs, with the numbers of lines if `--stat` asks for them.
    pub fn new(change: &Difference, lines: Option<Option<LineCounts>>) -> Self {
        let old_path = change.old_path.as_ref();
        let counted = |lines: LineCounts| Lines { inserted: lines.inserted, deleted: lines.deleted };
        Self {
            path: (&change.path).into(),
            change: change.kind.into(),
            attributes_changed: change.attributes_changed,
            old: change.old.as_ref().map(|old| Side::new(old, old_path)),
            new: change.new.as_ref().map(|new| Side::new(new, old_path.and(Some(&change.path)))),
            lines: lines.map(|lines| lines.map(counted)),
        }
    }
}

impl From<&Difference> for Change {
    fn from(change: &Difference) -> Self {
        Self::new(change, None)
    }
}

/// Lines that differ.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Lines {
    /// Lines that only the new content has.
    pub inserted: u64,
    /// Lines that only the old content has.
    pub deleted: u64,
}

/// One side of a change. It has a path only if the path was renamed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Its path, if it was renamed.
    #[serde(flatten)]
    pub path: Option<Path>,
    /// Its facts.
    #[serde(flatten)]
    pub facts: Facts,
}

impl Side {
    fn new(side: &DiffSide, path: Option<&TreePath>) -> Self {
        Self { path: path.map(Path::from), facts: side.into() }
    }
}

/// The kind, permission bits, size and id of a file, folder or symlink.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// The kind of entry.
    pub kind: Kind,
    /// Its permission bits.
    pub mode: Mode,
    /// Its size in bytes; of a folder, the sum of the files in it.
    pub size: u64,
    /// The id of its content or tree.
    pub id: Id,
}

impl From<&DiffSide> for Facts {
    fn from(side: &DiffSide) -> Self {
        Self { kind: side.kind.into(), mode: side.mode.into(), size: side.size, id: Id::of(side.id) }
    }
}

/// An entry of a step. One line each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Entry {
    /// Its path.
    #[serde(flatten)]
    pub path: Path,
    /// Its facts.
    #[serde(flatten)]
    pub facts: Facts,
}

impl Entry {
    /// An entry at its path.
    pub fn new(path: &TreePath, entry: &TreeEntry) -> Self {
        Self { path: path.into(), facts: (&DiffSide::from(entry)).into() }
    }
}

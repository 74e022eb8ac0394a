//! Facts about an imported commit: from an export of its step, or from the commit itself.

use gix::ObjectId;

use super::{Import, Imported, RefusedEntry, source};
use crate::diff::{TreeDiffOptions, counts, trees};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::path_list::paths_fit;
use crate::format::snapshot::{
    self, Attachment, Cause, ChangeCounts, GitState, Omission, decode_omitted, encode_omitted,
};
use crate::format::tree::decode;
use crate::history::name::check_run_name;
use crate::id::{BlobId, TreeId};
use crate::limits::{NOTED_EVENTS_MAX, PATH_LIST_LENGTH_MAX_BYTES};
use crate::ops::record::add_snapshot::{About, Content};
use crate::ops::record::attached::attached;
use crate::ops::record::ingest;
use crate::ops::record::said;
use crate::ops::share::git::commit::ReadCommit;
use crate::ops::share::git::kept::Section;
use crate::ops::share::git::load::{Skipped, Why};
use crate::ops::share::git::{
    CommitResult, Stop, TRAILER_RUN, TRAILER_SNAPSHOT, TRAILER_STEP, TRAILER_SUBJECT, TRAILER_TIME,
};
use crate::path::{TreePath, escaped};
use crate::time::Timestamp;

/// The snapshot that a commit becomes.
pub(super) struct Known {
    pub(super) about: About,
    pub(super) content: Content,
    pub(super) omissions: Vec<Omission>,
    /// Calls that followed it and changed nothing.
    pub(super) calls: Vec<Call>,
    /// True if it is exactly the exported state.
    pub(super) is_exact: bool,
}

/// A call that followed a step and changed nothing. Its event is stored.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) event: BlobId,
    pub(super) run: String,
    pub(super) time: Timestamp,
}

/// Most entries that the event of a step lists as refused; the import lists all of them.
const REFUSED_IN_EVENT_MAX: usize = 1_000;

impl Import<'_> {
    /// Stores the tree of a commit, and collects the facts about it.
    pub(super) fn known_of(
        &mut self,
        id: ObjectId,
        line: &source::Line,
        outcome: &mut Imported,
    ) -> CommitResult<Known> {
        let unreadable = |reason| Stop::Commit(Error::corrupt("read git commit", id, reason));
        let commit = source::read_commit(self.repository, id).map_err(unreadable)?;
        let mut guessed: Vec<String> = commit.guessed.iter().map(|what| (*what).to_owned()).collect();
        match self.known_kept(id, &commit, line) {
            Ok(Some(known)) => return Ok(known),
            Ok(None) => {}
            Err(Stop::Commit(error)) => guessed.push(format!("its facts at refs/retro/meta cannot be used: {error}")),
            Err(stop) => return Err(stop),
        }
        let previous = self.before.as_ref().map(|(_, before)| before.root);
        let loaded = self.loader.plain(commit.tree, previous)?;
        let Said { message, run, seconds } = without_trailers(&commit.message);
        let run = run.filter(|run| check_run_name(run).is_ok());
        let run = run.or_else(|| line.run.clone()).unwrap_or_else(|| self.options.run.clone());
        let too_long = || {
            let detail = "its omitted paths are too many or too long to list";
            Stop::Commit(Error::new(ErrorKind::Limit, "import commit", id, detail))
        };
        let (mut omissions, mut refused) = (Vec::new(), Vec::new());
        for Skipped { path, why } in loaded.skipped.iter() {
            match *why {
                Why::Omitted(reason) => {
                    omissions.push(Omission { path: TreePath::new(path).map_err(|_| too_long())?, reason });
                }
                Why::Refused(reason) => refused.push(RefusedEntry { path: path.clone(), reason }),
            }
        }
        omissions.sort_by(|a, b| a.path.cmp(&b.path));
        let omitted = encode_omitted(&omissions);
        if !paths_fit(omissions.iter().map(|omission| &omission.path), &omitted) {
            return Err(too_long());
        }
        let before = self.before.as_ref().map(|(_, before)| before);
        let seconds = seconds.or(commit.seconds);
        let time = seconds.map(Timestamp::from_seconds);
        if time.map(Timestamp::seconds) != seconds {
            guessed.push("its date is out of range; the nearest that a step can have is taken".to_owned());
        }
        let time = time.or(before.map(|before| before.time)).unwrap_or(Timestamp(0));
        let event = event(id, &commit, &[], &guessed, &refused);
        // Git has no such mode; that of the workspace's folder is the likeliest.
        let root_mode = before.map_or(0o755, |before| before.root_mode);
        let content = Content {
            root: loaded.id,
            root_mode,
            root_owner: None,
            changes: self.changes(loaded.id, root_mode)?,
            times: Attachment::Empty,
            omitted: ingest::attachment(&mut self.loader.batch, omitted, None)?,
            attributes: Attachment::Empty,
            excluded: Attachment::Empty,
            dropped: None,
            rules: ingest::any(&mut self.loader.batch, Vec::new(), None)?,
        };
        self.refused.extend(refused);
        outcome.guessed.extend(guessed.into_iter().map(|what| (id.to_string(), what)));
        let about = about_import(id, line, Some(run), time, message, event);
        Ok(Known { about, content, omissions, calls: Vec::new(), is_exact: false })
    }

    /// The facts that an export kept about the commit, if it comes from one.
    fn known_kept(&mut self, id: ObjectId, commit: &ReadCommit, line: &source::Line) -> CommitResult<Option<Known>> {
        let kept = self.loader.kept.read(Section::SNAPSHOTS, id).map_err(Stop::Commit)?;
        let Some(bytes) = kept else { return Ok(None) };
        let kept = snapshot::decode(&bytes).map_err(|e| Stop::Commit(e.during("read kept snapshot of", id)))?;
        let previous = self.before.as_ref().map(|(_, before)| before.root);
        self.loader.exact(kept.root, commit.tree, previous)?;
        self.loader.content(kept.rules)?;
        let attachments = [&kept.times, &kept.omitted, &kept.attributes, &kept.excluded];
        for blob in attachments.into_iter().filter_map(Attachment::blob) {
            self.loader.content(blob)?;
        }
        let read = |attachment: &Attachment| match attachment {
            Attachment::Blob(id) => self.loader.read(*id).map_err(Stop::Commit),
            short => Ok(attached(self.store, short, 0)?),
        };
        let (recorded, omitted) = (read(&kept.event)?, read(&kept.omitted)?);
        let length = omitted.len();
        let omissions = decode_omitted(&omitted).ok().filter(|_| length <= PATH_LIST_LENGTH_MAX_BYTES);
        let unreadable = || Error::corrupt("read kept omitted paths of", id, "they are no list of paths");
        let content = Content {
            root: kept.root,
            root_mode: kept.root_mode,
            root_owner: kept.root_owner,
            changes: self.changes(kept.root, kept.root_mode)?,
            times: kept.times,
            omitted: kept.omitted,
            attributes: kept.attributes,
            excluded: kept.excluded,
            // It describes the folder that was recorded, not the folder of this workspace.
            dropped: None,
            rules: kept.rules,
        };
        let event = event(id, commit, &recorded, &[], &[]);
        let about = about_import(id, line, kept.run, kept.time, kept.message, event);
        let omissions = omissions.ok_or_else(|| Stop::Commit(unreadable()))?;
        Ok(Some(Known { about, content, omissions, calls: self.calls(id)?, is_exact: true }))
    }

    /// The calls that an export kept with the commit. Calls that cannot be read are dropped: the step does not need
    /// them.
    fn calls(&mut self, id: ObjectId) -> CommitResult<Vec<Call>> {
        let kept = self.loader.kept.read(Section::CALLS, id).map_err(Stop::Commit)?;
        let facts = kept.and_then(|bytes| facts::decode(&bytes).ok()).unwrap_or_default();
        let mut calls = Vec::new();
        for fact in facts.into_iter().take(NOTED_EVENTS_MAX) {
            let Fact::EventNoted { event, run, time, .. } = fact else { continue };
            match self.loader.content(event) {
                Ok(()) => calls.push(Call { event, run, time }),
                Err(Stop::Commit(_)) => {}
                Err(stop) => return Err(stop),
            }
        }
        Ok(calls)
    }

    /// Counts the paths that differ from the snapshot before.
    fn changes(&self, root: TreeId, root_mode: u16) -> Result<ChangeCounts> {
        let before = self.before.as_ref().map(|(_, before)| before);
        let load = |id: TreeId| match self.loader.new_trees.get(&id) {
            Some(bytes) => decode(bytes).map_err(|e| e.during("read tree", id)),
            None => self.store.tree(id),
        };
        let options = TreeDiffOptions::default();
        let mut changes = counts(&trees(&load, before.map(|before| before.root), Some(root), &options)?);
        changes.modified += u64::from(before.is_some_and(|before| before.root_mode != root_mode));
        Ok(changes)
    }
}

fn about_import(
    id: ObjectId,
    line: &source::Line,
    run: Option<String>,
    time: Timestamp,
    message: String,
    event: Vec<u8>,
) -> About {
    let git = Some(GitState { head: Some(id.to_string()), branch: line.branch.clone() });
    About { cause: Cause::Import, message, run, event, git, time }
}

/// The event of the step: the recorded one, if there is one, with git's commit and the problems found in it.
fn event(id: ObjectId, commit: &ReadCommit, recorded: &[u8], guessed: &[String], refused: &[RefusedEntry]) -> Vec<u8> {
    let mut event = match serde_json::from_slice(recorded).unwrap_or_default() {
        serde_json::Value::Object(event) => event,
        _ => serde_json::Map::new(),
    };
    let mut git = serde_json::json!({ "commit": id.to_string(), "author": commit.author });
    if !guessed.is_empty() {
        git["guessed"] = guessed.into();
    }
    if !refused.is_empty() {
        let line = |refused: &RefusedEntry| format!("{}: {}", escaped(&refused.path), refused.reason);
        git["refused"] = refused.iter().take(REFUSED_IN_EVENT_MAX).map(line).collect::<Vec<_>>().into();
    }
    event.insert("git".to_owned(), git);
    serde_json::Value::Object(event).to_string().into_bytes()
}

/// The message of a commit, and the facts in the trailers of an export.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Said {
    /// The message without these trailers; empty for a step without a message.
    pub(super) message: String,
    pub(super) run: Option<String>,
    /// The true time of a step, if git cannot hold it.
    pub(super) seconds: Option<i64>,
}

/// Removes the trailers of an export from a message.
pub(super) fn without_trailers(message: &str) -> Said {
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

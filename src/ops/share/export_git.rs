//! A history as a git repository, for tools and people that know git.
//!
//! One commit for each snapshot, one branch for each run, HEAD on the branch of the newest. Where a line of steps ends
//! that no branch or tag leads to, because somebody went back and on from there, `refs/retro/steps/sN` does: every step
//! can be reached. How states are mapped, and
//! where what git cannot hold is kept, is told in `ops::share::git`; [`import_git`](super::import_git) is the way
//! back. The same snapshots give the same commits, whoever exports them.
//!
//! A commit follows the commits of its snapshot's parents. Where a parent is not in the range, the nearest of its
//! ancestors that is takes its place, so that a thinned history stays one line.
//!
//! The repository is new, or the folder is empty: nothing of anybody else's is touched. It is made in a folder within
//! the folder and moved up when it is whole, HEAD last. What an interrupted export has left, the next one into the same
//! folder clears away: `part`.

mod part;

pub use super::elsewhere::expect_no_store;
use super::git::trees::LeftOut;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;

use gix::ObjectId;
use gix::bstr::BString;
use gix::objs::{Commit, Kind, WriteTo};
use gix::refs::Target;
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};

use super::git::kept::{Section, add_tree};
use super::git::names::{Taken, reference_name};
use super::git::pack::PackWriter;
use super::git::trees::Mapper;
use super::git::{
    META_REF, STEPS_REF, TRAILER_RUN, TRAILER_SNAPSHOT, TRAILER_STEP, TRAILER_SUBJECT, TRAILER_TIME, failed, isolated,
    signature, time_fits,
};
use crate::error::{Error, ErrorKind, Result};
use crate::format::facts::{self, Fact};
use crate::format::pack::ObjectKind;
use crate::format::snapshot::Snapshot;
use crate::id::{SnapshotId, WorkspaceId};
use crate::limits::EVENT_LENGTH_MAX_BYTES;
use crate::ops::record::ingest::attached;
use crate::progress::Progress;
use crate::store::Store;
use part::Part;

/// How to export.
#[derive(Clone, Copy)]
pub struct ExportGitOptions<'a> {
    /// The folder is the repository itself, without a working tree.
    pub bare: bool,
    /// Keeps what git cannot hold, and the facts of the steps with it, at `refs/retro/meta`. Pushes and clones leave it
    /// behind unless they mirror.
    pub keep_facts: bool,
    /// What a commit is called whose step has no message, given the facts of the step; none for its number.
    pub subject: &'a dyn Fn(&[u8]) -> Option<String>,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportedGit {
    /// Commits written.
    pub commits: u64,
    /// The newest, in hex; none when there was nothing to export.
    pub head: Option<String>,
    /// The branch of each run.
    pub branches: Vec<(Option<String>, String)>,
    /// The git tag of each tag.
    pub tags: Vec<(String, String)>,
    /// The references of steps that no branch or tag leads to.
    pub steps: Vec<(u64, String)>,
    /// Objects of git.
    pub objects: u64,
    /// Bytes of the pack and its index.
    pub written_bytes: u64,
    /// Paths that git cannot have, in any of the snapshots.
    pub left_out: Vec<LeftOut>,
}

/// Exports `snapshots`, oldest first, into a new repository at `folder`.
pub fn export_git(
    store: &Store,
    snapshots: &[SnapshotId],
    folder: &Path,
    options: &ExportGitOptions<'_>,
) -> Result<ExportedGit> {
    expect_no_store(store, "export to", folder)?;
    let part = Part::begin(folder)?;
    let repository = create(part.repository(), options.bare)?;
    let packs = repository.objects.store_ref().path().join("pack");
    let mapper = Mapper::new(store, PackWriter::create(&packs)?, options.keep_facts, options.progress);
    let mut export = Export {
        store,
        mapper,
        subject: options.subject,
        commits: HashMap::new(),
        line: Vec::new(),
        between: HashMap::new(),
        left_out: BTreeSet::new(),
    };
    for id in snapshots {
        export.snapshot(*id)?;
    }
    let meta = export.keep()?;
    let Export { mapper, line, left_out, commits, .. } = export;
    let (objects, written_bytes) = mapper.pack.finish()?;
    let references = References::of(store, &line, &commits, meta);
    references.write(&repository)?;
    drop(repository);
    part.publish()?;
    Ok(ExportedGit {
        commits: line.len() as u64,
        head: line.last().map(|done| done.commit.to_string()),
        branches: references.branches.into_iter().map(|(run, name, _)| (run, name)).collect(),
        tags: references.tags.into_iter().map(|(tag, name, _)| (tag, name)).collect(),
        steps: references.steps.into_iter().map(|(step, name, _)| (step, name)).collect(),
        objects,
        written_bytes,
        left_out: left_out.into_iter().collect(),
    })
}

/// Makes a repository in an empty folder.
fn create(folder: &Path, bare: bool) -> Result<gix::Repository> {
    let kind = if bare { gix::create::Kind::Bare } else { gix::create::Kind::WithWorktree };
    let made = gix::ThreadSafeRepository::init_opts(folder, kind, gix::create::Options::default(), isolated());
    made.map(Into::into).map_err(|e| failed(ErrorKind::Io, "create repository", folder, e))
}

struct Export<'a> {
    store: &'a Store,
    mapper: Mapper<'a>,
    subject: &'a dyn Fn(&[u8]) -> Option<String>,
    commits: HashMap<SnapshotId, ObjectId>,
    /// What was exported, in order.
    line: Vec<Done>,
    /// The nearest commit of snapshots that have none of their own.
    between: HashMap<SnapshotId, Option<ObjectId>>,
    left_out: BTreeSet<LeftOut>,
}

/// A snapshot that has its commit.
struct Done {
    snapshot: SnapshotId,
    workspace: WorkspaceId,
    run: Option<String>,
    step: u64,
    seconds: i64,
    commit: ObjectId,
    parents: Vec<ObjectId>,
}

impl Export<'_> {
    fn snapshot(&mut self, id: SnapshotId) -> Result<()> {
        if self.commits.contains_key(&id) {
            return Ok(());
        }
        let snapshot = self.store.snapshot(id)?;
        let mapped = self.mapper.tree(snapshot.root)?;
        self.left_out.extend(mapped.left_out.iter().cloned());
        let tree = match mapped.tree {
            Some(tree) => tree,
            None => add_tree(&mut self.mapper.pack, Vec::new())?,
        };
        let seconds = snapshot.time.seconds();
        let parents = self.parents(&snapshot);
        let event = attached(self.store, &snapshot.event, EVENT_LENGTH_MAX_BYTES as u64).unwrap_or_default();
        let commit = Commit {
            tree,
            parents: parents.clone().into(),
            author: author(&event, seconds),
            committer: signature("retro", seconds),
            encoding: None,
            message: message(id, &snapshot, (self.subject)(&event)).into(),
            extra_headers: Vec::new(),
        };
        let commit = self.add_commit(&commit)?;
        self.keep_snapshot(id, &snapshot, commit)?;
        self.commits.insert(id, commit);
        let (workspace, run, step) = (snapshot.workspace, snapshot.run.clone(), snapshot.step);
        self.line.push(Done { snapshot: id, workspace, run, step, seconds, commit, parents });
        Ok(())
    }

    /// The commits that a snapshot's commit follows.
    fn parents(&mut self, snapshot: &Snapshot) -> Vec<ObjectId> {
        let mut found = Vec::new();
        for parent in &snapshot.parents {
            let nearest = self.nearest(*parent).or_else(|| {
                // The ancestors are gone. What this workspace was before is the best that is known.
                self.line.iter().rev().find(|done| done.workspace == snapshot.workspace).map(|done| done.commit)
            });
            found.extend(nearest.filter(|commit| !found.contains(commit)));
        }
        found
    }

    /// The commit of the nearest first ancestor that has one, the snapshot itself included. What lies between is gone
    /// through once: it comes before those that are exported, and never gets a commit of its own.
    fn nearest(&mut self, snapshot: SnapshotId) -> Option<ObjectId> {
        let mut next = Some(snapshot);
        let mut passed = Vec::new();
        let mut found = None;
        while let Some(id) = next {
            found = self.commits.get(&id).copied();
            if found.is_some() {
                break;
            }
            if let Some(known) = self.between.get(&id) {
                found = *known;
                break;
            }
            passed.push(id);
            // A snapshot that cannot be read was forgotten and deleted, and does not matter any more.
            let read: Option<Arc<Snapshot>> =
                self.store.contains(ObjectKind::Snapshot, &id.0).then(|| self.store.snapshot(id).ok()).flatten();
            next = read.and_then(|read| read.parents.first().copied());
        }
        self.between.extend(passed.into_iter().map(|id| (id, found)));
        found
    }

    fn add_commit(&mut self, commit: &Commit) -> Result<ObjectId> {
        let mut bytes = Vec::with_capacity(512 + commit.message.len());
        commit.write_to(&mut bytes).map_err(|e| Error::new(ErrorKind::Invalid, "write", "commit", e))?;
        self.mapper.pack.add(Kind::Commit, &bytes)
    }

    /// Keeps the snapshot itself, and the contents that it refers to.
    fn keep_snapshot(&mut self, id: SnapshotId, snapshot: &Snapshot, commit: ObjectId) -> Result<()> {
        if self.mapper.kept.is_none() {
            return Ok(());
        }
        let bytes = self.store.object(ObjectKind::Snapshot, &id.0)?;
        let blob = self.mapper.pack.add(Kind::Blob, &bytes)?;
        if let Some(kept) = &mut self.mapper.kept {
            kept.keep(Section::Snapshots, commit.to_string(), blob);
        }
        self.mapper.keep_content(snapshot.rules)?;
        for attachment in snapshot.attachments() {
            if let Some(blob) = attachment.blob() {
                self.mapper.keep_content(blob)?;
            }
        }
        self.keep_calls(id, snapshot, commit)
    }

    /// Keeps the events of the calls that followed a snapshot and changed nothing. One that is damaged is left away, as
    /// in what is shown of the step.
    fn keep_calls(&mut self, id: SnapshotId, snapshot: &Snapshot, commit: ObjectId) -> Result<()> {
        let noted = self.store.state().noted.get(&id).cloned().unwrap_or_default();
        let mut facts = Vec::new();
        for call in &noted.newest {
            match self.store.read_blob(call.event, EVENT_LENGTH_MAX_BYTES as u64) {
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                event => drop(event?),
            }
            self.mapper.keep_content(call.event)?;
            let (workspace, event, run, time) = (snapshot.workspace, call.event, call.run.to_string(), call.time);
            facts.push(Fact::EventNoted { workspace, snapshot: id, event, run, time });
        }
        if !facts.is_empty() {
            let blob = self.mapper.pack.add(Kind::Blob, &facts::encode(&facts))?;
            if let Some(kept) = &mut self.mapper.kept {
                kept.keep(Section::Calls, commit.to_string(), blob);
            }
        }
        Ok(())
    }

    /// Writes the commit with all that was kept.
    fn keep(&mut self) -> Result<Option<ObjectId>> {
        let Some((kept, newest)) = self.mapper.kept.take().zip(self.line.last()) else { return Ok(None) };
        let seconds = newest.seconds;
        let commit = Commit {
            tree: kept.finish(&mut self.mapper.pack)?,
            parents: Vec::new().into(),
            author: signature("retro", seconds),
            committer: signature("retro", seconds),
            encoding: None,
            message: "What git cannot hold of the exported snapshots\n".into(),
            extra_headers: Vec::new(),
        };
        self.add_commit(&commit).map(Some)
    }
}

/// Who did the step, if its event says so: the author of the commit that it was imported from, or the agent.
fn author(event: &[u8], seconds: i64) -> gix::actor::Signature {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
    let imported = event.get("git").and_then(|git| git.get("author")?.as_str()?.strip_suffix('>')?.rsplit_once('<'));
    let agent = event.get("agent");
    let agent = agent.and_then(|agent| agent.as_str().or_else(|| agent.get("name")?.as_str())).unwrap_or_default();
    let (name, address) = imported.unwrap_or((agent, ""));
    // Git cuts names at these, and drops signs at their ends.
    let plain = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
        text.trim_matches(|c: char| c.is_whitespace() || ".,:;\"'\\".contains(c)).to_owned()
    };
    let (name, address) = (plain(name), plain(address));
    let signature = signature(if name.is_empty() { "retro" } else { &name }, seconds);
    if address.is_empty() { signature } else { gix::actor::Signature { email: BString::from(address), ..signature } }
}

/// The message of the commit. Nothing in it can end it early, or be taken for another trailer. A subject that nobody
/// has said is there a second time as a trailer, so that an import can tell.
fn message(id: SnapshotId, snapshot: &Snapshot, subject: Option<String>) -> String {
    let plain = |text: &str| -> String { text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect() };
    let step = snapshot.step;
    let said = snapshot.message.replace('\0', "\u{fffd}");
    let said = said.trim_end().trim_start_matches('\n');
    let mut trailers = format!("{TRAILER_SNAPSHOT}: {id}\n{TRAILER_STEP}: {step}\n");
    if let Some(run) = &snapshot.run {
        trailers.push_str(&format!("{TRAILER_RUN}: {}\n", plain(run)));
    }
    if !time_fits(snapshot.time.seconds()) {
        trailers.push_str(&format!("{TRAILER_TIME}: {}\n", snapshot.time.seconds()));
    }
    if !said.trim().is_empty() {
        return format!("{said}\n\n{trailers}");
    }
    let subject = subject.map(|subject| plain(&subject).trim().to_owned()).filter(|subject| !subject.is_empty());
    let subject = subject.unwrap_or_else(|| format!("step {step}"));
    format!("{subject}\n\n{trailers}{TRAILER_SUBJECT}: {subject}\n")
}

/// The branch of snapshots that are of no run.
const BRANCH_OF_NO_RUN: &str = "restores";

/// The references of a repository.
struct References {
    /// Run, branch, commit; snapshots around restores are of no run, and have a branch of their own.
    branches: Vec<(Option<String>, String, ObjectId)>,
    /// Tag, git tag, commit.
    tags: Vec<(String, String, ObjectId)>,
    /// Step, reference, commit: the ends of lines that neither of those leads to.
    steps: Vec<(u64, String, ObjectId)>,
    meta: Option<ObjectId>,
    /// Branch of the newest.
    head: Option<String>,
    seconds: i64,
}

impl References {
    fn of(store: &Store, line: &[Done], commits: &HashMap<SnapshotId, ObjectId>, meta: Option<ObjectId>) -> Self {
        let mut last: BTreeMap<(Option<&str>, WorkspaceId), &Done> = BTreeMap::new();
        for done in line {
            last.insert((done.run.as_deref(), done.workspace), done);
        }
        let mut taken = Taken::default();
        let mut head = None;
        let mut branches = Vec::new();
        for done in last.values() {
            let name = taken.unique(reference_name(done.run.as_deref().unwrap_or(BRANCH_OF_NO_RUN)));
            if line.last().is_some_and(|newest| newest.snapshot == done.snapshot) {
                head = Some(name.clone());
            }
            branches.push((done.run.clone(), name, done.commit));
        }
        let mut taken = Taken::default();
        let mut tags = Vec::new();
        for (_, tag, snapshot) in store.state().tags() {
            if let Some(commit) = commits.get(&snapshot) {
                tags.push((tag.to_owned(), taken.unique(reference_name(tag)), *commit));
            }
        }
        let parents = line.iter().flat_map(|done| &done.parents);
        let named = branches.iter().map(|(_, _, commit)| commit).chain(tags.iter().map(|(_, _, commit)| commit));
        let reached: HashSet<&ObjectId> = parents.chain(named).collect();
        let mut taken = Taken::default();
        let ended = line.iter().filter(|done| !reached.contains(&done.commit));
        let steps = ended.map(|done| (done.step, taken.unique(format!("s{}", done.step)), done.commit)).collect();
        Self { branches, tags, steps, meta, head, seconds: line.last().map_or(0, |newest| newest.seconds) }
    }

    fn write(&self, repository: &gix::Repository) -> Result<()> {
        let fail = |e: &dyn std::fmt::Display| failed(ErrorKind::Io, "write references of", repository.git_dir(), e);
        let edit = |name: &str, target: Target| -> Result<RefEdit> {
            let name = BString::from(name).try_into().map_err(|e: gix::validate::reference::name::Error| fail(&e))?;
            let message = "retro: export".into();
            let log = LogChange { mode: RefLog::AndReference, force_create_reflog: false, message };
            let change = Change::Update { log, expected: PreviousValue::Any, new: target };
            Ok(RefEdit { change, name, deref: false })
        };
        let mut edits = Vec::new();
        for (_, branch, commit) in &self.branches {
            edits.push(edit(&format!("refs/heads/{branch}"), Target::Object(*commit))?);
        }
        for (_, tag, commit) in &self.tags {
            edits.push(edit(&format!("refs/tags/{tag}"), Target::Object(*commit))?);
        }
        for (_, step, commit) in &self.steps {
            edits.push(edit(&format!("{STEPS_REF}{step}"), Target::Object(*commit))?);
        }
        if let Some(meta) = self.meta {
            edits.push(edit(META_REF, Target::Object(meta))?);
        }
        let signature = signature("retro", self.seconds);
        let mut buffer = gix::date::parse::TimeBuf::default();
        let committer = signature.to_ref(&mut buffer);
        repository.edit_references_as(edits, Some(committer)).map_err(|e| fail(&e))?;
        let Some(head) = &self.head else { return Ok(()) };
        let branch = BString::from(format!("refs/heads/{head}"));
        let branch = branch.try_into().map_err(|e: gix::validate::reference::name::Error| fail(&e))?;
        let head = edit("HEAD", Target::Symbolic(branch))?;
        repository.edit_references_as([head], Some(committer)).map_err(|e| fail(&e))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;

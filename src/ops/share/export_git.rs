//! A history as a git repository, for tools and people that know git.
//!
//! Each snapshot becomes a commit and each run a branch; HEAD is on the branch of the newest. After a restore, a line
//! of steps may end without a branch or tag; `refs/retro/steps/sN` leads there, so that every step can be reached.
//! `ops::share::git` documents the mapping of states and the place of what git cannot hold;
//! [`import_git`](super::import_git) is the way back. The same snapshots always give the same commits.
//!
//! A commit follows the commits of its snapshot's parents. If a parent is not in the range, its nearest ancestor in the
//! range takes its place, so that a thinned history stays one line.
//!
//! The folder is new or empty, so no other files are touched. The repository is made in a folder within it and moved up
//! when it is complete, HEAD last. The next export into the same folder removes the remains of an interrupted one:
//! `part`.

mod part;

use super::elsewhere::expect_no_store;
pub use super::git::trees::SkippedPath;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fmt::Display;
use std::path::Path;

use gix::ObjectId;
use gix::actor::Signature;
use gix::bstr::BString;
use gix::objs::{Commit, Kind, Tree, WriteTo};
use gix::refs::transaction::{Change, LogChange, PreviousValue, RefEdit, RefLog};
use gix::refs::{FullName, Target};

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
use crate::format::snapshot::{Attachment, Snapshot};
use crate::history::graph::first_parents;
use crate::id::{SnapshotId, WorkspaceId};
use crate::limits::EVENT_LENGTH_MAX_BYTES;
use crate::ops::record::attached::attached;
use crate::progress::Progress;
use crate::store::Store;
use part::Part;

/// Options of an export to git.
#[derive(Clone, Copy)]
pub struct ExportGitOptions<'a> {
    /// True if the folder is the repository itself, without a working tree.
    pub bare: bool,
    /// True to keep the facts of the steps and all else that git cannot hold at `refs/retro/meta`. Pushes and clones do
    /// not take it along unless they mirror.
    pub keep_facts: bool,
    /// Returns the subject of a commit for a step without a message, given the facts of the step; none for its number.
    pub subject: &'a dyn Fn(&[u8]) -> Option<String>,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

/// The result of an export to git.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExportedGit {
    /// Commits written.
    pub commits: u64,
    /// The newest commit, in hex; none if there was nothing to export.
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
    /// Paths that git cannot hold, in any of the snapshots.
    pub skipped: Vec<SkippedPath>,
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
        skipped: BTreeSet::new(),
    };
    for id in snapshots {
        export.snapshot(*id)?;
    }
    let meta = export.keep()?;
    let Export { mapper, line, skipped, commits, .. } = export;
    let (objects, written_bytes) = mapper.pack.finish()?;
    let mut exported = ExportedGit {
        commits: line.len() as u64,
        head: line.last().map(|done| done.commit.to_string()),
        objects,
        written_bytes,
        skipped: skipped.into_iter().collect(),
        ..ExportedGit::default()
    };
    let references = references(store, &line, &commits, meta, &mut exported);
    write_references(&repository, references, line.last().map_or(0, |newest| newest.seconds))?;
    drop(repository);
    part.publish()?;
    Ok(exported)
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
    /// The exported snapshots, in order.
    line: Vec<Done>,
    /// The nearest commit of snapshots that have none of their own.
    between: HashMap<SnapshotId, Option<ObjectId>>,
    skipped: BTreeSet<SkippedPath>,
}

/// A snapshot that was exported.
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
        self.skipped.extend(mapped.skipped.iter().cloned());
        let tree = mapped.tree.map_or_else(|| add_tree(&mut self.mapper.pack, &Tree::empty()), Ok)?;
        let seconds = snapshot.time.seconds();
        let parents = self.parents(&snapshot);
        let event = attached(self.store, &snapshot.event, EVENT_LENGTH_MAX_BYTES as u64).unwrap_or_default();
        let message = message(id, &snapshot, (self.subject)(&event));
        let commit = self.add_commit(tree, &parents, author(&event, seconds), message)?;
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
            let nearest = self.commits.get(parent).copied().or_else(|| self.nearest(*parent)).or_else(|| {
                // The ancestors are gone. The last commit of the workspace is the best known.
                self.line.iter().rev().find(|done| done.workspace == snapshot.workspace).map(|done| done.commit)
            });
            found.extend(nearest.filter(|commit| !found.contains(commit)));
        }
        found
    }

    /// The commit of the nearest first ancestor that has one. Snapshots between are walked once: they are not exported,
    /// so they never get a commit. The walk ends at a snapshot that was forgotten and deleted.
    fn nearest(&mut self, snapshot: SnapshotId) -> Option<ObjectId> {
        let mut passed = Vec::new();
        let mut found = None;
        for (id, _) in first_parents(self.store, snapshot).map_while(Result::ok) {
            let own = self.commits.get(&id).map(|commit| Some(*commit));
            if let Some(known) = own.or_else(|| self.between.get(&id).copied()) {
                found = known;
                break;
            }
            passed.push(id);
        }
        self.between.extend(passed.into_iter().map(|id| (id, found)));
        found
    }

    fn add_commit(
        &mut self,
        tree: ObjectId,
        parents: &[ObjectId],
        author: Signature,
        message: String,
    ) -> Result<ObjectId> {
        let (parents, message) = (parents.to_vec().into(), message.into());
        let committer = signature("retro", author.time.seconds);
        let commit = Commit { tree, parents, author, committer, encoding: None, message, extra_headers: Vec::new() };
        let mut bytes = Vec::with_capacity(512 + commit.message.len());
        commit.write_to(&mut bytes).map_err(|e| Error::new(ErrorKind::Invalid, "write", "commit", e))?;
        self.mapper.pack.add(Kind::Commit, &bytes)
    }

    /// Keeps the snapshot as stored, and the contents that it refers to.
    fn keep_snapshot(&mut self, id: SnapshotId, snapshot: &Snapshot, commit: ObjectId) -> Result<()> {
        if self.mapper.kept.is_none() {
            return Ok(());
        }
        self.mapper.keep(Section::SNAPSHOTS, commit, &self.store.object(ObjectKind::Snapshot, &id.0)?)?;
        self.mapper.keep_content(snapshot.rules)?;
        for blob in snapshot.attachments().into_iter().filter_map(Attachment::blob) {
            self.mapper.keep_content(blob)?;
        }
        self.keep_calls(id, snapshot, commit)
    }

    /// Keeps the events of the calls that followed a snapshot and changed nothing, except damaged ones.
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
        if facts.is_empty() { Ok(()) } else { self.mapper.keep(Section::CALLS, commit, &facts::encode(&facts)) }
    }

    /// Writes the commit of everything that was kept.
    fn keep(&mut self) -> Result<Option<ObjectId>> {
        let Some((kept, newest)) = self.mapper.kept.take().zip(self.line.last()) else { return Ok(None) };
        let author = signature("retro", newest.seconds);
        let tree = kept.finish(&mut self.mapper.pack)?;
        self.add_commit(tree, &[], author, "What git cannot hold of the exported snapshots\n".to_owned()).map(Some)
    }
}

/// The author of a step by its event: the author of the commit that it was imported from, or the agent.
fn author(event: &[u8], seconds: i64) -> Signature {
    let event: serde_json::Value = serde_json::from_slice(event).unwrap_or_default();
    let imported = event.get("git").and_then(|git| git.get("author")?.as_str()?.strip_suffix('>')?.rsplit_once('<'));
    let agent = event.get("agent");
    let agent = agent.and_then(|agent| agent.as_str().or_else(|| agent.get("name")?.as_str())).unwrap_or_default();
    let (name, address) = imported.unwrap_or((agent, ""));
    // Git cuts names at some characters, and drops others at their ends.
    let plain = |text: &str| {
        let text: String = text.chars().filter(|c| !c.is_control() && !"<>".contains(*c)).collect();
        text.trim_matches(|c: char| c.is_whitespace() || ".,:;\"'\\".contains(c)).to_owned()
    };
    let (name, address) = (plain(name), plain(address));
    let signature = signature(if name.is_empty() { "retro" } else { &name }, seconds);
    if address.is_empty() { signature } else { Signature { email: BString::from(address), ..signature } }
}

/// The message of the commit. Nothing in it can end it early, or be taken for another trailer. For a step without a
/// message, a trailer repeats the subject, so that an import recognises it.
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
#[derive(Default)]
struct References {
    /// Full names and commits.
    commits: Vec<(String, ObjectId)>,
    /// The branch of the newest snapshot.
    head: Option<String>,
}

/// Chooses the references, and lists them in `exported`.
fn references(
    store: &Store,
    line: &[Done],
    commits: &HashMap<SnapshotId, ObjectId>,
    meta: Option<ObjectId>,
    exported: &mut ExportedGit,
) -> References {
    let mut last: BTreeMap<(Option<&str>, WorkspaceId), &Done> = BTreeMap::new();
    for done in line {
        last.insert((done.run.as_deref(), done.workspace), done);
    }
    let mut references = References::default();
    let mut taken = Taken::default();
    for done in last.values() {
        let branch = taken.unique(reference_name(done.run.as_deref().unwrap_or(BRANCH_OF_NO_RUN)));
        references.commits.push((format!("refs/heads/{branch}"), done.commit));
        if line.last().is_some_and(|newest| newest.snapshot == done.snapshot) {
            references.head = references.commits.last().map(|(name, _)| name.clone());
        }
        exported.branches.push((done.run.clone(), branch));
    }
    let mut taken = Taken::default();
    for (_, tag, snapshot) in store.state().tags() {
        let Some(commit) = commits.get(&snapshot) else { continue };
        let name = taken.unique(reference_name(tag));
        references.commits.push((format!("refs/tags/{name}"), *commit));
        exported.tags.push((tag.to_owned(), name));
    }
    let parents = line.iter().flat_map(|done| &done.parents);
    let reached: HashSet<ObjectId> =
        references.commits.iter().map(|(_, commit)| commit).chain(parents).copied().collect();
    let mut taken = Taken::default();
    for done in line.iter().filter(|done| !reached.contains(&done.commit)) {
        let name = taken.unique(format!("s{}", done.step));
        references.commits.push((format!("{STEPS_REF}{name}"), done.commit));
        exported.steps.push((done.step, name));
    }
    references.commits.extend(meta.map(|meta| (META_REF.to_owned(), meta)));
    references
}

fn write_references(repository: &gix::Repository, references: References, seconds: i64) -> Result<()> {
    let fail = |e: &dyn Display| failed(ErrorKind::Io, "write references of", repository.git_dir(), e);
    let full_name = |name: String| -> Result<FullName> {
        BString::from(name).try_into().map_err(|e: gix::validate::reference::name::Error| fail(&e))
    };
    let edit = |(name, new): (String, Target)| -> Result<RefEdit> {
        let message = "retro: export".into();
        let log = LogChange { mode: RefLog::AndReference, force_create_reflog: false, message };
        let change = Change::Update { log, expected: PreviousValue::Any, new };
        Ok(RefEdit { change, name: full_name(name)?, deref: false })
    };
    let signature = signature("retro", seconds);
    let mut buffer = gix::date::parse::TimeBuf::default();
    let committer = signature.to_ref(&mut buffer);
    let commits = references.commits.into_iter().map(|(name, commit)| (name, Target::Object(commit)));
    let edits = commits.map(edit).collect::<Result<Vec<_>>>()?;
    repository.edit_references_as(edits, Some(committer)).map_err(|e| fail(&e))?;
    if let Some(head) = references.head {
        let edit = edit(("HEAD".to_owned(), Target::Symbolic(full_name(head)?)))?;
        repository.edit_references_as([edit], Some(committer)).map_err(|e| fail(&e))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;

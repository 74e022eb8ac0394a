//! Reads the files that the scan could not prove unchanged, in windows that bound memory, and gives each the id of its
//! content.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::is_there;
use crate::error::Result;
use crate::format::attributes::Owner;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::EntryKind;
use crate::format::turn::{ReadReason, ReadSummary};
use crate::id::{BlobId, Digest};
use crate::limits::{CAPTURE_RETRIES_MAX, CHUNK_LENGTH_MAX_BYTES};
use crate::ops::record::ingest::{self, Short};
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::{Batch, Store};
use crate::workspace::attributes::Values;
use crate::workspace::beneath::Root;
use crate::workspace::cache::Proof;
use crate::workspace::read::{
    Beside, FileFacts, Folder, LargeFile, OpenedFile, Outcome, WholeFile, read_file, read_folder_attributes,
    read_symlink,
};
use crate::workspace::scan::{EntryState, ScannedEntry, ScannedFolder};
use crate::workspace::stat::{FileStat, RacyRule};

/// The outcome of reading: every file has an id.
#[derive(Debug)]
pub(super) struct Taken {
    /// Folders whose list is not the cached one.
    pub(super) folders: BTreeMap<TreePath, TakenFolder>,
    /// Paths that could not be read, or not exactly.
    pub(super) omitted: Vec<Omission>,
}

/// The list of one folder.
#[derive(Debug)]
pub(super) struct TakenFolder {
    pub(super) entries: Vec<TakenEntry>,
    pub(super) device: u64,
}

/// One name.
#[derive(Debug)]
pub(super) struct TakenEntry {
    pub(super) name: Box<[u8]>,
    pub(super) kind: EntryKind,
    pub(super) mode: u16,
    pub(super) stat: FileStat,
    /// Bytes of content; without meaning for folders.
    pub(super) size: u64,
    /// Id of the content. Folders have none, because their trees are not built yet, and omitted files have none.
    pub(super) id: Option<Digest>,
    /// Its owner, ACL and other attributes, encoded.
    pub(super) attributes: Box<[u8]>,
    /// The strength of the stat's proof of the content, if it was not read now.
    pub(super) proof: Option<Proof>,
    /// True if not all of it is recorded: it is read again next time, whatever its stat says.
    pub(super) is_torn: bool,
    /// True if nobody had it open for writing when it was read.
    pub(super) is_quiet: bool,
}

/// Everything while it is being read.
struct Work<'a> {
    root: &'a Root,
    paths: Vec<TreePath>,
    folders: Vec<TakenFolder>,
    omitted: Vec<Omission>,
    root_owner: Owner,
}

/// One thing to read: a file, the target of a symlink, or the attributes of a folder.
#[derive(Clone, Copy)]
struct Job {
    folder: usize,
    entry: usize,
    size: u64,
    previous: Option<BlobId>,
    reason: ReadReason,
}

/// The result of one job.
enum Got {
    Whole(WholeFile),
    Target(Vec<u8>),
    Large(LargeFile),
    Folder(Values),
    Omitted(Reason),
}

/// Files read by one task from one handle of their folder.
const TASK_FILES: usize = 64;

impl Taken {
    /// Returns true if there are files whose times lie so far ahead that it matters when the reading ended.
    pub(super) fn has_times_ahead(&self, racy: &RacyRule) -> bool {
        let mut entries = self.folders.values().flat_map(|folder| &folder.entries);
        entries.any(|entry| racy.is_far_ahead(&entry.stat))
    }
}

/// Reads, and stores or only hashes. Notes in `read` what it reads, and why.
pub(super) fn take(
    store: &Store,
    root: &Root,
    root_owner: Owner,
    folders: BTreeMap<TreePath, ScannedFolder>,
    progress: &dyn Progress,
    mut batch: Option<&mut Batch<'_>>,
    read: &mut ReadSummary,
) -> Result<Taken> {
    let (mut work, jobs) = plan(store, root, root_owner, folders, batch.as_deref());
    for job in jobs.iter().filter(|job| work.entry(job).kind != EntryKind::Folder) {
        read.add(job.reason, job.size, || work.path(job).as_bytes().to_vec());
    }
    progress.event(Event::Planned { files: jobs.len() as u64, bytes: jobs.iter().map(|job| job.size).sum() });
    for window in ingest::windows(&jobs, |job| job.size) {
        let mut contents = Vec::new();
        for (job, got) in window.iter().zip(work.read(window)?) {
            match got {
                Got::Omitted(reason) => work.omit(job, reason),
                Got::Target(bytes) => {
                    work.note_attributes(job, Values::default());
                    contents.push((*job, bytes));
                }
                Got::Folder(values) => work.note_attributes(job, values),
                Got::Whole(file) => {
                    work.note(job, file.facts);
                    contents.push((*job, file.bytes));
                }
                Got::Large(file) => work.take_large(store, job, file, batch.as_deref_mut())?,
            }
        }
        work.finish_window(contents, batch.as_deref_mut())?;
        let bytes = window.iter().map(|job| job.size).sum();
        progress.event(Event::Advanced { files: window.len() as u64, bytes });
    }
    let Work { paths, folders, omitted, .. } = work;
    let mut folders: BTreeMap<TreePath, TakenFolder> = paths.into_iter().zip(folders).collect();
    for folder in folders.values_mut() {
        folder.entries.retain(|entry| entry.id.is_some() || entry.kind == EntryKind::Folder);
    }
    Ok(Taken { folders, omitted })
}

/// Lists what is to be read. Content that the stat cache has, and the store has not, is read again.
fn plan<'a>(
    store: &Store,
    root: &'a Root,
    root_owner: Owner,
    scanned: BTreeMap<TreePath, ScannedFolder>,
    batch: Option<&Batch<'_>>,
) -> (Work<'a>, Vec<Job>) {
    let mut jobs = Vec::new();
    let mut paths = Vec::with_capacity(scanned.len());
    let mut folders = Vec::with_capacity(scanned.len());
    let has = |id: &Digest| {
        is_there(store, batch, ObjectKind::Content, id) || is_there(store, batch, ObjectKind::ChunkList, id)
    };
    for (folder, (path, ScannedFolder { entries, device })) in scanned.into_iter().enumerate() {
        let mut taken = Vec::with_capacity(entries.len());
        for (entry, ScannedEntry { name, kind, mode, stat, attributes, state }) in entries.into_iter().enumerate() {
            let (mut id, mut proven) = (None, None);
            let size = if kind == EntryKind::Folder { 0 } else { stat.size };
            let mut read = |previous, reason| jobs.push(Job { folder, entry, size, previous, reason });
            match state {
                EntryState::Folder { .. } if attributes.is_some() => {}
                EntryState::Folder { .. } => read(None, ReadReason::Changed),
                EntryState::Known { id: known, proof } if has(&known) => (id, proven) = (Some(known), Some(proof)),
                EntryState::Known { .. } => read(None, ReadReason::New),
                EntryState::Renumbered { id } => read(Some(BlobId(id)), ReadReason::Changed),
                EntryState::Read { previous, reason } => read(previous.map(BlobId), reason),
            }
            let attributes = attributes.unwrap_or_default();
            let (is_torn, is_quiet, size) = (false, false, stat.size);
            taken.push(TakenEntry { name, kind, mode, stat, size, id, attributes, proof: proven, is_torn, is_quiet });
        }
        paths.push(path);
        folders.push(TakenFolder { entries: taken, device });
    }
    (Work { root, paths, folders, omitted: Vec::new(), root_owner }, jobs)
}

impl Work<'_> {
    /// Reads the files of a window, in parallel, in order.
    fn read(&self, window: &[Job]) -> Result<Vec<Got>> {
        let tasks: Vec<&[Job]> =
            window.chunk_by(|a, b| a.folder == b.folder).flat_map(|jobs| jobs.chunks(TASK_FILES)).collect();
        let got: Vec<Result<Vec<Got>>> = tasks.into_par_iter().map(|jobs| self.read_task(jobs)).collect();
        let mut all = Vec::with_capacity(window.len());
        for part in got {
            all.extend(part?);
        }
        Ok(all)
    }

    fn read_task(&self, jobs: &[Job]) -> Result<Vec<Got>> {
        let folder = match Folder::open(self.root, &self.paths[jobs[0].folder])? {
            Outcome::Read(folder) => folder,
            Outcome::Omitted(reason) => return Ok(jobs.iter().map(|_| Got::Omitted(reason)).collect()),
        };
        let one = |job: &Job| {
            let entry = &self.folders[job.folder].entries[job.entry];
            if entry.kind == EntryKind::Folder {
                // One that is gone is met again by the next capture; its list was read a moment ago.
                return Ok(Got::Folder(read_folder_attributes(&folder, &entry.name).unwrap_or_default()));
            }
            if entry.kind == EntryKind::Symlink {
                return Ok(match read_symlink(&folder, &entry.name)? {
                    Outcome::Read(target) => Got::Target(target),
                    Outcome::Omitted(reason) => Got::Omitted(reason),
                });
            }
            Ok(match read_file(&folder, &entry.name, CHUNK_LENGTH_MAX_BYTES, Beside::Attributes)? {
                Outcome::Read(OpenedFile::Whole(file)) => Got::Whole(file),
                Outcome::Read(OpenedFile::Large(file)) => Got::Large(file),
                Outcome::Omitted(reason) => Got::Omitted(reason),
            })
        };
        jobs.iter().map(one).collect()
    }

    /// Reads a long file piece by piece; one that changes meanwhile is read again, a few times.
    fn take_large(
        &mut self,
        store: &Store,
        job: &Job,
        first: LargeFile,
        mut batch: Option<&mut Batch<'_>>,
    ) -> Result<()> {
        let (mut file, mut attempts) = (first, 0);
        loop {
            let (id, end) = match read_large(store, job, file, batch.as_deref_mut())? {
                Outcome::Read(read) => read,
                Outcome::Omitted(reason) => {
                    self.omit(job, reason);
                    return Ok(());
                }
            };
            if end.is_torn
                && attempts < CAPTURE_RETRIES_MAX
                && let Some(Got::Large(again)) = self.read_task(std::slice::from_ref(job))?.pop()
            {
                (file, attempts) = (again, attempts + 1);
                continue;
            }
            self.set(job, id, end.length_bytes);
            self.note(job, end);
            return Ok(());
        }
    }

    /// Stores or hashes the short contents of a window.
    fn finish_window(&mut self, contents: Vec<(Job, Vec<u8>)>, batch: Option<&mut Batch<'_>>) -> Result<()> {
        let lengths: Vec<(Job, u64)> = contents.iter().map(|(job, bytes)| (*job, bytes.len() as u64)).collect();
        let ids = match batch {
            Some(batch) => {
                let short = |(job, bytes): (Job, Vec<u8>)| Short { bytes, previous: job.previous };
                ingest::short(batch, contents.into_iter().map(short).collect())?
            }
            None => contents.par_iter().map(|(_, bytes)| BlobId(Digest::of(bytes))).collect(),
        };
        for ((job, length), id) in lengths.iter().zip(ids) {
            self.set(job, id, *length);
        }
        Ok(())
    }

    fn note(&mut self, job: &Job, facts: FileFacts) {
        let FileFacts { stat, mode, is_torn, is_quiet, .. } = facts;
        let entry = &mut self.folders[job.folder].entries[job.entry];
        (entry.stat, entry.mode, entry.is_torn, entry.is_quiet) = (stat, mode, is_torn, is_quiet);
        if is_torn {
            let path = self.paths[job.folder].join(&entry.name);
            self.omitted.push(Omission { path, reason: Reason::Torn });
        }
        self.note_attributes(job, facts.attributes);
    }

    fn note_attributes(&mut self, job: &Job, values: Values) {
        let entry = &mut self.folders[job.folder].entries[job.entry];
        entry.is_torn |= values.is_cut_short;
        if values.is_cut_short {
            let path = self.paths[job.folder].join(&entry.name);
            self.omitted.push(Omission { path, reason: Reason::Attributes });
        }
        entry.attributes = values.encoded(entry.stat.owner, self.root_owner);
    }

    fn set(&mut self, job: &Job, id: BlobId, size: u64) {
        let entry = &mut self.folders[job.folder].entries[job.entry];
        (entry.id, entry.size) = (Some(id.0), size);
    }

    fn omit(&mut self, job: &Job, reason: Reason) {
        let path = self.path(job);
        self.omitted.push(Omission { path, reason });
    }

    fn entry(&self, job: &Job) -> &TakenEntry {
        &self.folders[job.folder].entries[job.entry]
    }

    fn path(&self, job: &Job) -> TreePath {
        self.paths[job.folder].join(&self.entry(job).name)
    }
}

/// One attempt at a long file.
fn read_large(
    store: &Store,
    job: &Job,
    mut file: LargeFile,
    batch: Option<&mut Batch<'_>>,
) -> Result<Outcome<(BlobId, FileFacts)>> {
    let mut failed = None;
    let expected = file.expected_length_bytes();
    let mut read = |window: &mut Vec<u8>, most: usize| match file.read_piece(window, most)? {
        Outcome::Read(count) => Ok(count),
        Outcome::Omitted(reason) => {
            failed = Some(reason);
            Ok(0)
        }
    };
    let id = match batch {
        Some(batch) => {
            let previous = job.previous.and_then(|id| store.chunks(id).ok().flatten());
            ingest::long(batch, expected, previous, job.previous, &mut read)?.0
        }
        None => ingest::hash(&mut read)?,
    };
    if let Some(reason) = failed {
        return Ok(Outcome::Omitted(reason));
    }
    Ok(match file.finish()? {
        Outcome::Read(end) => Outcome::Read((id, end)),
        Outcome::Omitted(reason) => Outcome::Omitted(reason),
    })
}

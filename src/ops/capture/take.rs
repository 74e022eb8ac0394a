//! Reads what the scan could not prove unchanged, in windows that bound memory, and gives every file its content's id.

use std::collections::BTreeMap;

use rayon::prelude::*;

use super::is_there;
use crate::error::Result;
use crate::format::attributes::Owner;
use crate::format::pack::ObjectKind;
use crate::format::snapshot::{Omission, Reason};
use crate::format::tree::Kind;
use crate::id::{BlobId, Digest};
use crate::limits::{CAPTURE_RETRIES_MAX, CAPTURE_WINDOW_BYTES, CAPTURE_WINDOW_FILES, CHUNK_LENGTH_MAX_BYTES};
use crate::ops::ingest::{self, Short};
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::{Batch, Store};
use crate::workspace::attributes::Values;
use crate::workspace::beneath::Root;
use crate::workspace::cache::StatCache;
use crate::workspace::read::{
    Folder, LargeEnd, LargeFile, OpenedFile, Outcome, WholeFile, read_file, read_folder_attributes, read_symlink,
};
use crate::workspace::scan::{EntryState, Scan, ScannedEntry, ScannedFolder, unchanged_folder};
use crate::workspace::stat::{FileStat, RacyRule};

/// A scan whose files all have an id.
#[derive(Debug)]
pub(super) struct Taken {
    /// Folders whose list is not the cached one.
    pub(super) folders: BTreeMap<TreePath, TakenFolder>,
    pub(super) omitted: Vec<Omission>,
    pub(super) racy: RacyRule,
    pub(super) root_owner: Owner,
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
    pub(super) kind: Kind,
    pub(super) mode: u16,
    pub(super) stat: FileStat,
    /// Bytes of content; without meaning for folders.
    pub(super) size: u64,
    /// Content. Folders have none, because their trees are still to be built, nor has what turned out to be omitted.
    pub(super) id: Option<Digest>,
    /// What it has beside content and permission bits, encoded.
    pub(super) attributes: Box<[u8]>,
    /// What is recorded is not all that was there: it is read again next time, whatever its stat says.
    pub(super) is_torn: bool,
}

/// Everything while it is being read.
struct Work<'a> {
    root: &'a Root,
    paths: Vec<TreePath>,
    folders: Vec<TakenFolder>,
    omitted: Vec<Omission>,
    root_owner: Owner,
}

/// Something to be read: a file, the target of a symlink, the attributes of a folder.
#[derive(Clone, Copy)]
struct Job {
    folder: usize,
    entry: usize,
    size: u64,
    previous: Option<BlobId>,
}

/// What reading a file gave.
enum Got {
    Whole(WholeFile),
    Target(Vec<u8>),
    Large(LargeFile),
    Folder(Values),
    Omitted(Reason),
}

/// Files read by one task from one handle of their folder.
const TASK_FILES: usize = 64;

/// Reads, and stores or only hashes.
pub(super) fn take(
    store: &Store,
    root: &Root,
    cache: &StatCache,
    mut scan: Scan,
    progress: &dyn Progress,
    mut batch: Option<&mut Batch<'_>>,
) -> Result<Taken> {
    rehash(root, cache, &mut scan)?;
    let (racy, root_owner) = (scan.racy, scan.root_owner);
    let (mut work, jobs) = plan(store, root, scan, batch.as_deref());
    progress.event(Event::Planned { files: jobs.len() as u64, bytes: jobs.iter().map(|job| job.size).sum() });
    for window in windows(&jobs) {
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
                    work.note(job, file.stat, file.mode, file.is_torn);
                    work.note_attributes(job, file.attributes);
                    contents.push((*job, file.bytes));
                }
                Got::Large(file) => work.take_large(store, job, file, batch.as_deref_mut())?,
            }
        }
        work.finish_window(contents, batch.as_deref_mut())?;
        let bytes = window.iter().map(|job| job.size).sum();
        progress.event(Event::Done { files: window.len() as u64, bytes });
    }
    let Work { paths, folders, mut omitted, .. } = work;
    omitted.sort_by(|a, b| a.path.cmp(&b.path));
    omitted.dedup_by(|later, earlier| later.path == earlier.path);
    let mut folders: BTreeMap<TreePath, TakenFolder> = paths.into_iter().zip(folders).collect();
    for folder in folders.values_mut() {
        folder.entries.retain(|entry| entry.id.is_some() || entry.kind == Kind::Folder);
    }
    Ok(Taken { folders, omitted, racy, root_owner })
}

/// Hashes again what the scan picked. A file that differs though its stat is equal puts its folder on the list.
fn rehash(root: &Root, cache: &StatCache, scan: &mut Scan) -> Result<()> {
    for picked in std::mem::take(&mut scan.rehash) {
        let EntryState::Read { previous } = picked.entry.state else { continue };
        let Outcome::Read(folder) = Folder::open(root, &picked.folder)? else { continue };
        let id = match read_file(&folder, &picked.entry.name, CHUNK_LENGTH_MAX_BYTES)? {
            Outcome::Read(OpenedFile::Whole(file)) => Digest::of(&file.bytes),
            Outcome::Read(OpenedFile::Large(mut file)) => {
                let mut read = |window: &mut Vec<u8>, most: usize| match file.read_piece(window, most)? {
                    Outcome::Read(count) => Ok(count),
                    Outcome::Omitted(_) => Ok(0),
                };
                ingest::hash(&mut read)?.0
            }
            Outcome::Omitted(_) => continue,
        };
        if Some(id) == previous {
            continue;
        }
        let Some(cached) = cache.folder(&picked.folder) else { continue };
        let list = scan.folders.entry(picked.folder.clone()).or_insert_with(|| unchanged_folder(&cached));
        if let Ok(at) = list.entries.binary_search_by(|entry| entry.name.cmp(&picked.entry.name)) {
            list.entries[at].state = EntryState::Read { previous };
        }
    }
    Ok(())
}

/// Sorts out what is to be read. Content that the cache has, and the store has not, is read again.
fn plan<'a>(store: &Store, root: &'a Root, scan: Scan, batch: Option<&Batch<'_>>) -> (Work<'a>, Vec<Job>) {
    let mut jobs = Vec::new();
    let mut paths = Vec::with_capacity(scan.folders.len());
    let mut folders = Vec::with_capacity(scan.folders.len());
    let has = |id: &Digest| {
        is_there(store, batch, ObjectKind::Content, id) || is_there(store, batch, ObjectKind::ChunkList, id)
    };
    for (folder, (path, ScannedFolder { entries, device })) in scan.folders.into_iter().enumerate() {
        let mut taken = Vec::with_capacity(entries.len());
        for (entry, ScannedEntry { name, kind, mode, stat, attributes, state }) in entries.into_iter().enumerate() {
            let mut id = None;
            match state {
                EntryState::Folder { .. } if attributes.is_some() => {}
                EntryState::Folder { .. } => jobs.push(Job { folder, entry, size: 0, previous: None }),
                EntryState::Known(known) if has(&known) => id = Some(known),
                EntryState::Known(_) => jobs.push(Job { folder, entry, size: stat.size, previous: None }),
                EntryState::Read { previous } => {
                    jobs.push(Job { folder, entry, size: stat.size, previous: previous.map(BlobId) });
                }
            }
            let attributes = attributes.unwrap_or_default();
            taken.push(TakenEntry { name, kind, mode, stat, size: stat.size, id, attributes, is_torn: false });
        }
        paths.push(path);
        folders.push(TakenFolder { entries: taken, device });
    }
    (Work { root, paths, folders, omitted: scan.omitted, root_owner: scan.root_owner }, jobs)
}

/// Stretches of jobs whose files fit in memory together.
fn windows(jobs: &[Job]) -> impl Iterator<Item = &[Job]> {
    let mut rest = jobs;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |job: &&Job| {
            bytes += job.size.min(CHUNK_LENGTH_MAX_BYTES as u64);
            bytes <= CAPTURE_WINDOW_BYTES
        };
        let count = rest.iter().take(CAPTURE_WINDOW_FILES).take_while(fits).count().max(1);
        let (window, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(window)
    })
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
            if entry.kind == Kind::Folder {
                // One that is gone is met again by the next capture; its list was read a moment ago.
                return Ok(Got::Folder(read_folder_attributes(&folder, &entry.name).unwrap_or_default()));
            }
            if entry.kind == Kind::Symlink {
                return Ok(match read_symlink(&folder, &entry.name)? {
                    Outcome::Read(target) => Got::Target(target),
                    Outcome::Omitted(reason) => Got::Omitted(reason),
                });
            }
            Ok(match read_file(&folder, &entry.name, CHUNK_LENGTH_MAX_BYTES)? {
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
        let mut next = Some(first);
        let mut attempts = 0;
        while let Some(file) = next.take() {
            let (id, end) = match read_large(store, job, file, batch.as_deref_mut())? {
                Outcome::Read(read) => read,
                Outcome::Omitted(reason) => {
                    self.omit(job, reason);
                    return Ok(());
                }
            };
            if end.is_torn && attempts < CAPTURE_RETRIES_MAX {
                attempts += 1;
                next = match self.read_task(std::slice::from_ref(job))?.pop() {
                    Some(Got::Large(again)) => Some(again),
                    _ => None,
                };
                if next.is_some() {
                    continue;
                }
            }
            self.note(job, end.stat, end.mode, end.is_torn);
            self.note_attributes(job, end.attributes);
            self.set(job, id, end.length_bytes);
        }
        Ok(())
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

    fn note(&mut self, job: &Job, stat: FileStat, mode: u16, is_torn: bool) {
        let entry = &mut self.folders[job.folder].entries[job.entry];
        (entry.stat, entry.mode, entry.is_torn) = (stat, mode, is_torn);
        if is_torn {
            let path = self.paths[job.folder].join(&entry.name);
            self.omitted.push(Omission { path, reason: Reason::Torn });
        }
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
        let path = self.paths[job.folder].join(&self.folders[job.folder].entries[job.entry].name);
        self.omitted.push(Omission { path, reason });
    }
}

/// One attempt at a long file.
fn read_large(
    store: &Store,
    job: &Job,
    mut file: LargeFile,
    batch: Option<&mut Batch<'_>>,
) -> Result<Outcome<(BlobId, LargeEnd)>> {
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

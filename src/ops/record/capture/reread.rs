//! Reading files again that the stat cache proves unchanged, some at each step: see [`crate::workspace::scan::Class`].
//!
//! A long file is compared chunk by chunk with the list of its chunks in the store, so that it can be read in pieces
//! over several steps. A file with another content is put on the scan's list of files to be taken, and recorded like
//! any other change. Otherwise only the position at which the next step continues is kept.

use std::collections::btree_map::{BTreeMap, Entry};
use std::collections::{BTreeSet, HashMap};

use rayon::prelude::*;

use crate::error::Result;
use crate::format::chunk_list::{ChunkRef, total_length_bytes};
use crate::format::turn::{ReadReason, ReadSummary, Turn};
use crate::id::{BlobId, Digest};
use crate::limits::{CAPTURE_WINDOW_BYTES, CHUNK_LENGTH_MAX_BYTES, REREAD_COST_MIN_BYTES, REREAD_FILES_MIN};
use crate::ops::record::ingest;
use crate::path::TreePath;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::cache::{Proof, StatCache};
use crate::workspace::read::{Beside, Folder, LargeFile, OpenedFile, Outcome, read_file};
use crate::workspace::scan::{Class, EntryState, Reread, Scan, unchanged_folder};
use crate::workspace::stat::FileStat;

/// The result of reading again.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// The positions at which the next step continues.
    pub(super) turns: [Turn; 3],
    /// Files that are settled now, by folder, of folders of which nothing is taken.
    pub(super) settled: BTreeMap<TreePath, BTreeSet<Box<[u8]>>>,
}

/// The part of one file to read.
struct Job<'a> {
    reread: &'a Reread,
    /// Offset of the first byte.
    start: u64,
    /// Most bytes to read, holes not counted; the chunk that is begun is finished. `u64::MAX` for the whole rest.
    bytes_max: u64,
}

/// The result of one job.
struct Seen {
    is_same: bool,
    /// The stat under which all of it was read, if all of it was.
    whole_under: Option<FileStat>,
    /// True if nobody had it open for writing.
    is_quiet: bool,
    /// The offset at which it stopped; `None` at the end of the file.
    stopped_at: Option<u64>,
    bytes: u64,
}

/// Reads again what is due and what is in turn.
pub(super) fn reread(
    store: &Store,
    root: &Root,
    cache: &StatCache,
    scan: &mut Scan,
    turns: [Turn; 3],
    read: &mut ReadSummary,
) -> Result<Done> {
    let mut rereads = std::mem::take(&mut scan.rereads);
    rereads.retain(|reread| is_believed(scan, reread));
    let mut done = Done::default();
    for class in Class::ALL {
        let of_class: Vec<&Reread> = rereads.iter().filter(|one| one.class == class).collect();
        let (jobs, mut next) = plan(class, &turns[class.index()], scan, &of_class);
        let (short, long): (Vec<Job<'_>>, Vec<Job<'_>>) = jobs.into_iter().partition(Job::is_short);
        let seen = short.par_iter().map(|job| look(store, root, job)).collect::<Result<Vec<_>>>()?;
        for (job, seen) in short.iter().zip(seen) {
            note(cache, scan, job, seen, read, &mut done);
        }
        for job in long {
            let seen = look(store, root, &job)?;
            if job.bytes_max < u64::MAX {
                let rank = job.reread.rank;
                next = match seen.as_ref().and_then(|seen| seen.stopped_at) {
                    Some(offset) => Turn { rank, offset, ..next },
                    None => Turn { rank: rank.wrapping_add(1), offset: 0, ..next },
                };
            }
            note(cache, scan, &job, seen, read, &mut done);
        }
        done.turns[class.index()] = next;
    }
    Ok(done)
}

/// Returns true if the scan found nothing against the stat of a file.
fn is_believed(scan: &Scan, reread: &Reread) -> bool {
    let Some(list) = scan.folders.get(&reread.folder) else { return true };
    let at = list.entries.binary_search_by(|entry| entry.name.cmp(&reread.entry.name));
    at.is_ok_and(|at| matches!(list.entries[at].state, EntryState::Known { .. }))
}

/// Takes as many files of a class as one step may cost, and those that are due. Of a long file that costs more than is
/// left, only a piece is read. Also returns the position at which the next step continues, unless that piece changes
/// it.
fn plan<'a>(class: Class, turn: &Turn, scan: &Scan, rereads: &[&'a Reread]) -> (Vec<Job<'a>>, Turn) {
    let mut left = class.step_bytes(scan.counts.files);
    let window = class.window(turn);
    let rank = if window.is_everything() { turn.rank } else { window.next() };
    // A class that is read whole at every step need not be counted exactly.
    let files = Some(scan.trusted[class.index()]).filter(|count| *count >= 2 * REREAD_FILES_MIN).unwrap_or(0);
    let (mut jobs, mut next) = (Vec::new(), Turn { rank, offset: 0, files });
    let mut last_rank = None;
    for &reread in rereads {
        let job = |start, bytes_max| Job { reread, start, bytes_max };
        if reread.is_due {
            jobs.push(job(0, u64::MAX));
            continue;
        }
        // Files of one rank belong together: the turn could not come between them.
        let is_tied = last_rank == Some(reread.rank);
        if left == 0 && !is_tied {
            next = Turn { rank: reread.rank, offset: 0, ..next };
            break;
        }
        last_rank = Some(reread.rank);
        let size = reread.entry.stat.size;
        let start = if reread.rank == turn.rank && turn.offset < size { turn.offset } else { 0 };
        let cost = reread.cost_bytes.min(size - start).max(REREAD_COST_MIN_BYTES);
        if cost <= left || size <= CHUNK_LENGTH_MAX_BYTES as u64 || is_tied {
            jobs.push(job(start, u64::MAX));
            left = left.saturating_sub(cost);
        } else {
            jobs.push(job(start, left));
            left = 0;
        }
    }
    (jobs, next)
}

impl Job<'_> {
    fn is_short(&self) -> bool {
        self.reread.entry.stat.size <= CHUNK_LENGTH_MAX_BYTES as u64
    }
}

/// Notes the result of a job; `None` if the file is gone or cannot be read, which the next scan reports.
fn note(
    cache: &StatCache,
    scan: &mut Scan,
    job: &Job<'_>,
    seen: Option<Seen>,
    read: &mut ReadSummary,
    done: &mut Done,
) {
    let Some(seen) = seen else { return };
    let Reread { folder, entry, .. } = job.reread;
    read.add(ReadReason::Turn, seen.bytes, || folder.join(&entry.name).as_bytes().to_vec());
    let is_settled =
        seen.whole_under == Some(entry.stat) && scan.racy.proof_when(seen.is_quiet, &entry.stat) == Proof::Settled;
    if seen.is_same && !is_settled {
        return;
    }
    if seen.is_same && !scan.folders.contains_key(folder) {
        let is_news = cache.folder(folder).and_then(|cached| cached.find(&entry.name)).map(|entry| entry.proof);
        if is_news == Some(Proof::Recent) {
            done.settled.entry(folder.clone()).or_default().insert(entry.name.clone());
        }
        return;
    }
    let Some(state) = state_of(cache, scan, folder, &entry.name) else { return };
    match state {
        EntryState::Known { proof, .. } if seen.is_same => *proof = Proof::Settled,
        state => expect_read(state),
    }
}

/// Has a file read whose content is not the one that the stat cache proves.
pub(super) fn distrust(cache: &StatCache, scan: &mut Scan, path: &TreePath) {
    if let (Some(folder), Some(name)) = (path.parent(), path.name()) {
        state_of(cache, scan, &folder, name).into_iter().for_each(expect_read);
    }
}

fn expect_read(state: &mut EntryState) {
    if let EntryState::Known { id, .. } = *state {
        *state = EntryState::Read { previous: Some(id), reason: ReadReason::Changed };
    }
}

/// The state of a file in the list of its folder. A list that is the cached one becomes part of the scan.
fn state_of<'s>(cache: &StatCache, scan: &'s mut Scan, folder: &TreePath, name: &[u8]) -> Option<&'s mut EntryState> {
    let list = match scan.folders.entry(folder.clone()) {
        Entry::Occupied(list) => list.into_mut(),
        Entry::Vacant(place) => place.insert(unchanged_folder(&cache.folder(folder)?)),
    };
    let at = list.entries.binary_search_by(|entry| (*entry.name).cmp(name)).ok()?;
    Some(&mut list.entries[at].state)
}

/// Does a job.
fn look(store: &Store, root: &Root, job: &Job<'_>) -> Result<Option<Seen>> {
    let entry = &job.reread.entry;
    let EntryState::Read { previous: Some(previous), .. } = entry.state else { return Ok(None) };
    let Outcome::Read(folder) = Folder::open(root, &job.reread.folder)? else { return Ok(None) };
    // A settled file stays settled.
    let beside = if job.reread.class == Class::Settled { Beside::Nothing } else { Beside::Writers };
    let file = match read_file(&folder, &entry.name, CHUNK_LENGTH_MAX_BYTES, beside)? {
        Outcome::Read(OpenedFile::Whole(file)) => {
            let is_same = Digest::of(&file.bytes) == previous;
            let whole_under = (!file.facts.is_torn).then_some(file.facts.stat);
            let (bytes, is_quiet) = (file.facts.length_bytes, file.facts.is_quiet);
            return Ok(Some(Seen { is_same, whole_under, is_quiet, stopped_at: None, bytes }));
        }
        Outcome::Read(OpenedFile::Large(file)) => file,
        Outcome::Omitted(_) => return Ok(None),
    };
    match store.chunks(BlobId(previous)) {
        Ok(Some(chunks)) if total_length_bytes(&chunks) == file.expected_length_bytes() => {
            Ok(compare_chunks(file, &chunks, job))
        }
        // It is not long any more, or the store has lost the list.
        _ => compare_whole(file, previous),
    }
}

fn compare_whole(mut file: LargeFile, previous: Digest) -> Result<Option<Seen>> {
    let mut bytes = 0;
    let mut read = |window: &mut Vec<u8>, most: usize| match file.read_piece(window, most)? {
        Outcome::Read(count) => {
            bytes += count as u64;
            Ok(count)
        }
        Outcome::Omitted(_) => Ok(0),
    };
    let is_same = ingest::hash(&mut read)?.0 == previous;
    let is_quiet = file.is_quiet();
    let whole_under = match file.finish() {
        Ok(Outcome::Read(end)) if !end.is_torn => Some(end.stat),
        _ => None,
    };
    Ok(Some(Seen { is_same, whole_under, is_quiet, stopped_at: None, bytes }))
}

/// Compares chunks from the start of the job. A chunk that lies in a hole is compared without being read.
fn compare_chunks(mut file: LargeFile, chunks: &[ChunkRef], job: &Job<'_>) -> Option<Seen> {
    let mut zeros: HashMap<u32, Digest> = HashMap::new();
    let (mut at, mut bytes, mut window_bytes) = (0_u64, 0_u64, 0_u64);
    let mut window: Vec<(Digest, Vec<u8>)> = Vec::new();
    let is_same = |window: &[(Digest, Vec<u8>)]| window.par_iter().all(|(id, bytes)| Digest::of(bytes) == *id);
    let differs = |bytes| Some(Seen { is_same: false, whole_under: None, is_quiet: false, stopped_at: None, bytes });
    for chunk in chunks {
        let end = at + u64::from(chunk.length_bytes);
        if end <= job.start {
            at = end;
            continue;
        }
        if bytes >= job.bytes_max {
            let is_same = is_same(&window);
            let stopped_at = is_same.then_some(at);
            return Some(Seen { is_same, whole_under: None, is_quiet: false, stopped_at, bytes });
        }
        if file.next_data(at) >= end {
            let zero = zeros.entry(chunk.length_bytes).or_insert_with(|| zeros_id(chunk.length_bytes));
            if *zero != chunk.id.0 {
                return differs(bytes);
            }
        } else {
            let mut content = vec![0; chunk.length_bytes as usize];
            file.read_exact_at(at, &mut content)?;
            bytes += content.len() as u64;
            window_bytes += content.len() as u64;
            window.push((chunk.id.0, content));
            if window_bytes >= CAPTURE_WINDOW_BYTES {
                if !is_same(&window) {
                    return differs(bytes);
                }
                window.clear();
                window_bytes = 0;
            }
        }
        at = end;
    }
    if !is_same(&window) {
        return differs(bytes);
    }
    let whole_under = if job.start == 0 { file.stat_now().filter(|stat| *stat == job.reread.entry.stat) } else { None };
    Some(Seen { is_same: true, whole_under, is_quiet: file.is_quiet(), stopped_at: None, bytes })
}

/// The id of so many zeros.
fn zeros_id(length_bytes: u32) -> Digest {
    Digest::of(&vec![0; length_bytes as usize])
}

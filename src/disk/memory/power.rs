//! The states of a disk that a power loss may leave.
//!
//! From the changes before the loss this module builds states of the disk that POSIX allows, and no others:
//!
//! - Bytes synced with their file, and names synced with their folder, are there.
//! - Every other write may be there, lost, or torn: cut anywhere, or with some of its sectors there and the others as
//!   before (zeros, where the write made the file longer). Each write is lost independently of the others.
//! - Every other name may be as before or as after, independently of the bytes and of the other names. A file that was
//!   renamed to another folder is never lost from both.
//! - After a failed sync its writes stay in doubt, even when a later sync succeeds: an operating system may drop the
//!   pages that it could not write.
//!
//! The listed states combine those of the writes and those of the names. Of the writes, all, none, all but one or only
//! one are lost or torn, in each possible way; of the names likewise. Where these are more than asked for, the single
//! losses come first if they fit: all or nothing, single writes with all names, single names with all writes, and the
//! last write torn. The rest is a sample drawn with the seed; half of it are states in which each write and each name
//! is lost or not by itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::content::Content;
use super::log::{Change, FileNumber, Image};
use crate::disk::folder_of;

/// A disk before the loss: its settled state, and the changes that may be lost.
pub(super) struct Unsettled<'a> {
    settled: Image,
    writes: Vec<OpenWrite<'a>>,
    names: Vec<OpenName>,
}

/// The losses of each change that could be lost.
pub(super) struct Outcome {
    writes: Vec<Loss>,
    names: Vec<bool>,
}

struct OpenWrite<'a> {
    file: FileNumber,
    change: &'a Change,
    standing: Standing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Unsynced,
    Synced,
    InDoubt,
}

/// An atomic change of names within one folder.
struct OpenName {
    number: usize,
    folder: String,
    edits: Vec<(String, Option<FileNumber>)>,
    /// The other half of a rename between folders. This half is lost with it.
    requires: Option<usize>,
}

/// The loss of one write.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Loss {
    Kept,
    Lost,
    /// The file is as long as it would be, its bytes were lost.
    LengthOnly,
    /// Only this many bytes are there.
    Prefix(usize),
    /// Only these sectors are there.
    Sectors(Sectors),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sectors {
    AllButFirst,
    OnlyLast,
    Even,
    Odd,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Fingerprint {
    names: BTreeMap<String, FileNumber>,
    writes: Vec<(usize, Loss)>,
}

const SECTOR_LENGTH_BYTES: usize = 512;

impl<'a> Unsettled<'a> {
    /// The disk after `changes` to a settled `start`.
    pub(super) fn after(start: &Image, changes: &'a [Change]) -> Self {
        let mut disk = Self { settled: start.clone(), writes: Vec::new(), names: Vec::new() };
        for (number, change) in changes.iter().enumerate() {
            disk.take_in(2 * number, change);
        }
        disk
    }

    /// The number of listed outcomes, and of those with a single loss; some may look the same.
    pub(super) fn outcome_counts(&self) -> (usize, usize) {
        (self.write_losses().len() * self.name_losses().len(), self.single_losses().len())
    }

    /// At most `count_max` different outcomes; all of the listed ones if they fit.
    pub(super) fn outcomes(&self, seed: u64, count_max: usize) -> Vec<Outcome> {
        let writes = self.write_losses();
        let names = self.name_losses();
        let mut picked: Vec<Outcome> = Vec::new();
        let mut seen = BTreeSet::new();
        let mut pick = |outcome: Outcome| {
            if seen.insert(self.fingerprint(&outcome)) {
                picked.push(outcome);
            }
            picked.len()
        };
        let outcome =
            |at: usize| Outcome { writes: writes[at % writes.len()].clone(), names: names[at / writes.len()].clone() };
        let total = writes.len() * names.len();
        if total <= count_max {
            for at in 0..total {
                pick(outcome(at));
            }
            return picked;
        }
        // These are in every sample. A small one has only the first few of them, which are all or nothing.
        let mut first = self.single_losses();
        first.truncate(if first.len() <= count_max { first.len() } else { 4 });
        for outcome in first {
            pick(outcome);
        }
        let mut random = Random(seed);
        for _ in 0..4 * count_max {
            let next = if random.below(2) == 0 { outcome(random.below(total)) } else { self.mixed(&mut random) };
            if pick(next) >= count_max {
                break;
            }
        }
        picked.truncate(count_max);
        picked
    }

    /// The disk that an outcome leaves.
    pub(super) fn image(&self, outcome: &Outcome) -> Image {
        let mut image = self.settled.clone();
        image.names = self.names_after(outcome);
        image.drop_nameless();
        for (write, loss) in self.writes.iter().zip(&outcome.writes) {
            if let Some(content) = image.files.get_mut(&write.file) {
                put(content, write.change, *loss);
            }
        }
        image
    }

    /// An outcome in words.
    pub(super) fn describe(&self, outcome: &Outcome) -> String {
        let mut text = String::new();
        for (write, loss) in self.writes.iter().zip(&outcome.writes) {
            if *loss != Loss::Kept {
                write!(text, "; {}: {loss:?}", write.change).expect("writing to a string");
            }
        }
        for (name, _) in self.names.iter().zip(&outcome.names).filter(|(_, kept)| !**kept) {
            let names: Vec<&str> = name.edits.iter().map(|(name, _)| name.as_str()).collect();
            write!(text, "; name {}: Lost", names.join(" and ")).expect("writing to a string");
        }
        if text.is_empty() { "nothing lost".to_owned() } else { text[2..].to_owned() }
    }

    fn take_in(&mut self, number: usize, change: &'a Change) {
        match change {
            Change::CreateFolder { .. } => self.settled.apply(change),
            Change::Create { name, file } => {
                self.settled.files.insert(*file, Content::default());
                self.rename(number, vec![(name.clone(), Some(*file))], None);
            }
            Change::Write { file, .. } | Change::Truncate { file, .. } => {
                self.writes.push(OpenWrite { file: *file, change, standing: Standing::Unsynced });
            }
            Change::Sync { file, .. } => self.sync(*file),
            Change::SyncFailed { file, .. } => {
                let unsynced = |write: &&mut OpenWrite<'_>| write.file == *file && write.standing == Standing::Unsynced;
                self.writes.iter_mut().filter(unsynced).for_each(|write| write.standing = Standing::InDoubt);
            }
            Change::Rename { from, to, file } if folder_of(from) == folder_of(to) => {
                self.rename(number, vec![(to.clone(), Some(*file)), (from.clone(), None)], None);
            }
            Change::Rename { from, to, file } => {
                self.rename(number, vec![(to.clone(), Some(*file))], None);
                self.rename(number + 1, vec![(from.clone(), None)], Some(number));
            }
            Change::Remove { name } => self.rename(number, vec![(name.clone(), None)], None),
            Change::SyncFolder { folder } => self.sync_folder(folder),
        }
    }

    fn rename(&mut self, number: usize, edits: Vec<(String, Option<FileNumber>)>, requires: Option<usize>) {
        let folder = edits.first().map_or("", |(name, _)| folder_of(name)).to_owned();
        self.names.push(OpenName { number, folder, edits, requires });
    }

    /// Settles the writes of a file. While an earlier one is in doubt they are only marked, because their order still
    /// matters.
    fn sync(&mut self, file: FileNumber) {
        for write in self.writes.iter_mut().filter(|write| write.file == file && write.standing == Standing::Unsynced) {
            write.standing = Standing::Synced;
        }
        if self.writes.iter().any(|write| write.file == file && write.standing == Standing::InDoubt) {
            return;
        }
        let (done, open) = std::mem::take(&mut self.writes).into_iter().partition(|write| write.file == file);
        self.writes = open;
        let done: Vec<OpenWrite<'_>> = done;
        done.iter().for_each(|write| self.settled.apply(write.change));
    }

    /// Settles the names in a folder, and where files were moved out of it, the folders they went to as of then.
    fn sync_folder(&mut self, folder: &str) {
        let required: BTreeSet<usize> =
            self.names.iter().filter(|name| name.folder == folder).filter_map(|name| name.requires).collect();
        let halves = self.names.iter().filter(|name| required.contains(&name.number));
        let moved_to: Vec<(String, usize)> = halves.map(|name| (name.folder.clone(), name.number)).collect();
        let settles = |name: &OpenName| {
            name.folder == folder || moved_to.iter().any(|(to, number)| name.folder == *to && name.number <= *number)
        };
        let (done, open) = std::mem::take(&mut self.names).into_iter().partition(settles);
        self.names = open;
        let done: Vec<OpenName> = done;
        done.iter().for_each(|name| edit(&mut self.settled.names, name));
    }

    /// All or nothing of either; one of them lost or kept alone; and the last write torn.
    fn single_losses(&self) -> Vec<Outcome> {
        let (writes, names) = (self.write_losses(), self.name_losses());
        let outcome = |write: usize, name: usize| Outcome { writes: writes[write].clone(), names: names[name].clone() };
        let corners = [(0, 0), (1, 1), (0, 1), (1, 0)].map(|(write, name)| outcome(write, name));
        let last = self.writes.iter().rposition(|write| write.is_open() && !ways_to_tear(write.change).is_empty());
        let is_single = |list: &[Loss]| {
            let torn = list.iter().position(|loss| !matches!(loss, Loss::Kept | Loss::Lost));
            torn.is_none() || (torn == last && !list.contains(&Loss::Lost))
        };
        let of_writes = (2..writes.len()).filter(|&write| is_single(&writes[write])).map(|write| outcome(write, 0));
        let of_names = (2..names.len()).map(|name| outcome(0, name));
        corners.into_iter().chain(of_writes).chain(of_names).collect()
    }

    /// Lists of losses of the writes; the first two are all kept and all lost.
    fn write_losses(&self) -> Vec<Vec<Loss>> {
        let open: Vec<usize> = (0..self.writes.len()).filter(|&at| self.writes[at].is_open()).collect();
        let kept = vec![Loss::Kept; self.writes.len()];
        let mut lost = kept.clone();
        open.iter().for_each(|&at| lost[at] = Loss::Lost);
        let mut lists = vec![kept.clone(), lost.clone()];
        for &at in &open {
            let with = |list: &[Loss], loss: Loss| {
                let mut list = list.to_vec();
                list[at] = loss;
                list
            };
            lists.push(with(&kept, Loss::Lost));
            lists.push(with(&lost, Loss::Kept));
            for loss in ways_to_tear(self.writes[at].change) {
                lists.push(with(&kept, loss));
                lists.push(with(&lost, loss));
            }
        }
        lists
    }

    /// Lists of the names that are kept; the first two are all and none.
    fn name_losses(&self) -> Vec<Vec<bool>> {
        let count = self.names.len();
        let one = |at: usize, kept: bool| (0..count).map(|other| (other == at) == kept).collect::<Vec<bool>>();
        let each = (0..count).flat_map(|at| [one(at, false), one(at, true)]);
        [vec![true; count], vec![false; count]].into_iter().chain(each).collect()
    }

    /// An outcome in which each change is lost or kept by itself.
    fn mixed(&self, random: &mut Random) -> Outcome {
        let mut writes = Vec::with_capacity(self.writes.len());
        for write in &self.writes {
            let torn = ways_to_tear(write.change);
            writes.push(match (write.standing, random.below(3)) {
                (Standing::Synced, _) | (_, 0) => Loss::Kept,
                (_, 1) if !torn.is_empty() => torn[random.below(torn.len())],
                _ => Loss::Lost,
            });
        }
        Outcome { writes, names: self.names.iter().map(|_| random.below(2) == 0).collect() }
    }

    fn names_after(&self, outcome: &Outcome) -> BTreeMap<String, FileNumber> {
        let mut names = self.settled.names.clone();
        let lost: BTreeSet<usize> =
            self.names.iter().zip(&outcome.names).filter(|(_, kept)| !**kept).map(|(name, _)| name.number).collect();
        for name in &self.names {
            let is_lost = lost.contains(&name.number) || name.requires.is_some_and(|other| lost.contains(&other));
            if !is_lost {
                edit(&mut names, name);
            }
        }
        names
    }

    /// The visible part of an outcome: a write to a file whose name was lost makes no difference.
    fn fingerprint(&self, outcome: &Outcome) -> Fingerprint {
        let names = self.names_after(outcome);
        let named: BTreeSet<FileNumber> = names.values().copied().collect();
        let losses = outcome.writes.iter().copied().enumerate();
        let writes = losses.filter(|(at, _)| named.contains(&self.writes[*at].file)).collect();
        Fingerprint { names, writes }
    }
}

impl OpenWrite<'_> {
    /// True if it may be lost.
    fn is_open(&self) -> bool {
        self.standing != Standing::Synced
    }
}

fn edit(names: &mut BTreeMap<String, FileNumber>, change: &OpenName) {
    for (name, file) in &change.edits {
        match file {
            Some(file) => names.insert(name.clone(), *file),
            None => names.remove(name),
        };
    }
}

/// The ways in which a write can be torn.
fn ways_to_tear(change: &Change) -> Vec<Loss> {
    let Change::Write { offset, bytes, .. } = change else { return Vec::new() };
    let length = bytes.len();
    let mut prefixes = vec![1, length / 2, length.saturating_sub(1)];
    prefixes.retain(|&prefix| 0 < prefix && prefix < length);
    prefixes.dedup();
    let mut ways: Vec<Loss> = prefixes.into_iter().map(Loss::Prefix).collect();
    ways.push(Loss::LengthOnly);
    if length > 0 && offset / SECTOR_LENGTH_BYTES != (offset + length - 1) / SECTOR_LENGTH_BYTES {
        ways.extend([Sectors::AllButFirst, Sectors::OnlyLast, Sectors::Even, Sectors::Odd].map(Loss::Sectors));
    }
    ways
}

fn put(content: &mut Content, change: &Change, loss: Loss) {
    let (offset, bytes) = match change {
        Change::Truncate { length_bytes, .. } if loss == Loss::Kept => return content.set_length(*length_bytes),
        Change::Write { offset, bytes, .. } => (*offset, bytes),
        _ => return,
    };
    let end = offset + bytes.len();
    match loss {
        Loss::Kept => content.write_at(offset, bytes),
        Loss::Lost => {}
        Loss::LengthOnly => content.set_length(content.length_bytes().max(end)),
        Loss::Prefix(length) => content.write_at(offset, &bytes[..length]),
        Loss::Sectors(which) => {
            content.set_length(content.length_bytes().max(end));
            let (first, last) = (offset / SECTOR_LENGTH_BYTES, (end - 1) / SECTOR_LENGTH_BYTES);
            for sector in (first..=last).filter(|&sector| which.has(sector, first, last)) {
                let from = (sector * SECTOR_LENGTH_BYTES).max(offset);
                let to = ((sector + 1) * SECTOR_LENGTH_BYTES).min(end);
                content.write_at(from, &bytes[from - offset..to - offset]);
            }
        }
    }
}

impl Sectors {
    fn has(self, sector: usize, first: usize, last: usize) -> bool {
        match self {
            Self::AllButFirst => sector != first,
            Self::OnlyLast => sector == last,
            Self::Even => sector.is_multiple_of(2),
            Self::Odd => !sector.is_multiple_of(2),
        }
    }
}

/// The random numbers of a sample: SplitMix64 (Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        usize::try_from(mixed % bound as u64).expect("below a usize")
    }
}

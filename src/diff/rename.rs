//! Finds pairs of deleted and added files that are one file under a new name.
//!
//! ```text
//! 1. equal content:  same id; same name first, then in order of paths
//! 2. same name:      moved to another folder and edited
//! 3. the rest:       the files nearest in size, as far as the bounds allow
//! ```
//!
//! Step 1 needs no content. Steps 2 and 3 compare as git does (`diffcore-delta`). Contents are cut into lines, or
//! pieces of 64 bytes where lines are longer; two files are as similar as the share of the larger one that is in pieces
//! of both. Pairs whose sizes rule out a match are not read. The work is bounded by the number of pairs, the bytes
//! read, and the size of one file; files beyond a bound stay deleted and added, which is true too.
//!
//! Copies are not searched for: the source still exists, so nothing was lost.

use std::collections::{BTreeMap, BTreeSet};

use super::{Change, ChangeKind, Side};
use crate::error::Result;
use crate::format::tree::EntryKind;
use crate::id::Digest;
use crate::limits::{RENAME_PAIRS_MAX, TEXT_DIFF_MAX_BYTES};

/// The definition of a rename, and bounds on the work to find one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RenameOptions {
    /// Least share of equal content, in percent. At 100 only files with equal content are paired.
    pub similarity_min_percent: u8,
    /// Most pairs of files compared for similarity.
    pub pairs_max: usize,
    /// Longest file compared for similarity, in bytes; longer files are paired by equal content only.
    pub file_length_max_bytes: u64,
    /// Most bytes read to compare files for similarity.
    pub read_max_bytes: u64,
}

/// Reads the content of a file; `None` if it cannot be read.
pub type LoadContent<'a> = dyn FnMut(&Side) -> Result<Option<Vec<u8>>> + 'a;

impl Default for RenameOptions {
    fn default() -> Self {
        Self {
            similarity_min_percent: 50,
            pairs_max: RENAME_PAIRS_MAX,
            file_length_max_bytes: TEXT_DIFF_MAX_BYTES,
            read_max_bytes: READ_MAX_BYTES,
        }
    }
}

/// Joins deleted and added files and symlinks that are one under a new name. The order of paths is kept: a rename
/// stands at its new path. Folders are never joined.
pub fn detect(changes: Vec<Change>, options: &RenameOptions, load: &mut LoadContent<'_>) -> Result<Vec<Change>> {
    let mut search = Search::new(&changes);
    search.pair_equal();
    if options.similarity_min_percent < 100 {
        let mut scores = Scores {
            options,
            load,
            pieces: BTreeMap::new(),
            pairs_left: options.pairs_max,
            bytes_left: options.read_max_bytes,
        };
        search.pair_similar(&mut scores, Search::same_names)?;
        search.pair_similar(&mut scores, Search::nearest_sizes)?;
    }
    let sources = search.pairs;
    Ok(joined(changes, &sources))
}

/// Bytes read to compare files for similarity: two thousand moved and edited files of 30 kB.
const READ_MAX_BYTES: u64 = 64 << 20;

/// Pieces of content: 64 bytes, or up to the end of the line.
const PIECE_LENGTH_MAX_BYTES: usize = 64;

/// Deleted and added files without a partner, by index into the changes, in order of paths.
struct Search<'a> {
    changes: &'a [Change],
    deleted: Vec<usize>,
    added: Vec<usize>,
    /// From each added file to its deleted partner.
    pairs: BTreeMap<usize, usize>,
}

impl<'a> Search<'a> {
    fn new(changes: &'a [Change]) -> Self {
        let of_kind = |kind: ChangeKind| {
            let is_movable = |change: &Change| change.kind == kind && side(change).kind != EntryKind::Folder;
            (0..changes.len()).filter(|&at| is_movable(&changes[at])).collect()
        };
        let (deleted, added) = (of_kind(ChangeKind::Deleted), of_kind(ChangeKind::Added));
        Self { changes, deleted, added, pairs: BTreeMap::new() }
    }

    /// Pairs equal content. All empty files are equal, which means nothing, so they are paired only under the same
    /// name.
    fn pair_equal(&mut self) {
        let changes = self.changes;
        let content = |at: usize| (side(&changes[at]).kind, side(&changes[at]).id);
        self.pair_by(|at| Some((content(at), changes[at].path.name())));
        self.pair_by(|at| (side(&changes[at]).size > 0).then(|| content(at)));
    }

    /// Pairs files that have the same key, in order.
    fn pair_by<K: Ord>(&mut self, key: impl Fn(usize) -> Option<K>) {
        let mut sources: BTreeMap<K, Vec<usize>> = BTreeMap::new();
        for &at in self.deleted.iter().rev() {
            if let Some(key) = key(at) {
                sources.entry(key).or_default().push(at);
            }
        }
        let source = |&at: &usize| Some((at, sources.get_mut(&key(at)?)?.pop()?));
        let found: Vec<_> = self.added.iter().filter_map(source).collect();
        self.take(found);
    }

    /// Pairs candidates, the most similar first.
    fn pair_similar(
        &mut self,
        scores: &mut Scores<'_, '_>,
        candidates: impl Fn(&Self, &RenameOptions, usize) -> Vec<(usize, usize)>,
    ) -> Result<()> {
        let mut found = Vec::new();
        for (added, deleted) in candidates(self, scores.options, scores.pairs_left) {
            if let Some(percent) = scores.similarity(side(&self.changes[deleted]), side(&self.changes[added]))? {
                found.push((std::cmp::Reverse(percent), added, deleted));
            }
        }
        found.sort_unstable();
        let (mut used_added, mut used_deleted) = (BTreeSet::new(), BTreeSet::new());
        found.retain(|&(_, added, deleted)| {
            let is_free = !used_added.contains(&added) && !used_deleted.contains(&deleted);
            is_free && used_added.insert(added) && used_deleted.insert(deleted)
        });
        self.take(found.into_iter().map(|(_, added, deleted)| (added, deleted)));
        Ok(())
    }

    /// All pairs of files with the same name.
    fn same_names(&self, options: &RenameOptions, count_max: usize) -> Vec<(usize, usize)> {
        let name = |at: usize| self.changes[at].path.name();
        let mut sources: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for at in self.comparable(&self.deleted, options) {
            sources.entry(name(at)).or_default().push(at);
        }
        let of_one = |at: usize| sources.get(&name(at)).into_iter().flatten().map(move |&source| (at, source));
        let pairs = self.comparable(&self.added, options).flat_map(of_one);
        pairs.filter(|pair| self.may_reach(*pair, options)).take(count_max).collect()
    }

    /// The deleted files nearest in size to each added one, so many that the number of pairs stays within the bound.
    fn nearest_sizes(&self, options: &RenameOptions, count_max: usize) -> Vec<(usize, usize)> {
        let size = |at: usize| side(&self.changes[at]).size;
        let mut sources: Vec<(u64, usize)> = self.comparable(&self.deleted, options).map(|at| (size(at), at)).collect();
        sources.sort_unstable();
        let added: Vec<usize> = self.comparable(&self.added, options).collect();
        let each_max = (count_max / added.len().max(1)).max(1);
        let mut pairs = Vec::new();
        for at in added {
            let middle = sources.partition_point(|source| source.0 < size(at));
            let (mut below, mut above) =
                (sources[..middle].iter().rev().peekable(), sources[middle..].iter().peekable());
            for _ in 0..each_max {
                let is_above_nearer = match (below.peek(), above.peek()) {
                    (Some(under), Some(over)) => over.0 - size(at) <= size(at) - under.0,
                    (None, Some(_)) => true,
                    (Some(_), None) => false,
                    (None, None) => break,
                };
                let nearest = if is_above_nearer { above.next() } else { below.next() };
                pairs.extend(nearest.map(|source| (at, source.1)).filter(|pair| self.may_reach(*pair, options)));
            }
        }
        pairs.truncate(count_max);
        pairs
    }

    /// Files that are worth reading.
    fn comparable(&self, list: &[usize], options: &RenameOptions) -> impl Iterator<Item = usize> {
        let is_comparable = |at: &usize| {
            let side = side(&self.changes[*at]);
            side.kind == EntryKind::File && (1..=options.file_length_max_bytes).contains(&side.size)
        };
        list.iter().copied().filter(is_comparable).collect::<Vec<_>>().into_iter()
    }

    /// Returns true if the sizes of a pair allow enough similarity.
    fn may_reach(&self, (added, deleted): (usize, usize), options: &RenameOptions) -> bool {
        let (a, b) = (side(&self.changes[added]).size, side(&self.changes[deleted]).size);
        percent(a.min(b), a.max(b)) >= options.similarity_min_percent
    }

    fn take(&mut self, found: impl IntoIterator<Item = (usize, usize)>) {
        let found: Vec<_> = found.into_iter().collect();
        let used: BTreeSet<usize> = found.iter().flat_map(|&(added, deleted)| [added, deleted]).collect();
        self.deleted.retain(|at| !used.contains(at));
        self.added.retain(|at| !used.contains(at));
        self.pairs.extend(found);
    }
}

/// The pieces of a content: hash, ascending, and the total bytes of all pieces with that hash.
type Pieces = Vec<(u64, u64)>;

/// Compares contents, reading each once, within the bounds.
struct Scores<'a, 'b> {
    options: &'a RenameOptions,
    load: &'a mut LoadContent<'b>,
    /// By content; `None` if it could not be read.
    pieces: BTreeMap<Digest, Option<Pieces>>,
    pairs_left: usize,
    bytes_left: u64,
}

impl Scores<'_, '_> {
    /// The similarity of two files in percent; `None` if it is too low, or unknown within the bounds.
    fn similarity(&mut self, old: &Side, new: &Side) -> Result<Option<u8>> {
        let Some(left) = self.pairs_left.checked_sub(1) else {
            return Ok(None);
        };
        self.pairs_left = left;
        self.read(old)?;
        self.read(new)?;
        let pieces = |side: &Side| self.pieces.get(&side.id).and_then(Option::as_ref);
        let (Some(old), Some(new)) = (pieces(old), pieces(new)) else {
            return Ok(None);
        };
        let percent = similarity(old, new);
        Ok((percent >= self.options.similarity_min_percent).then_some(percent))
    }

    fn read(&mut self, side: &Side) -> Result<()> {
        if self.pieces.contains_key(&side.id) {
            return Ok(());
        }
        let Some(left) = self.bytes_left.checked_sub(side.size) else {
            return Ok(());
        };
        self.bytes_left = left;
        let content = (self.load)(side)?;
        self.pieces.insert(side.id, content.map(|content| pieces(&content)));
        Ok(())
    }
}

/// Cuts a content into pieces and adds up equal ones.
fn pieces(content: &[u8]) -> Pieces {
    use std::hash::{DefaultHasher, Hasher};
    let lines = content.split_inclusive(|&byte| byte == b'\n');
    let hashed = |piece: &[u8]| {
        let mut hasher = DefaultHasher::new();
        hasher.write(piece);
        (hasher.finish(), piece.len() as u64)
    };
    let mut pieces: Pieces = lines.flat_map(|line| line.chunks(PIECE_LENGTH_MAX_BYTES)).map(hashed).collect();
    pieces.sort_unstable();
    pieces.dedup_by(|later, earlier| {
        let is_same = later.0 == earlier.0;
        if is_same {
            earlier.1 += later.1;
        }
        is_same
    });
    pieces.shrink_to_fit();
    pieces
}

/// The share of the larger content that is in pieces of both, in percent.
fn similarity(old: &Pieces, new: &Pieces) -> u8 {
    let mut common = 0;
    let mut others = new.iter().peekable();
    for (hash, length) in old {
        while others.next_if(|other| other.0 < *hash).is_some() {}
        if let Some(other) = others.next_if(|other| other.0 == *hash) {
            common += length.min(&other.1);
        }
    }
    let length = |pieces: &Pieces| pieces.iter().map(|piece| piece.1).sum::<u64>();
    percent(common, length(old).max(length(new)))
}

fn percent(part: u64, whole: u64) -> u8 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u8::try_from(percent.min(100)).expect("at most 100")
}

/// The one side that a deleted or added file has.
fn side(change: &Change) -> &Side {
    change.old.as_ref().or(change.new.as_ref()).expect("a change has at least one side")
}

/// The changes without the deleted files that became renames.
fn joined(changes: Vec<Change>, sources: &BTreeMap<usize, usize>) -> Vec<Change> {
    let renamed: BTreeMap<usize, (Option<Side>, crate::path::TreePath)> =
        sources.values().map(|&at| (at, (changes[at].old, changes[at].path.clone()))).collect();
    let join = |(at, change): (usize, Change)| {
        if renamed.contains_key(&at) {
            return None;
        }
        let Some((old, old_path)) = sources.get(&at).and_then(|source| renamed.get(source)).cloned() else {
            return Some(change);
        };
        Some(Change { kind: ChangeKind::Renamed, old, old_path: Some(old_path), ..change })
    };
    changes.into_iter().enumerate().filter_map(join).collect()
}

#[cfg(test)]
mod tests;

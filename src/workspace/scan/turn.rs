//! Chooses the files with trusted stats that are read again at this step.
//!
//! Every file has a rank, a number computed from its path that looks random. The rolling re-read goes through the ranks
//! in ascending order, a window at each step, and then starts over. So every file is read within a known number of
//! steps, regardless of other changes, and large files only use up more of a step. Each class of files has its own
//! window, because some stats prove less than others.

use crate::format::turn::Turn;
use crate::limits::{
    REREAD_BYTES_MIN, REREAD_BYTES_PER_FILE, REREAD_COST_MIN_BYTES, REREAD_FILES_MIN, REREAD_STEPS,
    REREAD_STEPS_RECENT, REREAD_STEPS_WEAK,
};
use crate::path::TreePath;
use crate::workspace::cache::Proof;

/// The strength of the proof that an equal stat of a file gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// All that a sound file system can prove.
    Settled,
    /// All changes except writes through a memory map: the file was read soon after it had changed.
    Recent,
    /// Little: a change on the file system may leave no trace.
    Weak,
}

/// Chooses files to read again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Picker<'a> {
    windows: [Window; 3],
    /// The files that must be read, because a restore may rely only on files that are settled or read.
    due: Due<'a>,
}

/// The files in one folder of which a restore must be sure.
#[derive(Clone, Copy, Debug)]
enum Due<'a> {
    Nothing,
    Everything,
    /// Only the entries with one of these paths.
    Paths {
        folder: &'a TreePath,
        paths: &'a [TreePath],
    },
}

/// A range of ranks, which may wrap around the highest rank.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    first: u64,
    /// Distance from the first to the last rank.
    span: u64,
}

impl Class {
    /// All classes.
    pub const ALL: [Self; 3] = [Self::Settled, Self::Recent, Self::Weak];

    /// The class of a file, by the proof of its stat on a sound file system.
    pub(super) fn of(proof: Proof, is_weak: bool) -> Self {
        match proof {
            _ if is_weak => Self::Weak,
            Proof::Settled => Self::Settled,
            Proof::Recent | Proof::Ahead | Proof::Racy => Self::Recent,
        }
    }

    /// Its index among the turns.
    pub fn index(self) -> usize {
        self as usize
    }

    /// Number of steps within which every file is read, if the bytes per step suffice.
    pub fn steps(self) -> u64 {
        match self {
            Self::Settled => REREAD_STEPS,
            Self::Recent => REREAD_STEPS_RECENT,
            Self::Weak => REREAD_STEPS_WEAK,
        }
    }

    /// Number of steps within which every file is read in a workspace of so many files and bytes, all of this class.
    pub fn steps_for(self, file_count: u64, bytes: u64) -> u64 {
        let cost = bytes.saturating_add(file_count.saturating_mul(REREAD_COST_MIN_BYTES));
        let part = (file_count / REREAD_FILES_MIN).clamp(1, self.steps());
        part.saturating_add(cost / self.step_bytes(file_count))
    }

    /// Most bytes that one step reads again in a workspace of so many files.
    pub fn step_bytes(self, file_count: u64) -> u64 {
        let bytes = REREAD_BYTES_MIN.saturating_add(file_count.saturating_mul(REREAD_BYTES_PER_FILE));
        if self == Self::Weak { bytes.saturating_mul(REREAD_STEPS / REREAD_STEPS_WEAK) } else { bytes }
    }

    /// The window of a step.
    pub fn window(self, turn: &Turn) -> Window {
        // One step reads one part of the class; larger classes have more parts.
        let part = (turn.files / REREAD_FILES_MIN).clamp(1, self.steps());
        Window { first: turn.rank, span: u64::MAX / part }
    }
}

impl<'a> Picker<'a> {
    pub(super) fn new(turns: &[Turn; 3]) -> Self {
        Self { windows: Class::ALL.map(|class| class.window(&turns[class.index()])), due: Due::Nothing }
    }

    /// The picker for one folder, if a restore must be sure of these paths, or of everything if there are none.
    pub(super) fn due_in(self, folder: &'a TreePath, paths: &'a [TreePath]) -> Self {
        let due = match paths {
            [] => Due::Everything,
            _ if paths.iter().any(|path| folder.is_within(path)) => Due::Everything,
            _ if paths.iter().any(|path| path.is_within(folder)) => Due::Paths { folder, paths },
            _ => Due::Nothing,
        };
        Self { due, ..self }
    }

    pub(super) fn is_due(&self, class: Class, name: &[u8]) -> bool {
        class != Class::Settled
            && match self.due {
                Due::Nothing => false,
                Due::Everything => true,
                Due::Paths { folder, paths } => paths.contains(&folder.join(name)),
            }
    }

    pub(super) fn is_in_turn(&self, class: Class, rank: u64) -> bool {
        self.windows[class.index()].has(rank)
    }
}

impl Window {
    fn has(self, rank: u64) -> bool {
        rank.wrapping_sub(self.first) <= self.span
    }

    /// Returns true if it holds all ranks.
    pub fn is_everything(self) -> bool {
        self.span == u64::MAX
    }

    /// The first rank after the window.
    pub fn next(self) -> u64 {
        self.first.wrapping_add(self.span).wrapping_add(1)
    }
}

/// The rank of a name in a folder of this rank; the root has rank 0.
pub(super) fn rank_of(folder: u64, name: &[u8]) -> u64 {
    let mut rank = scramble(folder ^ name.len() as u64);
    for word in name.chunks(8) {
        let mut bytes = [0; 8];
        bytes[..word.len()].copy_from_slice(word);
        rank = scramble(rank ^ u64::from_le_bytes(bytes));
    }
    rank
}

/// SplitMix64 (Steele, Lea and Flood, 2014): spreads nearby numbers over all of 64 bits.
fn scramble(value: u64) -> u64 {
    let value = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::{Class, Picker, rank_of};
    use crate::format::turn::Turn;
    use crate::limits::{REREAD_FILES_MIN, REREAD_STEPS};
    use crate::workspace::testing::tree_path;

    #[test]
    fn windows_that_follow_each_other_hold_every_rank() {
        for class in Class::ALL {
            let mut turn = Turn { rank: 17, offset: 0, files: 1_000_000 };
            let ranks: Vec<u64> = (0..5_000_u64).map(|number| rank_of(3, &number.to_le_bytes())).collect();
            let mut seen = 0;
            for _ in 0..class.steps() {
                let window = class.window(&turn);
                seen += ranks.iter().filter(|rank| window.has(**rank)).count();
                turn.rank = window.next();
            }
            assert!((ranks.len()..ranks.len() + 3).contains(&seen), "{class:?}: {seen}");
        }
    }

    #[test]
    fn small_classes_are_read_whole_and_large_ones_in_shares() {
        let part = |files| u64::MAX / Class::Settled.window(&Turn { files, ..Turn::default() }).span;
        assert_eq!([0, REREAD_FILES_MIN, 2 * REREAD_FILES_MIN - 1].map(part), [1, 1, 1]);
        assert_eq!(part(10 * REREAD_FILES_MIN), 10);
        assert_eq!(part(u64::MAX), REREAD_STEPS);
    }

    #[test]
    fn a_restore_is_sure_of_what_lies_in_its_paths() {
        let (folder, paths) = (tree_path("a/b"), [tree_path("a/b/c"), tree_path("d")]);
        let picker = Picker::new(&[Turn::default(); 3]);
        let is_due = |picker: Picker<'_>| {
            [b"c", b"x"].map(|name| [Class::Settled, Class::Recent].map(|class| picker.is_due(class, name)))
        };
        assert_eq!(is_due(picker), [[false; 2]; 2]);
        assert_eq!(is_due(picker.due_in(&folder, &[])), [[false, true]; 2]);
        assert_eq!(is_due(picker.due_in(&folder, &paths)), [[false, true], [false, false]]);
        assert_eq!(is_due(picker.due_in(&folder, &[tree_path("a")])), [[false, true]; 2]);
        assert_eq!(is_due(picker.due_in(&folder, &[tree_path("d")])), [[false; 2]; 2]);
    }
}

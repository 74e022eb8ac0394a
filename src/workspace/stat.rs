//! Stats of files, and the proof that they give later.
//!
//! An equal stat means equal content only if the content could not have changed without changing the stat. File times
//! advance in ticks of a few milliseconds: a file written twice within one tick, with the same size, looks unchanged. A
//! stat is therefore a proof only in two cases. Either each of its times is strictly older than a moment on the *same
//! clock* before the file was read; or it is strictly newer than one after it was read ([`Proof::Ahead`]: until the
//! clock reaches that time, every change gets an earlier one). Every other stat is racy, and the file is read again
//! next time. The wall clock is never used, because it is ahead of file times by up to a tick.
//!
//! A program that writes through a shared memory map changes the times only with the first write to a page after the
//! kernel wrote that page out. A file that was read soon after its change time, while somebody had it open for writing,
//! may therefore still change without a trace ([`Proof::Recent`]); any other cannot ([`Proof::Settled`]). This holds if
//! the file system is sound, see [`super::filesystem`].

use rustix::fs::{FileType, RawMode, Stat};

use super::attributes::owner_of;
use crate::disk::{FileClock, FolderId};
use crate::format::attributes::Owner;
use crate::format::cache::{CachedEntry, Proof};
use crate::format::tree::{EntryKind, MODE_MASK};
use crate::limits::{RACY_WINDOW_NS, SETTLED_AFTER_NS};

/// The parts of a stat that change when the content may have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileStat {
    /// Length, in bytes.
    pub size: u64,
    /// Modification time, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Change time, in nanoseconds since 1970. No program can set it.
    pub ctime_ns: i64,
    /// Inode number.
    pub inode: u64,
    /// Device number of its file system.
    pub device: u64,
    /// The owner.
    pub owner: Owner,
}

/// Decides what stats prove that were read between two moments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RacyRule {
    /// A moment on the clock of the store's file system, before anything was read.
    pub clock: FileClock,
    /// A moment on the same clock after everything was read; the maximum if it was not needed.
    pub end_ns: i64,
    /// The newest change time seen on any other file system.
    pub newest_elsewhere_ns: i64,
}

/// The result of comparing a stat with the stat cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Likeness {
    /// Equal in everything: the same file, unchanged.
    Same,
    /// Equal except for inode or device number.
    Renumbered,
    /// Equal, but the stat proves nothing.
    Racy,
    /// Different.
    Changed,
}

impl Likeness {
    /// Returns true if the cached content may be used.
    pub fn is_trusted(self) -> bool {
        matches!(self, Self::Same | Self::Renumbered)
    }
}

impl RacyRule {
    /// As [`Self::proof`]. If `is_quiet`, no process had the file open for writing when its reading began, so that a
    /// later map would change its times.
    pub fn proof_when(&self, is_quiet: bool, stat: &FileStat) -> Proof {
        match self.proof(stat) {
            Proof::Recent if is_quiet => Proof::Settled,
            proof => proof,
        }
    }

    /// The proof that a stat gives for content that was read under it.
    pub fn proof(&self, stat: &FileStat) -> Proof {
        let is_ours = stat.device == self.clock.device;
        let bound_ns = if is_ours {
            self.clock.time_ns
        } else {
            // No probe is possible there. A change time in the future (from a wrong clock) must not make everything
            // look old, hence the smaller of the two.
            self.newest_elsewhere_ns.min(self.clock.time_ns).saturating_sub(RACY_WINDOW_NS)
        };
        let times = [stat.mtime_ns, stat.ctime_ns];
        if times.iter().all(|time_ns| *time_ns < bound_ns) {
            let age_ns = self.clock.time_ns.saturating_sub(stat.ctime_ns);
            return if age_ns < SETTLED_AFTER_NS { Proof::Recent } else { Proof::Settled };
        }
        let is_ahead = is_ours && times.iter().all(|time_ns| *time_ns < bound_ns || *time_ns > self.end_ns);
        if is_ahead { Proof::Ahead } else { Proof::Racy }
    }

    /// Returns true if a stat has times so far ahead that the end of reading must be known.
    pub fn is_far_ahead(&self, stat: &FileStat) -> bool {
        let newest_ns = stat.mtime_ns.max(stat.ctime_ns);
        stat.device == self.clock.device && newest_ns > self.clock.time_ns.saturating_add(RACY_WINDOW_NS)
    }
}

impl FileStat {
    /// Extracts the relevant parts of a stat.
    pub fn of(stat: &Stat) -> Self {
        Self {
            size: u64::try_from(stat.st_size).unwrap_or(0),
            mtime_ns: nanoseconds(stat.st_mtime, i64::try_from(stat.st_mtime_nsec).unwrap_or(0)),
            ctime_ns: nanoseconds(stat.st_ctime, i64::try_from(stat.st_ctime_nsec).unwrap_or(0)),
            inode: stat.st_ino,
            device: FolderId::of(stat).device,
            owner: owner_of(stat),
        }
    }

    /// Compares it with the stat cache's entry for the same name. `folder_device` is the folder's device now, `clock`
    /// the current time.
    pub fn likeness(&self, cached: &CachedEntry<'_>, folder_device: u64, clock: FileClock) -> Likeness {
        let is_equal = self.size == cached.size
            && self.mtime_ns == cached.mtime_ns
            && self.ctime_ns == cached.ctime_ns
            && (self.device != folder_device) == cached.is_on_other_device;
        let is_ahead = || self.device == clock.device && self.mtime_ns.max(self.ctime_ns) > clock.time_ns;
        match cached.proof {
            _ if !is_equal => Likeness::Changed,
            Proof::Racy => Likeness::Racy,
            Proof::Ahead if !is_ahead() => Likeness::Racy,
            _ if self.inode != cached.inode => Likeness::Renumbered,
            _ => Likeness::Same,
        }
    }

    /// Returns true if the attributes of this folder are the cached ones. Its contents are compared by its own list;
    /// adding or removing a name there also changes this stat.
    pub fn has_attributes_of(&self, cached: &CachedEntry<'_>) -> bool {
        let is_proof = matches!(cached.proof, Proof::Recent | Proof::Settled);
        is_proof && self.ctime_ns == cached.ctime_ns && self.inode == cached.inode
    }
}

/// The kind and permission bits of a file; `None` for FIFOs, sockets and devices, which are not captured.
pub fn kind_and_mode(stat: &Stat) -> Option<(EntryKind, u16)> {
    let mode = permissions(stat);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some((EntryKind::File, mode)),
        FileType::Directory => Some((EntryKind::Folder, mode)),
        FileType::Symlink => Some((EntryKind::Symlink, 0)),
        _ => None,
    }
}

/// Permission bits, setuid, setgid, sticky.
pub fn permissions(stat: &Stat) -> u16 {
    u16::try_from(stat.st_mode & RawMode::from(MODE_MASK)).expect("twelve bits fit")
}

/// Bytes of a file on disk, without its holes.
pub fn allocated_bytes(stat: &Stat) -> u64 {
    let size = u64::try_from(stat.st_size).unwrap_or(0);
    size.min(u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(512))
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::{FileStat, Likeness, Proof, RacyRule};
    use crate::disk::FileClock;
    use crate::format::cache::CachedEntry;
    use crate::format::tree::EntryKind;
    use crate::id::Digest;
    use crate::limits::{RACY_WINDOW_NS, SETTLED_AFTER_NS};

    const PROBE_NS: i64 = 1_000_000_000_000;
    const END_NS: i64 = PROBE_NS + 5_000;

    fn stat(device: u64, mtime_ns: i64, ctime_ns: i64) -> FileStat {
        FileStat { device, mtime_ns, ctime_ns, ..FileStat::default() }
    }

    fn rule(newest_elsewhere_ns: i64) -> RacyRule {
        RacyRule { clock: FileClock { device: 1, time_ns: PROBE_NS }, end_ns: END_NS, newest_elsewhere_ns }
    }

    #[test]
    fn both_times_must_be_strictly_older_than_the_probe() {
        let proof = |mtime_ns, ctime_ns| rule(0).proof(&stat(1, mtime_ns, ctime_ns));
        assert_eq!(proof(PROBE_NS - 1, PROBE_NS - 1), Proof::Recent);
        assert_eq!(proof(PROBE_NS, PROBE_NS - 1), Proof::Racy);
        assert_eq!(proof(PROBE_NS - 1, PROBE_NS), Proof::Racy);
        assert_eq!(proof(PROBE_NS - 1, END_NS), Proof::Racy);
    }

    /// W11.
    #[test]
    fn a_read_long_after_the_change_is_proof_against_memory_maps() {
        let old_ns = PROBE_NS - SETTLED_AFTER_NS;
        assert_eq!(rule(0).proof(&stat(1, 0, old_ns)), Proof::Settled);
        assert_eq!(rule(0).proof(&stat(1, 0, old_ns + 1)), Proof::Recent);
        assert_eq!(rule(0).proof(&stat(1, PROBE_NS - 1, old_ns)), Proof::Settled, "the modification time can be set");
    }

    #[test]
    fn times_ahead_of_the_clock_are_proof_until_the_clock_has_come_there() {
        let ahead = stat(1, END_NS + 1, PROBE_NS - 1);
        assert_eq!(rule(0).proof(&ahead), Proof::Ahead);
        assert_eq!(rule(0).proof(&stat(1, PROBE_NS - 1, END_NS + 1)), Proof::Ahead);
        assert_eq!(rule(0).proof(&stat(1, END_NS + 1, PROBE_NS)), Proof::Racy, "the other time is of this tick");
        assert_eq!(rule(0).proof(&stat(2, PROBE_NS * 2, 0)), Proof::Racy, "the clock there is not known");
        let cached = CachedEntry {
            name: b"f",
            kind: EntryKind::File,
            mode: 0,
            proof: Proof::Ahead,
            is_on_other_device: false,
            size: 0,
            mtime_ns: ahead.mtime_ns,
            ctime_ns: ahead.ctime_ns,
            inode: 0,
            id: Digest::default(),
            attributes: &[],
            has_attributes_below: false,
        };
        let at = |time_ns| ahead.likeness(&cached, 1, FileClock { device: 1, time_ns });
        assert_eq!([END_NS, END_NS + 1, END_NS + 2].map(at), [Likeness::Same, Likeness::Racy, Likeness::Racy]);
    }

    #[test]
    fn elsewhere_the_newest_time_seen_takes_the_place_of_the_probe() {
        let newest = PROBE_NS - 10 * RACY_WINDOW_NS;
        let old = newest - RACY_WINDOW_NS;
        let is_racy = |newest, mtime_ns, ctime_ns| rule(newest).proof(&stat(2, mtime_ns, ctime_ns)) == Proof::Racy;
        assert!(!is_racy(newest, old - 1, old - 1));
        assert!(is_racy(newest, old, old - 1));
        assert!(is_racy(newest, newest, newest));
        assert!(is_racy(PROBE_NS * 2, PROBE_NS - 1, PROBE_NS - 1), "one bogus time makes nothing look old");
    }
}

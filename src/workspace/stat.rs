//! What the file system says about one name, and when that can be believed later.
//!
//! An equal stat stands for equal content only if the content could not have changed since without changing the stat.
//! File times advance in ticks of a few milliseconds: a file written twice within one tick, with the same size, looks
//! the same before and after. So a stat is kept as proof only when both of its times are strictly older than a moment
//! on the *same clock* that had passed before the file was read; anything else is racy, and is read again next time.
//! The wall clock is never asked, because it runs ahead of file times by up to a tick.

use rustix::fs::{FileType, RawMode, Stat};

use super::attributes::owner_of;
use crate::disk::{FileClock, FolderId};
use crate::format::attributes::Owner;
use crate::format::cache::CachedEntry;
use crate::format::tree::{Kind, MODE_MASK};
use crate::limits::RACY_WINDOW_NS;

/// The part of a stat that changes when content may have changed.
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
    /// Who owns it.
    pub owner: Owner,
}

/// Tells racy stats from those that prove something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RacyRule {
    /// A moment on the clock of the store's file system, before anything was looked at.
    pub clock: FileClock,
    /// The newest change time seen on any other file system.
    pub newest_elsewhere_ns: i64,
}

impl RacyRule {
    /// Whether content may have changed, or may still change, without changing this stat.
    pub fn is_racy(&self, stat: &FileStat) -> bool {
        let bound_ns = if stat.device == self.clock.device {
            self.clock.time_ns
        } else {
            // No probe is possible there. A change time in the future (somebody's clock was wrong) must not make
            // everything look old, hence the smaller of the two.
            self.newest_elsewhere_ns.min(self.clock.time_ns).saturating_sub(RACY_WINDOW_NS)
        };
        stat.mtime_ns >= bound_ns || stat.ctime_ns >= bound_ns
    }
}

impl FileStat {
    /// Takes what matters out of a stat.
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

    /// Whether this is, to all appearance, the very file that the cache has, unchanged. `folder_device` is where the
    /// folder is now.
    pub fn is_that_of(&self, cached: &CachedEntry<'_>, folder_device: u64) -> bool {
        !cached.is_racy
            && self.size == cached.size
            && self.mtime_ns == cached.mtime_ns
            && self.ctime_ns == cached.ctime_ns
            && self.inode == cached.inode
            && (self.device != folder_device) == cached.is_on_other_device
    }
}

impl FileStat {
    /// Whether the attributes of this folder are, to all appearance, those that the cache has. What is in it is for its
    /// own list to say; a name added or removed there changes this stat, too.
    pub fn has_attributes_of(&self, cached: &CachedEntry<'_>) -> bool {
        !cached.is_racy && self.ctime_ns == cached.ctime_ns && self.inode == cached.inode
    }
}

/// What can be captured, and its permission bits; `None` for FIFOs, sockets and devices.
pub fn kind_and_mode(stat: &Stat) -> Option<(Kind, u16)> {
    let mode = permissions(stat);
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some((Kind::File, mode)),
        FileType::Directory => Some((Kind::Folder, mode)),
        FileType::Symlink => Some((Kind::Symlink, 0)),
        _ => None,
    }
}

/// Permission bits, setuid, setgid, sticky.
pub fn permissions(stat: &Stat) -> u16 {
    u16::try_from(stat.st_mode & RawMode::from(MODE_MASK)).expect("twelve bits fit")
}

fn nanoseconds(seconds: i64, rest: i64) -> i64 {
    seconds.saturating_mul(1_000_000_000).saturating_add(rest)
}

#[cfg(test)]
mod tests {
    use super::{FileStat, RacyRule};
    use crate::disk::FileClock;
    use crate::limits::RACY_WINDOW_NS;

    const PROBE_NS: i64 = 1_000_000_000_000;

    fn stat(device: u64, mtime_ns: i64, ctime_ns: i64) -> FileStat {
        FileStat { device, mtime_ns, ctime_ns, ..FileStat::default() }
    }

    fn rule(newest_elsewhere_ns: i64) -> RacyRule {
        RacyRule { clock: FileClock { device: 1, time_ns: PROBE_NS }, newest_elsewhere_ns }
    }

    #[test]
    fn both_times_must_be_strictly_older_than_the_probe() {
        let rule = rule(0);
        assert!(!rule.is_racy(&stat(1, PROBE_NS - 1, PROBE_NS - 1)));
        assert!(rule.is_racy(&stat(1, PROBE_NS, PROBE_NS - 1)));
        assert!(rule.is_racy(&stat(1, PROBE_NS - 1, PROBE_NS)));
        assert!(rule.is_racy(&stat(1, PROBE_NS - 1, PROBE_NS + 3_600_000_000_000)), "the clock went backwards");
    }

    #[test]
    fn elsewhere_the_newest_time_seen_takes_the_place_of_the_probe() {
        let newest = PROBE_NS - 10 * RACY_WINDOW_NS;
        let old = newest - RACY_WINDOW_NS;
        assert!(!rule(newest).is_racy(&stat(2, old - 1, old - 1)));
        assert!(rule(newest).is_racy(&stat(2, old, old - 1)));
        assert!(rule(newest).is_racy(&stat(2, newest, newest)));
        let future = PROBE_NS * 2;
        assert!(rule(future).is_racy(&stat(2, PROBE_NS - 1, PROBE_NS - 1)), "one bogus time makes nothing look old");
    }
}

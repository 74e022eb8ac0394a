//! The promises of a file system about times and inode numbers.
//!
//! A change time that no program can set is the reason why an equal stat proves equal content. Local disk file systems
//! keep one. They write it for every change through a system call, and for the first change through a memory map after
//! the kernel wrote the page out. Others keep none (FAT), show a server's cached values (network file systems, FUSE),
//! or never write a page out (tmpfs, where a map changes the time at most once). These are *weak*: everything on them
//! is read again four times as often. An unknown file system counts as weak.

use std::os::fd::AsFd;

/// A kind of file system and its promises.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSystem {
    /// Its name; empty if unknown.
    pub name: &'static str,
    /// True if every change changes the change time, sooner or later.
    pub is_sound: bool,
    /// True if a file keeps its inode number as long as it exists, also when the file system is mounted again.
    pub keeps_inodes: bool,
}

impl FileSystem {
    /// A file system of which nothing is known.
    pub const UNKNOWN: Self = Self { name: "", is_sound: false, keeps_inodes: false };

    /// Returns true if it can report the holes of a file.
    pub fn reports_holes(&self) -> bool {
        self.is_sound || self.name == "tmpfs"
    }

    /// Returns true if a file that is mapped for writing counts as open for writing, even after its descriptor is
    /// closed. False for stacked file systems, where only the file below counts.
    pub fn counts_maps(&self) -> bool {
        self.is_sound && !matches!(self.name, "overlay" | "ecryptfs")
    }

    /// Bytes on disk of a file of length `size` for which the file system reports `counted`: some always report 0.
    pub fn allocated_bytes(&self, size: u64, counted: u64) -> u64 {
        if counted == 0 && !self.keeps_inodes { size } else { counted }
    }

    /// The file system of an open file or folder; unknown if it cannot be found out, or on other platforms than Linux.
    pub fn of(handle: impl AsFd) -> Self {
        const NUMBERS_ARE_KNOWN: bool = cfg!(all(target_os = "linux", not(feature = "portable")));
        let found = rustix::fs::fstatfs(handle).ok().filter(|_| NUMBERS_ARE_KNOWN);
        found.map_or(Self::UNKNOWN, |found| {
            // The kernel fills 32 bits, which some platforms read as a negative number.
            let [a, b, c, d, ..] = found.f_type.to_le_bytes();
            Self::of_magic(u32::from_le_bytes([a, b, c, d]))
        })
    }

    /// The file system with this number (`statfs(2)`, and the kernel's `magic.h`).
    fn of_magic(magic: u32) -> Self {
        let sound = |name| Self { name, is_sound: true, keeps_inodes: true };
        let weak = |name| Self { name, is_sound: false, keeps_inodes: true };
        let renumbering = |name| Self { name, is_sound: false, keeps_inodes: false };
        match magic {
            0xef53 => sound("ext4"),
            0x5846_5342 => sound("xfs"),
            0x9123_683e => sound("btrfs"),
            0x794c_7630 => sound("overlay"),
            0x2fc1_2fc1 => sound("zfs"),
            0xca45_1a4e => sound("bcachefs"),
            0xf2f5_2010 => sound("f2fs"),
            0x3153_464a => sound("jfs"),
            0x5265_4973 => sound("reiserfs"),
            0x3434 => sound("nilfs"),
            0x2405_1905 => sound("ubifs"),
            0x7461_636f => sound("ocfs2"),
            0x0116_1970 => sound("gfs2"),
            0xf15f => sound("ecryptfs"),
            0x7371_7368 => sound("squashfs"),
            0xe0f5_e1e2 => sound("erofs"),
            0x0102_1994 => weak("tmpfs"),
            0x8584_58f6 => weak("ramfs"),
            0x7366_746e => weak("ntfs3"),
            0x482b => weak("hfsplus"),
            0x4244 => weak("hfs"),
            0x6969 => weak("nfs"),
            0x00c3_6400 => weak("ceph"),
            0x4d44 => renumbering("vfat"),
            0x2011_bab0 => renumbering("exfat"),
            0x6573_5546 => renumbering("fuse"),
            0xff53_4d42 | 0xfe53_4d42 | 0x517b => renumbering("cifs"),
            0x0102_1997 => renumbering("9p"),
            0x786f_4256 => renumbering("vboxsf"),
            0x5346_544e => renumbering("ntfs"),
            _ => Self::UNKNOWN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::FileSystem;

    #[test]
    fn file_systems_without_change_times_are_distinguished() {
        for (magic, name) in [(0xef53, "ext4"), (0x5846_5342, "xfs"), (0x9123_683e, "btrfs"), (0x794c_7630, "overlay")]
        {
            assert_eq!(FileSystem::of_magic(magic), FileSystem { name, is_sound: true, keeps_inodes: true });
        }
        for magic in [0x4d44, 0x2011_bab0, 0x6573_5546, 0xfe53_4d42, 0x0102_1997] {
            let found = FileSystem::of_magic(magic);
            assert!(!found.is_sound && !found.keeps_inodes && !found.name.is_empty(), "{magic:x}");
        }
        assert!(!FileSystem::of_magic(0x0102_1994).is_sound, "a map in memory that is never written out");
        assert_eq!(FileSystem::of_magic(1), FileSystem::UNKNOWN);
    }
}

//! A snapshot as a tar file, for tools that know nothing of this one.
//!
//! The same snapshot and paths always give the same bytes: entries in order of path, owners by number (0 if unknown),
//! exact permission bits, and the times that the snapshot holds (its own time for all other entries). ACLs, `user.*`
//! attributes and capabilities precede the entry as GNU tar writes them (`--acls --xattrs`). The mode of an entry with
//! an ACL gives no one more than the ACL does, for readers that ignore the ACL. Names and links above 100 bytes precede
//! the entry as a GNU long name or long link, which every tar program reads and which takes any bytes; a PAX header
//! would have to call them UTF-8.
//!
//! Only headers come from the `tar` crate. Its own writing of names goes through paths, which lose a double slash in
//! the target of a symlink, or one at its end.
//!
//! Contents are passed on as they are read, so memory does not depend on the length of a file. After an error the
//! output is incomplete and of no use.

mod pax;

use std::collections::BTreeMap;
use std::io::Write;

use tar::{EntryType, Header};

use crate::error::{Error, Result};
use crate::format::attributes::{Attributes, Owner, acl};
use crate::format::snapshot::decode_times;
use crate::format::tree::{Entry, EntryKind};
use crate::id::{BlobId, SnapshotId};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::look::attributed::Attributed;
use crate::ops::look::ls;
use crate::ops::record::attached::attached;
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::Store;
use crate::time::Timestamp;

/// Options of an export to tar.
#[derive(Clone)]
pub struct ExportTarOptions<'a> {
    /// The folder in the tar file that everything goes into; the root for none. It gets the mode of the snapshot's root
    /// folder.
    pub prefix: TreePath,
    /// The receiver of progress events.
    pub progress: &'a dyn Progress,
}

/// Counts of what an export to tar wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Regular files.
    pub files: u64,
    /// Folders, including those that only lead to a chosen path.
    pub folders: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of file content.
    pub content_bytes: u64,
    /// Bytes of output.
    pub written_bytes: u64,
}

/// Writes the state of `snapshot` to `out` as a tar file: all of it, or `paths` and everything below them.
pub fn export_tar(
    store: &Store,
    snapshot: SnapshotId,
    paths: &[TreePath],
    out: &mut dyn Write,
    options: &ExportTarOptions<'_>,
) -> Result<Exported> {
    let found = store.snapshot(snapshot)?;
    for path in paths.iter().filter(|path| !path.is_root()) {
        let entry = ls::entry_at(store, snapshot, path)?;
        entry.tree().map_or(Ok(()), |tree| store.check_extent("export", tree))?;
    }
    if paths.is_empty() || paths.iter().any(TreePath::is_root) {
        store.check_extent("export", found.root)?;
    }
    let times = attached(store, &found.times, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let times = decode_times(&times).map_err(|e| e.during("read times of step", found.step))?.into_iter().collect();
    let attributed = Attributed::of(store, &found)?;
    let (time, exported) = (found.time, Exported::default());
    let mut export = Export { store, options, times, attributed, out, time, exported };
    if !options.prefix.is_root() {
        export.header(&TreePath::root(), EntryType::Directory, b"", found.root_mode, 0)?;
        export.exported.folders += 1;
    }
    // A chosen path, a path below one, or a folder on the way to one.
    let is_wanted = |path: &TreePath| {
        paths.is_empty() || paths.iter().any(|chosen| path.is_within(chosen) || chosen.is_within(path))
    };
    ls::walk(store, found.root, &TreePath::root(), &mut |path, entry| {
        let is_wanted = is_wanted(path);
        if is_wanted {
            export.entry(path, entry)?;
        }
        Ok(is_wanted)
    })?;
    // Two empty records end a tar file.
    export.write(&[0; 2 * RECORD_LENGTH_BYTES])?;
    export.out.flush().map_err(|e| Error::io("write", OUTPUT, e))?;
    Ok(export.exported)
}

/// Everything in a tar file is padded to a multiple of this.
const RECORD_LENGTH_BYTES: usize = 512;

/// The name of the output in messages. The caller may know a better one.
const OUTPUT: &str = "the tar file";

struct Export<'a> {
    store: &'a Store,
    options: &'a ExportTarOptions<'a>,
    times: BTreeMap<TreePath, Timestamp>,
    attributed: Attributed,
    out: &'a mut dyn Write,
    /// The time of entries that have none of their own.
    time: Timestamp,
    exported: Exported,
}

impl Export<'_> {
    fn entry(&mut self, path: &TreePath, entry: &Entry) -> Result<()> {
        match entry.kind {
            EntryKind::Folder => {
                self.exported.folders += 1;
                self.header(path, EntryType::Directory, b"", entry.mode, 0)
            }
            EntryKind::File => self.file(path, entry),
            EntryKind::Symlink => {
                let target = self.store.read_blob(BlobId(entry.id), SYMLINK_LENGTH_MAX_BYTES);
                let target = target.map_err(|e| e.during("export", path))?;
                self.exported.symlinks += 1;
                // Systems give symlinks these bits and ignore them.
                self.header(path, EntryType::Symlink, &target, 0o777, 0)
            }
        }
    }

    fn file(&mut self, path: &TreePath, entry: &Entry) -> Result<()> {
        self.header(path, EntryType::Regular, b"", entry.mode, entry.size)?;
        let mut left = entry.size;
        let wrong = || Error::corrupt("export", path, "its content has another length than its folder says");
        let store = self.store;
        let copied = store.copy_blob(BlobId(entry.id), &mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
            self.write(piece)
        });
        copied.map_err(|e| e.during("export", path))?;
        if left > 0 {
            return Err(wrong());
        }
        self.pad(entry.size)?;
        self.exported.files += 1;
        self.exported.content_bytes += entry.size;
        self.options.progress.event(Event::Advanced { files: 1, bytes: entry.size });
        Ok(())
    }

    /// Writes everything that precedes the content of an entry. `link` is the target of a symlink.
    fn header(&mut self, path: &TreePath, kind: EntryType, link: &[u8], mode: u16, size: u64) -> Result<()> {
        let own = self.attributed.get(path);
        let owner = own.and_then(|own| own.owner).or(self.attributed.root_owner).unwrap_or_default();
        let mode = own.and_then(Attributes::access_acl).map_or(mode, |acl| acl::narrowest_mode(mode, acl));
        let records = own.map(|own| pax::records(&own.values)).unwrap_or_default();
        if !records.is_empty() {
            self.describing(Header::new_ustar(), EntryType::XHeader, b"././@PaxHeader", &[&records])?;
        }
        let prefix = &self.options.prefix;
        let mut name = if path.is_root() { prefix.clone() } else { prefix.join(path.as_bytes()) }.as_bytes().to_vec();
        name.extend(kind.is_dir().then_some(b'/'));
        let mut header = Header::new_gnu();
        let fields = header.as_old_mut();
        let (name_fits, link_fits) = (put(&mut fields.name, &name), put(&mut fields.linkname, link));
        if !link_fits {
            self.describing(Header::new_gnu(), EntryType::GNULongLink, LONG_LINK, &[link, b"\0"])?;
        }
        if !name_fits {
            self.describing(Header::new_gnu(), EntryType::GNULongName, LONG_LINK, &[&name, b"\0"])?;
        }
        let time = self.times.get(path).copied().unwrap_or(self.time);
        // Tar counts seconds from 1970, and some readers refuse any before.
        seal(&mut header, kind, mode, size, owner, u64::try_from(time.seconds()).unwrap_or(0));
        self.write(header.as_bytes())
    }

    /// Writes an entry whose content describes the next one: its attributes, or a long name or link.
    fn describing(&mut self, mut header: Header, kind: EntryType, name: &[u8], content: &[&[u8]]) -> Result<()> {
        let fits = put(&mut header.as_old_mut().name, name);
        assert!(fits, "the name is short");
        let size = content.iter().map(|part| part.len() as u64).sum();
        seal(&mut header, kind, 0o644, size, Owner::default(), 0);
        self.write(header.as_bytes())?;
        content.iter().try_for_each(|part| self.write(part))?;
        self.pad(size)
    }

    fn pad(&mut self, size: u64) -> Result<()> {
        let rest = usize::try_from(size % RECORD_LENGTH_BYTES as u64).expect("below 512");
        self.write(&[0; RECORD_LENGTH_BYTES][..(RECORD_LENGTH_BYTES - rest) % RECORD_LENGTH_BYTES])
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.exported.written_bytes += bytes.len() as u64;
        self.out.write_all(bytes).map_err(|e| Error::io("write", OUTPUT, e))
    }
}

/// The name of an entry that holds a long name or link.
const LONG_LINK: &[u8] = b"././@LongLink";

/// Longest symlink target, in bytes: no system makes longer ones.
const SYMLINK_LENGTH_MAX_BYTES: u64 = 64 << 10;

/// Fills a field with as many bytes as fit, and returns true if all did. One byte is left for the NUL that some readers
/// expect.
fn put(field: &mut [u8], bytes: &[u8]) -> bool {
    let length = bytes.len().min(field.len() - 1);
    field[..length].copy_from_slice(&bytes[..length]);
    length == bytes.len()
}

fn seal(header: &mut Header, kind: EntryType, mode: u16, size: u64, owner: Owner, seconds: u64) {
    header.set_entry_type(kind);
    header.set_mode(u32::from(mode));
    header.set_size(size);
    header.set_uid(owner.uid.into());
    header.set_gid(owner.gid.into());
    header.set_mtime(seconds);
    header.set_cksum();
}

#[cfg(test)]
mod tests;

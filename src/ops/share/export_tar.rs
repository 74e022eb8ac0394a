//! A snapshot as a tar file, for tools that know nothing of this one.
//!
//! The same snapshot and paths give the same bytes, whoever exports them: entries in order of path, owners by number (0
//! if unknown), exact permission bits, and the times that the snapshot holds (its own time for all other entries). ACLs,
//! `user.*` attributes and capabilities precede the entry as GNU tar writes them (`--acls --xattrs`). The mode of an
//! entry with an ACL gives nobody more than the ACL does, for readers that ignore it. Names and links above 100 bytes
//! precede the entry as a GNU long name or long link, which every tar program reads and which takes any bytes; a PAX
//! header would have to call them UTF-8.
//!
//! Only headers come from the `tar` crate. Its own writing of names goes through paths, which lose a double slash in the
//! target of a symlink, or one at its end.
//!
//! Contents are passed on as they are read, so memory does not depend on the length of a file. After an error the output
//! is incomplete and of no use.

mod pax;

use std::collections::BTreeMap;
use std::io::Write;

use tar::{EntryType, Header};

use crate::error::{Error, Result};
use crate::format::attributes::{Owner, acl};
use crate::format::snapshot::decode_times;
use crate::format::tree::{Entry, Kind};
use crate::id::{BlobId, SnapshotId};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::look::attributed::Attributed;
use crate::ops::look::ls;
use crate::ops::record::ingest::attached;
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
        let entry = ls::expect(store, snapshot, path)?;
        entry.tree().map_or(Ok(()), |tree| store.check_extent("export", tree))?;
    }
    if paths.is_empty() || paths.iter().any(TreePath::is_root) {
        store.check_extent("export", found.root)?;
    }
    let times = attached(store, &found.times, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let times = decode_times(&times).map_err(|e| e.during("read times of step", found.step))?.into_iter().collect();
    let attributed = Attributed::of(store, &found)?;
    let sink = Sink { out, time: found.time, exported: Exported::default() };
    let mut export = Export { store, options, times, attributed, sink };
    if !options.prefix.is_root() {
        export.folder(&TreePath::root(), found.root_mode)?;
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
    export.sink.write(&[0; 2 * RECORD_LENGTH_BYTES])?;
    export.sink.out.flush().map_err(|e| Error::io("write", OUTPUT, e))?;
    Ok(export.sink.exported)
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
    sink: Sink<'a>,
}

/// The fields of a header.
struct Head<'a> {
    kind: EntryType,
    name: &'a [u8],
    /// The target of a symlink.
    link: &'a [u8],
    mode: u16,
    size: u64,
}

/// The output.
struct Sink<'a> {
    out: &'a mut dyn Write,
    /// The time of entries that have none of their own.
    time: Timestamp,
    exported: Exported,
}

impl Export<'_> {
    fn entry(&mut self, path: &TreePath, entry: &Entry) -> Result<()> {
        match entry.kind {
            Kind::Folder => self.folder(path, entry.mode),
            Kind::File => self.file(path, entry),
            Kind::Symlink => {
                let target = self.store.read_blob(BlobId(entry.id), SYMLINK_LENGTH_MAX_BYTES);
                let target = target.map_err(|e| e.during("export", path))?;
                self.sink.exported.symlinks += 1;
                // Systems give symlinks these bits and ignore them.
                let name = self.name(path);
                self.header(path, Head { kind: EntryType::Symlink, name: &name, link: &target, mode: 0o777, size: 0 })
            }
        }
    }

    fn folder(&mut self, path: &TreePath, mode: u16) -> Result<()> {
        self.sink.exported.folders += 1;
        let mut name = self.name(path);
        name.push(b'/');
        self.header(path, Head { kind: EntryType::Directory, name: &name, link: b"", mode, size: 0 })
    }

    fn file(&mut self, path: &TreePath, entry: &Entry) -> Result<()> {
        let (name, mode, size) = (self.name(path), entry.mode, entry.size);
        self.header(path, Head { kind: EntryType::Regular, name: &name, link: b"", mode, size })?;
        let sink = &mut self.sink;
        let mut left = entry.size;
        let wrong = || Error::corrupt("export", path, "its content is not as long as its folder says");
        let copied = self.store.copy_blob(BlobId(entry.id), &mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
            sink.write(piece)
        });
        copied.map_err(|e| e.during("export", path))?;
        if left > 0 {
            return Err(wrong());
        }
        sink.pad(entry.size)?;
        sink.exported.files += 1;
        sink.exported.content_bytes += entry.size;
        self.options.progress.event(Event::Done { files: 1, bytes: entry.size });
        Ok(())
    }

    fn name(&self, path: &TreePath) -> Vec<u8> {
        let prefix = &self.options.prefix;
        if path.is_root() { prefix.as_bytes().to_vec() } else { prefix.join(path.as_bytes()).as_bytes().to_vec() }
    }

    /// Writes everything that precedes the content of an entry.
    fn header(&mut self, path: &TreePath, mut head: Head<'_>) -> Result<()> {
        let own = self.attributed.get(path);
        let owner = own.and_then(|own| own.owner).or(self.attributed.root_owner).unwrap_or_default();
        if let Some(own) = own {
            let records = pax::records(&own.values);
            if !records.is_empty() {
                self.sink.describing(Header::new_ustar(), EntryType::XHeader, b"././@PaxHeader", &[&records])?;
            }
            head.mode = own.access_acl().map_or(head.mode, |acl| acl::narrowest_mode(head.mode, acl));
        }
        self.sink.header(&head, owner, self.times.get(path).copied())
    }
}

impl Sink<'_> {
    fn header(&mut self, head: &Head<'_>, owner: Owner, time: Option<Timestamp>) -> Result<()> {
        let Head { kind, name, link, mode, size } = *head;
        let mut header = Header::new_gnu();
        let fields = header.as_old_mut();
        let name_fits = put(&mut fields.name, name);
        let link_fits = put(&mut fields.linkname, link);
        if !link_fits {
            self.describing(Header::new_gnu(), EntryType::GNULongLink, LONG_LINK, &[link, b"\0"])?;
        }
        if !name_fits {
            self.describing(Header::new_gnu(), EntryType::GNULongName, LONG_LINK, &[name, b"\0"])?;
        }
        // Tar counts seconds from 1970, and some readers refuse any before.
        let seconds = u64::try_from(time.unwrap_or(self.time).seconds()).unwrap_or(0);
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
        seal(&mut header, kind, mode, size, seconds);
        self.write(header.as_bytes())
    }

    /// Writes an entry whose content describes the next one: its attributes, or a long name or link.
    fn describing(&mut self, mut header: Header, kind: EntryType, name: &[u8], content: &[&[u8]]) -> Result<()> {
        let fits = put(&mut header.as_old_mut().name, name);
        assert!(fits, "the name is short");
        header.set_uid(0);
        header.set_gid(0);
        let size = content.iter().map(|part| part.len() as u64).sum();
        seal(&mut header, kind, 0o644, size, 0);
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

fn seal(header: &mut Header, kind: EntryType, mode: u16, size: u64, seconds: u64) {
    header.set_entry_type(kind);
    header.set_mode(u32::from(mode));
    header.set_size(size);
    header.set_mtime(seconds);
    header.set_cksum();
}

#[cfg(test)]
mod tests;

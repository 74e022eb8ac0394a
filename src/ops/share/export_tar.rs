//! A snapshot as a tar file, for tools that know nothing of this one.
//!
//! The same snapshot and paths give the same bytes, whoever writes them: entries in order of paths, owners by number (0
//! where none is known), exact permission bits, and the times that the snapshot knows (its own time for everything
//! else). ACLs, `user.*` attributes and capabilities go before the entry as GNU tar writes them (`--acls --xattrs`);
//! the permission bits beside an ACL are those with which nobody has more than with it, for whoever unpacks without.
//! Names that tar cannot hold within its 100 bytes of name or link go before the entry as GNU long name or long link,
//! which every tar of this century reads, and which takes any bytes; a PAX header would have to call them UTF-8.
//!
//! Only headers come from the `tar` crate. Its own writing of names goes through paths, which drops what a path does
//! not keep: the second slash in a symlink's target, or the one at its end.
//!
//! Contents are handed on as they are read, so memory does not depend on the length of a file. On an error the output
//! ends in the middle and is of no use.

mod pax;

use std::collections::BTreeMap;
use std::io::Write;

use tar::{EntryType, Header};

use crate::error::{Error, ErrorKind, Result};
use crate::format::attributes::{Owner, acl};
use crate::format::snapshot::{Snapshot, decode_times};
use crate::format::tree::{Entry, Kind};
use crate::id::{BlobId, SnapshotId, TreeId};
use crate::limits::{FOLDER_DEPTH_MAX, PATH_LIST_LENGTH_MAX_BYTES};
use crate::ops::look::attributed::Attributed;
use crate::ops::look::ls;
use crate::ops::record::ingest::attached;
use crate::path::TreePath;
use crate::progress::{Event, Progress};
use crate::store::Store;
use crate::time::Timestamp;

/// What to write beside the snapshot itself.
#[derive(Clone)]
pub struct ExportTarOptions<'a> {
    /// A folder that everything is put into; none when it is the root. It gets the mode of the snapshot's root folder.
    pub prefix: TreePath,
    /// Who watches.
    pub progress: &'a dyn Progress,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// Regular files.
    pub files: u64,
    /// Folders, with those that only lead to a chosen path.
    pub folders: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of file content.
    pub content_bytes: u64,
    /// Bytes of output.
    pub written_bytes: u64,
}

/// Writes the state of `snapshot` to `out` as a tar file: all of it, or `paths` and what is below them.
pub fn export_tar(
    store: &Store,
    snapshot: SnapshotId,
    paths: &[TreePath],
    out: &mut dyn Write,
    options: &ExportTarOptions<'_>,
) -> Result<Exported> {
    let found = store.snapshot(snapshot)?;
    for path in paths.iter().filter(|path| !path.is_root()) {
        let entry = ls::find(store, found.root, path)?.ok_or_else(|| {
            let detail = format!("snapshot {} has no such path", snapshot.short());
            Error::new(ErrorKind::NotFound, "export", path, detail)
        })?;
        entry.tree().map_or(Ok(()), |tree| store.check_extent("export", tree))?;
    }
    if paths.is_empty() || paths.iter().any(TreePath::is_root) {
        store.check_extent("export", found.root)?;
    }
    let times = times_of(store, &found)?;
    let attributed = Attributed::of(store, &found)?;
    let sink = Sink { out, time: found.time, exported: Exported::default() };
    let mut export = Export { store, options, times, attributed, paths, sink };
    export.walk(&found)?;
    // Two empty records end a tar file.
    export.sink.write(&[0; 2 * RECORD_LENGTH_BYTES])?;
    export.sink.out.flush().map_err(|e| Error::io("write", OUTPUT, e))?;
    Ok(export.sink.exported)
}

/// Everything in a tar file is padded to a multiple of this.
const RECORD_LENGTH_BYTES: usize = 512;

/// What the output is called in messages; the caller, who knows better, may say more.
const OUTPUT: &str = "the tar file";

struct Export<'a> {
    store: &'a Store,
    options: &'a ExportTarOptions<'a>,
    times: BTreeMap<TreePath, Timestamp>,
    attributed: Attributed,
    paths: &'a [TreePath],
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

/// Where headers and contents go.
struct Sink<'a> {
    out: &'a mut dyn Write,
    /// The time of what has none of its own.
    time: Timestamp,
    exported: Exported,
}

impl Export<'_> {
    /// Writes folder by folder, each followed by what is in it. The walk keeps its own stack, because a workspace may
    /// be deeper than a thread's stack would allow.
    fn walk(&mut self, snapshot: &Snapshot) -> Result<()> {
        if !self.options.prefix.is_root() {
            self.folder(&TreePath::root(), snapshot.root_mode)?;
        }
        let mut stack = vec![(TreePath::root(), self.store.folder(snapshot.root)?.into_iter())];
        while let Some((folder, entries)) = stack.last_mut() {
            let Some(entry) = entries.next() else {
                stack.pop();
                continue;
            };
            let path = folder.join(&entry.name);
            if !self.is_wanted(&path) {
                continue;
            }
            self.entry(&path, &entry)?;
            if entry.kind == Kind::Folder {
                if stack.len() > FOLDER_DEPTH_MAX {
                    let detail = format!("it is more than {FOLDER_DEPTH_MAX} folders deep");
                    return Err(Error::new(ErrorKind::Limit, "export", &path, detail));
                }
                stack.push((path, self.store.folder(TreeId(entry.id))?.into_iter()));
            }
        }
        Ok(())
    }

    /// Whether a path is chosen, below a chosen one, or on the way to one.
    fn is_wanted(&self, path: &TreePath) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|chosen| path.is_within(chosen) || chosen.is_within(path))
    }

    fn entry(&mut self, path: &TreePath, entry: &Entry) -> Result<()> {
        match entry.kind {
            Kind::Folder => self.folder(path, entry.mode),
            Kind::File => self.file(path, entry),
            Kind::Symlink => {
                let target = self.store.read_blob(BlobId(entry.id), SYMLINK_LENGTH_MAX_BYTES);
                let target = target.map_err(|e| e.during("export", path))?;
                self.sink.exported.symlinks += 1;
                // Every system gives symlinks these bits, and none heeds them.
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

    /// Writes what comes before the content of one entry.
    fn header(&mut self, path: &TreePath, mut head: Head<'_>) -> Result<()> {
        let own = self.attributed.get(path);
        let owner = own.and_then(|own| own.owner).or(self.attributed.root_owner).unwrap_or_default();
        if let Some(own) = own {
            let records = pax::records(&own.values);
            if !records.is_empty() {
                self.sink.extended(&records)?;
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
        let fields = header.as_gnu_mut().expect("a header made in this form");
        let name_fits = put(&mut fields.name, name);
        let link_fits = put(&mut fields.linkname, link);
        if !link_fits {
            self.long(EntryType::GNULongLink, link)?;
        }
        if !name_fits {
            self.long(EntryType::GNULongName, name)?;
        }
        // Tar counts seconds from 1970, and some readers refuse any before.
        let seconds = u64::try_from(time.unwrap_or(self.time).seconds()).unwrap_or(0);
        header.set_uid(owner.uid.into());
        header.set_gid(owner.gid.into());
        seal(&mut header, kind, mode, size, seconds);
        self.write(header.as_bytes())
    }

    /// An entry whose content says more of the next one.
    fn extended(&mut self, records: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        let fields = header.as_ustar_mut().expect("a header made in this form");
        let fits = put(&mut fields.name, b"././@PaxHeader");
        assert!(fits, "a name of 14 bytes fits");
        header.set_uid(0);
        header.set_gid(0);
        seal(&mut header, EntryType::XHeader, 0o644, records.len() as u64, 0);
        self.write(header.as_bytes())?;
        self.write(records)?;
        self.pad(records.len() as u64)
    }

    /// An entry whose content is the name or link of the next one.
    fn long(&mut self, kind: EntryType, bytes: &[u8]) -> Result<()> {
        let mut header = Header::new_gnu();
        let fields = header.as_gnu_mut().expect("a header made in this form");
        let fits = put(&mut fields.name, b"././@LongLink");
        assert!(fits, "a name of 13 bytes fits");
        let size = bytes.len() as u64 + 1;
        header.set_uid(0);
        header.set_gid(0);
        seal(&mut header, kind, 0o644, size, 0);
        self.write(header.as_bytes())?;
        self.write(bytes)?;
        self.write(b"\0")?;
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

/// Longest symlink target, in bytes: no system makes longer ones.
const SYMLINK_LENGTH_MAX_BYTES: u64 = 64 << 10;

/// Fills a field with as much as it takes; whether that was all. One byte is left for the NUL that some readers expect.
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

fn times_of(store: &Store, snapshot: &Snapshot) -> Result<BTreeMap<TreePath, Timestamp>> {
    let bytes = attached(store, &snapshot.times, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
    let times = decode_times(&bytes).map_err(|e| e.during("read times of step", snapshot.step))?;
    Ok(times.into_iter().collect())
}

#[cfg(test)]
mod tests;

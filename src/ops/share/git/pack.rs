//! Writing of a git pack: all objects of an export in one file, each compressed on its own.
//!
//! ```text
//! pack   "PACK" 2 count | header, zlib of the content | ... | SHA-1 of it all
//! index  "\377tOc" 2 | count of ids up to each first byte | ids | CRC-32s | offsets | long offsets | SHA-1s
//! ```
//!
//! See gitformat-pack(5). Loose objects would be one file each, some hundred thousand for a large history. There are no
//! deltas: `git repack -adf` makes better ones. (A plain `git gc` looks for none between whole objects of one pack.)
//!
//! Invariants: the pack and its index get their names when they are complete and synced, the index last, so that git
//! sees both or neither. Long content is passed through in pieces.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::Kind;
use gix::odb::pack::data::Version;
use gix::odb::pack::data::entry::Header;
use gix::zlib::Compression;
use gix::zlib::stream::deflate;

use super::{finish, object_id};
use crate::error::{Error, ErrorKind, Result};

/// An object in the encoding of a pack.
#[derive(Debug)]
pub(crate) struct Packed {
    id: ObjectId,
    bytes: Vec<u8>,
}

/// A pack that is being written.
#[derive(Debug)]
pub(crate) struct PackWriter {
    /// The repository's folder of packs.
    folder: PathBuf,
    temporary: PathBuf,
    output: Output,
    entries: Vec<Entry>,
    known: HashSet<ObjectId>,
}

/// The file of a pack. It counts the bytes written, and computes the checksum of each object.
#[derive(Debug)]
struct Output {
    file: BufWriter<File>,
    length_bytes: u64,
    checksum: crc32fast::Hasher,
}

/// The position of an object; in the order of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: ObjectId,
    offset: u64,
    checksum: u32,
}

/// Passes content on in pieces.
pub(crate) type CopyContent<'a> = dyn FnMut(&mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> + 'a;

/// Compresses an object, on any thread.
pub(crate) fn packed(kind: Kind, content: &[u8]) -> Result<Packed> {
    let id = object_id(kind, content)?;
    let mut bytes = Vec::with_capacity(16 + content.len() / 2);
    let deflated = put_header(&mut bytes, kind, content.len() as u64).and_then(|()| {
        let mut deflate = deflate::Write::new(&mut bytes, COMPRESSION);
        deflate.write_all(content)?;
        deflate.flush()
    });
    deflated.map_err(|e| Error::new(ErrorKind::Io, "compress", format!("object {id} for git"), e))?;
    Ok(Packed { id, bytes })
}

/// The level that git uses for loose objects.
const COMPRESSION: Compression = Compression::BEST_SPEED;

impl PackWriter {
    /// Begins a pack in the folder of packs of a repository.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        // Git removes old files of this name when it collects garbage.
        let temporary = folder.join("tmp_pack_retro");
        let file = File::options().read(true).write(true).create_new(true).open(&temporary);
        let file = file.map_err(|e| Error::io("create pack", &temporary, e))?;
        let file = BufWriter::with_capacity(256 << 10, file);
        let mut output = Output { file, length_bytes: 0, checksum: crc32fast::Hasher::new() };
        let written = output.write_all(&gix::odb::pack::data::header::encode(Version::V2, 0));
        written.map_err(|e| Error::io("write pack", &temporary, e))?;
        Ok(Self { folder: folder.to_owned(), temporary, output, entries: Vec::new(), known: HashSet::new() })
    }

    /// Adds an object that is in memory.
    pub(crate) fn add(&mut self, kind: Kind, content: &[u8]) -> Result<ObjectId> {
        let id = object_id(kind, content)?;
        if self.known.contains(&id) { Ok(id) } else { self.add_packed(packed(kind, content)?) }
    }

    /// Adds an object that was compressed before.
    pub(crate) fn add_packed(&mut self, object: Packed) -> Result<ObjectId> {
        let Packed { id, bytes } = object;
        if !self.known.contains(&id) {
            let offset = self.begin();
            self.output.write_all(&bytes).map_err(|e| Error::io("write pack", &self.temporary, e))?;
            self.end(id, offset);
        }
        Ok(id)
    }

    /// Adds a blob of `length_bytes` bytes that `copy` passes on. The caller adds none twice.
    pub(crate) fn add_stream(&mut self, length_bytes: u64, copy: &mut CopyContent<'_>) -> Result<ObjectId> {
        let offset = self.begin();
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(&gix::objs::encode::loose_header(Kind::Blob, length_bytes));
        let fail = |e: io::Error| Error::io("write pack", &self.temporary, e);
        put_header(&mut self.output, Kind::Blob, length_bytes).map_err(fail)?;
        let mut deflate = deflate::Write::new(&mut self.output, COMPRESSION);
        let mut left = length_bytes;
        let wrong = || Error::corrupt("write pack", "a blob", "its content has another length than its list says");
        copy(&mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
            hasher.update(piece);
            deflate.write_all(piece).map_err(fail)
        })?;
        if left > 0 {
            return Err(wrong());
        }
        deflate.flush().map_err(fail)?;
        let id = finish(hasher)?;
        self.end(id, offset);
        Ok(id)
    }

    /// Begins an object, and returns its offset.
    fn begin(&mut self) -> u64 {
        self.output.checksum = crc32fast::Hasher::new();
        self.output.length_bytes
    }

    fn end(&mut self, id: ObjectId, offset: u64) {
        assert!(self.known.insert(id), "no object is added twice");
        self.entries.push(Entry { id, offset, checksum: self.output.checksum.clone().finalize() });
    }

    /// Puts the pack and its index in place, and returns the number of objects and the bytes of both files.
    pub(crate) fn finish(mut self) -> Result<(u64, u64)> {
        self.entries.sort();
        let checksum = self.seal()?;
        let index = self.index(&checksum)?;
        let name = format!("pack-{checksum}");
        rename(&self.temporary, &self.folder.join(format!("{name}.pack")))?;
        let temporary = self.folder.join("tmp_idx_retro");
        let written = File::options().write(true).create_new(true).open(&temporary).and_then(|mut file| {
            file.write_all(&index)?;
            file.sync_all()
        });
        written.map_err(|e| Error::io("write index of pack", &temporary, e))?;
        rename(&temporary, &self.folder.join(format!("{name}.idx")))?;
        let synced = File::open(&self.folder).and_then(|folder| folder.sync_all());
        synced.map_err(|e| Error::io("sync folder", &self.folder, e))?;
        Ok((self.entries.len() as u64, self.output.length_bytes + index.len() as u64))
    }

    /// Writes the number of objects at the start and the hash at the end. The number is known only now, so everything
    /// is read once more for the hash.
    fn seal(&mut self) -> Result<ObjectId> {
        let count = u32::try_from(self.entries.len()).map_err(|_| {
            Error::new(ErrorKind::Limit, "write pack", "the repository", "git's packs hold fewer than 2^32 objects")
        })?;
        let Output { file, length_bytes, .. } = &mut self.output;
        let mut hash = || -> io::Result<gix::hash::Hasher> {
            file.flush()?;
            let file = file.get_mut();
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&gix::odb::pack::data::header::encode(Version::V2, count))?;
            file.seek(SeekFrom::Start(0))?;
            let mut hashed = gix::hash::io::Write::new(io::sink(), gix::hash::Kind::Sha1);
            io::copy(&mut file.take(*length_bytes), &mut hashed)?;
            Ok(hashed.hash)
        };
        let fail = |e| Error::io("write pack", &self.temporary, e);
        let checksum = finish(hash().map_err(fail)?)?;
        let mut end = || {
            self.output.write_all(checksum.as_slice())?;
            self.output.file.flush()?;
            self.output.file.get_ref().sync_all()
        };
        end().map_err(fail)?;
        Ok(checksum)
    }

    /// The index of the sorted entries, for a pack with this hash.
    #[expect(clippy::big_endian_bytes, reason = "git's formats are big-endian")]
    fn index(&self, pack: &ObjectId) -> Result<Vec<u8>> {
        let mut out = Vec::with_capacity(1_100 + self.entries.len() * 28);
        out.extend_from_slice(b"\xfftOc\0\0\0\x02");
        for byte in 0..=u8::MAX {
            let count = self.entries.partition_point(|entry| entry.id.first_byte() <= byte);
            out.extend_from_slice(&u32::try_from(count).expect("counted when sealed").to_be_bytes());
        }
        self.entries.iter().for_each(|entry| out.extend_from_slice(entry.id.as_slice()));
        self.entries.iter().for_each(|entry| out.extend_from_slice(&entry.checksum.to_be_bytes()));
        let mut long: Vec<u64> = Vec::new();
        for entry in &self.entries {
            let offset = match u32::try_from(entry.offset) {
                Ok(offset) if offset < LONG_OFFSET => offset,
                _ => {
                    long.push(entry.offset);
                    LONG_OFFSET | u32::try_from(long.len() - 1).expect("fewer than the entries")
                }
            };
            out.extend_from_slice(&offset.to_be_bytes());
        }
        long.iter().for_each(|offset| out.extend_from_slice(&offset.to_be_bytes()));
        out.extend_from_slice(pack.as_slice());
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(&out);
        out.extend_from_slice(finish(hasher)?.as_slice());
        Ok(out)
    }
}

/// Offsets with this bit are in the table of long ones.
const LONG_OFFSET: u32 = 1 << 31;

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write_all(bytes)?;
        self.length_bytes += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn put_header(out: &mut dyn Write, kind: Kind, length_bytes: u64) -> io::Result<()> {
    let header = match kind {
        Kind::Blob => Header::Blob,
        Kind::Tree => Header::Tree,
        Kind::Commit => Header::Commit,
        Kind::Tag => Header::Tag,
    };
    header.write_to(length_bytes, out).map(drop)
}

#[expect(clippy::disallowed_methods, reason = "a repository that is made here is neither store nor workspace")]
fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|e| Error::io("rename", from, e))
}

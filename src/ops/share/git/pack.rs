//! Writing a git pack: all objects of an export in one file, each compressed on its own.
//!
//! ```text
//! pack   "PACK" 2 count | header, zlib of the content | ... | SHA-1 of it all
//! index  "\377tOc" 2 | count of ids up to each first byte | ids | CRC-32s | offsets | long offsets | SHA-1s
//! ```
//!
//! (gitformat-pack(5).) Loose objects would be a file for each of them, some hundred thousand for a large history.
//! There are no deltas: `git repack -adf` makes better ones than could be made in passing. (A plain `git gc` does not
//! look for any between objects that it finds whole in one pack.)
//!
//! Invariants: the pack and its index get their names when they are complete and synced, the index last, so that git
//! sees both or neither. Content longer than memory allows is handed through in pieces.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gix::ObjectId;
use gix::objs::Kind;
use gix::odb::pack::data::Version;
use gix::odb::pack::data::entry::Header;
use gix::zlib::Compression;
use gix::zlib::stream::deflate;

use super::{finish, object_id};
use crate::error::{Error, ErrorKind, Result};

/// An object as it stands in a pack.
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
    file: BufWriter<File>,
    length_bytes: u64,
    entries: Vec<Entry>,
    known: HashSet<ObjectId>,
}

/// Where an object is; in the order of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    id: ObjectId,
    offset: u64,
    checksum: u32,
}

/// Hands content over in pieces.
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

/// What git takes for loose objects.
const COMPRESSION: Compression = Compression::BEST_SPEED;

impl PackWriter {
    /// Begins a pack in the folder of packs of a repository.
    pub(crate) fn create(folder: &Path) -> Result<Self> {
        // Git removes old files of this name when it collects garbage.
        let temporary = folder.join("tmp_pack_retro");
        let file = File::options().read(true).write(true).create_new(true).open(&temporary);
        let file = file.map_err(|e| Error::io("create pack", &temporary, e))?;
        let mut pack = Self {
            folder: folder.to_owned(),
            temporary,
            file: BufWriter::with_capacity(256 << 10, file),
            length_bytes: 0,
            entries: Vec::new(),
            known: HashSet::new(),
        };
        pack.write(&gix::odb::pack::data::header::encode(Version::V2, 0))?;
        Ok(pack)
    }

    /// Adds an object that is in memory.
    pub(crate) fn add(&mut self, kind: Kind, content: &[u8]) -> Result<ObjectId> {
        let id = object_id(kind, content)?;
        if self.known.contains(&id) { Ok(id) } else { self.add_packed(packed(kind, content)?) }
    }

    /// Adds an object that was compressed before.
    pub(crate) fn add_packed(&mut self, object: Packed) -> Result<ObjectId> {
        let Packed { id, bytes } = object;
        if self.known.insert(id) {
            self.entries.push(Entry { id, offset: self.length_bytes, checksum: crc32fast::hash(&bytes) });
            self.write(&bytes)?;
        }
        Ok(id)
    }

    /// Adds a blob of `length_bytes` bytes that `copy` hands over. The caller adds none twice.
    pub(crate) fn add_stream(&mut self, length_bytes: u64, copy: &mut CopyContent<'_>) -> Result<ObjectId> {
        let offset = self.length_bytes;
        let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
        hasher.update(&gix::objs::encode::loose_header(Kind::Blob, length_bytes));
        let mut sink = Checked { pack: self, checksum: crc32fast::Hasher::new() };
        let temporary = sink.pack.temporary.clone();
        let fail = |e: std::io::Error| Error::io("write pack", &temporary, e);
        put_header(&mut sink, Kind::Blob, length_bytes).map_err(fail)?;
        let mut deflate = deflate::Write::new(&mut sink, COMPRESSION);
        let mut left = length_bytes;
        let wrong = || Error::corrupt("write pack", "a blob", "its content is not as long as it says");
        copy(&mut |piece| {
            left = left.checked_sub(piece.len() as u64).ok_or_else(wrong)?;
            hasher.update(piece);
            deflate.write_all(piece).map_err(fail)
        })?;
        if left > 0 {
            return Err(wrong());
        }
        deflate.flush().map_err(fail)?;
        let checksum = deflate.into_inner().checksum.clone().finalize();
        let id = finish(hasher)?;
        assert!(self.known.insert(id), "the caller remembers which blobs it has added");
        self.entries.push(Entry { id, offset, checksum });
        Ok(id)
    }

    /// Puts the pack and its index in place, and returns how many objects there are, and the bytes of both files.
    pub(crate) fn finish(mut self) -> Result<(u64, u64)> {
        self.entries.sort();
        let checksum = self.seal()?;
        let index = self.index(&checksum)?;
        let name = format!("pack-{checksum}");
        let pack_length_bytes = self.length_bytes + checksum.as_slice().len() as u64;
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
        Ok((self.entries.len() as u64, pack_length_bytes + index.len() as u64))
    }

    /// Writes the number of objects at the start and the hash at the end. The number is known only now, so everything
    /// is read once more for the hash.
    fn seal(&mut self) -> Result<ObjectId> {
        let count = u32::try_from(self.entries.len()).map_err(|_| {
            Error::new(ErrorKind::Limit, "write pack", "the repository", "git's packs hold fewer than 2^32 objects")
        })?;
        let length = self.length_bytes;
        let mut rewrite = || -> std::io::Result<gix::hash::Hasher> {
            self.file.flush()?;
            let file = self.file.get_mut();
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&gix::odb::pack::data::header::encode(Version::V2, count))?;
            file.seek(SeekFrom::Start(0))?;
            let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
            let mut reader = BufReader::with_capacity(256 << 10, file.take(length));
            let mut buffer = vec![0; 256 << 10];
            loop {
                match reader.read(&mut buffer)? {
                    0 => break,
                    read => hasher.update(&buffer[..read]),
                }
            }
            Ok(hasher)
        };
        let hasher = rewrite().map_err(|e| Error::io("read pack", &self.temporary, e))?;
        let checksum = finish(hasher)?;
        let file = self.file.get_mut();
        let sealed = file.seek(SeekFrom::End(0)).and_then(|_| file.write_all(checksum.as_slice()));
        sealed.and_then(|()| file.sync_all()).map_err(|e| Error::io("write pack", &self.temporary, e))?;
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

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.length_bytes += bytes.len() as u64;
        self.file.write_all(bytes).map_err(|e| Error::io("write pack", &self.temporary, e))
    }
}

/// Offsets with this bit are in the table of long ones.
const LONG_OFFSET: u32 = 1 << 31;

/// Counts and checks what goes into a pack.
struct Checked<'a> {
    pack: &'a mut PackWriter,
    checksum: crc32fast::Hasher,
}

impl Write for Checked<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.pack.file.write_all(bytes)?;
        self.pack.length_bytes += bytes.len() as u64;
        self.checksum.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn put_header(out: &mut dyn Write, kind: Kind, length_bytes: u64) -> std::io::Result<()> {
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

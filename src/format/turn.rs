//! The file `turn` of a workspace: the position of the rolling re-read, and the files that made the last step slow
//! (store-format.md, appendix B).
//!
//! ```text
//! file = magic  version  workspace  3 turns  4 counts  largest  padding  checksum        512 bytes
//! turn = rank  offset  files                             count = files  bytes
//! ```
//!
//! The file is one sector, written in place: a torn write fails its checksum, and the re-read starts again at the first
//! file.

use super::Malformed;
use super::bytes::{check_header, file_start, put_checksum};
use crate::id::WorkspaceId;

/// First bytes of the file.
pub const TURN_MAGIC: [u8; 8] = *b"\xd7RETTURN";
/// Length of the file, in bytes.
pub const TURN_LENGTH_BYTES: usize = 512;
/// Longest path kept in the file, in bytes.
const PATH_ROOM_BYTES: usize = TURN_LENGTH_BYTES - 8 - 4 - 16 - 3 * 24 - 4 * 16 - 1 - 8 - 2 - 4;

/// The reason why the content of a file was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReadReason {
    /// The stat cache has no entry for it, or the store has lost its content.
    New,
    /// Its stat changed.
    Changed,
    /// Its stat proves nothing: it changed just before it was last read, or its times are ahead of the clock.
    Racy,
    /// It was due to be read again, or a restore needed certainty.
    Turn,
}

/// Numbers of files and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadCount {
    /// Number of files.
    pub files: u64,
    /// Number of bytes read.
    pub bytes: u64,
}

/// The largest file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargestRead {
    /// The reason why it was read.
    pub reason: ReadReason,
    /// Number of bytes read of it.
    pub bytes: u64,
    /// Its path in the workspace, truncated if long.
    pub path: Vec<u8>,
}

/// The files read during one capture of a workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadSummary {
    counts: [ReadCount; 4],
    /// The largest of the files.
    pub largest: Option<LargestRead>,
}

/// Position of the rolling re-read in one class of files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// Rank of the file to be read next; if there is none of this rank, the next higher one.
    pub rank: u64,
    /// Number of bytes at the start of that file that are already read.
    pub offset: u64,
    /// Number of files in the class at the last count.
    pub files: u64,
}

/// The content of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnFile {
    /// Positions by class: settled files, files read soon after a change, files on unreliable file systems.
    pub turns: [Turn; 3],
    /// The files that the last step read, if it read much.
    pub read: ReadSummary,
}

impl ReadReason {
    /// All reasons, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::New, Self::Changed, Self::Racy, Self::Turn];
}

impl ReadSummary {
    /// Files and bytes read for one reason.
    pub fn count(&self, reason: ReadReason) -> ReadCount {
        self.counts[reason as usize]
    }

    /// Sum over all reasons.
    pub fn total(&self) -> ReadCount {
        self.counts.iter().fold(ReadCount::default(), |sum, count| ReadCount {
            files: sum.files.saturating_add(count.files),
            bytes: sum.bytes.saturating_add(count.bytes),
        })
    }

    /// Adds one file. `path` is called only if the file is the largest so far.
    pub fn add(&mut self, reason: ReadReason, bytes: u64, path: impl FnOnce() -> Vec<u8>) {
        let count = &mut self.counts[reason as usize];
        count.files = count.files.saturating_add(1);
        count.bytes = count.bytes.saturating_add(bytes);
        if self.largest.as_ref().is_none_or(|largest| largest.bytes < bytes) {
            self.largest = Some(LargestRead { reason, bytes, path: path() });
        }
    }
}

/// Encodes the file of a workspace.
pub fn encode(workspace: WorkspaceId, file: &TurnFile) -> Vec<u8> {
    let mut out = file_start(TURN_MAGIC, TURN_LENGTH_BYTES);
    out.extend_from_slice(&workspace.0);
    let turns = file.turns.iter().flat_map(|turn| [turn.rank, turn.offset, turn.files]);
    let counts = file.read.counts.iter().flat_map(|count| [count.files, count.bytes]);
    turns.chain(counts).for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    let none = LargestRead { reason: ReadReason::New, bytes: 0, path: Vec::new() };
    let largest = file.read.largest.as_ref().unwrap_or(&none);
    out.push(largest.reason as u8);
    out.extend_from_slice(&largest.bytes.to_le_bytes());
    let path = &largest.path[..largest.path.len().min(PATH_ROOM_BYTES)];
    out.extend_from_slice(&u16::try_from(path.len()).expect("the room is small").to_le_bytes());
    out.extend_from_slice(path);
    out.resize(TURN_LENGTH_BYTES - 4, 0);
    put_checksum(&mut out, 0);
    out
}

/// Decodes the file of a workspace.
pub fn decode(workspace: WorkspaceId, bytes: &[u8]) -> Result<TurnFile, Malformed> {
    if bytes.len() != TURN_LENGTH_BYTES {
        return Err(Malformed::new("its length is wrong"));
    }
    let mut reader = check_header(bytes, TURN_MAGIC, TURN_LENGTH_BYTES, "a turn file")?;
    if reader.array()? != workspace.0 {
        return Err(Malformed::new("it belongs to another workspace"));
    }
    let mut file = TurnFile::default();
    for turn in &mut file.turns {
        *turn = Turn { rank: reader.u64()?, offset: reader.u64()?, files: reader.u64()? };
    }
    for count in &mut file.read.counts {
        *count = ReadCount { files: reader.u64()?, bytes: reader.u64()? };
    }
    let reason = ReadReason::ALL.get(usize::from(reader.u8()?)).copied();
    let reason = reason.ok_or_else(|| Malformed::new("a file was read for an unknown reason"))?;
    let bytes = reader.u64()?;
    let length = usize::from(reader.u16()?);
    let path = reader.take(length)?.to_vec();
    let padding_length = reader.rest().len().checked_sub(4).ok_or_else(|| Malformed::new("its path is too long"))?;
    if reader.take(padding_length)?.iter().any(|byte| *byte != 0) {
        return Err(Malformed::new("its padding is not zero"));
    }
    let is_any = file.read.total().files > 0;
    file.read.largest = is_any.then_some(LargestRead { reason, bytes, path });
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::{PATH_ROOM_BYTES, ReadReason, Turn, TurnFile, decode, encode};
    use crate::id::WorkspaceId;

    const WORKSPACE: WorkspaceId = WorkspaceId([3; 16]);

    fn file(path: &[u8]) -> TurnFile {
        let mut file = TurnFile::default();
        file.turns[1] = Turn { rank: u64::MAX, offset: 7, files: 9 };
        file.read.add(ReadReason::Racy, 5, || b"small".to_vec());
        file.read.add(ReadReason::Turn, u64::MAX, || path.to_vec());
        file.read.add(ReadReason::New, 6, || b"later".to_vec());
        file
    }

    #[test]
    fn a_turn_file_reads_back_and_long_paths_are_cut() {
        for written in [TurnFile::default(), file(b"a/b"), file(&[b'x'; PATH_ROOM_BYTES])] {
            assert_eq!(decode(WORKSPACE, &encode(WORKSPACE, &written)), Ok(written));
        }
        let cut = decode(WORKSPACE, &encode(WORKSPACE, &file(&[b'x'; PATH_ROOM_BYTES + 1]))).unwrap();
        assert_eq!(cut.read.largest.unwrap().path.len(), PATH_ROOM_BYTES);
    }

    /// W12.
    #[test]
    fn damage_and_other_workspaces_are_refused() {
        let bytes = encode(WORKSPACE, &file(b"a"));
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(decode(WORKSPACE, &damaged).is_err(), "byte {at}");
        }
        assert!(decode(WORKSPACE, &bytes[..bytes.len() - 1]).is_err());
        assert!(decode(WorkspaceId([4; 16]), &bytes).is_err());
    }
}

//! The index of an open pack: the sorted part of its file is mapped, all other entries are sorted in memory.
//!
//! An index only says where to look: the object is checked against its whole id. If the index is missing, behind,
//! damaged or of another pack, the pack is read instead (`recover`), and the next writer writes a new index.

use std::sync::Arc;

use super::recover::{FIRST_TRANSACTION_OFFSET, Recovered};
use crate::disk::Bytes;
use crate::format::index::{
    INDEX_HEADER_LENGTH_BYTES, IndexEntry, IndexHeader, decode_header, decode_tail, encode, entries_are_intact,
    entry_at, lower_bound, sorted_length_bytes,
};
use crate::format::pack::ObjectKind;
use crate::id::StoreId;

/// Finds objects in one pack.
#[derive(Clone, Debug, Default)]
pub(super) struct PackIndex {
    sorted: Option<(IndexHeader, Arc<Bytes>)>,
    /// Entries that are not in the sorted part, sorted; most packs have none.
    tail: Vec<IndexEntry>,
    /// The index covers the pack up to this offset.
    end: u64,
    /// Length of the intact part of the file, in bytes. Groups are appended there.
    file_length_bytes: u64,
    /// Entries that the file lacks, in the order of the pack.
    unsaved: Vec<IndexEntry>,
    /// The file lacks entries, or covers less of the pack.
    is_behind: bool,
}

impl PackIndex {
    /// Opens an index file; `None` unless it is an index of this pack.
    pub(super) fn open(bytes: Bytes, store: StoreId, pack_nonce: [u8; 16]) -> Option<Self> {
        let header = decode_header(&bytes).ok()?;
        if header.store != store || header.pack_nonce != pack_nonce {
            return None;
        }
        let found = decode_tail(&header, &bytes);
        let file_length = INDEX_HEADER_LENGTH_BYTES + sorted_length_bytes(&header) + found.length_bytes;
        let mut index = Self {
            end: found.end.unwrap_or(header.sorted_end),
            file_length_bytes: file_length as u64,
            sorted: Some((header, Arc::new(bytes))),
            tail: found.entries,
            ..Self::default()
        };
        index.tail.sort_unstable();
        Some(index)
    }

    /// The index of a pack without transactions.
    pub(super) fn empty() -> Self {
        Self { end: FIRST_TRANSACTION_OFFSET, ..Self::default() }
    }

    /// Adds the objects of the pack up to `end`.
    pub(super) fn extend(&mut self, entries: &[IndexEntry], end: u64) {
        self.is_behind |= !entries.is_empty() || end > self.end;
        self.unsaved.extend_from_slice(entries);
        self.tail.extend_from_slice(entries);
        self.tail.sort_unstable();
        self.end = self.end.max(end);
    }

    /// Adds the objects that were read from the pack itself. Transactions that end by `known` are in the index already.
    pub(super) fn take_in(&mut self, found: &Recovered, known: u64) {
        let intact = found.transactions.iter().filter(|one| one.end > known).flat_map(|one| &one.entries);
        let salvaged = found.damaged.iter().flat_map(|damaged| &damaged.salvaged);
        let salvaged = salvaged.filter(|entry| u64::from(entry.offset) >= known);
        let entries: Vec<IndexEntry> = intact.chain(salvaged).copied().collect();
        self.extend(&entries, found.end);
    }

    /// Entries that the file lacks, in the order of the pack.
    pub(super) fn unsaved(&self) -> &[IndexEntry] {
        &self.unsaved
    }

    /// The offset in the pack up to which the index covers it.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The offset for the next group in the file; `None` if there is no file.
    pub(super) fn append_at(&self) -> Option<u64> {
        self.sorted.is_some().then_some(self.file_length_bytes)
    }

    /// True if the file has all entries.
    pub(super) fn is_saved(&self) -> bool {
        self.sorted.is_some() && !self.is_behind
    }

    /// True if the file says that no transaction that it covers has a higher number than `sequence`.
    pub(super) fn has_facts_only_up_to(&self, sequence: u64) -> bool {
        let sorted_only = |header: &IndexHeader| header.sorted_end == self.end && header.last_sequence <= sequence;
        self.sorted.as_ref().is_some_and(|(header, _)| sorted_only(header))
    }

    /// The number of entries outside the sorted part.
    pub(super) fn tail_count(&self) -> usize {
        self.tail.len()
    }

    /// The first entry with this prefix whose kind is among `kinds`.
    pub(super) fn find(&self, prefix: &[u8; 16], kinds: &[ObjectKind]) -> Option<IndexEntry> {
        let first = self.tail.partition_point(|entry| entry.prefix < *prefix);
        let in_tail = self.tail[first..].iter().copied().take_while(|entry| entry.prefix == *prefix);
        self.sorted_from(prefix).chain(in_tail).find(|entry| kinds.contains(&entry.kind))
    }

    /// True if the sorted part matches its checksum.
    pub(super) fn is_intact(&self) -> bool {
        self.sorted.as_ref().is_none_or(|(header, bytes)| entries_are_intact(header, bytes))
    }

    /// All entries.
    pub(super) fn entries(&self) -> Vec<IndexEntry> {
        let sorted = self.sorted.iter().flat_map(|(header, bytes)| {
            (0..header.count as usize).filter_map(move |position| entry_at(header, bytes, position))
        });
        sorted.chain(self.tail.iter().copied()).collect()
    }

    /// The file with all entries sorted. No transaction of the pack has a higher number than `last_sequence`.
    pub(super) fn encode(&self, store: StoreId, pack_nonce: [u8; 16], last_sequence: u64) -> Vec<u8> {
        let mut entries = self.entries();
        entries.sort();
        entries.dedup();
        encode(store, pack_nonce, self.end, last_sequence, &entries)
    }

    fn sorted_from(&self, prefix: &[u8; 16]) -> impl Iterator<Item = IndexEntry> {
        let prefix = *prefix;
        self.sorted.iter().flat_map(move |(header, bytes)| {
            let first = lower_bound(header, bytes, &prefix);
            (first..)
                .map_while(move |position| entry_at(header, bytes, position))
                .take_while(move |entry| entry.prefix == prefix)
        })
    }
}

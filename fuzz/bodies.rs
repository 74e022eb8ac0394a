//! The bodies of the fuzz targets, one function per decoder; `tests/it/fuzz.rs` runs them on small inputs.
//!
//! Every body checks the same promises of its decoder. No bytes make it panic. Accepted input is encoded again to the
//! same bytes, so that nothing has two encodings. Only payloads of records have several encodings: there, encoded bytes
//! must decode to the same object.

use retrograde::format::attributes::acl;
use retrograde::format::pack::{Encoding, Link};
use retrograde::format::{
    Reader, attributes, cache, chunk_list, facts, header, index, journal, pack, put_uint, snapshot, tree,
};
use retrograde::id::{HexPrefix, StoreId};
use retrograde::limits::CHUNK_LIST_LENGTH_MAX_BYTES;
use retrograde::path::TreePath;
use retrograde::store::payload;
use retrograde::time::Timestamp;
use retrograde::workspace::rules::Rules;

/// A fuzz target's body.
pub(crate) type Body = fn(&[u8]);

/// All bodies by name: the names of the targets.
pub(crate) const BODIES: [(&str, Body); 15] = [
    ("integer", integer),
    ("tree", tree_object),
    ("chunk_list", chunks),
    ("snapshot", snapshot_object),
    ("paths", path_lists),
    ("attributes", attribute_lists),
    ("facts", fact_list),
    ("record", record),
    ("frame", frame),
    ("trailer", trailer),
    ("index", index_file),
    ("journal", journal_file),
    ("cache", cache_file),
    ("format", format_file),
    ("text", texts),
];

/// Variable-length integers.
pub(crate) fn integer(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    while let Ok(value) = reader.uint() {
        let mut again = Vec::new();
        put_uint(&mut again, value);
        let read = bytes.len() - reader.rest().len();
        assert!(bytes[..read].ends_with(&again));
    }
}

/// Tree objects.
pub(crate) fn tree_object(bytes: &[u8]) {
    if let Ok(tree::Tree::Leaf(entries)) = tree::decode(bytes)
        && bytes.len() <= retrograde::limits::TREE_SPLIT_ABOVE_BYTES
    {
        assert_eq!(tree::encode(&entries).objects[0].1, bytes);
    }
}

/// Chunk lists.
pub(crate) fn chunks(bytes: &[u8]) {
    if let Ok(list) = chunk_list::decode(bytes) {
        assert_eq!(chunk_list::encode(&list), bytes);
    }
}

/// Snapshots.
pub(crate) fn snapshot_object(bytes: &[u8]) {
    if let Ok(found) = snapshot::decode(bytes) {
        assert_eq!(snapshot::encode(&found), bytes);
    }
}

/// Lists of paths in snapshots.
pub(crate) fn path_lists(bytes: &[u8]) {
    if let Ok(excluded) = snapshot::decode_excluded(bytes) {
        assert_eq!(snapshot::encode_excluded(&excluded), bytes);
    }
    if let Ok(omitted) = snapshot::decode_omitted(bytes) {
        assert_eq!(snapshot::encode_omitted(&omitted), bytes);
    }
    if let Ok(times) = snapshot::decode_times(bytes) {
        assert_eq!(snapshot::encode_times(&times), bytes);
    }
}

/// Attributes in snapshots, of all paths and of one.
pub(crate) fn attribute_lists(bytes: &[u8]) {
    if let Ok(list) = attributes::decode_list(bytes) {
        let sets = list.iter().map(|(path, set)| (path.clone(), attributes::encode_set(set).into()));
        assert_eq!(attributes::encode_list(&sets.collect::<Vec<_>>()), bytes);
    }
    if let Ok(set) = attributes::decode_set(bytes) {
        assert_eq!(attributes::encode_set(&set), bytes);
        if let Some(acl) = set.access_acl() {
            let (with, narrowest) = (acl::mode_with(0, acl), acl::narrowest_mode(0o777, acl));
            assert!(with & 0o7000 == 0 && acl::mode_without(with, acl) & !0o777 == 0);
            assert_eq!(narrowest & !acl::mode_without(0o777, acl), 0);
        }
    }
}

/// Facts of a transaction.
pub(crate) fn fact_list(bytes: &[u8]) {
    if let Ok(found) = facts::decode(bytes) {
        assert_eq!(facts::encode(&found), bytes);
    }
}

/// Records of a pack.
pub(crate) fn record(bytes: &[u8]) {
    drop(pack::decode_header(bytes));
    let Ok(header) = pack::decode_record(bytes) else { return };
    if pack::record_is_intact(&header, bytes) {
        let payload = &bytes[header.header_length_bytes..header.record_length_bytes()];
        let mut again = Vec::new();
        pack::put_record(&mut again, &header.encoding, &header.members, payload);
        assert_eq!(again, bytes[..header.record_length_bytes()]);
    }
}

/// Payloads of records: frames, deltas and splices.
pub(crate) fn frame(bytes: &[u8]) {
    let Some(Parts { encoding, length_bytes, base, payload }) = parts(bytes) else { return };
    if let Ok(decoded) = payload::decode(&encoding, payload, base, length_bytes) {
        assert_eq!(decoded.len(), length_bytes);
    }
    // The same bytes as an object to be encoded.
    let written = payload::encode(&encoding, payload, base, 3);
    let length = payload.len();
    assert_eq!(payload::decode(&encoding, &written, base, length).as_deref(), Ok(payload));
    let is_refused = |length| payload::decode(&encoding, &written, base, length).is_err();
    // A splice does not contain the length of its object: it takes missing bytes from the end of the base.
    if !matches!(encoding, Encoding::Splice(_)) {
        assert!(is_refused(length + 1) && (length == 0 || is_refused(length - 1)));
    }
}

/// The parts into which [`frame`] splits its input.
pub(crate) struct Parts<'a> {
    /// The encoding, from the first byte.
    pub(crate) encoding: Encoding,
    /// The length of the object according to the record, from four bytes; at most that of the longest object.
    pub(crate) length_bytes: usize,
    /// The base; its length is in the two bytes before it, and limited to the rest.
    pub(crate) base: &'a [u8],
    /// The payload: the rest.
    pub(crate) payload: &'a [u8],
}

/// Splits the input of [`frame`].
pub(crate) fn parts(bytes: &[u8]) -> Option<Parts<'_>> {
    let (encoding, rest) = bytes.split_first()?;
    let (length, rest) = rest.split_first_chunk()?;
    let (base_length, rest) = rest.split_first_chunk()?;
    let (base, payload) = rest.split_at(usize::from(u16::from_le_bytes(*base_length)).min(rest.len()));
    let link = Link { base: [0; 16], generation: 1 };
    let encoding = [Encoding::Raw, Encoding::Zstd, Encoding::Delta(link), Encoding::Splice(link)]
        .into_iter()
        .nth(usize::from(encoding % 4))?;
    let length_bytes = usize::try_from(u32::from_le_bytes(*length)).ok()?.min(CHUNK_LIST_LENGTH_MAX_BYTES);
    Some(Parts { encoding, length_bytes, base, payload })
}

/// Trailers of transactions.
pub(crate) fn trailer(bytes: &[u8]) {
    let Ok(found) = pack::decode_trailer(bytes) else { return };
    assert!(found.length_bytes <= bytes.len() && found.facts.len() < found.length_bytes);
    if found.records_length_bytes == 0 {
        let mut again = Vec::new();
        pack::put_trailer(&mut again, StoreId([1; 16]), 0, found.sequence, found.facts);
        // All but the hash, which no input matches by chance.
        assert_eq!(again[..again.len() - 16], bytes[..found.length_bytes - 16]);
        assert!(
            pack::transaction_is_intact(StoreId([1; 16]), &again)
                && !pack::transaction_is_intact(StoreId([2; 16]), &again)
        );
    }
}

/// Pack indexes.
pub(crate) fn index_file(bytes: &[u8]) {
    let Ok(header) = index::decode_header(bytes) else { return };
    let tail = index::decode_tail(&header, bytes);
    let prefix = bytes.first_chunk().copied().unwrap_or_default();
    let at = index::lower_bound(&header, bytes, &prefix);
    assert!(at <= header.count as usize);
    if index::entries_are_intact(&header, bytes) {
        let entries: Vec<_> = (0..header.count as usize).filter_map(|at| index::entry_at(&header, bytes, at)).collect();
        let is_below = |entry: &index::IndexEntry| entry.prefix < prefix;
        assert!(entries.len() < header.count as usize || at == entries.iter().filter(|entry| is_below(entry)).count());
    }
    assert!(tail.length_bytes <= bytes.len());
}

/// Journals.
pub(crate) fn journal_file(bytes: &[u8]) {
    let store = StoreId(bytes.get(12..28).and_then(|id| id.first_chunk().copied()).unwrap_or_default());
    let Ok(found) = journal::decode(bytes, store) else { return };
    let mut again = journal::encode_header(store);
    found.groups.iter().for_each(|group| journal::put_group(&mut again, group));
    assert_eq!(again, bytes[..found.length_bytes]);
}

/// Stat caches.
pub(crate) fn cache_file(bytes: &[u8]) {
    if let Ok((header, checksum)) = cache::decode_header(bytes) {
        _ = cache::table(&header, bytes).map(<[_]>::len);
        _ = cache::decode_group(checksum, bytes);
    }
    if let Ok(block) = cache::decode_block(bytes) {
        assert_eq!(block.lines().count(), block.line_count());
        _ = block.position(b"name");
    }
    if let Some(length) = cache::block_length_bytes(bytes) {
        assert!(length <= bytes.len());
    }
}

/// The file `FORMAT`.
pub(crate) fn format_file(bytes: &[u8]) {
    if let Ok(id) = header::decode(bytes) {
        assert_eq!(header::encode(id), bytes);
    }
}

/// Texts from people and configuration files.
pub(crate) fn texts(bytes: &[u8]) {
    if let Ok(path) = TreePath::new(bytes) {
        assert_eq!(path.as_bytes(), bytes);
        assert_eq!(path.names().count(), path.depth());
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    _ = HexPrefix::parse(text);
    _ = Timestamp::parse(text, Timestamp(0));
    drop(retrograde::workspace::config::parse(text, std::path::Path::new("retro.toml"), &mut Vec::new()));
    if let Ok(rules) = Rules::parse(text) {
        let again = Rules::parse(rules.text()).expect("the canonical text of rules reads back");
        assert_eq!(again.text(), rules.text());
    }
}

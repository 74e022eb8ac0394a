//! No decoder takes more memory than a documented multiple of its input, whatever the input says (F3).
//!
//! The allocator of this test binary counts what each thread holds. Every decoder is driven with the seeds of the fuzz
//! targets and everything near them, and with the worst that can be made by hand for it: counts of 2^64-1 and lengths
//! of 2^32-1 in front of little, and long inputs that hold as many of the smallest things as there can be.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use retrograde::format::facts::{self, Fact};
use retrograde::format::pack::{Encoding, Member, ObjectKind, put_record};
use retrograde::format::snapshot::{self, Attachment, Snapshot};
use retrograde::format::{attributes, cache, chunk_list, header, index, journal, pack, put_uint, tree, turn};
use retrograde::id::{Digest, SnapshotId, StoreId, WorkspaceId};
use retrograde::limits::PATH_LIST_EXPANDED_MIN_BYTES;
use retrograde::path::TreePath;
use retrograde::store::payload;
use retrograde::time::Timestamp;

use crate::fuzz::{bodies, frames, near, seeds};
use crate::support::snapshot::plain_snapshot;

struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

#[expect(unsafe_code, reason = "an allocator cannot be written without; this one only counts")]
// Every method hands on to the system's allocator what it was given.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count(layout.size().cast_signed());
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        count(-layout.size().cast_signed());
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        // Both are there while the bytes are moved.
        count(new_size.cast_signed());
        count(-layout.size().cast_signed());
        unsafe { System.realloc(at, layout, new_size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn count(bytes: isize) {
    // A thread that is ending has no counters any more.
    let noted = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        PEAK.try_with(|peak| peak.set(peak.get().max(held.get())))
    });
    if let Ok(Err(_)) | Err(_) = noted {
        // Nobody measures such a thread.
    }
}

/// The most that `work` held at once, in bytes.
fn peak_of<T>(work: impl FnOnce() -> T) -> usize {
    let before = HELD.get();
    PEAK.set(before);
    drop(work());
    usize::try_from(PEAK.get() - before).expect("a peak is not below where it began")
}

/// The memory that error messages and the like take, for any input.
const LITTLE: usize = 4 << 10;

/// The memory that serde reserves for a list before it has read its items; at most three lists are nested.
const AHEAD: usize = 3 << 20;

/// The memory that the paths of a list may take, however short the list is.
const PATHS: usize = PATH_LIST_EXPANDED_MIN_BYTES + (1 << 20);

/// A decoder, and the multiple and the constant that `format`'s documentation gives for it.
struct Decoder {
    name: &'static str,
    multiple: usize,
    constant: usize,
    run: fn(&[u8]),
}

const DECODERS: [Decoder; 15] = [
    Decoder { name: "tree", multiple: 3, constant: LITTLE, run: |bytes| drop(tree::decode(bytes)) },
    Decoder { name: "chunk list", multiple: 2, constant: LITTLE, run: |bytes| drop(chunk_list::decode(bytes)) },
    Decoder { name: "snapshot", multiple: 5, constant: AHEAD, run: |bytes| drop(snapshot::decode(bytes)) },
    Decoder {
        name: "omitted paths",
        multiple: 12,
        constant: PATHS,
        run: |bytes| drop(snapshot::decode_omitted(bytes)),
    },
    Decoder {
        name: "excluded paths",
        multiple: 12,
        constant: PATHS,
        run: |bytes| drop(snapshot::decode_excluded(bytes)),
    },
    Decoder { name: "times", multiple: 12, constant: PATHS, run: |bytes| drop(snapshot::decode_times(bytes)) },
    Decoder {
        name: "attributes",
        multiple: 14,
        constant: PATHS,
        run: |bytes| drop((attributes::decode_list(bytes), attributes::decode_set(bytes))),
    },
    Decoder { name: "facts", multiple: 48, constant: AHEAD, run: |bytes| drop(facts::decode(bytes)) },
    Decoder { name: "record", multiple: 2, constant: LITTLE, run: |bytes| drop(pack::decode_record(bytes)) },
    Decoder { name: "trailer", multiple: 1, constant: LITTLE, run: |bytes| drop(pack::decode_trailer(bytes)) },
    Decoder {
        name: "index",
        multiple: 4,
        constant: LITTLE,
        run: |bytes| drop(index::decode_header(bytes).map(|header| index::decode_tail(&header, bytes))),
    },
    Decoder {
        name: "journal",
        multiple: 10,
        constant: LITTLE,
        run: |bytes| drop(journal::decode(bytes, StoreId([0x11; 16]))),
    },
    Decoder {
        name: "stat cache",
        multiple: 1,
        constant: LITTLE,
        run: |bytes| {
            drop(cache::decode_block(bytes));
            if let Ok((header, sum)) = cache::decode_header(bytes) {
                _ = (cache::table(&header, bytes).map(<[_]>::len), cache::decode_group(sum, bytes));
            }
        },
    },
    Decoder {
        name: "turn",
        multiple: 2,
        constant: LITTLE,
        run: |bytes| drop(turn::decode(WorkspaceId([0x22; 16]), bytes)),
    },
    Decoder { name: "FORMAT", multiple: 2, constant: LITTLE, run: |bytes| drop(header::decode(bytes)) },
];

#[track_caller]
fn hold(decoder: &Decoder, input: &[u8]) -> usize {
    let peak = peak_of(|| (decoder.run)(input));
    let most = decoder.multiple * input.len() + decoder.constant;
    let (name, multiple) = (decoder.name, decoder.multiple);
    assert!(
        peak <= most,
        "{name}: {peak} bytes for an input of {}, over {multiple} times and {}",
        input.len(),
        decoder.constant
    );
    peak
}

fn decoder(name: &str) -> &'static Decoder {
    DECODERS.iter().find(|decoder| decoder.name == name).expect("it is one of them")
}

#[test]
fn f3_no_decoder_takes_more_than_its_multiple_near_a_valid_encoding() {
    let inputs: Vec<Vec<u8>> = seeds().iter().flat_map(|seed| near(seed)).collect();
    assert!(inputs.len() > 10_000, "{}", inputs.len());
    for decoder in &DECODERS {
        for input in &inputs {
            hold(decoder, input);
        }
    }
}

/// F3: whatever is said to follow, with little behind it.
#[test]
fn f3_nothing_is_reserved_for_what_is_not_there() {
    let numbers = [250, 65_535, u64::from(u32::MAX), u64::from(u32::MAX) + 1, u64::MAX, 1 << 20, 64 << 20];
    for seed in seeds() {
        for number in numbers {
            let mut said = Vec::new();
            put_uint(&mut said, number);
            for at in 0..seed.len().min(300) {
                let with_uint = [&seed[..at], &said, &seed[at..]].concat();
                let word = u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes();
                let with_word = [&seed[..at], &word, seed.get(at + 4..).unwrap_or_default()].concat();
                for decoder in &DECODERS {
                    hold(decoder, &with_uint);
                    hold(decoder, &with_word);
                }
            }
        }
    }
}

/// F3: as many of the smallest things as fit, for each decoder: what its multiple is measured on. The multiple is also
/// not far above what is measured, so that the documentation says something.
#[test]
fn f3_the_worst_inputs_take_what_is_documented() {
    for (name, input) in worst() {
        let decoder = decoder(name);
        let peak = hold(decoder, &input);
        let measured = peak.div_ceil(input.len());
        assert!(measured * 6 >= decoder.multiple, "{name}: {measured} times of {}", input.len());
    }
}

/// P3: a decoded payload takes no more than its record says, whatever the payload says. The memory of zstd itself is
/// not counted here: it is the same for every frame, because frames are decoded without a window.
#[test]
fn p3_a_payload_takes_no_more_than_the_length_that_is_stated() {
    let mut decoded = 0;
    for input in frames().iter().flat_map(|frame| near(frame)) {
        let Some(found) = bodies::parts(&input) else { continue };
        for length_bytes in [0, 1, found.length_bytes, 1 << 20] {
            let mut is_right = false;
            let peak = peak_of(|| {
                let bytes = payload::decode(&found.encoding, found.payload, found.base, length_bytes);
                is_right = bytes.is_ok();
                bytes
            });
            decoded += usize::from(is_right);
            assert!(peak <= length_bytes + LITTLE, "{peak} bytes where {length_bytes} are stated");
        }
    }
    assert!(decoded > 1_000, "{decoded}");
}

/// The table in the documentation of `format` says the same.
#[test]
fn f3_the_documented_multiples_are_those_that_are_held() {
    let source = include_str!("../../src/format/mod.rs");
    let rows = source.lines().filter_map(|line| line.strip_prefix("//! | ")?.strip_suffix(" |"));
    let found: Vec<Vec<&str>> =
        rows.map(|row| row.split(" | ").collect()).filter(|row: &Vec<_>| row[0] != "decoder").collect();
    let constant = |bytes: usize| match bytes {
        LITTLE => "4 KiB",
        AHEAD => "3 MiB",
        _ => "129 MiB",
    };
    let wanted: Vec<Vec<String>> = DECODERS
        .iter()
        .map(|one| vec![one.name.to_owned(), one.multiple.to_string(), constant(one.constant).to_owned()])
        .collect();
    assert_eq!(found, wanted);
}

fn worst() -> Vec<(&'static str, Vec<u8>)> {
    let count = 10_000_u32;
    let mut leaf = vec![0];
    put_uint(&mut leaf, u64::from(count));
    for number in 0..count {
        // The shortest names that ascend: three bytes of which none is a slash or NUL.
        let name = [number / 10_000, number / 100 % 100, number % 100].map(|part| u8::try_from(part + 100).unwrap());
        leaf.extend([1, 0, 3]);
        leaf.extend(name);
        leaf.push(0);
        leaf.extend([7; 32]);
    }
    let mut chunks = Vec::new();
    put_uint(&mut chunks, u64::from(count));
    (0..count).for_each(|_| {
        chunks.extend([7; 32]);
        chunks.push(1);
    });
    let paths = |rest: &[u8]| {
        let mut out = Vec::new();
        for number in 1..200_u8 {
            if number == b'/' {
                continue;
            }
            for inner in 1..200_u8 {
                // The first of a group is two bytes, the others share one of them.
                let shared = u64::from(inner > 1);
                if inner == b'/' {
                    continue;
                }
                put_uint(&mut out, shared);
                let path = [number, inner];
                let own = &path[usize::from(inner > 1)..];
                put_uint(&mut out, own.len() as u64);
                out.extend_from_slice(own);
                out.extend_from_slice(rest);
            }
        }
        out
    };
    let short_fact = |number: u32| Fact::Tagged {
        workspace: WorkspaceId([1; 16]),
        name: char::from(33 + u8::try_from(number % 90).unwrap()).to_string(),
        snapshot: None,
        time: Timestamp(0),
    };
    let restore = Fact::RestoreBegun(facts::Restore {
        workspace: WorkspaceId([1; 16]),
        before: None,
        target: SnapshotId(Digest::of(b"")),
        paths: vec![b"p".to_vec(); 50_000],
        cause: facts::RestoreCause::Restore,
        time: Timestamp(0),
    });
    let member = Member { kind: ObjectKind::Content, raw_length_bytes: 0, prefix: [7; 16] };
    let mut record = Vec::new();
    put_record(&mut record, &Encoding::Zstd, &[member; 4_096], b"");
    vec![
        ("tree", leaf),
        ("chunk list", chunks),
        ("snapshot", snapshot::encode(&long_snapshot())),
        ("omitted paths", paths(&[1])),
        ("excluded paths", paths(&[])),
        ("times", paths(&[0; 8])),
        ("attributes", attribute_list()),
        ("facts", facts::encode(&(0..35_000).map(short_fact).collect::<Vec<_>>())),
        ("facts", facts::encode(&[restore])),
        ("record", record),
        ("index", index_of_small_groups()),
        ("journal", journal_of_nothing()),
    ]
}

/// As many of the shortest sets as there are, each with a path, and the shortest attributes.
fn attribute_list() -> Vec<u8> {
    let path = |number: u32| TreePath::new(format!("{number:06}").as_bytes()).unwrap();
    let name = |number: u32| [number.to_le_bytes()[1], number.to_le_bytes()[0]];
    let user = |number| (attributes::Name::User(name(number).into()), Box::default());
    let is_name = |number: &u32| name(*number).iter().all(|byte| *byte > 0);
    let owner = |uid| Some(attributes::Owner { uid, gid: 0 });
    let one = |owner, values| attributes::encode_set(&attributes::Attributes { owner, values }).into();
    let mut list: Vec<_> = (0..60_000).map(|uid| (path(uid), one(owner(uid), Vec::new()))).collect();
    list.push((path(99_999), one(None, (0..40_000).filter(is_name).map(user).collect())));
    attributes::encode_list(&list)
}

fn long_snapshot() -> Snapshot {
    Snapshot {
        parents: vec![SnapshotId(Digest::of(b"")); 16],
        run: Some("r".repeat(255)),
        message: "m".repeat(65_536),
        event: Attachment::Inline(vec![1; 2_048]),
        times: Attachment::Inline(vec![1; 2_048]),
        ..plain_snapshot(WorkspaceId([1; 16]))
    }
}

fn index_of_small_groups() -> Vec<u8> {
    let mut groups = index::encode(StoreId([1; 16]), [2; 16], 48, 0, &[]);
    let entry = index::IndexEntry { prefix: [3; 16], offset: 1, member: 0, kind: ObjectKind::Tree };
    index::put_group(&mut groups, 48, &vec![entry; 5_000]);
    (0..5_000).for_each(|_| index::put_group(&mut groups, 48, &[entry]));
    groups
}

fn journal_of_nothing() -> Vec<u8> {
    let mut empty = journal::encode_header(StoreId([0x11; 16]));
    for sequence in 1..20_000 {
        journal::put_group(&mut empty, &journal::JournalGroup { sequence, pack: 1, pack_end: 1, facts: b"" });
    }
    empty
}

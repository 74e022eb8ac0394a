//! Stores written by hand: any bytes as any object, and any facts, in packs whose checksums are right.
//!
//! Every forged store also has an honest snapshot, tagged `honest`, with one file in it: whatever else the store holds,
//! that file must stay readable.

#![expect(clippy::disallowed_methods, reason = "tests forge files of their own")]

use std::path::{Path, PathBuf};

use retrograde::format::facts::{self, Fact};
use retrograde::format::pack::{
    Encoding, Link, Member, ObjectKind, PackHeader, encode_header, put_record, put_trailer,
};
use retrograde::format::put_uint;
use retrograde::format::snapshot::{self, Cause, Snapshot, snapshot_id};
use retrograde::format::tree::tree_id;
use retrograde::id::{Digest, SnapshotId, StoreId, TreeId, WorkspaceId};
use retrograde::time::Timestamp;
use zstd::zstd_safe::{CCtx, CParameter, FrameFormat, compress_bound};

use crate::support::recorder::open_store;
use crate::support::scratch::Scratch;
use crate::support::snapshot::plain_snapshot;

/// The name of the honest snapshot, the file in it, and what that holds.
pub(super) const HONEST: (&str, &str, &[u8]) = ("honest", "keep.txt", b"honest\n");

/// A moment in 2026.
pub(super) const NOON: Timestamp = Timestamp(1_795_176_000_000_000_000);

/// The nonce of every forged pack.
pub(super) const NONCE: [u8; 16] = [7; 16];

/// A store in the making, beside a folder to record and a folder that must never change.
pub(super) struct Forge {
    #[expect(dead_code, reason = "held for its drop")]
    scratch: Scratch,
    pub(super) home: PathBuf,
    pub(super) store_id: StoreId,
    pub(super) workspace: WorkspaceId,
    pub(super) honest: Snapshot,
    /// All transactions so far, after the header.
    transactions: Vec<u8>,
    records: Vec<u8>,
    facts: Vec<Fact>,
    next_step: u64,
    sequence: u64,
}

/// A line of a forged leaf: kind, mode, name, size, id.
pub(super) type Line<'a> = (u8, u64, &'a [u8], u64, Digest);

pub(super) const FILE: u8 = 1;
pub(super) const FOLDER: u8 = 2;
pub(super) const SYMLINK: u8 = 3;

impl Forge {
    pub(super) fn new() -> Self {
        let scratch = Scratch::new();
        let home = std::fs::canonicalize(scratch.path()).unwrap();
        for folder in ["ws/folder", "canary/folder", "out"] {
            std::fs::create_dir_all(home.join(folder)).unwrap();
        }
        for file in ["ws/live", "ws/folder/x", "canary/live", "canary/folder/x"] {
            std::fs::write(home.join(file), file).unwrap();
        }
        let store_id = open_store(&home.join("store")).id();
        let workspace = WorkspaceId([0x22; 16]);
        let mut forge = Self {
            home,
            scratch,
            store_id,
            workspace,
            honest: Snapshot { run: Some("main".to_owned()), time: NOON, ..plain_snapshot(workspace) },
            transactions: Vec::new(),
            records: Vec::new(),
            facts: Vec::new(),
            next_step: 1,
            sequence: 0,
        };
        let root = forge.home.join("ws").into_os_string().into_encoded_bytes();
        forge.facts.push(Fact::WorkspaceAdded { workspace, root, time: NOON });
        let (tag, name, content) = HONEST;
        let id = forge.content(content);
        forge.content(b"");
        forge.honest.root = forge.leaf(&[(FILE, 0o644, name.as_bytes(), content.len() as u64, id)]);
        let honest = forge.head_with(forge.honest.clone());
        forge.tag(tag, honest);
        forge
    }

    pub(super) fn at(&self, name: &str) -> PathBuf {
        self.home.join(name)
    }

    /// Adds a record as it is given.
    pub(super) fn record(&mut self, encoding: &Encoding, members: &[Member], payload: &[u8]) {
        put_record(&mut self.records, encoding, members, payload);
    }

    /// Adds one object, stored raw under the given id, whatever its bytes.
    pub(super) fn object(&mut self, kind: ObjectKind, id: Digest, bytes: &[u8]) {
        self.record(&Encoding::Raw, &[member(kind, bytes.len(), id)], bytes);
    }

    /// Adds one object whose bytes are a delta that replaces all of its base but what both ends have in common.
    pub(super) fn splice(&mut self, kind: ObjectKind, id: Digest, length: usize, base: Digest, payload: &[u8]) {
        let link = Link { base: base.prefix(), generation: 1 };
        self.record(&Encoding::Splice(link), &[member(kind, length, id)], payload);
    }

    pub(super) fn content(&mut self, bytes: &[u8]) -> Digest {
        let id = Digest::of(bytes);
        self.object(ObjectKind::Content, id, bytes);
        id
    }

    /// Adds content that compresses well.
    pub(super) fn squeezed(&mut self, kind: ObjectKind, id: Digest, bytes: &[u8]) {
        self.record(&Encoding::Zstd, &[member(kind, bytes.len(), id)], &frame(bytes));
    }

    /// Adds a tree object, whatever its bytes.
    pub(super) fn tree(&mut self, bytes: &[u8]) -> TreeId {
        let id = tree_id(bytes);
        self.squeezed(ObjectKind::Tree, id.0, bytes);
        id
    }

    /// Adds a leaf with these lines, in this order, whatever they are.
    pub(super) fn leaf(&mut self, lines: &[Line<'_>]) -> TreeId {
        self.tree(&leaf(lines))
    }

    /// Adds a folder with one folder in it.
    pub(super) fn folder_around(&mut self, name: &[u8], tree: TreeId) -> TreeId {
        self.leaf(&[(FOLDER, 0o755, name, 0, tree.0)])
    }

    /// Adds a chunk list of `count` times the same chunk, as the content of a blob with this id.
    pub(super) fn chunk_list(&mut self, id: Digest, chunks: &[(Digest, u64)]) {
        let mut list = Vec::with_capacity(9 + 37 * chunks.len());
        put_uint(&mut list, chunks.len() as u64);
        for (chunk, length) in chunks {
            list.extend_from_slice(&chunk.0);
            put_uint(&mut list, *length);
        }
        self.squeezed(ObjectKind::ChunkList, id, &list);
    }

    /// Adds a snapshot object.
    pub(super) fn snapshot(&mut self, snapshot: &Snapshot) -> SnapshotId {
        let bytes = snapshot::encode(snapshot);
        let id = snapshot_id(&bytes);
        self.object(ObjectKind::Snapshot, id.0, &bytes);
        id
    }

    /// A snapshot like the honest one, of this tree and the next step.
    pub(super) fn of(&self, root: TreeId) -> Snapshot {
        Snapshot { root, step: self.next_step, ..self.honest.clone() }
    }

    /// Adds a snapshot of this tree as the next step of the workspace.
    pub(super) fn head(&mut self, root: TreeId) -> SnapshotId {
        self.head_with(self.of(root))
    }

    pub(super) fn head_with(&mut self, snapshot: Snapshot) -> SnapshotId {
        let id = self.snapshot(&snapshot);
        let step = self.next_step;
        self.next_step = step.saturating_add(1);
        self.taken(id, step, snapshot.run.as_deref().unwrap_or_default());
        id
    }

    pub(super) fn taken(&mut self, snapshot: SnapshotId, step: u64, run: &str) {
        let workspace = self.workspace;
        let (run, cause) = (Some(run.to_owned()), Cause::Step);
        self.fact(Fact::SnapshotTaken { workspace, snapshot, step, run, cause });
    }

    pub(super) fn tag(&mut self, name: &str, snapshot: SnapshotId) {
        let (workspace, name) = (self.workspace, name.to_owned());
        self.fact(Fact::Tagged { workspace, name, snapshot: Some(snapshot), time: NOON });
    }

    /// Adds a fact, in a transaction that stays within its limit.
    pub(super) fn fact(&mut self, fact: Fact) {
        self.facts.push(fact);
        if self.facts.len() == 4_000 {
            self.end_transaction();
        }
    }

    /// Closes a batch.
    pub(super) fn end_transaction(&mut self) {
        self.end_transaction_as(self.sequence + 1);
    }

    /// Ends a transaction with this number in history.
    pub(super) fn end_transaction_as(&mut self, sequence: u64) {
        self.sequence = sequence;
        let start = self.transactions.len();
        self.transactions.append(&mut self.records);
        let facts = facts::encode(&std::mem::take(&mut self.facts));
        put_trailer(&mut self.transactions, self.store_id, start, sequence, &facts);
    }

    /// Ends the last transaction and writes everything as the only pack.
    pub(super) fn write(&mut self) {
        if !self.facts.is_empty() || !self.records.is_empty() {
            self.end_transaction();
        }
        let bytes = self.pack_of(&self.transactions.clone());
        self.put("packs/000001.pack", &bytes);
    }

    /// A whole pack with these transactions.
    pub(super) fn pack_of(&self, transactions: &[u8]) -> Vec<u8> {
        [&encode_header(&PackHeader { store: self.store_id, nonce: NONCE })[..], transactions].concat()
    }

    /// Takes the transactions so far out of the forge.
    pub(super) fn take_transactions(&mut self) -> Vec<u8> {
        if !self.facts.is_empty() || !self.records.is_empty() {
            self.end_transaction();
        }
        std::mem::take(&mut self.transactions)
    }

    /// Writes a file of the store.
    pub(super) fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.home.join("store").join(name), bytes).unwrap();
    }

    pub(super) fn store(&self, name: &str) -> PathBuf {
        self.home.join("store").join(name)
    }
}

/// A leaf with these lines, in this order, whatever they are.
pub(super) fn leaf(lines: &[Line<'_>]) -> Vec<u8> {
    let mut out = vec![0];
    put_uint(&mut out, lines.len() as u64);
    for (kind, mode, name, size, id) in lines {
        out.push(*kind);
        put_uint(&mut out, *mode);
        put_uint(&mut out, name.len() as u64);
        out.extend_from_slice(name);
        put_uint(&mut out, *size);
        out.extend_from_slice(&id.0);
    }
    out
}

/// A node over these lists: first name, entries, size, id.
pub(super) fn node(level: u8, children: &[(&[u8], u64, u64, TreeId)]) -> Vec<u8> {
    let mut out = vec![level];
    put_uint(&mut out, children.len() as u64);
    for (first_name, count, size, id) in children {
        put_uint(&mut out, first_name.len() as u64);
        out.extend_from_slice(first_name);
        put_uint(&mut out, *count);
        put_uint(&mut out, *size);
        out.extend_from_slice(&id.0.0);
    }
    out
}

pub(super) fn member(kind: ObjectKind, length: usize, id: Digest) -> Member {
    Member { kind, raw_length_bytes: u32::try_from(length).unwrap(), prefix: id.prefix() }
}

/// A frame as packs hold it.
pub(super) fn frame(bytes: &[u8]) -> Vec<u8> {
    frame_with(bytes, None, b"")
}

/// A frame as packs hold it, with a window of 2 to the given power, after a prefix.
pub(super) fn frame_with(bytes: &[u8], window_log: Option<u32>, prefix: &[u8]) -> Vec<u8> {
    let mut context = CCtx::create();
    if !prefix.is_empty() {
        context.ref_prefix(prefix).unwrap();
    }
    for parameter in [
        CParameter::Format(FrameFormat::Magicless),
        CParameter::ContentSizeFlag(false),
        CParameter::DictIdFlag(false),
        CParameter::CompressionLevel(3),
    ] {
        context.set_parameter(parameter).unwrap();
    }
    if let Some(log) = window_log {
        context.set_parameter(CParameter::WindowLog(log)).unwrap();
    }
    let mut out = Vec::with_capacity(compress_bound(bytes.len()));
    context.compress2(&mut out, bytes).unwrap();
    out
}

/// A path as an argument.
pub(super) fn text(path: &Path) -> String {
    path.to_str().expect("paths of tests are text").to_owned()
}

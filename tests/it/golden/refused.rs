//! The second reader refuses exactly what the library refuses: mutated snapshots, trees, chunk lists and facts, each
//! under an id and a checksum that are right.

use std::collections::BTreeSet;
use std::path::Path;

use retrograde::format::facts::{self, Fact};
use retrograde::format::pack::{Encoding, Member, ObjectKind, PackHeader, encode_header, put_record, put_trailer};
use retrograde::format::snapshot::{self, Attachment, Cause, Snapshot, history_digest, snapshot_id};
use retrograde::format::tree::{self, Tree, tree_id};
use retrograde::id::{Digest, SnapshotId, StoreId, TreeId, WorkspaceId};
use retrograde::store::Store;
use retrograde::time::Timestamp;

use super::second_reader::{listing, overwrite, problems, python, random_fact, steps_with_problems};
use super::{copy, expected, opened};
use crate::support::depth::{AtLeast, pick};
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;

const WORKSPACE: WorkspaceId = WorkspaceId([0xee; 16]);

/// A pack in the making that adds to the golden store: objects, and snapshots of a workspace of its own.
struct Forger {
    store: StoreId,
    sequence: u64,
    pack: Vec<u8>,
    facts: Vec<Fact>,
    start: usize,
}

impl Forger {
    fn new(store: &Store) -> Self {
        let pack = encode_header(&PackHeader { store: store.id(), nonce: [3; 16] });
        let added = Fact::WorkspaceAdded { workspace: WORKSPACE, root: b"/forged".to_vec(), time: Timestamp(0) };
        Self { store: store.id(), sequence: store.state().sequence, start: pack.len(), pack, facts: vec![added] }
    }

    fn add(&mut self, kind: ObjectKind, id: Digest, bytes: &[u8]) {
        let length = u32::try_from(bytes.len()).unwrap();
        let member = Member { kind, raw_length_bytes: length, prefix: id.prefix() };
        put_record(&mut self.pack, &Encoding::Raw, &[member], bytes);
    }

    fn take(&mut self, step: u64, bytes: &[u8]) {
        let id = snapshot_id(bytes);
        self.add(ObjectKind::Snapshot, id.0, bytes);
        let (workspace, run, cause) = (WORKSPACE, None, Cause::Step);
        self.facts.push(Fact::SnapshotTaken { workspace, snapshot: id, step, run, cause });
    }

    /// Ends the transaction with these facts, as they are.
    fn end_with(&mut self, facts: &[u8]) {
        self.sequence += 1;
        put_trailer(&mut self.pack, self.store, self.start, self.sequence, facts);
        self.start = self.pack.len();
    }

    fn write(&mut self, store: &Path) {
        let encoded = facts::encode(&std::mem::take(&mut self.facts));
        self.end_with(&encoded);
        overwrite(&store.join("packs/000003.pack"), &self.pack);
    }
}

/// Changes a byte or two of an encoding, or takes one out, or puts one in.
fn mutated(bytes: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=rng.below(2) {
        let at = rng.below(bytes.len());
        let byte = [0, 1, 2, 3, 4, 250, 251, 252, 255, b'/', b'.'][rng.below(11)];
        match rng.below(8) {
            0 if bytes.len() > 1 => drop(bytes.remove(at)),
            1 => bytes.insert(at, byte),
            2 => bytes[at] = byte,
            3 => bytes[at] = bytes[at].wrapping_add(1),
            _ => bytes[at] ^= 1 << rng.below(8),
        }
    }
    bytes
}

/// A plain snapshot of one tree.
fn of_tree(root: TreeId, step: u64, rules: retrograde::id::BlobId) -> Snapshot {
    Snapshot {
        root,
        root_mode: 0o755,
        root_owner: None,
        parents: Vec::new(),
        history: history_digest(None, root),
        workspace: WORKSPACE,
        run: None,
        step,
        time: Timestamp(0),
        cause: Cause::Step,
        message: String::new(),
        changes: snapshot::ChangeCounts::default(),
        event: Attachment::Empty,
        times: Attachment::Empty,
        omitted: Attachment::Empty,
        attributes: Attachment::Empty,
        excluded: Attachment::Empty,
        rules,
        dropped: None,
        git: None,
    }
}

/// Encoded snapshots of the golden store, and the one of the example in store-format.md, which has every field.
fn encoded_snapshots(store: &Store) -> Vec<Vec<u8>> {
    let state = store.state();
    let ids = state.snapshots().map(|(_, _, id)| id);
    ids.map(|id| store.object(ObjectKind::Snapshot, &id.0).unwrap().to_vec()).collect()
}

/// Encoded trees of the golden store, leaves and nodes.
fn encoded_trees(store: &Store) -> Vec<Vec<u8>> {
    let state = store.state();
    let mut left: Vec<TreeId> = state.snapshots().map(|(_, _, id)| store.snapshot(id).unwrap().root).collect();
    let (mut seen, mut trees) = (BTreeSet::new(), Vec::new());
    while let Some(id) = left.pop() {
        if seen.insert(id) {
            let bytes = store.object(ObjectKind::Tree, &id.0).unwrap().to_vec();
            match tree::decode(&bytes).unwrap() {
                Tree::Leaf(entries) => left.extend(entries.iter().filter_map(tree::Entry::tree)),
                Tree::Node { children, .. } => left.extend(children.iter().map(|child| child.id)),
            }
            trees.push(bytes);
        }
    }
    trees
}

/// F1, F2, F3, I1, S1, S2, S3, S7, S8: snapshots and all that is kept inside them.
#[test]
fn mutated_snapshots() {
    let Some(python) = python() else { return };
    let (scratch, mut rng) = (Scratch::new(), Rng::new(0x5a9));
    let folder = copy(&scratch, false);
    let store = opened(&folder);
    let (mut forger, encoded) = (Forger::new(&store), encoded_snapshots(&store));
    let count = pick(300, 6_000);
    let mut step = 0;
    while step < count {
        let bytes = mutated(&encoded[rng.below(encoded.len())], &mut rng);
        // A version that is not known is no damage: a reader refuses the whole store.
        if bytes.first() == Some(&1) {
            step += 1;
            forger.take(step, &bytes);
        }
    }
    forger.write(&folder);
    let (found, wanted) = (listing(python, &folder), expected::listing(&opened(&folder)));
    assert!(found == wanted, "{}", expected::first_difference(&found, &wanted));
    let lines = found["snapshots"].as_array().unwrap();
    let refused = lines.iter().filter(|line| line.get("problem").is_some()).count();
    AtLeast::new(100, 2_000).require("mutated snapshots that both readers refuse", refused);
    AtLeast::new(100, 2_000).require("mutated snapshots that both readers read", lines.len() - refused);
}

/// F1, T1, T3: trees, leaves and nodes.
#[test]
fn mutated_trees() {
    let Some(python) = python() else { return };
    let (scratch, mut rng) = (Scratch::new(), Rng::new(0x7ee));
    let folder = copy(&scratch, false);
    let store = opened(&folder);
    let rules = store.snapshot(store.state().snapshots().next().unwrap().2).unwrap().rules;
    let (mut forger, encoded) = (Forger::new(&store), encoded_trees(&store));
    for step in 1..=pick(200, 2_000) {
        let bytes = mutated(&encoded[rng.below(encoded.len())], &mut rng);
        let root = tree_id(&bytes);
        forger.add(ObjectKind::Tree, root.0, &bytes);
        forger.take(step, &snapshot::encode(&of_tree(root, step, rules)));
    }
    forger.write(&folder);
    let found = steps_with_problems(&problems(python, &folder));
    let store = opened(&folder);
    let state = store.state();
    let steps = &state.workspaces[&WORKSPACE].steps;
    let is_refused = |id: SnapshotId| expected::entries_in(&store, id).is_err();
    let wanted: BTreeSet<String> =
        steps.iter().filter(|(_, id)| is_refused(**id)).map(|(step, id)| format!("s{step} {id}")).collect();
    let differ: Vec<_> = found.symmetric_difference(&wanted).collect();
    assert!(differ.is_empty(), "{differ:?}");
    AtLeast::new(50, 500).require("mutated trees that both readers refuse", wanted.len());
    AtLeast::new(20, 200).require("mutated trees that both readers read", steps.len() - wanted.len());
}

/// F1: facts, each in a transaction of its own, which counts even where they cannot be read.
#[test]
fn mutated_facts() {
    let Some(python) = python() else { return };
    let (scratch, mut rng) = (Scratch::new(), Rng::new(0xfac));
    let folder = copy(&scratch, false);
    let mut forger = Forger::new(&opened(&folder));
    let count = pick(300, 4_000);
    for _ in 0..count {
        let facts: Vec<Fact> = (0..=rng.below(2)).map(|_| random_fact(&mut rng)).collect();
        forger.end_with(&mutated(&facts::encode(&facts), &mut rng));
    }
    forger.write(&folder);
    let store = opened(&folder);
    let (found, wanted) = (listing(python, &folder), expected::listing(&store));
    assert!(found == wanted, "{}", expected::first_difference(&found, &wanted));
    let found = problems(python, &folder);
    let refused = found.iter().filter(|problem| problem.ends_with("its facts cannot be read")).count();
    assert_eq!(refused, store.damage().len(), "{:?}", store.damage());
    AtLeast::new(100, 1_000).require("mutated facts that both readers refuse", refused);
    AtLeast::new(50, 500).require("mutated facts that both readers read", count - refused);
}

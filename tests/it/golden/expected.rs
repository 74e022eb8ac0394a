//! The contents of a store as JSON: workspaces, snapshots, and each path of each snapshot.
//!
//! ```text
//! entry    = kind  mode  size  BLAKE3 of content or target  path      "file 0644 3 6437.. a.txt"
//! manifest = BLAKE3 of all entries of a snapshot, each with a line feed, in the order of their paths
//! ```
//!
//! Only entries that the step before does not have are listed, and none of folders with more than twenty: the manifest
//! holds them all.

use std::collections::{BTreeMap, BTreeSet};

use retrograde::error::Result;
use retrograde::format::snapshot::{Attachment, Cause, decode_excluded, decode_omitted, decode_times};
use retrograde::format::tree::EntryKind;
use retrograde::format::{Malformed, attributes};
use retrograde::id::{Digest, SnapshotId};
use retrograde::store::Store;
use retrograde::store::state::Workspace;
use retrograde::wire::OmissionReason;
use serde_json::{Value, json};

use crate::support::walker::{Nodes, What};

/// Entries of one snapshot by path.
pub(super) type Entries = BTreeMap<Vec<u8>, String>;

/// Entries of folders that have more are not listed one by one.
const LISTED_MAX: usize = 20;

/// All that an intact store holds.
pub(super) fn reading(store: &Store) -> Value {
    let mut reading = listing(store);
    let mut before = (Value::Null, Entries::new());
    for fields in reading["snapshots"].as_array_mut().unwrap() {
        assert!(fields.get("problem").is_none(), "it cannot be read: {fields}");
        if before.0 != fields["workspace"] {
            before = (fields["workspace"].clone(), Entries::new());
        }
        before.1 = add_entries(store, fields, &before.1);
    }
    reading
}

/// Adds the contents of its tree to a listed snapshot, and returns its entries. `before` has those of the step before.
pub(super) fn add_entries(store: &Store, fields: &mut Value, before: &Entries) -> Entries {
    let id = Digest::parse(fields["snapshot"].as_str().unwrap()).unwrap();
    let entries = entries_in(store, SnapshotId(id)).unwrap();
    fields["paths"] = (entries.len() - 1).into();
    fields["manifest"] = manifest(&entries).into();
    fields["new_entries"] = new_entries(before, &entries).into();
    entries
}

/// Workspaces and snapshots, without what is in the trees. Of a snapshot that cannot be read, only its place is known.
pub(super) fn listing(store: &Store) -> Value {
    let state = store.state();
    let aside = state.forgotten.values().map(|forgotten| (true, &forgotten.workspace));
    let all: Vec<_> = state.workspaces.values().map(|workspace| (false, workspace)).chain(aside).collect();
    let workspaces: Vec<Value> = all.iter().map(|(is_aside, workspace)| of_workspace(*is_aside, workspace)).collect();
    let mut snapshots = Vec::new();
    for (_, workspace) in all {
        for (step, id) in &workspace.steps {
            let mut line = json!({"snapshot": id.to_string(), "workspace": workspace.id.to_string(), "step": step});
            match of_snapshot(store, *id) {
                Ok(fields) => line.as_object_mut().unwrap().extend(fields),
                Err(_) => line["problem"] = true.into(),
            }
            snapshots.push(line);
        }
    }
    json!({ "workspaces": workspaces, "snapshots": snapshots })
}

/// The hash of all entries.
pub(super) fn manifest(entries: &Entries) -> String {
    let lines: String = entries.values().map(|line| format!("{line}\n")).collect();
    Digest::of(lines.as_bytes()).to_string()
}

/// The entries of a folder, as a walk of the file system finds them.
pub(super) fn entries_of(nodes: &Nodes) -> Entries {
    let entry = |path: &[u8], mode: u32, what: &What| match what {
        What::File(length, hash) => line("file", mode, Some((*length, Digest(hash.unwrap()))), path),
        What::Folder { .. } => line("folder", mode, None, path),
        What::Symlink(target) => line("symlink", 0, Some((target.len() as u64, Digest::of(target))), path),
        What::Special => panic!("a snapshot has no {}", shown(path)),
    };
    nodes.iter().map(|(path, node)| (path.clone(), entry(path, node.mode, &node.what))).collect()
}

/// The first place at which two readings differ, for messages.
pub(super) fn first_difference(found: &Value, expected: &Value) -> String {
    match (found, expected) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
            let differs = names.into_iter().find(|name| one.get(*name) != other.get(*name));
            differs.map_or_else(String::new, |name| {
                let (one, other) = (one.get(name).unwrap_or(&Value::Null), other.get(name).unwrap_or(&Value::Null));
                format!("{name} {}", first_difference(one, other))
            })
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            let at = one.iter().zip(other).position(|(one, other)| one != other).unwrap_or(0);
            format!("[{at}] {}", first_difference(&one[at], &other[at]))
        }
        _ => format!("is {found}, and {expected} is expected"),
    }
}

/// A path as text: all but printable ASCII, and the backslash, is written `\xHH`.
pub(super) fn shown(path: &[u8]) -> String {
    let mut text = String::with_capacity(path.len());
    for byte in path {
        match byte {
            0x20..=0x7e if *byte != b'\\' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

fn of_workspace(is_aside: bool, workspace: &Workspace) -> Value {
    let tags: BTreeMap<&String, String> = workspace.tags.iter().map(|(name, id)| (name, id.to_string())).collect();
    let in_order = |ids: Vec<Option<SnapshotId>>| -> Vec<Option<String>> {
        ids.into_iter().rev().map(|id| id.map(|id| id.to_string())).collect()
    };
    json!({
        "workspace": workspace.id.to_string(),
        "root": shown(&workspace.root),
        "is_forgotten": is_aside,
        "head": workspace.head.map(|id| id.to_string()),
        "tags": tags,
        "states": in_order(workspace.timeline.backwards().collect()),
        "undos": in_order(workspace.timeline.undone().map(Some).collect()),
    })
}

fn of_snapshot(store: &Store, id: SnapshotId) -> Result<serde_json::Map<String, Value>> {
    let snapshot = store.snapshot(id)?;
    let cause = match snapshot.cause {
        Cause::Step => "step",
        Cause::BeforeRestore => "before-restore",
        Cause::Import => "import",
        Cause::AfterRestore => "after-restore",
    };
    let attached = |attachment: &Attachment| match attachment {
        Attachment::Empty => Ok(Vec::new()),
        Attachment::Inline(bytes) => Ok(bytes.clone()),
        Attachment::Blob(blob) => store.read_blob(*blob, u64::MAX),
    };
    let wrong = |malformed: Malformed| malformed.during("read a list of", id);
    let omitted = decode_omitted(&attached(&snapshot.omitted)?).map_err(wrong)?;
    let omitted: BTreeMap<String, &str> =
        omitted.iter().map(|one| (shown(one.path.as_bytes()), OmissionReason::from(one.reason).word())).collect();
    let excluded = decode_excluded(&attached(&snapshot.excluded)?).map_err(wrong)?;
    let excluded: Vec<String> = excluded.iter().map(|path| shown(path.as_bytes())).collect();
    decode_times(&attached(&snapshot.times)?).map_err(wrong)?;
    let attributes = attributes::decode_list(&attached(&snapshot.attributes)?).map_err(wrong)?;
    let fields = json!({
        "run": snapshot.run,
        "cause": cause,
        "message": snapshot.message,
        "time": snapshot.time.0,
        "parents": snapshot.parents.iter().map(SnapshotId::to_string).collect::<Vec<_>>(),
        "changes": [snapshot.changes.added, snapshot.changes.modified, snapshot.changes.deleted],
        "omitted": omitted,
        "excluded": excluded,
        "attributes": attributes.len(),
    });
    let Value::Object(fields) = fields else { unreachable!("it was written as one") };
    Ok(fields)
}

/// Reads everything that belongs to a snapshot.
pub(super) fn read_all(store: &Store, id: SnapshotId) -> Result<()> {
    of_snapshot(store, id)?;
    let snapshot = store.snapshot(id)?;
    let blobs = snapshot.event.blob().into_iter().chain([snapshot.rules]);
    blobs.map(|blob| store.read_blob(blob, u64::MAX)).collect::<Result<Vec<_>>>()?;
    entries_in(store, id).map(drop)
}

/// All entries of a snapshot, each content read and compared with its id.
pub(super) fn entries_in(store: &Store, id: SnapshotId) -> Result<Entries> {
    let snapshot = store.snapshot(id)?;
    let mut entries = Entries::new();
    entries.insert(Vec::new(), line("folder", snapshot.root_mode.into(), None, b""));
    let mut left = vec![(Vec::new(), snapshot.root)];
    while let Some((folder, tree)) = left.pop() {
        for entry in store.folder(tree)? {
            let path = [&folder[..], &entry.name].concat();
            let content = match entry.blob() {
                Some(blob) => {
                    let bytes = store.read_blob(blob, u64::MAX)?;
                    Some((bytes.len() as u64, Digest::of(&bytes)))
                }
                None => None,
            };
            let kind = match entry.kind {
                EntryKind::File => "file",
                EntryKind::Folder => "folder",
                EntryKind::Symlink => "symlink",
            };
            entries.insert(path.clone(), line(kind, entry.mode.into(), content, &path));
            left.extend(entry.tree().map(|tree| ([&path[..], b"/"].concat(), tree)));
        }
    }
    Ok(entries)
}

fn line(kind: &str, mode: u32, content: Option<(u64, Digest)>, path: &[u8]) -> String {
    let content = content.map_or_else(|| "- -".to_owned(), |(size, digest)| format!("{size} {digest}"));
    format!("{kind} {mode:04o} {content} {}", if path.is_empty() { ".".to_owned() } else { shown(path) })
}

fn new_entries(before: &Entries, entries: &Entries) -> Vec<String> {
    let folder = |path: &[u8]| path.iter().rposition(|byte| *byte == b'/').map_or(Vec::new(), |at| path[..at].to_vec());
    let mut counts: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    entries.keys().for_each(|path| *counts.entry(folder(path)).or_default() += 1);
    let is_listed = |path: &Vec<u8>| counts[&folder(path)] <= LISTED_MAX;
    let new = entries.iter().filter(|(path, line)| is_listed(path) && before.get(*path) != Some(*line));
    new.map(|(_, line)| line.clone()).collect()
}

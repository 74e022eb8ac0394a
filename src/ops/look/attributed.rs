//! Owners, ACLs and other attributes of a state, and the differences between two states in them.
//!
//! A snapshot lists the owner of a path only if it differs from the owner of the root folder. If the root folder and
//! everything in it got another owner, that is one change, of the root folder.
//!
//! An imported history has no attributes. Unknown attributes count as equal to any.

use std::collections::{BTreeMap, BTreeSet};

use super::ls::find_with;
use crate::diff::{Change, ChangeKind, Side};
use crate::error::Result;
use crate::format::attributes::{AttributeList, Attributes, Owner, decode_list};
use crate::format::snapshot::{Attachment, Snapshot};
use crate::format::tree::EntryKind;
use crate::id::{BlobId, Digest, TreeId};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::record::attached::attached;
use crate::path::TreePath;
use crate::store::{LoadTree, Store};

/// The known attributes of a state.
#[derive(Clone, Debug, Default)]
pub struct Attributed {
    /// The owner of the root folder and of every path without an owner in the list; `None` if nothing is known.
    pub root_owner: Option<Owner>,
    /// The paths with attributes of their own.
    pub list: AttributeList,
}

/// A state to compare: its tree, the mode of its root folder, its attributes.
#[derive(Debug)]
pub(in crate::ops) struct AttributedTree {
    pub(in crate::ops) root: TreeId,
    pub(in crate::ops) root_mode: u16,
    pub(in crate::ops) attributed: Attributed,
}

impl AttributedTree {
    /// The state of a snapshot.
    pub(in crate::ops) fn of(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let attributed = Attributed::of(store, snapshot)?;
        Ok(Self { root: snapshot.root, root_mode: snapshot.root_mode, attributed })
    }
}

impl Attributed {
    /// The attributes of a snapshot.
    pub fn of(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let bytes = attached(store, &snapshot.attributes, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
        let list = decode_list(&bytes).map_err(|e| e.during("read attributes of step", snapshot.step))?;
        Ok(Self { root_owner: snapshot.root_owner, list })
    }

    /// True if anything is known.
    pub fn is_known(&self) -> bool {
        self.root_owner.is_some()
    }

    /// The attributes of one path. A path that is not in the list has only the owner of the root folder.
    pub fn get(&self, path: &TreePath) -> Option<&Attributes> {
        self.list.get(path)
    }

    /// True if a path has other attributes in another state. A path without an owner of its own does not differ when
    /// the owner of the root folder does.
    fn differs(&self, other: &Self, path: &TreePath) -> bool {
        let (one, two) = (self.list.get(path), other.list.get(path));
        let (own, others) = (one.and_then(|one| one.owner), two.and_then(|two| two.owner));
        let is_counted = path.is_root() || own.is_some() || others.is_some();
        is_counted && own.or(self.root_owner) != others.or(other.root_owner)
            || one.map(|one| &*one.values).unwrap_or_default() != two.map(|two| &*two.values).unwrap_or_default()
    }
}

/// True if an attachment holds these bytes. It is not read.
pub(in crate::ops) fn is_attached(attachment: &Attachment, bytes: &[u8]) -> bool {
    match attachment {
        Attachment::Empty => bytes.is_empty(),
        Attachment::Inline(inline) => inline == bytes,
        Attachment::Blob(id) => *id == BlobId(Digest::of(bytes)),
    }
}

/// Adds differences in attributes to `changes`, the differences between two trees in order of path. Only paths within
/// `paths` count; all do if there are none.
pub(in crate::ops) fn add_changes(
    changes: &mut Vec<Change>,
    load: &LoadTree<'_>,
    old: &AttributedTree,
    new: &AttributedTree,
    paths: &[TreePath],
) -> Result<()> {
    if !old.attributed.is_known() || !new.attributed.is_known() {
        return Ok(());
    }
    let is_wanted = |path: &TreePath| paths.is_empty() || paths.iter().any(|wanted| path.is_within(wanted));
    let root = TreePath::root();
    let listed = [old, new].into_iter().flat_map(|state| state.attributed.list.iter().map(|(path, _)| path));
    let candidates: BTreeSet<&TreePath> = listed.chain([&root]).filter(|path| is_wanted(path)).collect();
    let mut known: BTreeMap<TreePath, Change> = changes.drain(..).map(|change| (change.path.clone(), change)).collect();
    for path in candidates.into_iter().filter(|path| old.attributed.differs(&new.attributed, path)) {
        if let Some(change) = known.get_mut(path) {
            change.attributes_changed = change.old.is_some() && change.new.is_some();
        } else if let (old @ Some(_), new @ Some(_)) = (side_of(load, old, path)?, side_of(load, new, path)?) {
            let (kind, path) = (ChangeKind::Attributes, path.clone());
            let change = Change { path: path.clone(), kind, old, new, old_path: None, attributes_changed: true };
            known.insert(path, change);
        }
    }
    changes.extend(known.into_values());
    Ok(())
}

fn side_of(load: &LoadTree<'_>, state: &AttributedTree, path: &TreePath) -> Result<Option<Side>> {
    if path.is_root() {
        return Ok(Some(Side { kind: EntryKind::Folder, mode: state.root_mode, size: 0, id: state.root.0 }));
    }
    Ok(find_with(load, state.root, path)?.as_ref().map(Side::from))
}

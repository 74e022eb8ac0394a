//! Owners, ACLs and other attributes of a state, and how two states differ in them.
//!
//! A snapshot names an owner only where it is not that of the root folder. States are compared by who owns a path in
//! the end; where the root folder changed hands with all that is in it, that is one change, of the root folder.
//!
//! An imported history says nothing of attributes. Nothing differs from what is not known.

use std::collections::BTreeMap;

use super::ls::find_with;
use crate::diff::{Change, ChangeKind, Side, tree::LoadTree};
use crate::error::Result;
use crate::format::attributes::{AttributeList, Attributes, Owner, decode_list};
use crate::format::snapshot::{Attachment, Snapshot};
use crate::format::tree::Kind;
use crate::id::{BlobId, Digest, TreeId};
use crate::limits::PATH_LIST_LENGTH_MAX_BYTES;
use crate::ops::record::ingest::attached;
use crate::path::TreePath;
use crate::store::Store;

/// What is known of the attributes of a state.
#[derive(Clone, Debug, Default)]
pub struct Attributed {
    /// Owner of the root folder, and of every path that the list does not give another; `None` where nothing is known.
    pub root_owner: Option<Owner>,
    /// The paths that have any.
    pub list: AttributeList,
}

/// A state to compare: its tree, the mode of its root folder, its attributes.
#[derive(Clone, Copy, Debug)]
pub(in crate::ops) struct AttributedTree<'a> {
    pub(in crate::ops) root: TreeId,
    pub(in crate::ops) root_mode: u16,
    pub(in crate::ops) attributed: &'a Attributed,
}

impl Attributed {
    /// Those of a snapshot.
    pub fn of(store: &Store, snapshot: &Snapshot) -> Result<Self> {
        let bytes = attached(store, &snapshot.attributes, PATH_LIST_LENGTH_MAX_BYTES as u64)?;
        let list = decode_list(&bytes).map_err(|e| e.during("read attributes of step", snapshot.step))?;
        Ok(Self { root_owner: snapshot.root_owner, list })
    }

    /// Whether anything is known.
    pub fn is_known(&self) -> bool {
        self.root_owner.is_some()
    }

    /// What one path has; nothing but the owner of the root folder where the list does not name it.
    pub fn get(&self, path: &TreePath) -> Option<&Attributes> {
        self.list.get(path)
    }

    /// Whether a path has something else in another state. The owner that a path shares with the root folder is the
    /// root folder's.
    fn differs(&self, other: &Self, path: &TreePath) -> bool {
        let (one, two) = (self.list.get(path), other.list.get(path));
        let values = |found: Option<&Attributes>| found.map(|found| found.values.clone()).unwrap_or_default();
        let (own, others) = (one.and_then(|one| one.owner), two.and_then(|two| two.owner));
        let are_relative = own.is_none() && others.is_none();
        let has_other_owner = if path.is_root() || !are_relative {
            own.or(self.root_owner) != others.or(other.root_owner)
        } else {
            false
        };
        has_other_owner || values(one) != values(two)
    }
}

/// Whether an attachment holds these bytes, without reading it.
pub(in crate::ops) fn is_attached(attachment: &Attachment, bytes: &[u8]) -> bool {
    match attachment {
        Attachment::Empty => bytes.is_empty(),
        Attachment::Inline(inline) => inline == bytes,
        Attachment::Blob(id) => *id == BlobId(Digest::of(bytes)),
    }
}

/// Adds to `changes`, which are those of two trees in order of path, what differs in attributes: within `paths`, or
/// anywhere where there are none.
pub(in crate::ops) fn add_changes(
    changes: &mut Vec<Change>,
    load: &LoadTree<'_>,
    old: &AttributedTree<'_>,
    new: &AttributedTree<'_>,
    paths: &[TreePath],
) -> Result<()> {
    if !old.attributed.is_known() || !new.attributed.is_known() {
        return Ok(());
    }
    let is_wanted = |path: &TreePath| paths.is_empty() || paths.iter().any(|wanted| path.is_within(wanted));
    let root = TreePath::root();
    let listed =
        |state: &AttributedTree<'_>| state.attributed.list.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>();
    let mut candidates: Vec<TreePath> = listed(old).into_iter().chain(listed(new)).chain([root]).collect();
    candidates.sort_unstable();
    candidates.dedup();
    candidates.retain(|path| is_wanted(path) && old.attributed.differs(new.attributed, path));
    let mut known: BTreeMap<TreePath, Change> = changes.drain(..).map(|change| (change.path.clone(), change)).collect();
    for path in candidates {
        if let Some(change) = known.get_mut(&path) {
            change.attributes_changed = change.old.is_some() && change.new.is_some();
            continue;
        }
        let (Some(before), Some(after)) = (side_of(load, old, &path)?, side_of(load, new, &path)?) else { continue };
        let change = Change {
            path: path.clone(),
            kind: ChangeKind::Attributes,
            old: Some(before),
            new: Some(after),
            old_path: None,
            attributes_changed: true,
        };
        known.insert(path, change);
    }
    changes.extend(known.into_values());
    Ok(())
}

fn side_of(load: &LoadTree<'_>, state: &AttributedTree<'_>, path: &TreePath) -> Result<Option<Side>> {
    if path.is_root() {
        return Ok(Some(Side { kind: Kind::Folder, mode: state.root_mode, size: 0, id: state.root.0 }));
    }
    Ok(find_with(load, state.root, path)?.as_ref().map(Side::from))
}

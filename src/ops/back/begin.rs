//! The fourth stage of a restore: the state before it, and the fact that it has begun, recorded in one transaction.

use std::collections::BTreeSet;

use super::Context;
use super::choice::Before;
use super::decide::Decided;
use crate::error::Result;
use crate::format::facts::{Fact, Restore};
use crate::format::snapshot::Cause;
use crate::id::SnapshotId;
use crate::ops::record::add_snapshot::About;
use crate::ops::record::capture::Captured;
use crate::path::TreePath;
use crate::store::Batch;
use crate::workspace::beneath::Root;
use crate::workspace::materialize;
use crate::workspace::temporary_name::is_temporary_name;

/// Records that the restore has begun, together with the state before it, unless that is the head already or is not to
/// be kept. Returns the state that undoing the restore leads to.
pub(super) fn begin(context: &Context<'_>, mut batch: Batch<'_>, decided: &Decided) -> Result<Option<SnapshotId>> {
    let Context { store, workspace, root, options } = context;
    let Decided { step, wish, target, .. } = decided;
    remove_strays_of(&step.captured, root)?;
    let before = |now: Option<SnapshotId>| match wish.before {
        Before::Now => now,
        Before::As(earlier) => earlier,
    };
    let begun = |now| {
        Fact::RestoreBegun(Restore {
            workspace: workspace.id,
            before: before(now),
            target: wish.target,
            paths: wish.paths.iter().map(|path| path.as_bytes().to_vec()).collect(),
            cause: wish.cause,
            time: options.now,
        })
    };
    let now = if !step.differs() {
        let head = step.head.as_ref().map(|(id, _)| *id);
        store.record(|_| Ok(vec![begun(head)]))?;
        head
    } else if !options.safety {
        store.record(|_| Ok(vec![begun(None)]))?;
        None
    } else {
        let message = format!("before restoring s{}", target.step);
        let about = About::of_restore(Cause::BeforeRestore, message, options.now);
        Some(step.record(&mut batch, workspace, about, |_, taken| vec![begun(Some(taken))])?.id)
    };
    Ok(before(now))
}

/// Removes the temporary files of a killed restore. The workspace's lock is held, so no other restore writes now.
fn remove_strays_of(now: &Captured, root: &Root) -> Result<()> {
    let is_stray = |path: &&TreePath| path.name().is_some_and(is_temporary_name);
    let folders: BTreeSet<TreePath> =
        now.excluded.iter().map(|one| &one.path).filter(is_stray).filter_map(TreePath::parent).collect();
    if !folders.is_empty() {
        materialize::remove_strays(root, &folders)?;
    }
    Ok(())
}

//! Facts about a step that never was, for stores and encodings made by hand.

use retrograde::format::snapshot::{Attachment, Cause, ChangeCounts, Snapshot};
use retrograde::id::{BlobId, Digest, TreeId, WorkspaceId};
use retrograde::time::Timestamp;

/// A first step without parents, events or changes, of a root that no store has.
pub(crate) fn plain_snapshot(workspace: WorkspaceId) -> Snapshot {
    Snapshot {
        root: TreeId(Digest::of(b"nowhere")),
        root_mode: 0o755,
        root_owner: None,
        parents: Vec::new(),
        history: Digest::of(b"history"),
        workspace,
        run: None,
        step: 1,
        time: Timestamp(0),
        cause: Cause::Step,
        message: String::new(),
        changes: ChangeCounts::default(),
        event: Attachment::Empty,
        times: Attachment::Empty,
        omitted: Attachment::Empty,
        attributes: Attachment::Empty,
        excluded: Attachment::Empty,
        rules: BlobId(Digest::of(b"")),
        dropped: None,
        git: None,
    }
}

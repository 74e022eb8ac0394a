//! The position of the rolling re-read of a workspace, kept from one step to the next.
//!
//! The file may be lost at any time: the re-read then starts again at its first file. It is written only if it changed,
//! so that a small folder, which is read again entirely at every step, costs no write.

use crate::disk::{Disk, read_start};
use crate::error::Result;
use crate::format::turn::{self, TURN_LENGTH_BYTES, TurnFile};
use crate::id::WorkspaceId;

/// Reads the turn file of a workspace; the default if it is missing or damaged.
pub fn load(disk: &dyn Disk, workspace: WorkspaceId) -> TurnFile {
    let bytes = read_start(disk, &file_name(workspace), TURN_LENGTH_BYTES as u64 + 1).unwrap_or_default();
    turn::decode(workspace, &bytes).unwrap_or_default()
}

/// Writes the turn file of a workspace. The caller holds the workspace's lock.
pub fn store(disk: &dyn Disk, workspace: WorkspaceId, file: &TurnFile) -> Result<()> {
    let bytes = turn::encode(workspace, file);
    if bytes == turn::encode(workspace, &load(disk, workspace)) {
        return Ok(());
    }
    disk.write(&file_name(workspace), 0, &bytes)
}

fn file_name(workspace: WorkspaceId) -> String {
    format!("workspaces/{workspace}/turn")
}

//! Exports and imports: `export --tar`, `export --git`, `import`.

use std::path::Path as StdPath;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::value::{Id, Omitted, PathReason, Version, text};
#[cfg(feature = "git")]
use super::value::{Path, all};
#[cfg(feature = "git")]
use crate::id::SnapshotId;
#[cfg(feature = "git")]
use crate::ops::share::export_git::ExportedGit;
use crate::ops::share::export_tar::Exported;
#[cfg(feature = "git")]
use crate::ops::share::import_git::Imported as GitImport;

/// A step written as a tar file. One object, unless the tar file goes to standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TarExported {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The file.
    pub tar: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tar_base64: Option<String>,
    /// Files written.
    pub files: u64,
    /// Folders, including the parent folders of selected paths.
    pub folders: u64,
    /// Symlinks.
    pub symlinks: u64,
    /// Bytes of file content.
    pub content_bytes: u64,
    /// Bytes of the tar file.
    pub written_bytes: u64,
}

impl TarExported {
    /// The result of `export_tar`, and the file.
    pub fn new(tar: &StdPath, exported: &Exported) -> Self {
        let (tar, tar_base64) = text(tar.as_os_str().as_encoded_bytes());
        let Exported { files, folders, symlinks, content_bytes, written_bytes } = *exported;
        Self { version: Version, tar, tar_base64, files, folders, symlinks, content_bytes, written_bytes }
    }
}

/// Steps written as a git repository. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitExported {
    /// The version of the JSON shapes.
    pub version: Version,
    /// The repository.
    pub git: String,
    /// The bytes of a path that is not UTF-8, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub git_base64: Option<String>,
    /// Commits written.
    pub commits: u64,
    /// The newest commit; null if there was nothing to export.
    pub head: Option<String>,
    /// The branch of each run.
    pub branches: Vec<RunReference>,
    /// The git tag of each tag.
    pub tags: Vec<TagReference>,
    /// The references of steps to which no branch or tag leads.
    pub steps: Vec<StepReference>,
    /// Git objects written.
    pub objects: u64,
    /// Bytes of the pack and its index.
    pub written_bytes: u64,
    /// Paths that git cannot hold.
    pub skipped: Vec<PathReason>,
}

#[cfg(feature = "git")]
impl GitExported {
    /// The result of `export_git`, and the repository.
    pub fn new(git: &StdPath, exported: &ExportedGit) -> Self {
        let (git, git_base64) = text(git.as_os_str().as_encoded_bytes());
        let branch = |(run, to): &(Option<String>, String)| RunReference { run: run.clone(), reference: to.clone() };
        let tag = |(tag, to): &(String, String)| TagReference { tag: tag.clone(), reference: to.clone() };
        let step = |(step, to): &(u64, String)| StepReference { step: *step, reference: to.clone() };
        Self {
            version: Version,
            git,
            git_base64,
            commits: exported.commits,
            head: exported.head.clone(),
            branches: exported.branches.iter().map(branch).collect(),
            tags: exported.tags.iter().map(tag).collect(),
            steps: exported.steps.iter().map(step).collect(),
            objects: exported.objects,
            written_bytes: exported.written_bytes,
            skipped: exported.skipped.iter().map(|one| path(Path::from(&one.path), one.reason)).collect(),
        }
    }
}

/// A run and its branch in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunReference {
    /// The run; null for the snapshots around restores.
    pub run: Option<String>,
    /// Its name in git.
    pub reference: String,
}

/// A tag and its tag in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagReference {
    /// The tag.
    pub tag: String,
    /// Its name in git.
    pub reference: String,
}

/// A step and its reference in git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReference {
    /// The number of the step.
    pub step: u64,
    /// Its name in git.
    pub reference: String,
}

/// Commits of a git repository recorded as steps. One object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GitImported {
    /// The version of the JSON shapes.
    pub version: Version,
    /// Snapshots taken.
    pub snapshots: u64,
    /// Commits that were steps already.
    pub known: u64,
    /// The first snapshot taken.
    pub first: Option<StepId>,
    /// The last one.
    pub last: Option<StepId>,
    /// Steps that are exactly the exported ones.
    pub exact: u64,
    /// Paths that the last snapshot omits.
    pub omitted: Vec<Omitted>,
    /// Snapshots with omitted paths.
    pub omitting: u64,
    /// Entries of git trees that a step cannot hold.
    pub refused: Vec<PathReason>,
    /// Commits that could not be read.
    pub skipped: Vec<CommitReason>,
    /// Commits with an invalid part that was guessed, such as a date.
    pub guessed: Vec<CommitReason>,
    /// Tags that were imported.
    pub tags: Vec<String>,
    /// Tags that were not imported.
    pub skipped_tags: Vec<TagReason>,
    /// The growth of the store, in bytes.
    pub stored_bytes: u64,
}

#[cfg(feature = "git")]
impl GitImported {
    /// The result of `import_git`.
    pub fn new(imported: &GitImport) -> Self {
        let end = |end: Option<(SnapshotId, u64)>| end.map(|(id, step)| StepId { snapshot: Id::of(id), step });
        let commit = |commit: &String, reason: &String| CommitReason { commit: commit.clone(), reason: reason.clone() };
        let tags = imported.skipped_tags.iter();
        Self {
            version: Version,
            snapshots: imported.snapshots,
            known: imported.known,
            first: end(imported.first),
            last: end(imported.last),
            exact: imported.exact,
            omitted: all(&imported.omitted),
            omitting: imported.omitting,
            refused: imported.refused.iter().map(|one| path(Path::of_bytes(&one.path), one.reason)).collect(),
            skipped: imported.skipped.iter().map(|one| commit(&one.name, &one.reason)).collect(),
            guessed: imported.guessed.iter().map(|(id, what)| commit(id, what)).collect(),
            tags: imported.tags.clone(),
            skipped_tags: tags.map(|one| TagReason { tag: one.name.clone(), reason: one.reason.clone() }).collect(),
            stored_bytes: imported.stored_bytes,
        }
    }
}

#[cfg(feature = "git")]
fn path(path: Path, reason: &str) -> PathReason {
    PathReason { path, reason: reason.to_owned() }
}

/// A step by id and number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepId {
    /// The snapshot.
    pub snapshot: Id,
    /// Its number in the workspace.
    pub step: u64,
}

/// A commit and a reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CommitReason {
    /// The commit of git.
    pub commit: String,
    /// The reason in words.
    pub reason: String,
}

/// A tag of git and a reason in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TagReason {
    /// The tag of git.
    pub tag: String,
    /// The reason in words.
    pub reason: String,
}

//! The common ground of exports to git and imports from it: the mapping of states, and the place of what git cannot
//! hold.
//!
//! ```text
//! a snapshot                        a commit
//!   file, any x bit for its owner     blob 100755
//!   file                              blob 100644
//!   symlink                           blob 120000
//!   folder with something in it       tree  40000
//!   message, step, run, id            message and trailers
//! ```
//!
//! Git cannot hold empty folders, other permission bits, names like `.git`, or the facts of a step. An export keeps
//! these beside its history, in one commit at `refs/retro/meta` with a tree of its own:
//!
//! ```text
//! snapshots/01/23..   by commit id: the snapshot it was made from, as stored
//! calls/01/23..       by commit id: the facts of the calls that followed and changed nothing, as stored
//! trees/01/23..       by tree id: the encoded lists of folders that git does not hold exactly
//! contents/01/23..    by blob id: contents that no commit has, such as the attachments of snapshots
//! ```
//!
//! An import that finds its commit there rebuilds exactly the tree that was exported, and checks it by its id. Any
//! other commit (rewritten, or from a clone without that reference) is mapped by the table above, with modes 0644 and
//! 0755. A note on each commit would repeat, for every commit, all modes that differ from git's; lists by tree
//! id are written once a change. Trailers alone cannot hold contents.
//!
//! An import accepts what git accepts: odd parts of a commit are guessed ([`commit`]), entries that a folder cannot
//! have or the repository lacks are omitted path by path, and a commit without a readable tree is skipped and named.
//!
//! Git is never run. What an export writes passes `git fsck --strict`: entries that git would refuse are skipped and
//! reported.

pub(super) mod commit;
mod exact;
pub(super) mod kept;
pub(super) mod load;
pub(super) mod names;
pub(super) mod pack;
pub(super) mod trees;

use std::path::Path;

use gix::ObjectId;
use gix::bstr::BString;

use crate::error::{Error, ErrorKind, Result, shown};

/// The reason why a commit gives no step.
#[derive(Debug)]
pub(super) enum Stop {
    /// The commit cannot be read or recorded: it is skipped and named.
    Commit(Error),
    /// The import cannot go on, because the store fails.
    Import(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Import(error)
    }
}

/// A result of importing one commit.
pub(super) type CommitResult<T> = std::result::Result<T, Stop>;

/// The reference at which an export keeps what git cannot hold.
pub(super) const META_REF: &str = "refs/retro/meta";

/// The references of line ends that no branch or tag leads to.
pub(super) const STEPS_REF: &str = "refs/retro/steps/";

/// Most levels of folders. Git refuses trees deeper than its `core.maxTreeDepth`, 2,048 unless configured, and counts
/// the root and the file in.
pub(super) const DEPTH_MAX: usize = 2_000;

/// The trailer of the snapshot's id. An export ends its messages with such trailers.
pub(super) const TRAILER_SNAPSHOT: &str = "Retro-Snapshot";
/// The trailer of the step's number.
pub(super) const TRAILER_STEP: &str = "Retro-Step";
/// The trailer of the run.
pub(super) const TRAILER_RUN: &str = "Retro-Run";
/// The trailer that repeats the subject of a step without a message of its own.
pub(super) const TRAILER_SUBJECT: &str = "Retro-Subject";
/// The trailer of a time that git cannot hold, in seconds since 1970.
pub(super) const TRAILER_TIME: &str = "Retro-Time";

/// Opens a repository with its own configuration alone, without that of the user or the system.
pub(super) fn isolated() -> gix::open::Options {
    gix::open::Options::isolated().open_path_as_is(false)
}

/// The error for a failure of git's library on a repository.
pub(super) fn failed(kind: ErrorKind, operation: &str, repository: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(kind, operation, shown(repository), error)
}

/// A folder and the keys of the folders in it; none if it is not listed.
pub(super) type Opened<Key, Folder> = Option<(Folder, Vec<Key>)>;

/// Lists the folders at and below `root`, each after the folders in it, without recursion. `open` gets a key and the
/// depth. It returns nothing for a folder that was listed before.
pub(super) fn inner_first<Key, Folder, Failure>(
    root: Key,
    open: &mut dyn FnMut(Key, usize) -> std::result::Result<Opened<Key, Folder>, Failure>,
) -> std::result::Result<Vec<Folder>, Failure> {
    let mut listed = Vec::new();
    let mut stack: Vec<(Folder, std::vec::IntoIter<Key>)> = Vec::new();
    let mut next = Some(root);
    loop {
        if let Some(key) = next.take()
            && let Some((folder, inner)) = open(key, stack.len())?
        {
            stack.push((folder, inner.into_iter()));
        }
        let Some((_, inner)) = stack.last_mut() else { return Ok(listed) };
        next = inner.next();
        if next.is_none() {
            listed.extend(stack.pop().map(|(folder, _)| folder));
        }
    }
}

/// The last second that git can hold.
const SECONDS_MAX: i64 = (u32::MAX as i64) << 8;

/// True if git can hold a time. It counts seconds from 1970, and `git fsck` refuses earlier times and too large ones.
pub(super) fn time_fits(seconds: i64) -> bool {
    (0..=SECONDS_MAX).contains(&seconds)
}

/// The author or committer of a commit, as git writes it. A time that git cannot hold becomes the nearest that it can.
pub(super) fn signature(name: &str, seconds: i64) -> gix::actor::Signature {
    let seconds = seconds.clamp(0, SECONDS_MAX);
    let time = gix::date::Time { seconds, offset: 0 };
    gix::actor::Signature { name: BString::from(name), email: BString::from("retro@localhost"), time }
}

/// Git's id of an object with this content.
pub(super) fn object_id(kind: gix::objs::Kind, bytes: &[u8]) -> Result<ObjectId> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(&gix::objs::encode::loose_header(kind, bytes.len() as u64));
    hasher.update(bytes);
    finish(hasher)
}

/// The id of the bytes in a hasher. Git's own hasher refuses content that was made to collide.
pub(super) fn finish(hasher: gix::hash::Hasher) -> Result<ObjectId> {
    hasher.try_finalize().map_err(|e| Error::new(ErrorKind::Unsupported, "hash", "an object for git", e))
}

//! What export to and import from git have in common: how states are mapped, and where the rest is kept.
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
//! Git cannot hold empty folders, other permission bits, names like `.git`, or the facts of a step. So that nothing is
//! lost, an export keeps these beside its history, in one commit at `refs/retro/meta` with a tree of its own:
//!
//! ```text
//! snapshots/01/23..   by commit id: the snapshot it was made from, as stored
//! calls/01/23..       by commit id: the facts of the calls that followed and changed nothing, as stored
//! trees/01/23..       by tree id: the encoded lists of folders that git does not hold exactly
//! contents/01/23..    by blob id: contents that no commit has, among them what the snapshots refer to
//! ```
//!
//! An import that finds its commit there rebuilds exactly the tree that was exported and checks it by its id; one that
//! does not (the commit was rewritten, or the repository cloned without that reference) maps what git has back by the
//! table above, with modes 0644 and 0755. A note on each commit was not taken, because it would have to repeat, for
//! every commit, the modes of a workspace whose owner's umask is not git's; folders by tree id are written when they
//! change. Trailers alone cannot hold contents.
//!
//! An import takes what git takes: what is odd about a commit is guessed ([`commit`]), what cannot be in a folder or is
//! not in the repository is omitted path by path, and a commit without a readable tree is left out and named.
//!
//! Git is never run. What is written passes `git fsck --strict`: what it would refuse is left out of the trees and
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

/// Why a commit gives no step.
#[derive(Debug)]
pub(super) enum Stop {
    /// It cannot be read, or is not what can be recorded: it is left out, and named.
    Commit(Error),
    /// The import cannot go on: the store fails.
    Import(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Import(error)
    }
}

/// Where an export keeps what git cannot hold.
pub(super) const META_REF: &str = "refs/retro/meta";

/// Where an export keeps the ends of lines that no branch or tag leads to.
pub(super) const STEPS_REF: &str = "refs/retro/steps/";

/// Most folders one in another. Git refuses trees deeper than its `core.maxTreeDepth`, 2,048 unless configured, and
/// counts the root and the file in.
pub(super) const DEPTH_MAX: usize = 2_000;

/// Names of the trailers that an export ends its messages with.
pub(super) const TRAILER_SNAPSHOT: &str = "Retro-Snapshot";
/// The step's number.
pub(super) const TRAILER_STEP: &str = "Retro-Step";
/// The run.
pub(super) const TRAILER_RUN: &str = "Retro-Run";

/// The subject of a message that nobody has written.
pub(super) const TRAILER_SUBJECT: &str = "Retro-Subject";
/// Seconds since 1970, where git cannot have them as a time.
pub(super) const TRAILER_TIME: &str = "Retro-Time";

/// Options under which a repository is opened: its own configuration and nothing of its user's or its surroundings.
pub(super) fn isolated() -> gix::open::Options {
    gix::open::Options::isolated().open_path_as_is(false)
}

/// Git's library failed in `operation` on a repository.
pub(super) fn failed(kind: ErrorKind, operation: &str, repository: &Path, error: impl std::fmt::Display) -> Error {
    Error::new(kind, operation, shown(repository), error)
}

/// The last second that git can have.
const SECONDS_MAX: i64 = (u32::MAX as i64) << 8;

/// Returns true if git can hold a time. It counts seconds from 1970, and `git fsck` refuses any before, and any that do
/// not fit.
pub(super) fn time_fits(seconds: i64) -> bool {
    (0..=SECONDS_MAX).contains(&seconds)
}

/// Who made a commit, as git writes it. A time that git cannot have is the nearest that it can.
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

/// The id that a hasher has come to. Git's own hasher refuses content made to collide.
pub(super) fn finish(hasher: gix::hash::Hasher) -> Result<ObjectId> {
    hasher.try_finalize().map_err(|e| Error::new(ErrorKind::Unsupported, "hash", "an object for git", e))
}

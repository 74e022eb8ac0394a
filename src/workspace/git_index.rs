//! What a repository's index has: which paths git tracks, whatever is ignored.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use gix::hash::Kind;
use gix::index::State;
use gix::index::entry::Mode;
use gix_glob::pattern::Case;
use rustix::fs::OFlags;

use crate::limits::GIT_INDEX_LENGTH_MAX_BYTES;

/// The paths of an index.
#[derive(Debug)]
pub(super) struct GitIndex {
    state: State,
    /// In lower case, ascending, each with whether it is a repository; only where case does not count.
    folded: Option<Vec<(Vec<u8>, bool)>>,
}

impl GitIndex {
    /// Reads the index in `file`; `None` when it cannot be read.
    pub(super) fn read(file: &Path, case: Case, is_sha256: bool) -> Option<Self> {
        // The library is built for ids of 20 bytes.
        let state = if is_sha256 { None } else { read_state(file) }?;
        let folded = (case == Case::Fold).then(|| {
            let fold = |entry: &gix::index::Entry| (entry.path(&state).to_ascii_lowercase(), is_repository(entry.mode));
            let mut folded: Vec<(Vec<u8>, bool)> = state.entries().iter().map(fold).collect();
            folded.sort_unstable();
            folded
        });
        Some(Self { state, folded })
    }

    /// Whether it has the file at `path`, or the folder there as a repository, or anything in the folder.
    pub(super) fn has(&self, path: &[u8], is_folder: bool) -> bool {
        let path = if self.folded.is_some() { Cow::Owned(path.to_ascii_lowercase()) } else { Cow::Borrowed(path) };
        let is_there = self
            .first_from(&path)
            .is_some_and(|(found, is_repository)| found == &*path && (is_repository || !is_folder));
        let inside = [&path, &b"/"[..]].concat();
        is_there || (is_folder && self.first_from(&inside).is_some_and(|(found, _)| found.starts_with(&inside)))
    }

    /// The first path from `wanted` on, and whether it is a repository.
    fn first_from(&self, wanted: &[u8]) -> Option<(&[u8], bool)> {
        match &self.folded {
            None => {
                let at = self.state.entry_index_by_path(wanted.into()).unwrap_or_else(|at| at);
                let entry = self.state.entries().get(at)?;
                Some((entry.path(&self.state), is_repository(entry.mode)))
            }
            Some(folded) => {
                let at = folded.partition_point(|(path, _)| &path[..] < wanted);
                folded.get(at).map(|(path, is_repository)| (&path[..], *is_repository))
            }
        }
    }
}

fn is_repository(mode: Mode) -> bool {
    mode == Mode::COMMIT
}

fn read_state(path: &Path) -> Option<State> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = std::fs::File::from(rustix::fs::open(path, flags, rustix::fs::Mode::empty()).ok()?);
    let length = file.metadata().ok().filter(std::fs::Metadata::is_file)?.len();
    if length > GIT_INDEX_LENGTH_MAX_BYTES {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(GIT_INDEX_LENGTH_MAX_BYTES).read_to_end(&mut bytes).ok()?;
    // The time of the file is only passed through.
    let time = State::new(Kind::Sha1).timestamp();
    let (state, _) = State::from_bytes(&bytes, time, Kind::Sha1, Default::default()).ok()?;
    if state.link().is_none() {
        return Some(state);
    }
    // One that rests on another is put together by the library, which maps both.
    let whole = gix::index::File::at(path, Kind::Sha1, true, Default::default()).ok()?;
    Some(whole.into_parts().0)
}

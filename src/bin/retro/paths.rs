//! Paths given as arguments, and hints for paths that do not exist.
//!
//! A path is relative to the current folder. One that contains `*`, `?` or `[..]` is a pattern, unless a path has
//! exactly that name. A pattern without a slash matches names at any depth below the current folder, one with a slash
//! whole paths.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Result, Selection, SnapshotId, TreePath};

use retrograde::detail::{Pattern, check_tag_name, find_entry as find, selected};

use retrograde::workspaces::root_of;

use crate::context::{Opened, normal};
use crate::views::human;

impl Opened {
    /// The paths and patterns in arguments. A path of exactly that name, in `snapshots` or in the folder, comes first.
    pub(crate) fn selection(&self, arguments: &[PathBuf], snapshots: &[SnapshotId]) -> Result<Selection> {
        let (mut paths, mut patterns) = (Vec::new(), Vec::new());
        for argument in arguments {
            let literal = self.tree_path(argument)?;
            match self.pattern(argument) {
                Some(pattern) if !self.has(&literal, snapshots)? => patterns.push(pattern),
                _ => paths.push(literal),
            }
        }
        Ok(Selection::new(paths, patterns))
    }

    /// The paths of a snapshot that arguments select; everything if there are no arguments.
    pub(crate) fn selected_paths(
        &self,
        arguments: &[PathBuf],
        snapshot: SnapshotId,
        operation: &str,
    ) -> Result<Vec<TreePath>> {
        let selection = self.selection(arguments, &[snapshot])?;
        self.selected_in(&selection, snapshot, operation)
    }

    /// The selected paths of a snapshot. Fails if one of them is missing.
    pub(crate) fn selected_in(
        &self,
        selection: &Selection,
        snapshot: SnapshotId,
        operation: &str,
    ) -> Result<Vec<TreePath>> {
        let root = self.store.snapshot(snapshot)?.root;
        for path in selection.paths().iter().filter(|path| !path.is_root()) {
            if find(&self.store, root, path)?.is_none() {
                let detail = format!("snapshot {} has no such path", snapshot.short());
                let error = Error::new(ErrorKind::NotFound, operation, path, detail);
                return Err(self.with_like(error, path, &[snapshot]));
            }
        }
        let found = selected(&self.store, snapshot, selection)?;
        self.expect_all(selection, &found, &format!("snapshot {}", snapshot.short()), operation)?;
        Ok(found)
    }

    /// Fails if a pattern matches none of `found`.
    pub(crate) fn expect_all(
        &self,
        selection: &Selection,
        found: &[TreePath],
        place: &str,
        operation: &str,
    ) -> Result<()> {
        let mut is_met = vec![false; selection.count()];
        found.iter().for_each(|path| selection.mark(path, &mut is_met));
        match (selection.paths().len()..selection.count()).find(|&index| !is_met[index]) {
            None => Ok(()),
            Some(index) => {
                let detail = format!("nothing in {place} matches");
                Err(Error::new(ErrorKind::NotFound, operation, selection.shown(index), detail)
                    .with_hint("a pattern without a slash matches names at any depth, one with a slash whole paths"))
            }
        }
    }

    /// Fails if a named path is neither in one of the snapshots nor in the folder: it is mistyped.
    pub(crate) fn expect_somewhere(
        &self,
        selection: &Selection,
        snapshots: &[SnapshotId],
        operation: &str,
    ) -> Result<()> {
        for path in selection.paths() {
            if !self.has(path, snapshots)? {
                let ids: Vec<String> = snapshots.iter().map(|id| format!("snapshot {}", id.short())).collect();
                let detail = format!("neither {} nor the folder has it", ids.join(" nor "));
                let error = Error::new(ErrorKind::NotFound, operation, path, detail);
                return Err(self.with_like(error, path, snapshots));
            }
        }
        Ok(())
    }

    /// Tests whether a path is in the folder or in one of the snapshots.
    pub(crate) fn has(&self, path: &TreePath, snapshots: &[SnapshotId]) -> Result<bool> {
        if path.is_root() {
            return Ok(true);
        }
        let live = self.workspace_if_any().map(|workspace| root_of(workspace).join(path.to_os_path()));
        if live.is_some_and(|live| live.symlink_metadata().is_ok()) {
            return Ok(true);
        }
        for snapshot in snapshots {
            if find(&self.store, self.store.snapshot(*snapshot)?.root, path)?.is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tests whether an argument names an existing path or is a pattern.
    pub(crate) fn names_path(&self, argument: &Path, snapshots: &[SnapshotId]) -> Result<bool> {
        let Ok(path) = self.tree_path(argument) else { return Ok(false) };
        Ok(self.pattern(argument).is_some() || self.has(&path, snapshots)?)
    }

    /// The snapshot that a revision names. If there is none, the error has a hint for a text that is a path or nearly a
    /// name; `before_paths` is the command up to its paths.
    pub(crate) fn resolve_step(&self, text: &str, before_paths: &str) -> Result<SnapshotId> {
        self.resolve(text).map_err(|error| self.explained(error, text, before_paths))
    }

    /// An error about a revision, with the most helpful hint.
    pub(crate) fn explained(&self, error: Error, text: &str, before_paths: &str) -> Error {
        if error.kind() != ErrorKind::NotFound {
            return error;
        }
        let heads: Vec<SnapshotId> = self.workspace_if_any().and_then(|workspace| workspace.head).into_iter().collect();
        if self.names_path(Path::new(text), &heads).unwrap_or(false) {
            let text = human::label(text);
            return error.with_hint(format!("`{text}` is a path: `{before_paths} {text}`"));
        }
        let tags = self.workspace_if_any().into_iter().flat_map(|workspace| workspace.tags.keys().cloned());
        let runs = self.workspace_if_any().into_iter().flat_map(|workspace| workspace.runs.keys());
        match nearest(text, tags.chain(runs.map(|run| format!("run:{run}")))) {
            Some(name) => error.with_hint(format!("did you mean `{}`?", human::label(&name))),
            // The text has the form of a step or an id, not of a path.
            None if check_tag_name(text).is_err() => error,
            None => error.with_hint(format!(
                "`retro log` lists the steps, `retro tag` the tags; for a path write `{before_paths} {}`",
                human::label(text)
            )),
        }
    }

    /// An error about a missing path, with a hint at a similar path or at the verbs that list paths.
    fn with_like(&self, error: Error, path: &TreePath, snapshots: &[SnapshotId]) -> Error {
        let is_elsewhere = self.has(path, &[]).unwrap_or(false);
        match (self.like(path, snapshots).filter(|_| !is_elsewhere), snapshots.last()) {
            (Some(other), _) => error.with_hint(format!("did you mean `{other}`?")),
            (None, Some(snapshot)) => error.with_hint(format!(
                "`retro ls -r {}` lists its files, `retro log -- PATH` the steps that changed a path",
                snapshot.short()
            )),
            (None, None) => error,
        }
    }

    /// The path in the same folder whose name is most similar to a missing one.
    pub(crate) fn like(&self, path: &TreePath, snapshots: &[SnapshotId]) -> Option<TreePath> {
        let name = String::from_utf8(path.name()?.to_vec()).ok()?;
        let folder = path.parent()?;
        let mut names: Vec<Vec<u8>> = Vec::new();
        for snapshot in snapshots {
            let root = self.store.snapshot(*snapshot).ok()?.root;
            let tree = if folder.is_root() { Some(root) } else { find(&self.store, root, &folder).ok()??.tree() };
            names.extend(self.store.folder(tree?).ok()?.into_iter().map(|entry| entry.name.to_vec()));
        }
        let live = self.workspace_if_any().map(|workspace| root_of(workspace).join(folder.to_os_path()));
        let entries = live.and_then(|live| std::fs::read_dir(live).ok()).into_iter().flatten().flatten();
        names.extend(entries.map(|entry| entry.file_name().as_bytes().to_vec()));
        let found = nearest(&name, names.into_iter().filter_map(|name| String::from_utf8(name).ok()))?;
        Some(folder.join(found.as_bytes()))
    }

    /// An argument as a pattern of whole paths from the root of the workspace; `None` if it is not a pattern.
    fn pattern(&self, argument: &Path) -> Option<Pattern> {
        let text = argument.to_str().filter(|text| text.contains(['*', '?', '[']))?;
        let root = self.workspace_if_any().map(root_of);
        if let (Some(root), true) = (&root, argument.is_absolute()) {
            let whole = Pattern::parse(normal(argument).strip_prefix(root).ok()?.to_str()?);
            return whole.map(|whole| whole.given_as(text));
        }
        let base = match &root {
            Some(root) => self.folder.strip_prefix(root).ok()?.to_str()?.to_owned(),
            None => String::new(),
        };
        let depth = if text.contains('/') { "" } else { "**/" };
        let whole = normal(&PathBuf::from(format!("/{}/{depth}{text}", Pattern::quoted(&base))));
        Pattern::parse(whole.strip_prefix("/").ok()?.to_str()?).map(|whole| whole.given_as(text))
    }
}

/// The candidate most similar to a mistyped word, if one is similar enough.
pub(crate) fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let most = (word.chars().count() / 3).max(1);
    let distance = |candidate: &String| strsim::damerau_levenshtein(word, candidate);
    let near = candidates.filter(|candidate| candidate.len() > 1 && distance(candidate) <= most);
    near.min_by_key(|candidate| (distance(candidate), candidate.clone()))
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_mistyped_word_is_near_and_another_word_is_not() {
        let names = || ["main.rs", "lib.rs", "README.md"].map(str::to_owned).into_iter();
        assert_eq!(nearest("mian.rs", names()).as_deref(), Some("main.rs"));
        assert_eq!(nearest("readme.md", names()), None);
        assert_eq!(nearest("README", names()), None);
        assert_eq!(nearest("READMe.md", names()).as_deref(), Some("README.md"));
        assert_eq!(nearest("x", names()), None);
    }
}

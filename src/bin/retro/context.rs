//! The context of a command: the options of all verbs, the store, and the workspace in it.
//!
//! Relative paths are relative to `-C`, as if the program had been started there. The folder may not exist: if an agent
//! has removed it, its history is needed most. Symlinks are resolved as far as folders exist.

use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use retrograde::{
    CaptureOptions, Config, Error, ErrorKind, Progress, Result, RevisionContext, SnapshotId, Store, Timestamp,
    TreePath, Workspace, WorkspaceId, resolve, resolve_range, settings,
};

use retrograde::detail::{
    ConfigNotice, Disk, LocalDisk, LockHolder, LockWait, State, Stopwatch, StoreConfig, is_range, load_config_file,
    load_store_config, shown,
};

use retrograde::workspaces::{Recognised, expect_workspace, is_in_use, recognise, root_of, workspace_of};

use crate::args::Global;
use crate::env::Environment;
use crate::output::{Output, say};
use crate::views::{human, restored, warnings};

/// One run of the program.
pub(crate) struct Context {
    /// The options of all verbs.
    pub(crate) global: Global,
    /// The environment.
    pub(crate) environment: Environment,
    /// The output streams.
    pub(crate) out: Output,
    /// The time of the wall clock, read once.
    pub(crate) now: Timestamp,
    /// The time since the program started.
    pub(crate) started: Stopwatch,
}

/// An open store, and the workspace that the current folder is in.
pub(crate) struct Opened {
    /// The store.
    pub(crate) store: Store,
    /// The state of the store when it was opened.
    pub(crate) state: Arc<State>,
    /// Its folder, symlinks resolved.
    pub(crate) store_root: PathBuf,
    /// The current folder, symlinks resolved.
    pub(crate) folder: PathBuf,
    /// The user's home, symlinks resolved.
    pub(crate) home: Option<PathBuf>,
    now: Timestamp,
}

impl Context {
    /// A path given on the command line, absolute, with symlinks resolved as far as it exists.
    pub(crate) fn at(&self, path: &Path) -> Result<PathBuf> {
        let absolute = match &self.global.directory {
            Some(directory) if path.is_relative() && !path.as_os_str().is_empty() => {
                self.environment.absolute(&directory.join(path))?
            }
            _ => self.environment.absolute(path)?,
        };
        Ok(resolved(&absolute))
    }

    /// The current folder, or that of `-C`, with symlinks resolved as far as it exists.
    pub(crate) fn folder(&self) -> Result<PathBuf> {
        self.at(Path::new("."))
    }

    /// The user's home, symlinks resolved.
    pub(crate) fn home(&self) -> Option<PathBuf> {
        self.environment.home.as_deref().map(resolved)
    }

    /// Opens the store, which must exist: commands that only read create none. Warns of an interrupted restore.
    pub(crate) fn open(&self) -> Result<Opened> {
        let opened = self.open_quietly()?;
        self.warn_of_unfinished(opened.store.disk(), &opened.state)?;
        Ok(opened)
    }

    /// Opens the store as [`Context::open`] does, for commands that finish or undo an interrupted restore themselves.
    pub(crate) fn open_quietly(&self) -> Result<Opened> {
        let (disk, root) = self.disk()?;
        self.opened(Store::open(disk)?, &root)
    }

    /// The folder of the store, whatever its contents.
    pub(crate) fn disk(&self) -> Result<(Arc<dyn Disk>, PathBuf)> {
        let root = self.store_path()?;
        let disk = LocalDisk::open(&root).map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                Error::new(ErrorKind::NotFound, "open store", shown(&root), "there is no store here")
                    .with_hint("`retro snap` in a folder creates it; --store or RETRO_STORE name another")
            }
            _ => error,
        })?;
        Ok((Arc::new(disk.watched(self.lock_watch())), root))
    }

    /// Opens the store to record `folder`, and creates it if there is none. A new store inside the folder is refused
    /// without `force`: an agent could reach it.
    pub(crate) fn open_or_create(&self, folder: &Path, force: bool) -> Result<Opened> {
        let root = self.store_path()?;
        if !force && !root.join("FORMAT").exists() {
            self.refuse_inside(&resolved(&root), folder)?;
        }
        let disk = LocalDisk::create(&root)?.watched(self.lock_watch());
        self.opened(Store::open_or_create(Arc::new(disk))?, &root)
    }

    /// Refuses a store inside the folder to be recorded. For the home folder, `register` has a better message.
    pub(crate) fn refuse_inside(&self, store: &Path, folder: &Path) -> Result<()> {
        let is_wide = folder.parent().is_none() || self.home().as_deref() == Some(folder);
        if is_wide || !store.starts_with(folder) {
            return Ok(());
        }
        let detail = format!("the store {} would be in it, where an agent can reach it", shown(store));
        Err(Error::new(ErrorKind::Invalid, "record", shown(folder), detail)
            .with_hint("name a folder outside of it with --store or RETRO_STORE, or allow it with --force"))
    }

    /// The settings for a workspace, or for a folder to be registered. Settings that do not count cause warnings; only
    /// a file named on the command line must be valid.
    pub(crate) fn config(&self, opened: &Opened, workspace: Option<WorkspaceId>, root: &Path) -> Result<Config> {
        if let Some(file) = &self.global.config {
            return load_config_file(&self.at(file)?);
        }
        let found = settings(&opened.store, workspace, root);
        self.warn_of_settings(&found.notices);
        Ok(found.config)
    }

    /// The settings of the current workspace.
    pub(crate) fn workspace_config(&self, opened: &Opened) -> Result<Config> {
        let workspace = opened.workspace()?;
        self.config(opened, Some(workspace.id), &root_of(workspace))
    }

    /// The user's settings for the store.
    pub(crate) fn store_config(&self, opened: &Opened) -> StoreConfig {
        let mut notices = Vec::new();
        let config = load_store_config(&opened.store_root, &mut notices);
        self.warn_of_settings(&notices);
        config
    }

    fn warn_of_settings(&self, notices: &[ConfigNotice]) {
        notices.iter().for_each(|notice| self.out.warning(format_args!("{}", warnings::notice(notice))));
    }

    /// Warns of a restore of the workspace that was interrupted, unless it is still running.
    pub(crate) fn warn_of_unfinished(&self, disk: &dyn Disk, state: &State) -> Result<()> {
        if let Some(workspace) = workspace_of(state, &self.folder()?, self.home().as_deref())
            && let Some(unfinished) = &workspace.unfinished
            && !is_in_use(disk, workspace.id)
        {
            self.out.warning(format_args!("{}", restored::cut_off(unfinished, workspace)));
        }
        Ok(())
    }

    /// Milliseconds since the program started.
    pub(crate) fn millis(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Reports the holder of a lock that the program waits for.
    fn lock_watch(&self) -> impl Fn(LockWait) + Send + Sync + 'static {
        let (style, is_json) = (self.out.note_palette.warning, self.out.is_json);
        move |wait| {
            if !is_json {
                say(&format!("{style}waiting{style:#} {}\n", human::printable(&waited_for(&wait))));
            }
        }
    }

    fn store_path(&self) -> Result<PathBuf> {
        match &self.global.store {
            Some(store) => self.at(&self.environment.expanded(store)?),
            None => self.environment.absolute(&self.environment.default_store()?),
        }
    }

    fn opened(&self, store: Store, root: &Path) -> Result<Opened> {
        let state = store.state();
        for damage in store.damage() {
            self.out.warning(format_args!("{damage}"));
        }
        let (store_root, folder, home) = (resolved(root), self.folder()?, self.home());
        Ok(Opened { store, state, store_root, folder, home, now: self.now })
    }
}

impl Opened {
    /// The workspace that the current folder is in.
    pub(crate) fn workspace(&self) -> Result<&Workspace> {
        let id = expect_workspace(&self.state, &self.folder, self.home.as_deref()).map_err(|error| {
            // The folder is unknown if it has been moved: say so.
            let moved = self.folder.ancestors().find_map(|folder| match recognise(&self.state, folder)? {
                Recognised::Moved(id) | Recognised::Same(id) => Some((id.short(), folder)),
            });
            match moved {
                Some((id, folder)) => {
                    let folder = shown(folder);
                    error.with_hint(format!(
                        "it was recorded at another path: `retro workspace move {id} {folder}` sets the new one"
                    ))
                }
                None => error,
            }
        })?;
        Ok(self.state.workspaces.get(&id).expect("it was found in this state"))
    }

    /// The workspace that the current folder is in, if any.
    pub(crate) fn workspace_if_any(&self) -> Option<&Workspace> {
        self.workspace_around(&self.folder)
    }

    /// The workspace that a folder is in, if it is in one.
    pub(crate) fn workspace_around(&self, folder: &Path) -> Option<&Workspace> {
        workspace_of(&self.state, folder, self.home.as_deref())
    }

    /// Reports the snapshots of a list that could not be read: the first as the error of the command, the others as
    /// warnings. Those that a repair has marked are known, and no failure.
    pub(crate) fn report_unreadable(&self, out: &Output, unreadable: Vec<(SnapshotId, Error)>) -> Result<()> {
        let unknown = unreadable.into_iter().filter(|(id, _)| !self.state.incomplete.contains(id));
        let mut errors = unknown.map(|(_, error)| error);
        let first = errors.next();
        errors.for_each(|error| out.warning(format_args!("{error}")));
        first.map_or(Ok(()), Err)
    }

    /// The snapshot that a revision names.
    pub(crate) fn resolve(&self, revision: &str) -> Result<SnapshotId> {
        resolve(&self.revisions(), revision)
    }

    /// The snapshots that a range names, or a revision and the snapshots before it; oldest first.
    pub(crate) fn resolve_range(&self, text: &str) -> Result<Vec<SnapshotId>> {
        let range = if is_range(text) { text.to_owned() } else { format!("..{text}") };
        Ok(resolve_range(&self.revisions(), &range)?.snapshots)
    }

    /// Both ends of a range; the first is `None` if the range begins with the first step.
    pub(crate) fn resolve_ends(&self, range: &str) -> Result<(Option<SnapshotId>, SnapshotId)> {
        let range = resolve_range(&self.revisions(), range)?;
        Ok((range.after, range.last))
    }

    /// A path given as an argument, as a path in the workspace. Outside of any workspace it counts from the root of the
    /// snapshot.
    pub(crate) fn tree_path(&self, path: &Path) -> Result<TreePath> {
        let invalid = |detail: String| Error::new(ErrorKind::Invalid, "find", shown(path), detail);
        let Some(workspace) = self.workspace_if_any() else {
            let inside = normal(Path::new("/").join(path).as_path());
            return tree_path_of(inside.strip_prefix("/").unwrap_or(&inside)).map_err(invalid);
        };
        let root = root_of(workspace);
        let absolute = normal(&self.folder.join(path));
        let inside = match absolute.strip_prefix(&root) {
            Ok(inside) => inside.to_owned(),
            Err(_) => {
                let parent = absolute.parent().map(resolved).unwrap_or_default();
                let full = parent.join(absolute.file_name().unwrap_or_default());
                let inside = full.strip_prefix(&root).map(Path::to_owned);
                inside.map_err(|_| invalid(format!("it is outside of the folder {}", shown(&root))))?
            }
        };
        tree_path_of(&inside).map_err(invalid)
    }

    /// The options for reading the live workspace.
    pub(crate) fn capture<'a>(&'a self, config: &'a Config, progress: &'a dyn Progress) -> CaptureOptions<'a> {
        CaptureOptions::new(config, self.home.as_deref(), progress)
    }

    fn revisions(&self) -> RevisionContext<'_> {
        RevisionContext {
            store: &self.store,
            state: &self.state,
            workspace: self.workspace_if_any().map(|workspace| workspace.id),
            now: self.now,
        }
    }
}

/// The holder of a lock, and advice if it is stopped.
fn waited_for(wait: &LockWait) -> String {
    let Some(LockHolder { pid, command, is_stopped }) = &wait.holder else {
        return format!("for another process that has locked {}", wait.lock);
    };
    let name = if command.is_empty() { String::new() } else { format!(" ({command})") };
    match is_stopped {
        true => format!("for process {pid}{name}, which is stopped: `kill -CONT {pid}` continues it"),
        false => format!("for process {pid}{name}, which uses this store"),
    }
}

/// A path with its symlinks resolved as far as it exists. In the rest, each `..` removes the component before it.
pub(crate) fn resolved(path: &Path) -> PathBuf {
    for ancestor in path.ancestors() {
        if let Ok(real) = std::fs::canonicalize(ancestor) {
            let rest = path.strip_prefix(ancestor).expect("an ancestor is a prefix");
            return normal(&real.join(rest));
        }
    }
    normal(path)
}

/// A path without `.`, and in which each `..` has removed the component before it.
pub(crate) fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                out.pop();
            }
            _ => out.push(component),
        }
    }
    out
}

fn tree_path_of(path: &Path) -> std::result::Result<TreePath, String> {
    use std::os::unix::ffi::OsStrExt;
    TreePath::new(path.as_os_str().as_bytes()).map_err(|problem| problem.to_string())
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::{normal, resolved};

    #[test]
    fn dots_are_removed() {
        assert_eq!(normal(Path::new("/a/./b/../c/")), PathBuf::from("/a/c"));
        assert_eq!(normal(Path::new("/../a")), PathBuf::from("/a"));
    }

    #[test]
    fn a_missing_path_is_resolved_as_far_as_it_exists() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("there")).unwrap();
        std::os::unix::fs::symlink("there", real.join("link")).unwrap();
        assert_eq!(resolved(&real.join("link/gone/deeper")), real.join("there/gone/deeper"));
        assert_eq!(resolved(&real.join("link")), real.join("there"));
        assert_eq!(resolved(&real.join("gone/../other")), real.join("other"));
    }
}

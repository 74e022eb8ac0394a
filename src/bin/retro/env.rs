//! The only reader of the environment: it is read once, into a plain value.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Result};

use retrograde::detail::shown;

/// The environment of the program.
#[derive(Debug)]
pub(crate) struct Environment {
    /// `RETRO_STORE`.
    pub(crate) store: Option<PathBuf>,
    /// `RETRO_RUN`.
    pub(crate) run: Option<OsString>,
    /// `HOME`.
    pub(crate) home: Option<PathBuf>,
    /// `XDG_DATA_HOME`, if it is absolute.
    data_home: Option<PathBuf>,
    /// `PWD`: the path of the current folder even if that has been removed.
    shell_folder: Option<PathBuf>,
}

impl Environment {
    /// Reads the environment. An empty variable counts as not set.
    pub(crate) fn read() -> Self {
        let path = |name| variable(name).map(PathBuf::from);
        Self {
            store: path("RETRO_STORE"),
            run: variable("RETRO_RUN"),
            home: path("HOME"),
            data_home: path("XDG_DATA_HOME").filter(|path| path.is_absolute()),
            shell_folder: path("PWD").filter(|path| path.is_absolute()),
        }
    }

    /// The default path of the store.
    pub(crate) fn default_store(&self) -> Result<PathBuf> {
        if let Some(store) = &self.store {
            let store = self.expanded(store)?;
            return match &self.home {
                // The variable must mean the same store in every folder.
                Some(home) if store.is_relative() => Ok(home.join(store)),
                _ => Ok(store),
            };
        }
        if let Some(data) = &self.data_home {
            return Ok(data.join("retrograde"));
        }
        let in_home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
        let home = self.home.as_deref().ok_or_else(|| {
            Error::new(ErrorKind::Invalid, "find", "the store", "neither RETRO_STORE nor HOME is set")
                .with_hint("name a folder with --store")
        })?;
        Ok(home.join(in_home).join("retrograde"))
    }

    /// A path with a leading `~` replaced by the home folder, if the shell has not done so: in quotes, or in a
    /// variable.
    pub(crate) fn expanded(&self, path: &Path) -> Result<PathBuf> {
        let Ok(rest) = path.strip_prefix("~") else { return Ok(path.to_owned()) };
        match &self.home {
            Some(home) => Ok(home.join(rest)),
            None => {
                Err(Error::new(ErrorKind::Invalid, "find", shown(path), "HOME is not set, so that `~` has no meaning"))
            }
        }
    }

    /// The current folder. If it has been removed, the shell still knows its path.
    pub(crate) fn current_folder(&self) -> Result<PathBuf> {
        match (std::env::current_dir(), &self.shell_folder) {
            (Ok(folder), _) => Ok(folder),
            (Err(_), Some(folder)) if !folder.exists() => Ok(folder.clone()),
            (Err(error), _) => Err(Error::io("find", "the current folder", error)),
        }
    }

    /// A path relative to the current folder, made absolute.
    pub(crate) fn absolute(&self, path: &Path) -> Result<PathBuf> {
        if path.as_os_str().is_empty() {
            return Err(Error::new(ErrorKind::Invalid, "find", shown(path), "the path is empty"));
        }
        Ok(if path.is_absolute() { path.to_owned() } else { self.current_folder()?.join(path) })
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the one home of the environment")]
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

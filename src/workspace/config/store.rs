//! `config.toml` in the store folder: the settings of the user, for all folders that the store records.
//!
//! ```toml
//! [retention]
//! budget_bytes = "20 GiB"
//! ```
//!
//! What runs a command, deletes, sends or spends is read from here alone, because `retro.toml` can be written by the agent
//! and comes with a cloned repository. So the file must be the user's own: it is passed over unless it belongs to the
//! user or to root, and nobody else can write it.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use serde::Deserialize;

use super::{Notice, OPERATION, invalid, open, optional_size, read, refused};
use crate::error::{Error, Result};

/// Name of the file in the store folder.
pub const STORE_CONFIG_NAME: &str = "config.toml";

/// Tables that count here and nowhere else. All but the first are reserved: they name what later versions do.
pub const TABLES: [&str; 7] = ["retention", "checks", "notify", "models", "remotes", "respond", "serve"];

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// What is kept.
    pub retention: Retention,
}

/// The table `[retention]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The store may grow to this many bytes before old snapshots are forgotten.
    #[serde(deserialize_with = "optional_size")]
    pub budget_bytes: Option<u64>,
}

/// Reads the settings in a store folder. Without a file, and where it cannot be used, everything has its default.
pub fn load(store_root: &Path, notices: &mut Vec<Notice>) -> StoreConfig {
    let path = store_root.join(STORE_CONFIG_NAME);
    match load_trusted(&path, notices) {
        Ok(config) => config.unwrap_or_default(),
        Err(error) => {
            notices.push(Notice::StoreUnusable { reason: error.to_string() });
            StoreConfig::default()
        }
    }
}

fn load_trusted(path: &Path, notices: &mut Vec<Notice>) -> Result<Option<StoreConfig>> {
    let file = match open(CWD, path, OFlags::NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        Err(rustix::io::Errno::LOOP) => return Err(invalid(path, "it is a symlink")),
        opened => opened.map_err(|e| Error::io(OPERATION, path, e))?,
    };
    let found = rustix::fs::fstat(&file).map_err(|e| Error::io(OPERATION, path, e))?;
    if ![0, rustix::process::geteuid().as_raw()].contains(&found.st_uid) {
        let detail = format_args!("it belongs to user {}, and could be anybody's", found.st_uid);
        return Err(invalid(path, detail).with_hint("`chown` it to yourself if it is yours"));
    }
    if Mode::from_raw_mode(found.st_mode).intersects(Mode::WGRP | Mode::WOTH) {
        return Err(invalid(path, "others can write it").with_hint("`chmod 600` it after you have read it"));
    }
    let text = read(file, path)?;
    let table: toml::Table = toml::from_str(&text).map_err(|error| refused(path, &text, &error))?;
    let unknown = table.keys().filter(|name| !TABLES.contains(&name.as_str()));
    notices.extend(unknown.map(|name| Notice::UnknownKey { file: path.to_owned(), key: name.clone() }));
    toml::from_str(&text).map(Some).map_err(|error| refused(path, &text, &error))
}

//! `config.toml` in the store folder: the user's settings for all folders that the store records.
//!
//! ```toml
//! [retention]
//! budget_bytes = "20 GiB"
//! ```
//!
//! Settings that run a command, delete, send or spend anything are read only from here, because the agent can write
//! `retro.toml`, and a cloned repository may bring one. The file must be the user's own: it is ignored unless it
//! belongs to the user or to root and nobody else can write it.

use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use serde::Deserialize;

use super::{Notice, OPERATION, invalid, open, optional_size, read, refused};
use crate::error::{Error, Result};

/// Name of the file in the store folder.
pub const STORE_CONFIG_NAME: &str = "config.toml";

/// Tables that are valid only here. All but the first are reserved for later versions.
pub const TABLES: [&str; 7] = ["retention", "checks", "notify", "models", "remotes", "respond", "serve"];

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct StoreConfig {
    /// Settings of retention.
    pub retention: Retention,
}

/// The table `[retention]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Size of the store above which old snapshots are forgotten, in bytes.
    #[serde(deserialize_with = "optional_size")]
    pub budget_bytes: Option<u64>,
}

/// Reads the settings in a store folder. If the file is missing or cannot be used, all settings have their defaults.
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
        let detail = format_args!("it belongs to user {}, not to you or root", found.st_uid);
        return Err(invalid(path, detail).with_hint("`chown` it to yourself if you wrote it"));
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

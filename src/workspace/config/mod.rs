//! The settings of a workspace, in two files.
//!
//! The agent that is recorded can write `retro.toml` in the workspace root, and every cloned repository may bring one.
//! So nothing in it switches the recorder off, blocks going back, or runs, deletes, sends or spends anything:
//!
//! ```toml
//! [capture]
//! exclude = ["*.iso", "/data/raw"]
//! include = ["vendor/node_modules/"]
//! only = ["*.md", "/src/"]
//! default_excludes = true
//! gitignore = false
//! one_file_system = false
//! max_file_bytes = "2 GiB"
//! max_files = 4_000_000
//! max_bytes = "64 GiB"
//! ```
//!
//! `config.toml` in the store folder is the user's own, see [`store`]; it holds all other settings.
//!
//! Invariants: a fault in a file is a [`Notice`], never a reason not to record. An unknown key is skipped and named in
//! a notice, because a misspelt `exlude` would otherwise go unnoticed. If a file cannot be used at all, the caller
//! takes the last usable rules. A limit that stops a capture can be raised, not lowered. Reading never blocks and never
//! takes more memory than a limit, whatever is at the path.

mod size;
pub mod store;

use std::io::Read;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde::Deserialize;
use toml::{Table, Value};

use super::beneath::Root;
pub use super::rules::CONFIG_NAME;
use super::rules::{Caps, DEFAULT_EXCLUDES, RuleOptions, Rules};
use super::scan::ScanLimits;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CONFIG_LENGTH_MAX_BYTES, WORKSPACE_BYTES_DEFAULT_MAX, WORKSPACE_FILES_DEFAULT_MAX};
use crate::path::TreePath;
pub use size::parse_size;
use size::{optional_size, size};

/// All settings of `retro.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Settings of the capture.
    pub capture: Capture,
}

/// The table `[capture]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// Patterns of paths to exclude.
    pub exclude: Vec<String>,
    /// Patterns of paths to capture even if they are excluded.
    pub include: Vec<String>,
    /// If there are any: patterns of the only paths to capture.
    pub only: Vec<String>,
    /// True if the built-in excludes apply.
    pub default_excludes: bool,
    /// True if files that git ignores are excluded. A build without git ignores this.
    pub gitignore: bool,
    /// True if folders on other file systems are excluded.
    pub one_file_system: bool,
    /// Size above which a file is omitted, in bytes; `None` for no limit.
    #[serde(deserialize_with = "optional_size")]
    pub max_file_bytes: Option<u64>,
    /// Number of files above which capture stops.
    pub max_files: u64,
    /// Number of bytes above which capture stops.
    #[serde(deserialize_with = "size")]
    pub max_bytes: u64,
    /// Switches the previous two limits off.
    #[serde(skip)]
    never_stops: bool,
}

/// A setting that is not used, and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The key is unknown.
    UnknownKey {
        /// The file.
        file: PathBuf,
        /// The key, with its table: `capture.exlude`.
        key: String,
    },
    /// The key is valid only in the store's `config.toml`.
    StoreKey {
        /// The file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
    },
    /// The limit is lower than the built-in one, which applies instead.
    LowCap {
        /// The file.
        file: PathBuf,
        /// The key, with its table.
        key: String,
    },
    /// This build has no git support, so files that git ignores are captured.
    NoGit {
        /// The file.
        file: PathBuf,
    },
    /// The file cannot be used.
    Unusable {
        /// The error.
        reason: String,
        /// The step whose rules apply; `None` for the built-in ones.
        step: Option<u64>,
    },
    /// The store's `config.toml` is not used.
    StoreUnusable {
        /// The error.
        reason: String,
    },
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            include: Vec::new(),
            only: Vec::new(),
            default_excludes: true,
            gitignore: false,
            one_file_system: false,
            max_file_bytes: None,
            max_files: WORKSPACE_FILES_DEFAULT_MAX,
            max_bytes: WORKSPACE_BYTES_DEFAULT_MAX,
            never_stops: false,
        }
    }
}

impl Config {
    /// The settings from which the rules of a snapshot were made, except the exact paths excluded then.
    pub fn of_rules(text: &str) -> Result<Self> {
        let RuleOptions { mut excludes, includes, only, evidence, gitignore, one_file_system, caps, .. } =
            Rules::options_of(text)?;
        if evidence {
            excludes.retain(|pattern| !DEFAULT_EXCLUDES.contains(&pattern.as_str()));
        }
        let default = Capture::default();
        let capture = Capture {
            exclude: excludes,
            include: includes,
            only,
            default_excludes: evidence,
            gitignore,
            one_file_system,
            max_file_bytes: caps.file_bytes_max,
            max_files: caps.files_max.unwrap_or(default.max_files),
            max_bytes: caps.bytes_max.unwrap_or(default.max_bytes),
            never_stops: false,
        };
        Ok(Self { capture })
    }

    /// The same settings with no limit that stops a capture, because nothing may block going back.
    #[must_use]
    pub fn without_stops(&self) -> Self {
        let mut config = self.clone();
        config.capture.never_stops = true;
        config
    }
}

impl Capture {
    /// The exclude list; `paths` are excluded regardless of the patterns.
    pub fn rule_options(&self, paths: Vec<TreePath>) -> RuleOptions {
        let raised = |cap: u64, default: u64| Some(cap).filter(|cap| *cap != default);
        RuleOptions {
            excludes: self.exclude.clone(),
            includes: self.include.clone(),
            only: self.only.clone(),
            without_defaults: !self.default_excludes,
            evidence: false,
            paths,
            gitignore: self.gitignore,
            one_file_system: self.one_file_system,
            caps: Caps {
                file_bytes_max: self.max_file_bytes,
                files_max: raised(self.max_files, WORKSPACE_FILES_DEFAULT_MAX),
                bytes_max: raised(self.max_bytes, WORKSPACE_BYTES_DEFAULT_MAX),
            },
            mounts: Vec::new(),
        }
    }

    /// The limits.
    pub fn limits(&self) -> ScanLimits {
        let (files_max, bytes_max) =
            if self.never_stops { (u64::MAX, u64::MAX) } else { (self.max_files, self.max_bytes) };
        ScanLimits { files_max, bytes_max, file_bytes_max: self.max_file_bytes }
    }
}

/// Reads `retro.toml` in a workspace root; without one, all settings have their defaults. Settings that are not used
/// are added to `notices`; a file that cannot be used is an error.
///
/// A symlink in its place is refused: the capture must not depend on a file elsewhere that is not recorded.
pub fn load(root: &Root, notices: &mut Vec<Notice>) -> Result<Config> {
    let path = root.path().join(CONFIG_NAME);
    match open(root.handle(), Path::new(CONFIG_NAME), OFlags::NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(Config::default()),
        Err(rustix::io::Errno::LOOP) => Err(invalid(&path, "it is a symlink")),
        opened => parse(&read(opened.map_err(|e| Error::io(OPERATION, &path, e))?, &path)?, &path, notices),
    }
}

/// Reads a file that the user named, through symlinks; it must exist. An unknown key, or one of the store's settings,
/// is an error, because its author is there to correct it.
pub fn load_file(path: &Path) -> Result<Config> {
    let text = read(open(CWD, path, OFlags::empty()).map_err(|e| Error::io(OPERATION, path, e))?, path)?;
    let mut notices = Vec::new();
    let config = parse(&text, path, &mut notices)?;
    for notice in &notices {
        match notice {
            Notice::UnknownKey { key, .. } => return Err(invalid(path, format_args!("`{key}` is not a setting"))),
            Notice::StoreKey { key, .. } => {
                let detail = format_args!("`{key}` is valid only in config.toml in the store folder");
                return Err(invalid(path, detail));
            }
            _ => {}
        }
    }
    Ok(config)
}

/// Reads settings from text; `path` is for messages.
pub fn parse(text: &str, path: &Path, notices: &mut Vec<Notice>) -> Result<Config> {
    let mut table: Table = toml::from_str(text).map_err(|error| refused(path, text, &error))?;
    let file = || path.to_owned();
    for key in unknown_keys(&mut table) {
        let name = key.split('.').next().unwrap_or_default();
        notices.push(match store::TABLES.contains(&name) {
            true => Notice::StoreKey { file: file(), key },
            false => Notice::UnknownKey { file: file(), key },
        });
    }
    // Only known keys are left; parsing the whole text again finds the line of the error.
    let mut config: Config = match table.try_into() {
        Ok(config) => config,
        Err(error) => {
            let error = toml::from_str::<Config>(text).err().filter(|error| error.span().is_some()).unwrap_or(error);
            return Err(refused(path, text, &error));
        }
    };
    let default = Capture::default();
    let capture = &mut config.capture;
    let caps = [
        ("max_files", &mut capture.max_files, default.max_files),
        ("max_bytes", &mut capture.max_bytes, default.max_bytes),
    ];
    for (key, cap, least) in caps {
        if *cap < least {
            *cap = least;
            notices.push(Notice::LowCap { file: file(), key: format!("capture.{key}") });
        }
    }
    if config.capture.gitignore && !cfg!(feature = "git") {
        config.capture.gitignore = false;
        notices.push(Notice::NoGit { file: file() });
    }
    Rules::new(&config.capture.rule_options(Vec::new())).map_err(|e| e.during(OPERATION, crate::error::shown(path)))?;
    Ok(config)
}

/// Removes the keys that `retro.toml` does not have from `table`, and returns them.
fn unknown_keys(table: &mut Table) -> Vec<String> {
    let mut unknown = Vec::new();
    for (name, value) in &*table {
        match value {
            Value::Table(inner) if name == "capture" => {
                let odd = inner.keys().filter(|key| !CAPTURE_KEYS.contains(&key.as_str()));
                unknown.extend(odd.map(|key| format!("{name}.{key}")));
            }
            Value::Table(inner) if !inner.is_empty() && store::TABLES.contains(&name.as_str()) => {
                unknown.extend(inner.keys().map(|key| format!("{name}.{key}")));
            }
            _ if name == "capture" => {}
            _ => unknown.push(name.clone()),
        }
    }
    table.retain(|name, _| name == "capture");
    if let Some(Value::Table(inner)) = table.get_mut("capture") {
        inner.retain(|key, _| CAPTURE_KEYS.contains(&key));
    }
    unknown
}

/// The keys of the table `[capture]`.
const CAPTURE_KEYS: [&str; 9] = [
    "exclude",
    "include",
    "only",
    "default_excludes",
    "gitignore",
    "one_file_system",
    "max_file_bytes",
    "max_files",
    "max_bytes",
];

const OPERATION: &str = "read configuration";

fn open(from: impl std::os::fd::AsFd, path: &Path, extra: OFlags) -> rustix::io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | extra;
    rustix::fs::openat(from, path, flags, Mode::empty()).map(std::fs::File::from)
}

fn read(file: std::fs::File, path: &Path) -> Result<String> {
    let found = rustix::fs::fstat(&file).map_err(|e| Error::io(OPERATION, path, e))?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(invalid(path, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    let mut limited = file.take(CONFIG_LENGTH_MAX_BYTES + 1);
    limited.read_to_end(&mut bytes).map_err(|e| Error::io(OPERATION, path, e))?;
    if bytes.len() as u64 > CONFIG_LENGTH_MAX_BYTES {
        let detail = format_args!("it is longer than {CONFIG_LENGTH_MAX_BYTES} bytes");
        return Err(Error::new(ErrorKind::Limit, OPERATION, crate::error::shown(path), detail));
    }
    String::from_utf8(bytes).map_err(|_| invalid(path, "it is not UTF-8 text"))
}

/// An error with the parser's message on one line.
fn refused(path: &Path, text: &str, error: &toml::de::Error) -> Error {
    let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
    let message = error.message().replace('\n', " ");
    match line {
        Some(line) => invalid(path, format_args!("line {line}: {message}")),
        None => invalid(path, message),
    }
}

fn invalid(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, OPERATION, crate::error::shown(path), detail)
}

#[cfg(test)]
mod tests;

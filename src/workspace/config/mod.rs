//! `retro.toml`: what a person sets for a workspace.
//!
//! ```toml
//! [capture]
//! exclude = ["*.iso", "/data/raw"]
//! include = ["vendor/node_modules/"]
//! default_excludes = true
//! gitignore = false
//! one_file_system = false
//! max_file_bytes = "2 GiB"
//! max_files = 500_000
//! max_bytes = "64 GiB"
//!
//! [retention]
//! budget_bytes = "10 GiB"
//! ```
//!
//! Invariants: a field that is not known is refused, because a misspelt `exlude` would otherwise capture what somebody
//! wanted left out. Reading never blocks and never takes more than a limit, whatever lies at the path.

use std::io::Read;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde::Deserialize;
use serde::de::{Deserializer, Visitor};

use super::beneath::Root;
use super::rules::RuleOptions;
use super::scan::ScanLimits;
use crate::error::{Error, ErrorKind, Result};
use crate::limits::{CONFIG_LENGTH_MAX_BYTES, WORKSPACE_BYTES_DEFAULT_MAX, WORKSPACE_FILES_DEFAULT_MAX};
use crate::path::TreePath;

/// Name of the file in a workspace root.
pub const CONFIG_NAME: &str = "retro.toml";

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// What is captured.
    pub capture: Capture,
    /// What is kept.
    pub retention: Retention,
}

/// The table `[capture]`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Capture {
    /// Patterns of paths to leave out, see [`super::rules`].
    pub exclude: Vec<String>,
    /// Patterns of paths to capture though they are excluded.
    pub include: Vec<String>,
    /// Whether the built-in excludes are in force.
    pub default_excludes: bool,
    /// Whether what git would ignore is left out, see [`super::ignore`]. Refused by a build without git.
    pub gitignore: bool,
    /// Whether folders on other file systems are left out.
    pub one_file_system: bool,
    /// Larger files are omitted; all are captured when not set.
    #[serde(deserialize_with = "optional_size")]
    pub max_file_bytes: Option<u64>,
    /// Capture stops above this number of files.
    pub max_files: u64,
    /// Capture stops above this many bytes.
    #[serde(deserialize_with = "size")]
    pub max_bytes: u64,
}

/// The table `[retention]`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// The store may grow to this many bytes before old snapshots are forgotten.
    #[serde(deserialize_with = "optional_size")]
    pub budget_bytes: Option<u64>,
}

impl Default for Capture {
    fn default() -> Self {
        Self {
            exclude: Vec::new(),
            include: Vec::new(),
            default_excludes: true,
            gitignore: false,
            one_file_system: false,
            max_file_bytes: None,
            max_files: WORKSPACE_FILES_DEFAULT_MAX,
            max_bytes: WORKSPACE_BYTES_DEFAULT_MAX,
        }
    }
}

impl Capture {
    /// The exclude list; `paths` are left out whatever the patterns say.
    pub fn rule_options(&self, paths: Vec<TreePath>) -> RuleOptions {
        RuleOptions {
            excludes: self.exclude.clone(),
            includes: self.include.clone(),
            without_defaults: !self.default_excludes,
            paths,
            gitignore: self.gitignore,
        }
    }

    /// The caps.
    pub fn limits(&self) -> ScanLimits {
        ScanLimits { files_max: self.max_files, bytes_max: self.max_bytes, file_bytes_max: self.max_file_bytes }
    }
}

/// Reads `retro.toml` in a workspace root; without one, everything has its default.
///
/// A symlink in its place is refused: what is captured must not depend on a file elsewhere that nobody recorded.
pub fn load(root: &Root) -> Result<Config> {
    let path = root.path().join(CONFIG_NAME);
    match open(root.handle(), Path::new(CONFIG_NAME), OFlags::NOFOLLOW) {
        Err(rustix::io::Errno::NOENT) => Ok(Config::default()),
        Err(rustix::io::Errno::LOOP) => Err(invalid(&path, "it is a symlink")),
        opened => read(opened.map_err(|e| Error::io(OPERATION, &path, e))?, &path),
    }
}

/// Reads a file somebody named, through symlinks; it must be there.
pub fn load_file(path: &Path) -> Result<Config> {
    read(open(CWD, path, OFlags::empty()).map_err(|e| Error::io(OPERATION, path, e))?, path)
}

/// Reads settings from text; `path` is for messages.
pub fn parse(text: &str, path: &Path) -> Result<Config> {
    let config: Config = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
        let message = error.message().replace('\n', " ");
        match line {
            Some(line) => invalid(path, format_args!("line {line}: {message}")),
            None => invalid(path, message),
        }
    })?;
    if config.capture.gitignore && !cfg!(feature = "git") {
        let detail = "this build knows nothing of git, so it cannot tell what `gitignore = true` leaves out";
        return Err(Error::new(ErrorKind::Unsupported, OPERATION, crate::error::shown(path), detail)
            .with_hint("set `gitignore = false` and list what to leave out in `exclude`"));
    }
    Ok(config)
}

/// Reads a size as people write it: `4096`, `64 KiB`, `1.5 GB`. `K`, `M` and `G` alone could mean either and are refused.
pub fn parse_size(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit: u128 = match unit.trim_start() {
        "" | "B" => 1,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "TB" => 1_000_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "TiB" => 1 << 40,
        _ => return None,
    };
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || whole.len() > DIGITS_MAX || fraction.is_empty() || fraction.len() > DIGITS_MAX {
        return None;
    }
    let scale = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let scaled = whole.parse::<u128>().ok()? * scale + fraction.parse::<u128>().ok()?;
    u64::try_from(scaled.checked_mul(unit)? / scale).ok()
}

const OPERATION: &str = "read configuration";

/// Enough for 2^64 before the point, and for any fraction that a person means.
const DIGITS_MAX: usize = 20;

fn open(from: impl std::os::fd::AsFd, path: &Path, extra: OFlags) -> rustix::io::Result<std::fs::File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY | extra;
    rustix::fs::openat(from, path, flags, Mode::empty()).map(std::fs::File::from)
}

fn read(file: std::fs::File, path: &Path) -> Result<Config> {
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
    let text = String::from_utf8(bytes).map_err(|_| invalid(path, "it is not UTF-8 text"))?;
    parse(&text, path)
}

fn invalid(path: &Path, detail: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Invalid, OPERATION, crate::error::shown(path), detail)
}

fn optional_size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Option<u64>, D::Error> {
    size(deserializer).map(Some)
}

fn size<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<u64, D::Error> {
    deserializer.deserialize_any(SizeVisitor)
}

struct SizeVisitor;

impl Visitor<'_> for SizeVisitor {
    type Value = u64;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a number of bytes, or a text like \"2 GiB\"")
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> std::result::Result<u64, E> {
        u64::try_from(value).map_err(|_| E::invalid_value(serde::de::Unexpected::Signed(value), &self))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> std::result::Result<u64, E> {
        Ok(value)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<u64, E> {
        parse_size(text).ok_or_else(|| E::invalid_value(serde::de::Unexpected::Str(text), &self))
    }
}

#[cfg(test)]
mod tests;

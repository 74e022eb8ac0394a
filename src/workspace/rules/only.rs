//! The paths that `only` selects, if the settings have any.
//!
//! A file is captured if a pattern matches it or one of its parents. A folder is captured if it matches in that way, or
//! contains something that is captured. `only` never captures a path that another rule excludes: it makes a recording
//! smaller, and includes make it larger.
//!
//! A walk does not enter a folder in which nothing can match. That is known if every pattern is a path from the root:
//! with `docs/*.md` a walk skips everything but `docs`. A pattern of a name may match at any depth.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::GlobSet;

use super::{Patterns, glob, set_of};
use crate::error::Result;

/// Compiled patterns of `only`.
#[derive(Debug)]
pub struct Only {
    named: Patterns,
    /// Folders that may contain a match; `None` for all.
    above: Option<GlobSet>,
}

impl Only {
    /// Compiles patterns; `None` if there are none, which excludes nothing.
    pub(super) fn new(patterns: &[&str]) -> Result<Option<Self>> {
        if patterns.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self { named: Patterns::new(patterns)?, above: above(patterns)? }))
    }

    /// Returns true if a pattern matches the entry `name`, the last part of `path`.
    pub fn names(&self, path: &[u8], name: &[u8], is_folder: bool) -> bool {
        self.named.matches(path, name, is_folder)
    }

    /// Returns true if a pattern may match something in the folder `path`.
    pub fn may_be_in(&self, path: &[u8]) -> bool {
        let folder = Path::new(std::ffi::OsStr::from_bytes(path));
        self.above.as_ref().is_none_or(|above| above.is_match(folder))
    }
}

/// The parents of possible matches: for `a/b*/c` they are `a` and `a/b*`. `None` if any folder may be one.
fn above(patterns: &[&str]) -> Result<Option<GlobSet>> {
    let mut globs = Vec::new();
    for pattern in patterns {
        let body = pattern.strip_suffix('/').unwrap_or(pattern);
        if !body.contains('/') {
            return Ok(None);
        }
        let body = body.strip_prefix('/').unwrap_or(body);
        let mut end = 0;
        for part in body.split_inclusive('/') {
            let start = end;
            end += part.len();
            let part = part.strip_suffix('/').unwrap_or(part);
            // From here on the depth is unknown: `**` is any, and braces may contain a slash.
            if part.contains("**") || part.contains(['{', '[', '\\']) {
                globs.push(glob(pattern, &format!("{}**", &body[..start]))?);
                break;
            }
            if end < body.len() {
                globs.push(glob(pattern, &body[..start + part.len()])?);
            }
        }
    }
    set_of(globs.iter()).map(Some)
}

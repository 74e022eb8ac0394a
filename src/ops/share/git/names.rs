//! Names that git refuses in a tree, and valid names for references.
//!
//! The rules are those of `git fsck` (fsck.c, `fsck_tree` and its callees): names that some file system would take for
//! `.git`, and files that git itself reads out of trees. If git's rule needs a parser of its own, the rule here refuses
//! more, never less: a skipped path is kept beside the history, but an invalid tree breaks the export.

use std::collections::{BTreeSet, HashMap};

use gix::bstr::ByteSlice;
use gix::validate::path::component;

use crate::format::tree::EntryKind;
use crate::id::Digest;

/// The reason why git cannot hold an entry of a folder, by its name and kind.
pub(crate) fn refused(name: &[u8], kind: EntryKind) -> Option<&'static str> {
    if parts(name).any(is_dot_git) {
        return Some("git refuses the name");
    }
    if parts(name).any(is_dot_gitmodules) && kind != EntryKind::File {
        return Some("git allows only a file to have this name");
    }
    if is_like_gitattributes(name) && kind == EntryKind::Folder {
        return Some("git allows no folder to have this name");
    }
    None
}

/// The folders and the name that Windows reads in a name: a backslash separates them.
fn parts(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.split(|&byte| byte == b'\\')
}

/// True if git reads a file of this name out of trees, so that [`content_refused`] applies.
pub(crate) fn is_read_by_git(name: &[u8]) -> bool {
    parts(name).any(is_dot_gitmodules) || is_like_gitattributes(name)
}

/// Longest file that git reads out of trees, in bytes; git itself allows more.
pub(crate) const READ_BY_GIT_MAX_BYTES: u64 = 1 << 20;

/// The reason why git cannot hold a file that it would read.
pub(crate) fn content_refused(name: &[u8], content: &[u8]) -> Option<&'static str> {
    if is_like_gitattributes(name) && content.split(|&byte| byte == b'\n').any(|line| line.len() >= 2_048) {
        return Some("git refuses attributes with such long lines");
    }
    if parts(name).any(is_dot_gitmodules) && !are_harmless_modules(content) {
        return Some("git might refuse the submodules it names");
    }
    None
}

/// True if a file system that ignores case or some characters, or shortens names, would take a name for git's own
/// folder.
pub(crate) fn is_dot_git(name: &[u8]) -> bool {
    let checked = gix::validate::path::component(name.as_bstr(), None, PROTECTED);
    matches!(checked, Err(component::Error::DotGitDir))
}

fn is_dot_gitmodules(name: &[u8]) -> bool {
    let checked = gix::validate::path::component(name.as_bstr(), Some(component::Mode::Symlink), PROTECTED);
    matches!(checked, Err(component::Error::SymlinkedGitModules))
}

const PROTECTED: component::Options =
    component::Options { protect_windows: false, protect_hfs: true, protect_ntfs: true };

/// True if some file system might take a name for `.gitattributes`.
fn is_like_gitattributes(name: &[u8]) -> bool {
    let plain: Vec<u8> = name.iter().filter(|byte| byte.is_ascii()).map(u8::to_ascii_lowercase).collect();
    parts(&plain)
        .any(|part| part.starts_with(b".gitattributes") || part.starts_with(b"gitatt~") || part.starts_with(b"gi7d29"))
}

/// True if no value of a `.gitmodules` has a character that a rule of git's concerns.
fn are_harmless_modules(content: &[u8]) -> bool {
    content.lines().all(|line| {
        let line = line.trim_ascii();
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(b";") {
            return true;
        }
        if let Some(section) = line.strip_prefix(b"[") {
            let name = section.strip_prefix(b"submodule \"").and_then(|rest| rest.strip_suffix(b"\"]"));
            return name.is_some_and(is_harmless_path);
        }
        let Some((key, value)) = line.split_once_str("=") else { return false };
        let value = value.trim_ascii();
        match &*key.trim_ascii().to_ascii_lowercase() {
            b"path" => is_harmless_path(value),
            b"url" => is_harmless_url(value),
            b"update" => [&b"checkout"[..], b"rebase", b"merge", b"none"].contains(&value),
            b"branch" | b"ignore" | b"shallow" | b"fetchrecursesubmodules" => is_plain(value),
            _ => false,
        }
    })
}

fn is_harmless_path(path: &[u8]) -> bool {
    is_plain(path) && path.split(|&byte| byte == b'/').all(|name| !name.is_empty() && name != b".." && name != b".")
}

fn is_harmless_url(url: &[u8]) -> bool {
    let mut rest = url;
    while let Some(after) = rest.strip_prefix(b"../").or_else(|| rest.strip_prefix(b"./")) {
        rest = after;
    }
    if rest.len() < url.len() {
        return is_harmless_path(rest);
    }
    let is_host = |host: &[u8]| host.first().is_some_and(u8::is_ascii_alphanumeric) && is_plain(host);
    if let Some(rest) = url.strip_prefix(b"git@") {
        return rest.split_once_str(":").is_some_and(|(host, path)| is_host(host) && is_harmless_path(path));
    }
    let schemes = [&b"https://"[..], b"http://", b"ssh://", b"git://"];
    let rest = schemes.iter().find_map(|scheme| url.strip_prefix(*scheme));
    rest.and_then(|rest| rest.split_once_str("/")).is_some_and(|(place, path)| {
        let (host, port) = place.split_once_str(":").unwrap_or((place, b"80"));
        let is_port = !port.is_empty() && port.len() < 5 && port.iter().all(u8::is_ascii_digit);
        is_host(host) && is_port && is_harmless_path(path.strip_suffix(b"/").unwrap_or(path))
    })
}

/// True for letters, digits and a few signs, without a dash at the start.
fn is_plain(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/+~@".contains(byte);
    !value.is_empty() && !value.starts_with(b"-") && value.iter().all(is_plain)
}

/// A valid name of a reference for a run or tag. Slashes stay; each part between them becomes one that git allows.
pub(crate) fn reference_name(name: &str) -> String {
    let parts: Vec<String> = name.split('/').filter(|part| !part.is_empty()).map(reference_part).collect();
    let joined = match &parts[..] {
        [] => "retro".to_owned(),
        [head] if head == "HEAD" => "HEAD-retro".to_owned(),
        _ => parts.join("/"),
    };
    // One invalid reference would leave the repository without any.
    match gix::validate::reference::name(format!("refs/heads/{joined}").as_bytes().as_bstr()) {
        Ok(_) => joined,
        Err(_) => format!("name-{}", Digest::of(name.as_bytes()).short()),
    }
}

fn reference_part(part: &str) -> String {
    let mut short = part;
    // A reference is a file, and its lock file has a longer name.
    while short.len() > REFERENCE_LENGTH_MAX_BYTES {
        short = short.strip_suffix(|_| true).expect("it is not empty");
    }
    let valid = gix::validate::reference::name_partial_or_sanitize(short.into());
    let valid = valid.to_str_lossy().trim_start_matches(['-', '.']).replace('/', "-");
    if valid.is_empty() { "retro".to_owned() } else { valid }
}

const REFERENCE_LENGTH_MAX_BYTES: usize = 200;

/// Names that are taken, in lower case, because some file systems ignore case.
#[derive(Default)]
pub(crate) struct Taken {
    names: BTreeSet<String>,
    /// The parts of names before their slashes: a reference cannot be the folder of another.
    folders: BTreeSet<String>,
    /// The last number that was appended to a name, so that a million equal names do not each count from 2.
    numbers: HashMap<String, u64>,
}

impl Taken {
    /// A name like `name` that is not taken yet.
    pub(crate) fn unique(&mut self, name: String) -> String {
        if self.take(&name) {
            return name;
        }
        let flat = name.replace('/', "-");
        if flat != name && self.take(&flat) {
            return flat;
        }
        loop {
            let number = self.numbers.entry(flat.to_lowercase()).or_insert(1);
            *number += 1;
            let numbered = format!("{flat}-{number}");
            if self.take(&numbered) {
                return numbered;
            }
        }
    }

    /// Takes a name, if it and the folders in it are free.
    fn take(&mut self, name: &str) -> bool {
        let low = name.to_lowercase();
        let folders = || low.match_indices('/').map(|(at, _)| &low[..at]);
        if self.names.contains(&low) || self.folders.contains(&low) || folders().any(|name| self.names.contains(name)) {
            return false;
        }
        self.folders.extend(folders().map(str::to_owned));
        self.names.insert(low)
    }
}

#[cfg(test)]
mod tests;

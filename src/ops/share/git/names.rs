//! What git refuses in a tree, and what it refuses as the name of a reference.
//!
//! The rules are those of `git fsck` (fsck.c, `fsck_tree` and what it calls): names that some file system would take
//! for `.git`, and files that git itself reads out of trees. Where git's rule needs a parser of its own, what is
//! refused here is more, never less: a path that is left out is kept beside the history, an invalid tree is a broken
//! export.

use std::collections::{BTreeSet, HashMap};

use gix::bstr::ByteSlice;
use gix::validate::path::component;

use crate::format::tree::Kind;
use crate::id::Digest;

/// Why git cannot hold an entry of a folder, as far as its name and kind tell.
pub(crate) fn refused(name: &[u8], kind: Kind) -> Option<&'static str> {
    // A backslash separates folders where Windows reads the name.
    if name.split(|&byte| byte == b'\\').any(is_dot_git) {
        return Some("git refuses the name");
    }
    let is_modules = name.split(|&byte| byte == b'\\').any(is_dot_gitmodules);
    if is_modules && kind != Kind::File {
        return Some("git allows only a file to have this name");
    }
    if is_like_gitattributes(name) && kind == Kind::Folder {
        return Some("git allows no folder to have this name");
    }
    None
}

/// Whether git reads a file of this name out of trees, so that [`content_refused`] must be asked.
pub(crate) fn is_read_by_git(name: &[u8]) -> bool {
    name.split(|&byte| byte == b'\\').any(is_dot_gitmodules) || is_like_gitattributes(name)
}

/// Longest file that git reads out of trees, in bytes; git itself allows more.
pub(crate) const READ_BY_GIT_MAX_BYTES: u64 = 1 << 20;

/// Why git cannot hold a file that it would read.
pub(crate) fn content_refused(name: &[u8], content: &[u8]) -> Option<&'static str> {
    if is_like_gitattributes(name) && content.split(|&byte| byte == b'\n').any(|line| line.len() >= 2_048) {
        return Some("git refuses attributes with such long lines");
    }
    if name.split(|&byte| byte == b'\\').any(is_dot_gitmodules) && !are_harmless_modules(content) {
        return Some("git might refuse the submodules it names");
    }
    None
}

/// Returns true if a name would be taken for git's own folder by a file system that does not tell upper from lower
/// case, shortens names, or ignores some characters.
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

/// Whether some file system might take a name for `.gitattributes`.
fn is_like_gitattributes(name: &[u8]) -> bool {
    let plain: Vec<u8> = name.iter().filter(|byte| byte.is_ascii()).map(u8::to_ascii_lowercase).collect();
    plain
        .split(|&byte| byte == b'\\')
        .any(|part| part.starts_with(b".gitattributes") || part.starts_with(b"gitatt~") || part.starts_with(b"gi7d29"))
}

/// Whether every value of a `.gitmodules` is made of characters that no rule of git's is about.
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

/// Letters, digits and a few signs, and no dash at the start.
fn is_plain(value: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-/+~@".contains(byte);
    !value.is_empty() && !value.starts_with(b"-") && value.iter().all(is_plain)
}

/// A name as that of a reference: a branch for a run, a tag for a tag. Slashes stay; each part between them is made one
/// that git allows.
pub(crate) fn reference_name(name: &str) -> String {
    let parts: Vec<String> = name.split('/').filter(|part| !part.is_empty()).map(reference_part).collect();
    let joined = match &parts[..] {
        [] => "retro".to_owned(),
        [head] if head == "HEAD" => "HEAD-retro".to_owned(),
        _ => parts.join("/"),
    };
    // Whatever was made of it above: what git refuses here would leave a repository without any reference.
    match gix::validate::reference::name(format!("refs/heads/{joined}").as_bytes().as_bstr()) {
        Ok(_) => joined,
        Err(_) => format!("name-{}", Digest::of(name.as_bytes()).short()),
    }
}

fn reference_part(part: &str) -> String {
    let mut short = part;
    // A reference is a file, and its lock a file with a longer name.
    while short.len() > REFERENCE_LENGTH_MAX_BYTES {
        short = short.strip_suffix(|_| true).expect("it is not empty");
    }
    let valid = gix::validate::reference::name_partial_or_sanitize(short.into());
    let valid = valid.to_str_lossy().trim_start_matches(['-', '.']).replace('/', "-");
    if valid.is_empty() { "retro".to_owned() } else { valid }
}

const REFERENCE_LENGTH_MAX_BYTES: usize = 200;

/// Names that are taken, in lower case: some file systems do not tell the two apart.
#[derive(Default)]
pub(crate) struct Taken {
    names: BTreeSet<String>,
    /// What some name has before one of its slashes: a reference cannot be the folder of another.
    folders: BTreeSet<String>,
    /// The last number that was put behind a name. A million names that git takes for the same are not tried from 2
    /// each.
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

    /// Takes a name, if it and all before its slashes are free.
    fn take(&mut self, name: &str) -> bool {
        let low = name.to_lowercase();
        let above = || low.match_indices('/').map(|(at, _)| &low[..at]);
        if self.names.contains(&low) || self.folders.contains(&low) || above().any(|folder| self.names.contains(folder))
        {
            return false;
        }
        let folders: Vec<String> = above().map(str::to_owned).collect();
        self.folders.extend(folders);
        self.names.insert(low)
    }
}

#[cfg(test)]
mod tests;

//! Paths inside a workspace: relative, validated, ordered bytes.
//!
//! A [`TreePath`] is zero or more names joined by `/`; the empty path is the root. Names are bytes, not text: Linux
//! allows every byte but NUL and `/`, and a recorder keeps them all. The text of a path never leads out of the folder
//! in which it is resolved (no `..`, no leading `/`); symlinks are up to the code that opens it.

use std::fmt;
use std::sync::Arc;

use crate::limits::{NAME_LENGTH_MAX_BYTES, PATH_LENGTH_MAX_BYTES};

/// A path relative to a workspace root; empty for the root itself.
///
/// Paths are ordered by bytes with `/` before every other byte, so that a folder precedes its contents: the order in
/// which trees are walked and paths listed. Clones share their bytes, and so do a path and its parents: in a deep tree
/// these are long.
#[derive(Clone, Default)]
pub struct TreePath {
    bytes: Arc<[u8]>,
    /// End of the path in `bytes`.
    length: usize,
}

/// The reason why bytes are no name or path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathProblem(&'static str);

impl fmt::Display for PathProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// Checks one component of a path: 1 to 1,020 bytes, neither `.` nor `..`, without NUL and `/`.
pub fn check_name(bytes: &[u8]) -> Result<(), PathProblem> {
    match bytes {
        b"" => Err(PathProblem("a name is empty")),
        b"." | b".." => Err(PathProblem("a name is `.` or `..`")),
        _ if bytes.len() > NAME_LENGTH_MAX_BYTES => Err(PathProblem("a name is longer than 1,020 bytes")),
        _ if bytes.iter().any(|&byte| byte == b'/' || byte == 0) => Err(PathProblem("a name has a slash or NUL in it")),
        _ => Ok(()),
    }
}

impl TreePath {
    /// The root of a workspace.
    pub fn root() -> Self {
        Self::default()
    }

    /// Checks `bytes`: names joined by single slashes, or nothing at all.
    pub fn new(bytes: &[u8]) -> Result<Self, PathProblem> {
        if bytes.len() > PATH_LENGTH_MAX_BYTES {
            return Err(PathProblem("a path is longer than 1 MiB"));
        }
        if !bytes.is_empty() {
            bytes.split(|&byte| byte == b'/').try_for_each(check_name)?;
        }
        Ok(Self::of(bytes.into()))
    }

    /// The path of `name` in this folder.
    pub fn join(&self, name: &[u8]) -> Self {
        let mut bytes = Vec::with_capacity(self.length + 1 + name.len());
        bytes.extend_from_slice(self.as_bytes());
        if !bytes.is_empty() {
            bytes.push(b'/');
        }
        bytes.extend_from_slice(name);
        Self::of(bytes.into())
    }

    /// The folder that contains it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        self.split_last().map(|(parent, _)| self.first(parent.len()))
    }

    /// The last component; `None` for the root.
    pub fn name(&self) -> Option<&[u8]> {
        self.split_last().map(|(_, name)| name)
    }

    /// The path itself and its parents, outermost first, as far as they are longer than `length` bytes.
    pub fn way_from(&self, length: usize) -> impl Iterator<Item = Self> {
        let bytes = self.as_bytes();
        let slashes = (length + 1..bytes.len()).filter(|&at| bytes[at] == b'/');
        slashes.chain((length < bytes.len()).then_some(bytes.len())).map(|end| self.first(end))
    }

    /// The components, outermost first.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        self.as_bytes().split(|&byte| byte == b'/').filter(|name| !name.is_empty())
    }

    /// Number of components; 0 for the root.
    pub fn depth(&self) -> usize {
        self.names().count()
    }

    /// Returns true for the root.
    pub fn is_root(&self) -> bool {
        self.length == 0
    }

    /// Returns true if it is `folder` or below it.
    pub fn is_within(&self, folder: &Self) -> bool {
        folder.is_root()
            || self
                .as_bytes()
                .strip_prefix(folder.as_bytes())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
    }

    /// The bytes, components joined by `/`.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    /// The path as a relative one of the operating system; `.` for the root.
    pub fn to_os_path(&self) -> std::path::PathBuf {
        use std::os::unix::ffi::OsStrExt;
        let bytes: &[u8] = if self.is_root() { b"." } else { self.as_bytes() };
        std::path::PathBuf::from(std::ffi::OsStr::from_bytes(bytes))
    }

    fn split_last(&self) -> Option<(&[u8], &[u8])> {
        let bytes = self.as_bytes();
        match bytes.iter().rposition(|&byte| byte == b'/') {
            Some(slash) => Some((&bytes[..slash], &bytes[slash + 1..])),
            None if self.is_root() => None,
            None => Some((&[], bytes)),
        }
    }

    fn of(bytes: Arc<[u8]>) -> Self {
        Self { length: bytes.len(), bytes }
    }

    /// The path that its first `length` bytes are; they end with a name.
    fn first(&self, length: usize) -> Self {
        Self { bytes: Arc::clone(&self.bytes), length }
    }
}

impl PartialEq for TreePath {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for TreePath {}

impl std::hash::Hash for TreePath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let (a, b) = (self.as_bytes(), other.as_bytes());
        let is_shared = Arc::ptr_eq(&self.bytes, &other.bytes);
        let equal = if is_shared { self.length.min(other.length) } else { equal_length(a, b) };
        // A name that ends is less than one that goes on.
        let key = |byte: u8| if byte == b'/' { 0 } else { u16::from(byte) + 1 };
        a.get(equal).copied().map(key).cmp(&b.get(equal).copied().map(key))
    }
}

/// Length of the common start of two paths; compares many bytes at a time, because deep paths differ late.
pub(crate) fn equal_length(a: &[u8], b: &[u8]) -> usize {
    let mut start = 0;
    for stride in [2_048, 64] {
        let (a, b) = (a[start..].chunks_exact(stride), b[start..].chunks_exact(stride));
        start += a.zip(b).take_while(|(a, b)| a == b).count() * stride;
    }
    start + a[start..].iter().zip(&b[start..]).take_while(|(a, b)| a == b).count()
}

/// Paths, each with everything below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Subtrees(Vec<TreePath>);

impl Subtrees {
    /// The subtrees at these paths. A path that lies in another one is dropped.
    pub fn new(paths: impl IntoIterator<Item = TreePath>) -> Self {
        let mut paths: Vec<TreePath> = paths.into_iter().collect();
        paths.sort_unstable();
        // All that is below a path comes directly after it.
        paths.dedup_by(|later, earlier| later.is_within(earlier));
        Self(paths)
    }

    /// Their topmost paths, ascending.
    pub fn paths(&self) -> &[TreePath] {
        &self.0
    }

    /// Returns true if a path is in one of them.
    pub fn contain(&self, path: &TreePath) -> bool {
        let next = self.0.partition_point(|top| top <= path);
        next.checked_sub(1).is_some_and(|last| path.is_within(&self.0[last]))
    }

    /// Returns true if the top of one of them is below a folder.
    pub fn are_below(&self, folder: &TreePath) -> bool {
        let next = self.0.partition_point(|top| top <= folder);
        self.0.get(next).is_some_and(|top| top.is_within(folder))
    }
}

/// Formats bytes for a person: UTF-8 as it is; control characters, characters that change the direction of text, and
/// bytes that are not UTF-8 escaped as `\n`, `\x1b`, `\u{202e}`, `\xff`.
pub fn escaped(bytes: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(bytes.len());
    for part in bytes.utf8_chunks() {
        for character in part.valid().chars() {
            match character {
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\r' => text.push_str("\\r"),
                '\\' => text.push_str("\\\\"),
                _ if character.is_control() => {
                    write!(text, "\\x{:02x}", u32::from(character)).expect("writing to a string");
                }
                '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{200e}' | '\u{200f}' | '\u{61c}' => {
                    text.extend(character.escape_unicode());
                }
                _ => text.push(character),
            }
        }
        for byte in part.invalid() {
            write!(text, "\\x{byte:02x}").expect("writing to a string");
        }
    }
    text
}

impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&if self.is_root() { ".".to_owned() } else { escaped(self.as_bytes()) })
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::{Subtrees, TreePath, check_name};
    use crate::limits::NAME_LENGTH_MAX_BYTES;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn subtrees_contain_what_is_below_their_tops() {
        let trees = Subtrees::new(["b/c", "a", "b/c/d", "b.x"].map(path));
        assert_eq!(trees.paths(), ["a", "b/c", "b.x"].map(path));
        assert_eq!(["a", "a/b", "b/c/d", "b.x"].map(|inside| trees.contain(&path(inside))), [true; 4]);
        assert_eq!(["", "ab", "b", "b/cc", "c"].map(|outside| trees.contain(&path(outside))), [false; 5]);
        assert_eq!(["", "b", "a", "b/c"].map(|folder| trees.are_below(&path(folder))), [true, true, false, false]);
    }

    #[test]
    fn names_that_could_lead_elsewhere_are_refused() {
        for bytes in [&b""[..], b".", b"..", b"a/b", b"a\0", b"/"] {
            assert!(check_name(bytes).is_err(), "{bytes:?}");
        }
        assert!(check_name(&vec![b'a'; NAME_LENGTH_MAX_BYTES]).is_ok());
        assert!(check_name(&vec![b'a'; NAME_LENGTH_MAX_BYTES + 1]).is_err());
        assert!(check_name(b"\xff\n-").is_ok());
        for bytes in [&b"/a"[..], b"a/", b"a//b", b"a/../b", b"./a"] {
            assert!(TreePath::new(bytes).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn a_folder_is_followed_by_what_is_in_it() {
        let mut paths = [path("a.b"), path("a/z"), path("a"), path("a/b/c"), path("a-"), path("")];
        paths.sort();
        assert_eq!(paths, [path(""), path("a"), path("a/b/c"), path("a/z"), path("a-"), path("a.b")]);
    }

    #[test]
    fn paths_are_ordered_like_their_names() {
        let parts = [&b"a"[..], b"b", b"a/", b"ab", b"-", b".", b"\xff", &[b'x'; 63], &[b'x'; 64], &[b'y'; 65]];
        let deep = [b'a', b'/'].repeat(1_500);
        let joined = parts.iter().flat_map(|one| parts.iter().map(move |other| [*one, b"/", *other].concat()));
        let long = parts.iter().map(|part| [&[b'z'; 100], &b"/"[..], *part].concat());
        let deeper = parts.iter().map(|part| [&deep, *part].concat());
        let all = joined.chain(long).chain(deeper);
        let mut paths: Vec<TreePath> = all.filter_map(|bytes| TreePath::new(&bytes).ok()).collect();
        let above: Vec<TreePath> = paths.iter().filter_map(TreePath::parent).collect();
        paths.extend(above);
        assert!(paths.len() > 100);
        for (one, other) in paths.iter().flat_map(|one| paths.iter().map(move |other| (one, other))) {
            assert_eq!(one.cmp(other), one.names().cmp(other.names()), "{one} {other}");
        }
    }

    #[test]
    fn parts_are_taken_apart_and_joined() {
        assert_eq!(path("a/b").parent(), Some(path("a")));
        assert_eq!(path("a").parent(), Some(TreePath::root()));
        assert_eq!(TreePath::root().parent(), None);
        assert_eq!(path("a/b").name(), Some(&b"b"[..]));
        assert_eq!(TreePath::root().join(b"a").join(b"b"), path("a/b"));
        assert!(
            path("a/b").is_within(&path("a")) && path("a").is_within(&path("a")) && !path("ab").is_within(&path("a"))
        );
        assert_eq!((TreePath::root().depth(), path("a/b/c").depth()), (0, 3));
        let way = |start| path("ab/c/d").way_from(start).map(|path| path.to_string()).collect::<Vec<_>>();
        assert_eq!([way(0), way(2), way(4)], [vec!["ab", "ab/c", "ab/c/d"], vec!["ab/c", "ab/c/d"], vec!["ab/c/d"]]);
        assert_eq!((way(6).len(), TreePath::root().way_from(0).count()), (0, 0));
        assert_eq!(
            path("ab/c").parent(),
            Some(path("ab")),
            "what shares its bytes with another is equal to what does not"
        );
    }

    #[test]
    fn strange_bytes_are_shown_escaped() {
        assert_eq!(TreePath::new(b"a\n\xff\x1b\\").unwrap().to_string(), r"a\n\xff\x1b\\");
        assert_eq!(TreePath::root().to_string(), ".");
    }
}

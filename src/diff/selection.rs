//! A selection of paths: named ones with everything below them, and those that match a pattern.
//!
//! A comparison walks only the named paths and the fixed fronts of the patterns (`limits`); its result is then matched
//! against the patterns. A pattern selects everything below a matching path, as a name does: `tests/*` includes the
//! contents of matching folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use super::Change;
use crate::path::{TreePath, escaped};

/// A set of paths; everything if nothing is named.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    paths: Vec<TreePath>,
    patterns: Vec<Pattern>,
}

/// A pattern of paths: `*` and `?` match anything within a name, `**` any folders, `[a-z]` one of these, `{a,b}`
/// either.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
    /// The leading folders without wildcards.
    front: TreePath,
}

impl Pattern {
    /// Reads a pattern of whole paths from the root of the workspace. `None` if the text has no wildcard, or is
    /// malformed.
    pub fn parse(text: &str) -> Option<Self> {
        let is_pattern = |name: &str| name.contains(['*', '?', '[', '{', '\\']);
        let matcher = GlobBuilder::new(text).literal_separator(true).backslash_escape(true).build().ok()?;
        let fixed: Vec<&str> = text.split('/').take_while(|name| !is_pattern(name)).collect();
        if fixed.len() == text.split('/').count() {
            return None;
        }
        let front = TreePath::new(fixed.join("/").as_bytes()).ok()?;
        Some(Self { text: text.to_owned(), matcher: matcher.compile_matcher(), front })
    }

    /// The same pattern, shown as `text`.
    #[must_use]
    pub fn given_as(self, text: &str) -> Self {
        Self { text: text.to_owned(), ..self }
    }

    /// Escapes a path so that it matches itself in a pattern.
    pub fn quoted(path: &str) -> String {
        globset::escape(path)
    }
}

impl From<Vec<TreePath>> for Selection {
    fn from(paths: Vec<TreePath>) -> Self {
        Self { paths, patterns: Vec::new() }
    }
}

impl Selection {
    /// A selection of paths and patterns.
    pub fn new(paths: Vec<TreePath>, patterns: Vec<Pattern>) -> Self {
        Self { paths, patterns }
    }

    /// Returns true if nothing is named, which selects everything.
    pub fn is_everything(&self) -> bool {
        self.paths.is_empty() && self.patterns.is_empty()
    }

    /// The named paths.
    pub fn paths(&self) -> &[TreePath] {
        &self.paths
    }

    /// Returns true if there is any pattern.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// The number of paths and patterns.
    pub fn count(&self) -> usize {
        self.paths.len() + self.patterns.len()
    }

    /// A path or pattern as the person wrote it, by its index.
    pub fn shown(&self, index: usize) -> String {
        match self.paths.get(index) {
            Some(path) => path.to_string(),
            None => escaped(self.patterns[index - self.paths.len()].text.as_bytes()),
        }
    }

    /// The paths at or below which all selected paths lie. Empty means everywhere.
    pub fn limits(&self) -> Vec<TreePath> {
        let fronts = self.patterns.iter().map(|pattern| &pattern.front);
        self.paths.iter().chain(fronts).cloned().collect()
    }

    /// The selected path at or above `path`; of several, the one nearest to the root.
    pub fn over(&self, path: &TreePath) -> Option<TreePath> {
        if self.is_everything() {
            return Some(TreePath::root());
        }
        let named = self.paths.iter().filter(|named| path.is_within(named)).min_by_key(|named| named.as_bytes().len());
        let matches = |part: &&[u8]| self.patterns.iter().any(|pattern| pattern.is_match(part));
        let matched = fronts(path.as_bytes()).find(matches);
        match (named, matched) {
            (Some(named), Some(matched)) if matched.len() >= named.as_bytes().len() => Some(named.clone()),
            (_, Some(matched)) => Some(TreePath::new(matched).expect("the front of a path is a path")),
            (named, None) => named.cloned(),
        }
    }

    /// Returns true if `path` is selected or below a selected path.
    pub fn holds(&self, path: &TreePath) -> bool {
        self.over(path).is_some()
    }

    /// Returns true if either path of a change is selected.
    pub fn concerns(&self, change: &Change) -> bool {
        self.holds(&change.path) || change.old_path.as_ref().is_some_and(|old| self.holds(old))
    }

    /// Marks the paths and patterns that select `path`, or a folder above it.
    pub fn mark(&self, path: &TreePath, is_met: &mut [bool]) {
        for (index, is_met) in is_met.iter_mut().enumerate().filter(|(_, is_met)| !**is_met) {
            *is_met = match self.paths.get(index) {
                Some(named) => path.is_within(named),
                None => fronts(path.as_bytes()).any(|part| self.patterns[index - self.paths.len()].is_match(part)),
            };
        }
    }
}

impl Pattern {
    fn is_match(&self, path: &[u8]) -> bool {
        self.matcher.is_match(Path::new(OsStr::from_bytes(path)))
    }
}

/// A path and the folders above it without the root, the longest last.
fn fronts(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    ends.chain([path.len()]).map(|end| &path[..end]).filter(|front| !front.is_empty())
}

#[cfg(test)]
mod tests {
    use super::{Pattern, Selection};
    use crate::path::TreePath;

    fn path(text: &str) -> TreePath {
        TreePath::new(text.as_bytes()).unwrap()
    }

    fn selection(paths: &[&str], patterns: &[&str]) -> Selection {
        let patterns = patterns.iter().map(|text| Pattern::parse(text).unwrap()).collect();
        Selection::new(paths.iter().copied().map(path).collect(), patterns)
    }

    #[test]
    fn a_star_stays_within_a_name_and_two_stars_do_not() {
        let cases = [
            ("*.rs", "a.rs", Some("a.rs")),
            ("*.rs", "src/a.rs", None),
            ("**/*.rs", "a.rs", Some("a.rs")),
            ("**/*.rs", "src/deep/a.rs", Some("src/deep/a.rs")),
            ("src/**/*.rs", "src/a.rs", Some("src/a.rs")),
            ("src/*", "src/deep/a.rs", Some("src/deep")),
            ("src/[ab].rs", "src/b.rs", Some("src/b.rs")),
            ("src/[ab].rs", "src/c.rs", None),
            ("{a,b}/?", "b/x/y", Some("b/x")),
        ];
        for (pattern, found, over) in cases {
            assert_eq!(selection(&[], &[pattern]).over(&path(found)), over.map(path), "{pattern} {found}");
        }
    }

    #[test]
    fn names_and_patterns_limit_where_to_look() {
        let both = selection(&["docs"], &["src/ops/*.rs", "tests/**/x"]);
        assert_eq!(both.limits(), [path("docs"), path("src/ops"), path("tests")]);
        assert!(both.holds(&path("docs/a")) && both.holds(&path("tests/a/b/x/y")) && !both.holds(&path("src/ops")));
        assert_eq!(selection(&[], &["*"]).limits(), [TreePath::root()]);
        assert_eq!(both.shown(0), "docs");
        assert_eq!(both.shown(1), "src/ops/*.rs");
        let mut is_met = vec![false; both.count()];
        both.mark(&path("tests/x"), &mut is_met);
        assert_eq!(is_met, [false, false, true]);
    }

    #[test]
    fn text_without_wildcards_is_no_pattern() {
        assert!(
            Pattern::parse("src/a.rs").is_none() && Pattern::parse("[a").is_none() && Pattern::parse("../*").is_none()
        );
        let quoted = format!("{}/*", Pattern::quoted("a[1]"));
        assert!(Pattern::parse(&quoted).is_some_and(|pattern| pattern.matcher.is_match("a[1]/b")));
        assert!(Selection::default().is_everything() && Selection::default().holds(&path("a")));
    }
}

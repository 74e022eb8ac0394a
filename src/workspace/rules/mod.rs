//! Rules that decide which paths are excluded from a capture.
//!
//! Two lists of patterns decide. A path that matches an include pattern is captured. One that matches an exclude
//! pattern is excluded, with everything in it. Everything else is captured. Most built-in excludes are ordinary
//! patterns, so that a person can read, override and remove them; some need evidence besides the name ([`evidence`]),
//! and version-control folders are never captured. `.gitignore` files are one more rule, off by default: people most
//! often lose the files that they match. [`super::ignore`] evaluates them; an include pattern overrides them too.
//!
//! | pattern | matches |
//! |---|---|
//! | `*.log`, `secret.txt` | a name at any depth |
//! | `/build`, `docs/*.pdf`, `a/**/b` | a path from the workspace root; `*` stops at `/` |
//! | `target/` | as without the slash, but folders only |
//!
//! Invariants: names are matched as bytes, valid text or not. The text form is canonical: equal rules have equal text,
//! and [`Rules::parse`] of [`Rules::text`] gives the same rules. An excluded folder is not entered, so an include
//! cannot capture anything inside it. No pattern can include the exact paths of [`RuleOptions::paths`], which keep the
//! store out of its own snapshots. The settings in the root ([`CONFIG_NAME`]) are always captured, so that going back
//! to a step also brings its rules back.
//!
//! Nearly every name in a scan matches nothing, which must be decided in a few nanoseconds. Plain names are in a sorted
//! list behind a table of first bytes, patterns with one `*` are two comparisons, and only the remaining patterns use
//! [`globset`].

pub mod evidence;
mod only;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use evidence::{BESIDE, EVIDENCE_RULES};
pub use evidence::{Exclusion, ExclusionReason};
use globset::{Glob, GlobBuilder, GlobSet};
pub use only::Only;

use crate::error::{Error, ErrorKind, Result};
use crate::limits::PATTERN_COUNT_MAX;
use crate::path::TreePath;
use crate::workspace::temporary_name::is_temporary_name;
use crate::workspace::version_control;

/// Names that are excluded unless configured otherwise: folders that tools can rebuild, and the swap and lock files of
/// vim, Emacs, Kate and similar editors. Backup copies (`file~`) are captured, because they may be the last copy.
pub const DEFAULT_EXCLUDES: [&str; 11] = [
    ".gradle/",
    ".mypy_cache/",
    ".next/",
    ".pytest_cache/",
    ".tox/",
    "__pycache__/",
    ".#*",
    ".*.kate-swp",
    ".*.swn",
    ".*.swo",
    ".*.swp",
];

/// Names that are never captured, whatever the settings: version-control folders (`.git` is a file in a linked working
/// tree), and temporary files of a killed restore.
pub const ALWAYS_EXCLUDED: [&str; 5] = [".git", ".hg/", ".jj/", ".svn/", ".retro-tmp-????????????????"];

/// The file with the settings of a workspace, in its root: always captured.
pub const CONFIG_NAME: &str = "retro.toml";

/// The rule, in text form, that excludes the files that `.gitignore` files match.
pub const GITIGNORE_RULE: &str = "~ .gitignore";

/// The rule, in text form, that excludes folders on other file systems.
const FILE_SYSTEM_RULE: &str = "~ one-file-system";

/// The settings that decide on exclusion, as data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleOptions {
    /// Patterns of paths to exclude, besides the defaults.
    pub excludes: Vec<String>,
    /// Patterns of paths to capture even if an exclude matches them.
    pub includes: Vec<String>,
    /// If there are any: patterns of the only paths to capture.
    pub only: Vec<String>,
    /// Omits the built-in excludes and the rules that need evidence.
    pub without_defaults: bool,
    /// Keeps the rules that need evidence all the same.
    pub evidence: bool,
    /// Exact paths to exclude, regardless of the patterns.
    pub paths: Vec<TreePath>,
    /// Excludes files that git ignores.
    pub gitignore: bool,
    /// Excludes folders on other file systems.
    pub one_file_system: bool,
    /// Limits that differ from the built-in ones.
    pub caps: Caps,
    /// Mounts in the folder. They decide nothing, but belong to the description of a step.
    pub mounts: Vec<TreePath>,
}

/// Limits of a workspace that differ from the built-in ones. They are part of the rules, so that a snapshot records
/// everything that decided its contents.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Size above which a file is omitted, in bytes.
    pub file_bytes_max: Option<u64>,
    /// Number of files above which capture stops.
    pub files_max: Option<u64>,
    /// Number of bytes above which capture stops.
    pub bytes_max: Option<u64>,
}

/// Compiled patterns.
#[derive(Debug)]
pub struct Rules {
    /// The names and patterns of all rules: a name that matches none of them is captured.
    excludes: Patterns,
    settings: Patterns,
    by_name: Patterns,
    includes: Patterns,
    only: Option<Only>,
    has_evidence: bool,
    paths: Vec<TreePath>,
    gitignore: bool,
    mounts: Vec<TreePath>,
    text: String,
}

impl Rules {
    /// Compiles patterns. A malformed or empty one is `Invalid`, too many are `Limit`.
    pub fn new(options: &RuleOptions) -> Result<Self> {
        let defaults = if options.without_defaults { &[][..] } else { &DEFAULT_EXCLUDES };
        let excludes = sorted(defaults.iter().copied().chain(options.excludes.iter().map(String::as_str)));
        let includes = sorted(options.includes.iter().map(String::as_str));
        let only = sorted(options.only.iter().map(String::as_str));
        let (paths, mounts) = (sorted(options.paths.iter().cloned()), sorted(options.mounts.iter().cloned()));
        let gitignore = options.gitignore;
        let has_evidence = options.evidence || !options.without_defaults;
        let mut text = String::new();
        ALWAYS_EXCLUDED.iter().for_each(|pattern| text.extend(["! ", pattern, "\n"]));
        for (sign, patterns) in [("- ", &excludes), ("+ ", &includes), ("& ", &only)] {
            patterns.iter().for_each(|pattern| text.extend([sign, pattern, "\n"]));
        }
        paths.iter().for_each(|path| text.extend(["= ", &escape(path.as_bytes()), "\n"]));
        if has_evidence {
            EVIDENCE_RULES.iter().for_each(|rule| text.extend(["* ", rule, "\n"]));
        }
        for (is_set, rule) in [(gitignore, GITIGNORE_RULE), (options.one_file_system, FILE_SYSTEM_RULE)] {
            if is_set {
                text.extend([rule, "\n"]);
            }
        }
        for (name, cap) in CAP_NAMES.iter().zip(options.caps.in_order()) {
            text.extend(cap.map(|cap| format!("< {name} {cap}\n")));
        }
        mounts.iter().for_each(|path| text.extend(["^ ", &escape(path.as_bytes()), "\n"]));
        let beside: Vec<String> = BESIDE
            .iter()
            .filter(|_| has_evidence)
            .map(|(name, _)| format!("{}/", String::from_utf8_lossy(name)))
            .collect();
        let is_default = |pattern: &&str| DEFAULT_EXCLUDES.contains(pattern);
        let (by_name, settings): (Vec<&str>, Vec<&str>) = excludes.iter().copied().partition(is_default);
        let all = excludes.iter().copied().chain(ALWAYS_EXCLUDED).chain(beside.iter().map(String::as_str));
        Ok(Self {
            excludes: Patterns::new(&all.collect::<Vec<_>>())?,
            settings: Patterns::new(&settings)?,
            by_name: Patterns::new(&by_name)?,
            includes: Patterns::new(&includes)?,
            only: Only::new(&only)?,
            has_evidence,
            paths,
            gitignore,
            mounts,
            text,
        })
    }

    /// Reads the text form, in any order of lines.
    pub fn parse(text: &str) -> Result<Self> {
        Self::new(&Self::options_of(text)?)
    }

    /// Reads the text form as options, in any order of lines. The built-in excludes are among the patterns.
    pub fn options_of(text: &str) -> Result<RuleOptions> {
        let mut options = RuleOptions { without_defaults: true, ..RuleOptions::default() };
        for line in text.lines() {
            let refuse = |detail: &str| Error::corrupt("read exclude list", format_args!("line `{line}`"), detail);
            match line.split_at_checked(2) {
                _ if line == GITIGNORE_RULE => options.gitignore = true,
                _ if line == FILE_SYSTEM_RULE => options.one_file_system = true,
                // These rules always apply, listed or not.
                Some(("! ", _)) => {}
                Some(("* ", _)) => options.evidence = true,
                Some(("- ", pattern)) => options.excludes.push(pattern.to_owned()),
                Some(("+ ", pattern)) => options.includes.push(pattern.to_owned()),
                Some(("& ", pattern)) => options.only.push(pattern.to_owned()),
                Some((sign @ ("= " | "^ "), path)) => {
                    let path = unescape(path).and_then(|bytes| TreePath::new(&bytes).ok());
                    let list = if sign == "= " { &mut options.paths } else { &mut options.mounts };
                    list.push(path.ok_or_else(|| refuse("not a path"))?);
                }
                Some(("< ", cap)) => options.caps.set(cap).ok_or_else(|| refuse("not a limit"))?,
                _ => return Err(refuse("neither exclude, include, only, path, mount nor limit")),
            }
        }
        Ok(options)
    }

    /// The canonical text form, one rule a line: `! ` never captured, `- ` exclude, `+ ` include, `& ` only, `= ` exact
    /// path, `* ` excluded by evidence, `~ ` other exclusions, `< ` a limit, `^ ` a mount.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns true if [`Self::is_excluded`] needs the whole path, not only the name and kind.
    pub fn needs_path(&self) -> bool {
        !self.paths.is_empty() || self.excludes.anchored.is_some() || self.includes.anchored.is_some()
    }

    /// Returns true if any rule may exclude the entry `name`, the last part of `path`; then [`Self::match_of`] decides.
    /// `path` may be empty unless [`Self::needs_path`]. Nearly all names need no more than this.
    pub fn may_exclude(&self, path: &[u8], name: &[u8], is_folder: bool) -> bool {
        let is_named = !self.paths.is_empty() && self.paths.iter().any(|excluded| excluded.as_bytes() == path);
        is_named || self.excludes.matches(path, name, is_folder)
    }

    /// The decision of the rules about the entry `name`, the last part of `path`.
    pub fn match_of(&self, path: &[u8], name: &[u8], is_folder: bool) -> Match {
        if version_control::is_exact(name, is_folder) || is_temporary_name(name) {
            return Match::Out(ExclusionReason::VersionControl);
        }
        if self.paths.iter().any(|excluded| excluded.as_bytes() == path) {
            return Match::Out(ExclusionReason::Setting);
        }
        if self.is_included(path, name, is_folder) {
            return Match::In;
        }
        if self.settings.matches(path, name, is_folder) {
            return Match::Out(ExclusionReason::Setting);
        }
        if self.by_name.matches(path, name, is_folder) {
            return Match::Out(ExclusionReason::BuiltIn);
        }
        let beside = BESIDE.iter().find(|(folder, _)| is_folder && self.has_evidence && *folder == name);
        beside.map_or(Match::In, |(_, files)| Match::Beside(files))
    }

    /// Returns true if the entry `name`, the last part of `path`, is excluded regardless of the files next to it.
    pub fn is_excluded(&self, path: &[u8], name: &[u8], is_folder: bool) -> bool {
        self.may_exclude(path, name, is_folder) && matches!(self.match_of(path, name, is_folder), Match::Out(_))
    }

    /// Returns true if the rules that need evidence apply.
    pub fn has_evidence(&self) -> bool {
        self.has_evidence
    }

    /// Returns true if files that git ignores are excluded.
    pub fn has_gitignore(&self) -> bool {
        self.gitignore
    }

    /// The mounts in the folder, ascending.
    pub fn mounts(&self) -> &[TreePath] {
        &self.mounts
    }

    /// Returns true if an include pattern matches the entry `name`, the last part of `path`, or it is [`CONFIG_NAME`].
    pub fn is_included(&self, path: &[u8], name: &[u8], is_folder: bool) -> bool {
        self.includes.matches(path, name, is_folder) || is_settings(path, is_folder)
    }

    /// The selection of `only`, if not everything is captured.
    pub fn only(&self) -> Option<&Only> {
        self.only.as_ref()
    }

    /// Returns true if `path` is excluded, without considering its parents.
    pub fn excludes_at(&self, path: &TreePath, is_folder: bool) -> bool {
        path.name().is_some_and(|name| self.is_excluded(path.as_bytes(), name, is_folder))
    }

    /// Returns true if `only` excludes `path` by name alone: a file that matches neither itself nor through a parent,
    /// or a folder in which nothing can match.
    pub fn is_unselected(&self, path: &TreePath, is_folder: bool) -> bool {
        let Some(only) = &self.only else { return false };
        let is_named = |(path, name, is_folder): (&[u8], &[u8], bool)| only.names(path, name, is_folder);
        let is_above = || path.is_root() || (is_folder && only.may_be_in(path.as_bytes()));
        !is_settings(path.as_bytes(), is_folder) && !path_and_above(path, is_folder).any(is_named) && !is_above()
    }

    /// Returns true if `only` selects just a part of the folder `path`.
    pub fn is_partly_selected(&self, path: &TreePath) -> bool {
        let Some(only) = &self.only else { return false };
        !path_and_above(path, true).any(|(path, name, is_folder)| only.names(path, name, is_folder))
    }
}

/// Returns true for [`CONFIG_NAME`] in the root.
pub fn is_settings(path: &[u8], is_folder: bool) -> bool {
    !is_folder && path == CONFIG_NAME.as_bytes()
}

/// The lines of rules in text form that are settings or built in; the others describe the folder.
pub fn settings_of(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.starts_with("= ") && !line.starts_with("^ "))
}

/// A path and its parents: each whole, its last name, and whether it is a folder.
fn path_and_above(path: &TreePath, is_folder: bool) -> impl Iterator<Item = (&[u8], &[u8], bool)> {
    let bytes = path.as_bytes();
    let ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| (at, true));
    ends.chain([(bytes.len(), is_folder)]).filter(|(end, _)| *end > 0).map(|(end, is_folder)| {
        let start = bytes[..end].iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        (&bytes[..end], &bytes[start..end], is_folder)
    })
}

/// Names of limits in the text form, in order.
const CAP_NAMES: [&str; 3] = ["max_file_bytes", "max_files", "max_bytes"];

impl Caps {
    fn in_order(self) -> [Option<u64>; 3] {
        [self.file_bytes_max, self.files_max, self.bytes_max]
    }

    /// Reads a line such as `max_files 1000000`.
    fn set(&mut self, text: &str) -> Option<()> {
        let (name, cap) = text.split_once(' ')?;
        let places = [&mut self.file_bytes_max, &mut self.files_max, &mut self.bytes_max];
        let at = CAP_NAMES.iter().position(|known| *known == name)?;
        *places.into_iter().nth(at)? = Some(cap.parse().ok()?);
        Some(())
    }
}

/// The decision of the rules about a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Match {
    /// It is captured.
    In,
    /// It is excluded.
    Out(ExclusionReason),
    /// It is excluded if one of these files is next to it.
    Beside(&'static [&'static str]),
}

/// One list of patterns, sorted by how they are matched.
#[derive(Debug)]
struct Patterns {
    /// Names without any `*`, ascending.
    names: Vec<Plain>,
    /// True for the first bytes of the names.
    firsts: Box<[bool; 256]>,
    /// Patterns of names with one `*`.
    affixes: Vec<Affix>,
    /// Other patterns of names.
    globs: Option<Globs>,
    /// Patterns of whole paths.
    anchored: Option<Globs>,
}

#[derive(Debug)]
struct Plain {
    name: Box<[u8]>,
    folders_only: bool,
}

#[derive(Debug)]
struct Affix {
    prefix: Box<[u8]>,
    suffix: Box<[u8]>,
    folders_only: bool,
}

#[derive(Debug)]
struct Globs {
    any_kind: GlobSet,
    folders_only: GlobSet,
}

impl Patterns {
    fn new(patterns: &[&str]) -> Result<Self> {
        if patterns.len() > PATTERN_COUNT_MAX + DEFAULT_EXCLUDES.len() + ALWAYS_EXCLUDED.len() + BESIDE.len() {
            let detail = format_args!("{} patterns are over the limit of {PATTERN_COUNT_MAX}", patterns.len());
            return Err(Error::new(ErrorKind::Limit, "compile", "exclude list", detail));
        }
        let mut names: Vec<Plain> = Vec::new();
        let mut affixes = Vec::new();
        let (mut globs, mut anchored) = (Vec::new(), Vec::new());
        for pattern in patterns {
            let folders_only = pattern.ends_with('/');
            let body = pattern.strip_suffix('/').unwrap_or(pattern);
            check(pattern, body)?;
            if body.contains('/') {
                anchored.push((glob(pattern, body.strip_prefix('/').unwrap_or(body))?, folders_only));
            } else if !body.contains(is_special) {
                names.push(Plain { name: body.as_bytes().into(), folders_only });
            } else if let Some((prefix, suffix)) = body.split_once('*')
                && !prefix.contains(is_special)
                && !suffix.contains(is_special)
            {
                affixes.push(Affix {
                    prefix: prefix.as_bytes().into(),
                    suffix: suffix.as_bytes().into(),
                    folders_only,
                });
            } else {
                globs.push((glob(pattern, body)?, folders_only));
            }
        }
        // `build` includes `build/`: it is sorted first, and so is the one that is kept.
        names.sort_unstable_by(|a, b| (&a.name, a.folders_only).cmp(&(&b.name, b.folders_only)));
        names.dedup_by(|later, earlier| later.name == earlier.name);
        let mut firsts = Box::new([false; 256]);
        names.iter().for_each(|plain| firsts[usize::from(plain.name[0])] = true);
        Ok(Self { names, firsts, affixes, globs: Globs::new(globs)?, anchored: Globs::new(anchored)? })
    }

    fn matches(&self, path: &[u8], name: &[u8], is_folder: bool) -> bool {
        let fits = |folders_only: bool| is_folder || !folders_only;
        if name.first().is_some_and(|&first| self.firsts[usize::from(first)])
            && let Ok(at) = self.names.binary_search_by(|plain| (*plain.name).cmp(name))
            && fits(self.names[at].folders_only)
        {
            return true;
        }
        self.affixes.iter().any(|affix| fits(affix.folders_only) && affix.matches(name))
            || self.globs.as_ref().is_some_and(|globs| globs.matches(name, is_folder))
            || self.anchored.as_ref().is_some_and(|globs| globs.matches(path, is_folder))
    }
}

impl Affix {
    fn matches(&self, name: &[u8]) -> bool {
        name.len() >= self.prefix.len() + self.suffix.len()
            && name.ends_with(&self.suffix)
            && name.starts_with(&self.prefix)
    }
}

impl Globs {
    /// Patterns, each with a flag for folders only; `None` without any.
    fn new(globs: Vec<(Glob, bool)>) -> Result<Option<Self>> {
        let of =
            |kind: bool| set_of(globs.iter().filter(|(_, folders_only)| *folders_only == kind).map(|(glob, _)| glob));
        if globs.is_empty() { Ok(None) } else { Ok(Some(Self { any_kind: of(false)?, folders_only: of(true)? })) }
    }

    fn matches(&self, text: &[u8], is_folder: bool) -> bool {
        let path = Path::new(std::ffi::OsStr::from_bytes(text));
        self.any_kind.is_match(path) || (is_folder && self.folders_only.is_match(path))
    }
}

/// Compiles a pattern of a name or a path.
fn glob(pattern: &str, body: &str) -> Result<Glob> {
    let glob = GlobBuilder::new(body).literal_separator(true).backslash_escape(true).build();
    glob.map_err(|error| invalid(pattern, &error.kind().to_string()))
}

/// Compiles patterns into one set. Each of them compiled alone, so a failure means that they are too large together.
fn set_of<'g>(globs: impl Iterator<Item = &'g Glob>) -> Result<GlobSet> {
    GlobSet::new(globs).map_err(|error| Error::new(ErrorKind::Limit, "compile", "exclude list", error))
}

/// Refuses patterns that can match nothing, or that cannot be stored as one line of text.
fn check(pattern: &str, body: &str) -> Result<()> {
    if body.is_empty() {
        return Err(invalid(pattern, "it names nothing"));
    }
    if pattern.contains(char::is_control) {
        return Err(invalid(pattern, "it contains a control character"));
    }
    if body.split('/').any(|part| matches!(part, "." | "..")) {
        return Err(invalid(pattern, "no path in a workspace has `.` or `..` in it"));
    }
    Ok(())
}

fn invalid(pattern: &str, detail: &str) -> Error {
    Error::new(
        ErrorKind::Invalid,
        "compile pattern",
        format_args!("`{}`", crate::path::escaped(pattern.as_bytes())),
        detail,
    )
}

fn is_special(character: char) -> bool {
    matches!(character, '*' | '?' | '[' | ']' | '{' | '}' | '\\')
}

fn sorted<T: Ord>(list: impl Iterator<Item = T>) -> Vec<T> {
    list.collect::<BTreeSet<T>>().into_iter().collect()
}

/// One line of text that [`unescape`] decodes to the same bytes. Unlike text in messages, it must be reversible.
fn escape(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    let put = |text: &mut String, byte: u8| write!(text, "\\x{byte:02x}").expect("writing to a string");
    for part in bytes.utf8_chunks() {
        for character in part.valid().chars() {
            if character.is_control() || character == '\\' {
                character.encode_utf8(&mut [0; 4]).bytes().for_each(|byte| put(&mut text, byte));
            } else {
                text.push(character);
            }
        }
        part.invalid().iter().for_each(|&byte| put(&mut text, byte));
    }
    text
}

fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut parts = text.split("\\x");
    bytes.extend_from_slice(parts.next()?.as_bytes());
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend_from_slice(rest.as_bytes());
    }
    Some(bytes)
}

#[cfg(test)]
mod tests;

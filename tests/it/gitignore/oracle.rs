//! git as the judge, and random repositories to be judged.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{ON, listed, recorder, write};
use crate::support::depth::AtLeast;
use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
use crate::support::scratch::Scratch;

/// Random repositories tried: enough to meet every rule, in a few seconds.
const ROUNDS: u64 = 60;

/// Folders as this recorder has them: all that are not ignored, empty ones too, and ignored ones on the way to what is
/// tracked. The files are those of `git ls-files -c -o --exclude-standard` that are there.
#[test]
fn random_repositories_are_captured_as_git_lists_them() {
    if !has_git() {
        return;
    }
    let files: Vec<usize> = (0..ROUNDS).filter_map(compare_with_git).collect();
    AtLeast::always(50).require("random repositories", files.len());
    AtLeast::always(150).require("files that git lists in them", files.iter().sum());
}

/// The number of files that git lists, and the recorder too; `None` if the recorded folder itself is ignored.
fn compare_with_git(seed: u64) -> Option<usize> {
    let mut random = Random(seed);
    // If case does not count, names that differ only in case are one to git, and two on disk.
    let is_folded = random.below(5) == 0;
    let names = if is_folded { &NAMES[1..] } else { &NAMES[..] };
    let scratch = Scratch::new();
    let top = scratch.join("repo");
    let git = Git::init(&top, &scratch.join("home"));
    let mut folders = vec![String::new()];
    for _ in 0..random.below(12) {
        let folder = format!("{}{}/", random.pick(&folders), random.pick(names));
        if !top.join(&folder).exists() && std::fs::create_dir(top.join(&folder)).is_ok() {
            folders.push(folder);
        }
    }
    let mut paths = Vec::new();
    for _ in 0..random.below(30) {
        let path = format!("{}{}", random.pick(&folders), random.pick(names));
        if !top.join(&path).exists() {
            write(&top, &path, b"x");
            paths.push(path);
        }
    }
    let nested = (random.below(3) == 0).then(|| random.pick(&folders).clone()).filter(|folder| !folder.is_empty());
    let inner = nested.as_ref().map(|folder| Git::init(&top.join(folder), &scratch.join("home")));
    for _ in 0..1 + random.below(4) {
        let list = random.list();
        write(&top, &format!("{}.gitignore", random.pick(&folders)), &list);
    }
    let exclude = random.list();
    write(&top, ".git/info/exclude", &exclude[..exclude.len() * random.below(2)]);
    if random.below(4) == 0 {
        write(&top, "../elsewhere", &random.list());
        git.run(&["config", "core.excludesFile", top.parent().unwrap().join("elsewhere").to_str().unwrap()], b"");
    }
    if is_folded {
        git.run(&["config", "core.ignoreCase", "true"], b"");
    }
    for path in paths.iter().filter(|_| random.below(4) == 0) {
        match (&inner, nested.as_ref().and_then(|folder| path.strip_prefix(folder.as_str()))) {
            (Some(inner), Some(path)) => inner.run(&["add", "-f", "--", path], b""),
            _ => git.run(&["add", "-f", "--", path], b""),
        };
    }
    let inside =
        folders.iter().filter(|folder| nested.as_ref().is_none_or(|nested| !folder.starts_with(nested.as_str())));
    let inside: Vec<String> = inside.cloned().collect();
    let start = if random.below(3) == 0 { random.pick(&inside).clone() } else { String::new() };
    let root = top.join(&start);
    let mut expected = oracle(&git, &top, &root);
    if expected.is_root_ignored {
        return None;
    }
    if let (Some(inner), Some(nested)) = (&inner, &nested) {
        let nested = nested.trim_end_matches('/');
        expected.forget_below(nested, &start);
        if let Some(within) = nested.strip_prefix(&start)
            && expected.folders.contains(within.as_bytes())
        {
            let own = oracle(inner, &top.join(nested), &top.join(nested));
            let moved = |path: &Vec<u8>| [within.as_bytes(), b"/", path].concat();
            expected.files.extend(own.files.iter().map(moved));
            expected.folders.extend(own.folders.iter().map(moved));
        }
    }
    compare(&recorder(scratch, &root, ON), &expected, &format!("seed {seed}, from `{start}`"));
    Some(expected.files.len())
}

fn compare(recorder: &Recorder, expected: &Expected, what: &str) {
    recorder.snap();
    let (mut found_files, mut found_folders) = (BTreeSet::new(), BTreeSet::new());
    for (path, is_folder) in listed(recorder) {
        if is_folder { &mut found_folders } else { &mut found_files }.insert(path);
    }
    let shown = |set: &BTreeSet<Vec<u8>>| set.iter().map(|path| path.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(shown(&found_files), shown(&expected.files), "files, {what}");
    assert_eq!(shown(&found_folders), shown(&expected.folders), "folders, {what}");
}

/// The files that git would capture below `root`, relative to it, without those of nested repositories.
pub(super) struct Expected {
    pub(super) files: BTreeSet<Vec<u8>>,
    folders: BTreeSet<Vec<u8>>,
    is_root_ignored: bool,
}

impl Expected {
    fn forget_below(&mut self, nested: &str, start: &str) {
        let Some(within) = nested.strip_prefix(start) else { return };
        let below = [within.as_bytes(), b"/"].concat();
        self.files.retain(|path| !path.starts_with(&below));
        self.folders.retain(|path| !path.starts_with(&below));
    }
}

/// Asks git what is ignored and what is tracked.
pub(super) fn oracle(git: &Git, top: &Path, root: &Path) -> Expected {
    let start = root.strip_prefix(top).unwrap().as_os_str().as_bytes();
    let start = if start.is_empty() { Vec::new() } else { [start, b"/"].concat() };
    let split = |text: Vec<u8>| -> BTreeSet<Vec<u8>> {
        text.split(|byte| *byte == 0).filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect()
    };
    let files = split(git.run(&["ls-files", "-z", "-c", "-o", "--exclude-standard"], b""));
    let tracked = split(git.run(&["ls-files", "-z", "-c"], b""));
    let mut folders = BTreeMap::new();
    all_folders(top, &mut Vec::new(), &mut folders);
    let input: Vec<u8> = folders.keys().flat_map(|path| [&path[..], b"\0"].concat()).collect();
    let ignored = split(git.run_any(&["check-ignore", "-z", "--stdin", "--no-index"], &input));
    let is_captured = |path: &Vec<u8>| {
        let below = [&path[..], b"/"].concat();
        !ignored.contains(path) || tracked.iter().any(|tracked| tracked.starts_with(&below))
    };
    let within = |path: &Vec<u8>| path.strip_prefix(&start[..]).filter(|rest| !rest.is_empty()).map(<[u8]>::to_vec);
    let is_there = |path: &&Vec<u8>| {
        let found = top.join(std::ffi::OsStr::from_bytes(path)).symlink_metadata();
        !path.ends_with(b"/") && found.is_ok_and(|found| !found.is_dir())
    };
    Expected {
        files: files.iter().filter(is_there).filter_map(within).collect(),
        folders: folders.keys().filter(|path| is_captured(path)).filter_map(within).collect(),
        is_root_ignored: !start.is_empty() && ignored.contains(&start[..start.len() - 1]),
    }
}

fn all_folders(folder: &Path, path: &mut Vec<u8>, found: &mut BTreeMap<Vec<u8>, PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == ".git" || !entry.file_type().unwrap().is_dir() {
            continue;
        }
        let length = path.len();
        if length > 0 {
            path.push(b'/');
        }
        path.extend_from_slice(entry.file_name().as_bytes());
        found.insert(path.clone(), entry.path());
        all_folders(&entry.path(), path, found);
        path.truncate(length);
    }
}

/// Names and patterns that meet each other often.
struct Random(u64);

const NAMES: [&str; 11] = ["B", "a", "b", "ab", "CAB", "a.o", "b.o", "a b", "foo", ".h", "x#"];
const PIECES: [&str; 24] = [
    "a",
    "b",
    "ab",
    "A",
    ".o",
    "foo",
    "*",
    "*",
    "**",
    "**/",
    "/",
    "/",
    "?",
    "[ab]",
    "[!a]",
    "[a-f]o",
    "\\a",
    "\\",
    ".*",
    "a b",
    "/**",
    "*/",
    "x#",
    "[[:alpha:]]",
];

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % bound as u64).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    fn list(&mut self) -> Vec<u8> {
        let mut list = String::new();
        if self.below(10) == 0 {
            list.push('\u{feff}');
        }
        for _ in 0..1 + self.below(5) {
            for (text, one_in) in [("!", 4), ("/", 5), (" ", 40), ("\t", 40), ("\\!", 40), ("\\#", 40), ("#", 40)] {
                if self.below(one_in) == 0 {
                    list.push_str(text);
                }
            }
            for _ in 0..1 + self.below(4) {
                list.push_str(PIECES[self.below(PIECES.len())]);
            }
            for (text, one_in) in [("/", 5), (" ", 20), ("\\ ", 40), ("\r", 20), ("\0x", 60)] {
                if self.below(one_in) == 0 {
                    list.push_str(text);
                }
            }
            list.push('\n');
        }
        if self.below(3) == 0 {
            list.pop();
        }
        list.into_bytes()
    }
}

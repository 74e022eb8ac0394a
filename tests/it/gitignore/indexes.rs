//! Tracked paths are recorded whatever form the index has; if it cannot be followed, that is said and the step is
//! recorded all the same. The repositories are real ones.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use retrograde::workspace::git_notice::{GitNotice, GitPart, GitProblem};

use super::{ON, files, recorder, write};
use crate::support::depth::AtLeast;
use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;

/// The tracked paths of [`FILES`], and no others.
const TRACKED: [&str; 6] = [".gitignore", "Cargo.toml", "build/kept", "plain", "target/deep/kept", "x.o"];

/// A folder with tracked and other files in folders that are ignored, or left out by default.
const FILES: [(&str, &str); 11] = [
    (".gitignore", "build/\n*.o\n"),
    ("Cargo.toml", "[package]"),
    ("build/kept", ""),
    ("build/new", ""),
    ("build/more/new", ""),
    ("plain", ""),
    ("target/deep/kept", ""),
    ("target/deep/new", ""),
    ("target/new", ""),
    ("x.o", ""),
    ("y.o", ""),
];

/// Everything but what is left out by default.
const ALL_BUT_DEFAULTS: [&str; 8] =
    [".gitignore", "Cargo.toml", "build/kept", "build/more/new", "build/new", "plain", "x.o", "y.o"];

fn fill(git: &Git, root: &Path) {
    FILES.iter().for_each(|(path, content)| write(root, path, content.as_bytes()));
    git.run(&[&["add", "-f", "--"], &TRACKED[..]].concat(), b"");
    git.run(&["commit", "-q", "-m", "first"], b"");
}

fn repository(arguments: &[&str]) -> (Scratch, PathBuf, Git) {
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::really_init(&root, &scratch.join("home"), arguments);
    fill(&git, &root);
    (scratch, root, git)
}

/// The notices of a snap about git's files, and the paths that it records.
fn snapped(recorder: &Recorder) -> (Vec<(GitPart, GitProblem)>, Vec<String>) {
    let of = |notice: GitNotice| (notice.part, notice.problem);
    let notices: Vec<_> = recorder.snap().git_notices.into_iter().map(of).collect();
    let status: Vec<_> = recorder.status().git_notices.into_iter().map(of).collect();
    assert_eq!(notices, status, "status says the same");
    (notices, files(recorder))
}

fn require(what: &str, tried: usize, least: usize) {
    AtLeast::always(if has_git() { least } else { 0 }).require(what, tried);
}

/// Commands of git's, each in words.
type Commands = &'static [&'static [&'static str]];

/// A form of the index: its name, the arguments of `git init`, and the settings made then.
const FORMS: [(&str, &[&str], Commands); 9] = [
    ("as always", &[], &[]),
    ("ids of SHA-256", &["--object-format=sha256"], &[]),
    ("version 4", &[], &[&["update-index", "--index-version", "4"]]),
    ("version 4, SHA-256", &["--object-format=sha256"], &[&["update-index", "--index-version", "4"]]),
    (
        "split",
        &[],
        &[
            &["config", "splitIndex.maxPercentChange", "100"],
            &["add", "-f", "y.o"],
            &["update-index", "--split-index"],
            &["rm", "-q", "--cached", "y.o", "x.o", "build/kept"],
            &["add", "-f", "x.o", "build/kept"],
        ],
    ),
    (
        "split, SHA-256",
        &["--object-format=sha256"],
        &[
            &["config", "splitIndex.maxPercentChange", "100"],
            &["add", "-f", "y.o"],
            &["update-index", "--split-index"],
            &["rm", "-q", "--cached", "y.o"],
        ],
    ),
    (
        "with what spares git a look",
        &[],
        &[
            &["update-index", "--force-untracked-cache"],
            &["config", "core.fsmonitor", "true"],
            &["update-index", "--fsmonitor"],
            &["status"],
        ],
    ),
    (
        "with tables of its parts and without a hash",
        &[],
        &[
            &["config", "index.recordEndOfIndexEntries", "true"],
            &["config", "index.recordOffsetTable", "true"],
            &["config", "index.skipHash", "true"],
            &["update-index", "--force-write-index"],
        ],
    ),
    ("with a path that is intended only", &[], &[&["rm", "-q", "--cached", "x.o"], &["add", "-f", "-N", "x.o"]]),
];

#[test]
fn every_form_of_an_index_is_followed() {
    let mut tried = 0;
    for (form, arguments, commands) in FORMS.iter().filter(|_| has_git()) {
        let (scratch, root, git) = repository(arguments);
        for command in *commands {
            // Not every build of git has every cache.
            drop(git.try_run(command, b""));
        }
        drop(git.try_run(&["fsmonitor--daemon", "stop"], b""));
        let known = String::from_utf8(git.run(&["ls-files"], b"")).unwrap();
        assert_eq!(known.lines().collect::<Vec<_>>(), TRACKED, "{form}: git says");
        if form.starts_with("split") {
            let has_shared = |entry: std::io::Result<std::fs::DirEntry>| {
                entry.unwrap().file_name().to_string_lossy().starts_with("sharedindex.")
            };
            assert!(std::fs::read_dir(root.join(".git")).unwrap().any(has_shared), "{form}");
        }
        let mut recorder = recorder(scratch, &root, ON);
        assert_eq!(snapped(&recorder), (vec![], TRACKED.map(str::to_owned).to_vec()), "{form}");
        // And where only the defaults count.
        recorder.config = Default::default();
        let (notices, found) = snapped(&recorder);
        assert_eq!(notices, [], "{form}");
        let mut expected = ALL_BUT_DEFAULTS.map(str::to_owned).to_vec();
        expected.push("target/deep/kept".to_owned());
        expected.sort();
        assert_eq!(found, expected, "{form}");
        tried += 1;
    }
    require("forms of an index", tried, 9);
}

#[test]
fn folders_that_a_sparse_index_does_not_list_are_recorded() {
    if !has_git() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::really_init(&root, &scratch.join("home"), &[]);
    for path in ["in/kept.o", "in/plain", "out/kept.o", "out/deep/plain"] {
        write(&root, path, b"x");
    }
    write(&root, ".gitignore", b"*.o\n");
    git.run(&["add", "-f", "."], b"");
    git.run(&["commit", "-q", "-m", "first"], b"");
    git.run(&["sparse-checkout", "set", "--cone", "--sparse-index", "in"], b"");
    let listed = git.run(&["ls-files", "--sparse"], b"");
    assert!(String::from_utf8(listed).unwrap().lines().any(|line| line == "out/"), "the index is sparse");
    for path in ["in/new.o", "out/back.o", "out/deep/back.o"] {
        write(&root, path, b"x");
    }
    let recorder = recorder(scratch, &root, ON);
    // Nobody knows what is tracked in `out`, so nothing in it is taken for ignored.
    let expected = [".gitignore", "in/kept.o", "in/plain", "out/back.o", "out/deep/back.o"];
    assert_eq!(snapped(&recorder), (vec![], expected.map(str::to_owned).to_vec()));
}

/// Damage to an index: its name, what is done to the file, which had these bytes, and the problem that it is.
type Damage = (&'static str, fn(&Path, &[u8]), fn(&GitProblem) -> bool);

#[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
const DAMAGES: [Damage; 8] = [
    ("cut", |index, whole| std::fs::write(index, &whole[..whole.len() / 2]).unwrap(), is_malformed),
    ("empty", |index, _| std::fs::write(index, b"").unwrap(), is_malformed),
    ("other bytes", |index, whole| std::fs::write(index, Rng::new(3).bytes(whole.len())).unwrap(), is_malformed),
    (
        "a later version",
        |index, whole| std::fs::write(index, [&whole[..7], &[9], &whole[8..]].concat()).unwrap(),
        |problem| matches!(problem, GitProblem::Unsupported(_)),
    ),
    (
        "a pipe",
        |index, _| {
            std::fs::remove_file(index).unwrap();
            rustix::fs::mkfifoat(rustix::fs::CWD, index, rustix::fs::Mode::RWXU).unwrap();
        },
        |problem| *problem == GitProblem::NotAFile,
    ),
    (
        "a folder",
        |index, _| {
            std::fs::remove_file(index).unwrap();
            std::fs::create_dir(index).unwrap();
        },
        |problem| *problem == GitProblem::NotAFile,
    ),
    (
        "longer than anything",
        |index, _| std::fs::File::options().write(true).open(index).unwrap().set_len(1 << 40).unwrap(),
        |problem| matches!(problem, GitProblem::TooLong { .. }),
    ),
    (
        "split from what is gone",
        |index, _| {
            let folder = index.parent().unwrap();
            let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
            let shared = names.filter(|path| path.to_string_lossy().contains("sharedindex."));
            shared.for_each(|path| std::fs::remove_file(path).unwrap());
        },
        |problem| matches!(problem, GitProblem::Dangling(_)),
    ),
];

fn is_malformed(problem: &GitProblem) -> bool {
    matches!(problem, GitProblem::Malformed(_))
}

#[test]
fn an_unreadable_index_is_reported_and_tracks_everything() {
    let mut tried = 0;
    for (name, damage, is_expected) in DAMAGES.iter().filter(|_| has_git()) {
        let (scratch, root, git) = repository(&[]);
        if name.starts_with("split") {
            git.run(&["update-index", "--split-index"], b"");
        }
        let index = root.join(".git/index");
        let whole = std::fs::read(&index).unwrap();
        damage(&index, &whole);
        let recorder = recorder(scratch, &root, ON);
        let (notices, found) = snapped(&recorder);
        let [(GitPart::Index, problem)] = &notices[..] else { panic!("{name}: {notices:?}") };
        assert!(is_expected(problem), "{name}: {problem:?}");
        assert_eq!(found, ALL_BUT_DEFAULTS, "{name}");
        tried += 1;
    }
    require("damaged indexes", tried, 8);
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests move files of their own")]
fn an_index_behind_a_symlink_is_followed_as_git_follows_it() {
    if !has_git() {
        return;
    }
    let (scratch, root, git) = repository(&[]);
    std::fs::rename(root.join(".git/index"), root.join(".git/elsewhere")).unwrap();
    symlink("elsewhere", root.join(".git/index")).unwrap();
    assert_eq!(String::from_utf8(git.run(&["ls-files"], b"")).unwrap().lines().collect::<Vec<_>>(), TRACKED);
    assert_eq!(snapped(&recorder(scratch, &root, ON)), (vec![], TRACKED.map(str::to_owned).to_vec()));
}

#[test]
fn linked_working_trees_and_submodules_have_their_own_index() {
    if !has_git() {
        return;
    }
    let (scratch, root, git) = repository(&[]);
    // A tree of its own, where less is tracked than in the first.
    let linked = scratch.join("linked");
    git.run(&["worktree", "add", "-q", linked.to_str().unwrap()], b"");
    FILES.iter().for_each(|(path, content)| write(&linked, path, content.as_bytes()));
    git.at(&linked).run(&["rm", "-q", "--cached", "x.o"], b"");
    // A module of its own in another repository.
    let outer = scratch.join("outer");
    let above = Git::really_init(&outer, &scratch.join("home"), &[]);
    write(&outer, ".gitignore", b"plain\n");
    above.run(
        &["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", root.to_str().unwrap(), "inner"],
        b"",
    );
    FILES.iter().for_each(|(path, content)| write(&outer.join("inner"), path, content.as_bytes()));
    let first = recorder(scratch, &linked, ON);
    let mut expected = TRACKED.to_vec();
    expected.retain(|path| *path != "x.o");
    assert_eq!(snapped(&first), (vec![], expected.iter().map(|path| (*path).to_owned()).collect()));
    let second = recorder(Scratch::new(), &outer, ON);
    let inner = TRACKED.iter().map(|path| format!("inner/{path}"));
    let expected: Vec<String> = [".gitignore", ".gitmodules"].map(str::to_owned).into_iter().chain(inner).collect();
    assert_eq!(snapped(&second), (vec![], expected));
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn unreadable_ignore_files_and_settings_are_reported() {
    if !has_git() {
        return;
    }
    let (scratch, root, git) = repository(&[]);
    let listed = scratch.join("listed");
    std::fs::write(&listed, "*.tmp\n").unwrap();
    ["a.tmp", "b.bak"].iter().for_each(|path| write(&root, path, b"x"));
    write(&root, ".git/info/exclude", b"*.bak\n");
    git.run(&["config", "core.excludesFile", listed.to_str().unwrap()], b"");
    let recorder = recorder(scratch, &root, ON);
    assert_eq!(snapped(&recorder), (vec![], TRACKED.map(str::to_owned).to_vec()));
    // Lists that are none, or that nobody would read.
    std::fs::remove_file(root.join(".git/info/exclude")).unwrap();
    std::fs::create_dir(root.join(".git/info/exclude")).unwrap();
    git.run(&["config", "core.excludesFile", "~/listed"], b"");
    std::fs::File::options().write(true).open(root.join(".gitignore")).unwrap().set_len(1 << 30).unwrap();
    let (notices, found) = snapped(&recorder);
    let limit = retrograde::limits::IGNORE_FILE_LENGTH_MAX_BYTES;
    let expected = [
        (GitPart::List, GitProblem::Relative("~/listed".into())),
        (GitPart::List, GitProblem::NotAFile),
        (GitPart::List, GitProblem::TooLong { length_max_bytes: limit }),
    ];
    assert_eq!(notices, expected);
    assert!(["a.tmp", "b.bak", "build/new", "y.o"].into_iter().all(|path| found.contains(&path.to_owned())));
    // Settings that are none: the kind of ids is found out from the index.
    write(&root, ".gitignore", b"build/\n*.o\n*.tmp\n*.bak\n");
    std::fs::remove_dir(root.join(".git/info/exclude")).unwrap();
    write(&root, ".git/config", b"[core\n\tthis is none");
    let (notices, found) = snapped(&recorder);
    assert!(matches!(&notices[..], [(GitPart::Settings, GitProblem::Malformed(_))]), "{notices:?}");
    assert_eq!(found, TRACKED);
}

#[test]
fn a_repository_of_another_folder_is_reported() {
    if !has_git() {
        return;
    }
    let (scratch, root, git) = repository(&[]);
    std::fs::create_dir(scratch.join("other")).unwrap();
    let recorder = recorder(scratch, &root, ON);
    git.run(&["config", "core.worktree", ".."], b"");
    assert_eq!(snapped(&recorder), (vec![], TRACKED.map(str::to_owned).to_vec()), "it is this folder");
    git.run(&["config", "core.worktree", "../../other"], b"");
    let (notices, found) = snapped(&recorder);
    assert!(matches!(&notices[..], [(GitPart::Index, GitProblem::OtherTree(_))]), "{notices:?}");
    assert_eq!(found, ALL_BUT_DEFAULTS);
}

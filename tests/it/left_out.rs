//! Paths that are left out by evidence, paths that are recorded all the same, and restores that respect both.

mod dropped;
mod only;

use std::collections::BTreeSet;

use retrograde::ops::look::ls::{LsOptions, ls};
use retrograde::path::TreePath;

#[cfg(feature = "git")]
use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
#[cfg(feature = "git")]
use crate::support::scratch::Scratch;
use crate::support::walker::{differences, walk};

const SIGNATURE: &[u8] = b"Signature: 8a477f597d28d172789f06886806bc55\n# a cache\n";

/// The paths of the newest step.
fn recorded(recorder: &Recorder) -> BTreeSet<String> {
    let step = recorder.snap().snapshot;
    let mut found = BTreeSet::new();
    let options = LsOptions { path: TreePath::root(), is_recursive: true };
    ls(&recorder.store, step, &options, &mut |path, _| {
        found.insert(path.to_string());
        Ok(())
    })
    .unwrap();
    found
}

/// A recorder of a folder with these settings.
fn with(settings: &str) -> Recorder {
    let mut recorder = Recorder::new();
    set(&mut recorder, settings);
    recorder
}

/// Writes settings, and reads them.
fn set(recorder: &mut Recorder, settings: &str) {
    let text = format!("[capture]\n{settings}\n");
    recorder.write("retro.toml", text.as_bytes());
    let path = std::path::Path::new("retro.toml");
    recorder.config = retrograde::workspace::config::parse(&text, path, &mut Vec::new()).unwrap();
}

#[test]
fn a_folder_name_alone_excludes_nothing() {
    let recorder = Recorder::new();
    for path in [
        "src/target/lib.rs",
        "node_modules/a.js",
        "target/x",
        "docs/CACHEDIR.TAG",
        "docs/a",
        "venv/pyvenv.cfg",
        "venv/bin",
    ] {
        recorder.write(path, b"x");
    }
    let found = recorded(&recorder);
    for path in ["src/target/lib.rs", "node_modules/a.js", "target/x", "docs/a"] {
        assert!(found.contains(path), "{path}: {found:?}");
    }
    assert!(!found.contains("venv") && !found.contains("venv/bin"), "{found:?}");
    for (evidence, gone) in
        [("Cargo.toml", "target/x"), ("package.json", "node_modules/a.js"), ("src/pom.xml", "src/target/lib.rs")]
    {
        recorder.write(evidence, b"x");
        assert!(!recorded(&recorder).contains(gone), "{gone} beside {evidence}");
        assert!(recorder.root.join(gone).exists());
    }
    recorder.write("docs/CACHEDIR.TAG", SIGNATURE);
    let found = recorded(&recorder);
    assert!(!found.contains("docs") && !found.contains("docs/a"), "{found:?}");
    let named: Vec<String> =
        recorder.status().excluded.iter().map(|one| format!("{} {:?}", one.path, one.why)).collect();
    assert_eq!(
        named,
        [
            "docs Marked(\"CACHEDIR.TAG\")",
            "node_modules Beside(\"package.json\")",
            "src/target Beside(\"pom.xml\")",
            "target Beside(\"Cargo.toml\")",
            "venv Marked(\"pyvenv.cfg\")",
        ]
    );
    assert!(!recorder.snap().recorded, "what is left out is left out each time");
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn a_restore_leaves_alone_paths_that_the_step_never_scanned() {
    let recorder = Recorder::new();
    recorder.write("Cargo.toml", b"x");
    recorder.write("target/debug/app", b"built");
    let first = recorder.snap();
    std::fs::remove_file(recorder.root.join("Cargo.toml")).unwrap();
    let second = recorder.snap();
    assert_eq!(second.changes.added, 1, "without the evidence it is captured");
    recorder.restore(first.snapshot);
    assert_eq!(recorder.read("target/debug/app"), b"built");
    // And what it did look at is put back, though it is left out now.
    let other = Recorder::new();
    other.write("target/main.c", b"source");
    let first = other.snap();
    other.write("Cargo.toml", b"x");
    other.write("target/main.c", b"changed");
    other.write("target/junk", b"junk");
    other.snap();
    other.restore(first.snapshot);
    assert_eq!((other.read("target/main.c"), other.read("target/junk")), (b"source".to_vec(), b"junk".to_vec()));
    other.undo();
    assert_eq!(other.read("target/main.c"), b"changed");
}

/// S6: the mark of a folder that was left out may be gone when somebody goes back.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn a_restore_leaves_alone_paths_excluded_at_the_step() {
    // They are recorded now, with a step that shows them taken before or not.
    for takes_step in [false, true] {
        let recorder = Recorder::new();
        for (path, content) in [
            ("a", &b"one"[..]),
            ("venv/pyvenv.cfg", b"home"),
            ("venv/lib/x.py", b"lib"),
            ("deep/cache/CACHEDIR.TAG", SIGNATURE),
            ("deep/cache/big", b"big"),
        ] {
            recorder.write(path, content);
        }
        let first = recorder.snap();
        std::fs::remove_file(recorder.root.join("venv/pyvenv.cfg")).unwrap();
        std::fs::remove_file(recorder.root.join("deep/cache/CACHEDIR.TAG")).unwrap();
        recorder.write("a", b"two");
        recorder.write("deep/new", b"new");
        if takes_step {
            assert_eq!(recorder.snap().changes.added, 3, "x.py, big, new");
        }
        recorder.restore(first.snapshot);
        assert_eq!((recorder.read("a"), recorder.read("venv/lib/x.py")), (b"one".to_vec(), b"lib".to_vec()));
        assert_eq!(recorder.read("deep/cache/big"), b"big");
        assert!(!recorder.root.join("deep/new").exists(), "what was not there goes");
        recorder.undo();
        assert_eq!((recorder.read("a"), recorder.read("deep/new")), (b"two".to_vec(), b"new".to_vec()));
    }
}

/// A folder that was made, and lost its mark, between two steps was recorded by none: the restore records it.
#[test]
#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn paths_that_no_step_recorded_come_back_with_an_undo() {
    let recorder = Recorder::new();
    recorder.write("a", b"one");
    let first = recorder.snap();
    recorder.write("venv/pyvenv.cfg", b"home");
    recorder.write("venv/lib/x.py", b"lib");
    assert!(!recorder.snap().recorded);
    std::fs::remove_file(recorder.root.join("venv/pyvenv.cfg")).unwrap();
    let before = walk(&recorder.root);
    recorder.restore(first.snapshot);
    assert!(!recorder.root.join("venv").exists());
    recorder.undo();
    assert_eq!(differences(&walk(&recorder.root), &before), Vec::<String>::new());
}

/// A clone of rust-lang/cargo has ten tracked paths in folders called `target` beside a `Cargo.toml`.
#[test]
#[cfg(feature = "git")]
fn tracked_paths_are_recorded_despite_the_built_in_rules() {
    if !has_git() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::init(&root, &scratch.join("home"));
    let mut recorder = Recorder::of(scratch, &root);
    for path in [
        "a/Cargo.toml",
        "a/target/kept/x",
        "a/target/junk",
        "a/__pycache__/y",
        "a/venv/pyvenv.cfg",
        "a/venv/z",
        "b.log",
    ] {
        recorder.write(path, b"x");
    }
    git.run(&["add", "-f", "a/target/kept/x", "a/__pycache__/y", "a/venv/z"], b"");
    let found = recorded(&recorder);
    for path in ["a/target/kept/x", "a/__pycache__/y", "a/venv/z"] {
        assert!(found.contains(path), "{path}: {found:?}");
    }
    for path in ["a/target/junk", "a/venv/pyvenv.cfg", ".git"] {
        assert!(!found.contains(path), "{path}: {found:?}");
    }
    recorder.config = retrograde::workspace::config::parse(
        "[capture]\nexclude = [\"kept/\"]\n",
        std::path::Path::new("retro.toml"),
        &mut Vec::new(),
    )
    .unwrap();
    assert!(!recorded(&recorder).contains("a/target/kept/x"), "the user's own exclude wins");
}

#[test]
fn another_recorded_folder_inside_is_not_part_of_this_one() {
    let recorder = Recorder::new();
    recorder.write("a", b"a");
    recorder.write("inner/b", b"b");
    let first = recorder.snap();
    let inner = retrograde::ops::record::register::resolve_folder(&recorder.root.join("inner")).unwrap();
    let guard = retrograde::ops::record::register::Guard::default();
    retrograde::ops::record::register::register(&recorder.store, &inner, &guard, retrograde::time::Timestamp::now())
        .unwrap();
    recorder.write("inner/b", b"changed");
    recorder.write("inner/c", b"c");
    assert!(!recorded(&recorder).contains("inner"));
    recorder.restore(first.snapshot);
    assert_eq!((recorder.read("inner/b"), recorder.read("inner/c")), (b"changed".to_vec(), b"c".to_vec()));
}

#[test]
#[cfg(feature = "git")]
fn an_agents_working_tree_is_no_part_of_the_folder_around_it() {
    if !has_git() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::init(&root, &scratch.join("home"));
    let recorder = Recorder::of(scratch, &root);
    recorder.write("a", b"a");
    git.run(&["add", "."], b"");
    git.run(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first"], b"");
    git.run(&["worktree", "add", "-q", ".claude/worktrees/x"], b"");
    let found = recorded(&recorder);
    assert!(!found.contains(".claude/worktrees/x") && found.contains(".claude/worktrees"), "{found:?}");
    let first = recorder.snap();
    recorder.write(".claude/worktrees/x/new", b"work");
    recorder.write("a", b"b");
    recorder.snap();
    recorder.restore(first.snapshot);
    assert_eq!(recorder.read(".claude/worktrees/x/new"), b"work");
}

/// Git calls such a tree broken until `git worktree repair`; its files are recorded in any case.
#[test]
#[cfg(feature = "git")]
#[expect(clippy::disallowed_methods, reason = "tests move folders of their own")]
fn a_working_tree_that_moved_with_its_repository_is_not_part_of_it() {
    if !has_git() {
        return;
    }
    let scratch = Scratch::new();
    let (old, root) = (scratch.join("old"), scratch.join("ws"));
    let git = Git::init(&old, &scratch.join("home"));
    git.run(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "first", "--allow-empty"], b"");
    git.run(&["worktree", "add", "-q", ".claude/worktrees/x"], b"");
    git.run(&["worktree", "add", "-q", "../beside"], b"");
    std::fs::rename(&old, &root).unwrap();
    // A tree that was not inside at all, and one of a repository that is gone.
    std::fs::rename(scratch.join("beside"), root.join("beside")).unwrap();
    let recorder = Recorder::of(scratch, &root);
    recorder.write("stray/.git", b"gitdir: /nowhere/.git/worktrees/x\n");
    recorder.write("stray/f", b"f");
    recorder.write("beside/f", b"f");
    recorder.write(".claude/worktrees/x/new", b"work");
    let found = recorded(&recorder);
    assert!(!found.contains(".claude/worktrees/x") && found.contains(".claude/worktrees"), "{found:?}");
    assert!(found.contains("stray/f") && found.contains("beside/f"), "{found:?}");
}

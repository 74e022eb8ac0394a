//! `[capture] gitignore = true` leaves out what git ignores, and nothing else; git itself is asked where it is there.

mod indexes;
mod oracle;

use std::collections::BTreeSet;
use std::path::Path;

use oracle::oracle;
use retrograde::workspace::config::parse;

use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
use crate::support::scratch::Scratch;

const ON: &str = "[capture]\ngitignore = true\n";

fn recorder(scratch: Scratch, root: &Path, config: &str) -> Recorder {
    let mut recorder = Recorder::of(scratch, root);
    recorder.config = parse(config, Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder
}

/// A recorder of an empty folder that honours ignore files.
fn honouring() -> Recorder {
    let mut recorder = Recorder::new();
    recorder.config = parse(ON, Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder
}

#[test]
fn paths_in_ignore_files_are_excluded_and_listed() {
    let recorder = honouring();
    recorder.write(".gitignore", b"*.log\nbuild/\n!keep.log\n");
    recorder.write("sub/.gitignore", b"!loud.log\n/only-here\n");
    for path in ["a.log", "keep.log", "build/out", "sub/loud.log", "sub/only-here", "sub/deep/only-here", "src/build"] {
        recorder.write(path, b"x");
    }
    let first = recorder.snap();
    let expected = [".gitignore", "keep.log", "src/build", "sub/.gitignore", "sub/deep/only-here", "sub/loud.log"];
    assert_eq!(files(&recorder), expected);
    let status = recorder.status();
    let excluded: Vec<String> = status.excluded.iter().map(|one| one.path.to_string()).collect();
    assert_eq!(excluded, ["a.log", "build", "sub/only-here"]);
    assert!(status.rules.ends_with("\n~ .gitignore\n"));
    assert!(!recorder.snap().recorded);

    // A changed list counts in the same capture, both ways.
    recorder.write(".gitignore", b"keep.log\n");
    let second = recorder.snap();
    assert_eq!((second.changes.added, second.changes.modified, second.changes.deleted), (2, 1, 1));
    assert!(files(&recorder).contains(&"build/out".to_owned()));
    assert_ne!(first.tree, second.tree);
}

#[test]
fn an_include_wins_over_an_ignore_file() {
    let recorder = Recorder::new();
    let mut recorder = recorder;
    let text = format!("{ON}include = [\"*.env\", \"build/\"]\n");
    recorder.config = parse(&text, Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder.write(".gitignore", b"*.env\nbuild/\nother/\n");
    for path in ["local.env", "build/out", "build/x.tmp", "other/prod.env"] {
        recorder.write(path, b"x");
    }
    recorder.snap();
    assert_eq!(files(&recorder), [".gitignore", "build/out", "build/x.tmp", "local.env"], "other/ is not entered");
}

/// One case of the comparison with git: what lies where, and what was added to the index.
struct Case<'a> {
    name: &'a str,
    files: &'a [(&'a str, &'a str)],
    added: &'a [&'a str],
    expected: &'a [&'a str],
}

const CASES: [Case<'static>; 9] = [
    Case {
        name: "tracked files stay in ignored folders",
        files: &[
            (".gitignore", "build/\n*.o\n"),
            ("build/kept", ""),
            ("build/new", ""),
            ("build/deep/kept", ""),
            ("build/other/new", ""),
            ("x.o", ""),
            ("y.o", ""),
        ],
        added: &["build/kept", "build/deep/kept", "x.o"],
        expected: &[".gitignore", "build/deep/kept", "build/kept", "x.o"],
    },
    Case {
        name: "the last pattern of a file wins, and an ignored folder cannot be reopened",
        files: &[
            (".gitignore", "*\n!*/\n!*.c\n!/off/on\noff/\n"),
            ("a.c", ""),
            ("b", ""),
            ("d/e.c", ""),
            ("off/on", ""),
        ],
        added: &[],
        expected: &["a.c", "d/e.c"],
    },
    Case {
        name: "spaces, returns, marks and comments",
        files: &[
            (".gitignore", "\u{feff}bom\r\ntrailing  \nkept\\ \n#x\n\\#y\n\\!z\n\tw\nlast\r"),
            ("bom", ""),
            ("trailing", ""),
            ("kept ", ""),
            ("#x", ""),
            ("#y", ""),
            ("!z", ""),
            ("\tw", ""),
            ("last", ""),
        ],
        added: &[],
        expected: &["#x", ".gitignore"],
    },
    Case {
        name: "stars before and after a slash",
        files: &[
            (".gitignore", "**/a\nb/**\n!b/c/\nd/**/e\nf**/g\n/*.h\n"),
            ("x/a/y", ""),
            ("b/c/d", ""),
            ("d/e", ""),
            ("d/1/2/e", ""),
            ("f/1/g", ""),
            ("g.h", ""),
            ("x/g.h", ""),
        ],
        added: &[],
        expected: &[".gitignore", "x/g.h"],
    },
    Case {
        name: "folders only",
        files: &[(".gitignore", "out/\n"), ("out/x", ""), ("a/out", ""), ("b/out/y", "")],
        added: &[],
        expected: &[".gitignore", "a/out"],
    },
    Case {
        name: "the repository's own list is the weakest",
        files: &[
            (".git/info/exclude", "*.tmp\n*.bak\n"),
            (".gitignore", "!x.tmp\n"),
            ("x.tmp", ""),
            ("y.tmp", ""),
            ("z.bak", ""),
        ],
        added: &[],
        expected: &[".gitignore", "x.tmp"],
    },
    Case {
        name: "a nested repository begins anew",
        files: &[
            (".gitignore", "*.log\n"),
            ("in/.git/HEAD", "ref: refs/heads/main\n"),
            ("in/.git/objects/x", ""),
            ("in/.git/refs/x", ""),
            ("in/.gitignore", "*.txt\n"),
            ("in/a.log", ""),
            ("in/b.txt", ""),
            ("a.log", ""),
        ],
        added: &[],
        expected: &[".gitignore", "in/.gitignore", "in/a.log"],
    },
    Case {
        name: "what is called .git and is none changes nothing",
        files: &[(".gitignore", "*.log\n"), ("in/.git/HEAD", "ref: refs/heads/main\n"), ("in/a.log", ""), ("in/b", "")],
        added: &[],
        expected: &[".gitignore", "in/b"],
    },
    Case {
        name: "case counts unless the repository says otherwise",
        files: &[(".gitignore", "Build\n*.LOG\n"), ("build", ""), ("Build/x", ""), ("a.log", ""), ("b.LOG", "")],
        added: &[],
        expected: &[".gitignore", "a.log", "build"],
    },
];

#[test]
fn known_cases_are_as_git_has_them() {
    for case in &CASES {
        let scratch = Scratch::new();
        let root = scratch.join("ws");
        let git = Git::init(&root, &scratch.join("home"));
        for (path, content) in case.files {
            write(&root, path, content.as_bytes());
        }
        if !case.added.is_empty() {
            if !has_git() {
                continue;
            }
            git.run(&[&["add", "-f", "--"], case.added].concat(), b"");
        }
        let recorder = recorder(scratch, &root, ON);
        recorder.snap();
        assert_eq!(files(&recorder), case.expected, "{}", case.name);
        if has_git() && !case.name.starts_with("a nested") {
            assert_eq!(oracle(&git, &root, &root).files, bytes(case.expected), "git: {}", case.name);
        }
    }
}

#[test]
fn without_a_repository_ignore_files_count_from_the_root_down() {
    let scratch = Scratch::new();
    let root = scratch.join("outer/ws");
    for (path, content) in
        [("../.gitignore", "*"), (".gitignore", "*.log\n"), ("a.log", ""), ("b", ""), ("c/d.log", "")]
    {
        write(&root, path, content.as_bytes());
    }
    let recorder = recorder(scratch, &root, ON);
    recorder.snap();
    assert_eq!(files(&recorder), [".gitignore", "b"]);
}

#[test]
fn a_workspace_in_a_repository_has_the_lists_above_it() {
    let scratch = Scratch::new();
    let top = scratch.join("repo");
    Git::init(&top, &scratch.join("home"));
    write(&top, ".gitignore", b"*.log\n/sub/ws/anchored\n/elsewhere\nsub/ws/\n");
    write(&top, "sub/.gitignore", b"!keep.log\n/ws/second\n");
    let root = top.join("sub/ws");
    for path in ["a.log", "keep.log", "anchored", "second", "elsewhere", "deep/anchored"] {
        write(&root, path, b"x");
    }
    let recorder = recorder(scratch, &root, ON);
    recorder.snap();
    // The root itself is captured because it was asked for, though the repository ignores it.
    assert_eq!(files(&recorder), ["deep/anchored", "elsewhere", "keep.log"]);
}

#[test]
fn an_ignore_file_that_is_no_file_or_too_long_is_ignored() {
    let recorder = honouring();
    recorder.write("real", b"*.log\n");
    std::os::unix::fs::symlink("real", recorder.root.join(".gitignore")).unwrap();
    recorder.write("folder/.gitignore/x.log", b"x");
    let pipe = recorder.root.join("pipe");
    std::fs::create_dir(&pipe).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, pipe.join(".gitignore"), rustix::fs::Mode::RWXU).unwrap();
    recorder.write("pipe/y.log", b"x");
    let limit = usize::try_from(retrograde::limits::IGNORE_FILE_LENGTH_MAX_BYTES).unwrap();
    for (folder, length) in [("at", limit), ("past", limit + 1)] {
        let mut list = b"*.log\n#".to_vec();
        list.resize(length, b'x');
        recorder.write(&format!("{folder}/.gitignore"), &list);
        recorder.write(&format!("{folder}/z.log"), b"x");
    }
    recorder.snap();
    let found = files(&recorder);
    let logs: Vec<&String> = found.iter().filter(|path| path.ends_with(".log")).collect();
    assert_eq!(logs, ["folder/.gitignore/x.log", "past/z.log", "pipe/y.log"]);
}

#[test]
fn paths_that_the_target_ignored_are_left_alone() {
    let recorder = honouring();
    recorder.write(".gitignore", b"*.log\nbuild/\n");
    recorder.write("sub/.gitignore", b"/local\n");
    recorder.write("f", b"1");
    let precious = ["a.log", "build/deep/x", "sub/local", "sub/b.log"];
    precious.iter().for_each(|path| recorder.write(path, b"precious"));
    let first = recorder.snap().snapshot;
    // Nothing is ignored any more, so that the safety snapshot has it all, and the target none of it.
    recorder.write(".gitignore", b"");
    recorder.write("sub/.gitignore", b"");
    recorder.write("f", b"2");
    recorder.write("new", b"2");
    recorder.snap();
    assert!(precious.iter().all(|path| files(&recorder).contains(&(*path).to_owned())));
    let outcome = recorder.restore(first);
    assert_eq!(outcome.applied.unwrap().kept, []);
    assert!(precious.iter().all(|path| recorder.read(path) == b"precious"), "the target never looked at them");
    assert!(!recorder.root.join("new").exists() && recorder.read("f") == b"1");
    assert!(!recorder.snap().recorded, "they are ignored again");
    recorder.undo();
    assert!(recorder.read("new") == b"2" && recorder.read(".gitignore").is_empty());
}

#[test]
fn paths_that_only_other_ignore_files_name_are_left_alone() {
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    Git::init(&root, &scratch.join("home"));
    write(&root, ".git/info/exclude", b"*.log\n");
    write(&root, "f", b"1");
    let recorder = recorder(scratch, &root, ON);
    recorder.write("a.log", b"precious");
    recorder.write("sub/b.log", b"precious");
    let first = recorder.snap().snapshot;
    // A list that brings them back makes them part of the next snapshot; the target has no list that names them.
    recorder.write(".gitignore", b"!*.log\n");
    recorder.snap();
    assert!(files(&recorder).contains(&"sub/b.log".to_owned()));
    recorder.restore(first);
    assert_eq!((recorder.read("a.log"), recorder.read("sub/b.log")), (b"precious".to_vec(), b"precious".to_vec()));
}

#[test]
fn paths_ignored_now_are_captured_before_they_are_overwritten() {
    let recorder = honouring();
    recorder.write("a.log", b"of the step");
    let first = recorder.snap().snapshot;
    recorder.write(".gitignore", b"*.log\n");
    recorder.write("a.log", b"never captured");
    recorder.snap();
    recorder.restore(first);
    assert_eq!(recorder.read("a.log"), b"of the step");
    recorder.undo();
    assert_eq!(recorder.read("a.log"), b"never captured", "it was captured before it was written over");
}

#[test]
fn without_the_setting_ignore_files_protect_nothing() {
    let recorder = Recorder::new();
    recorder.write(".gitignore", b"*.log\n");
    let first = recorder.snap().snapshot;
    recorder.write("a.log", b"x");
    recorder.restore(first);
    assert!(!recorder.root.join("a.log").exists());
}

#[test]
fn an_include_of_the_target_protects_nothing() {
    let mut recorder = Recorder::new();
    recorder.config = parse(&format!("{ON}include = [\"*.env\"]\n"), Path::new("retro.toml"), &mut Vec::new()).unwrap();
    recorder.write(".gitignore", b"*.env\n*.log\n");
    let first = recorder.snap().snapshot;
    recorder.write("new.env", b"x");
    recorder.restore(first);
    assert!(!recorder.root.join("new.env").exists(), "the target looked, and it was not there");
}

#[test]
fn switching_the_setting_on_reports_dropped_paths() {
    let mut recorder = Recorder::new();
    recorder.write(".gitignore", b"*.log\nbuild/\n");
    for number in 0..50 {
        recorder.write(&format!("build/{number}"), b"x");
    }
    recorder.write("a.log", b"x");
    recorder.write("gone", b"x");
    recorder.snap();
    recorder.config = parse(ON, Path::new("retro.toml"), &mut Vec::new()).unwrap();
    #[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
    std::fs::remove_file(recorder.root.join("gone")).unwrap();
    assert_eq!(recorder.status().newly_dropped, 51);
    let outcome = recorder.snap();
    assert_eq!((outcome.changes.deleted, outcome.newly_dropped), (52, 51));
    assert_eq!((recorder.status().newly_dropped, recorder.snap().newly_dropped), (0, 0));
}

#[test]
fn case_does_not_count_where_the_repository_says_so() {
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::init(&root, &scratch.join("home"));
    write(&root, ".git/config", b"[core]\n\tignoreCase = true\n");
    for path in [".gitignore", "build/x", "A.log", "Kept/B.log"] {
        write(&root, path, if path == ".gitignore" { b"Build\n*.LOG\n" } else { b"x" });
    }
    let mut expected = vec![".gitignore"];
    if has_git() {
        git.run(&["add", "-f", "Kept/B.log"], b"");
        std::fs::create_dir(root.join("kept")).unwrap();
        write(&root, "kept/b.log", b"git takes it for the other");
        expected.extend(["Kept/B.log", "kept/b.log"]);
    }
    let recorder = recorder(scratch, &root, ON);
    recorder.snap();
    assert_eq!(files(&recorder), expected);
}

fn bytes(paths: &[&str]) -> BTreeSet<Vec<u8>> {
    paths.iter().map(|path| path.as_bytes().to_vec()).collect()
}

#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
fn write(root: &Path, path: &str, content: &[u8]) {
    let path = root.join(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, content).unwrap();
}

/// Files and symlinks of the head, by path.
fn files(recorder: &Recorder) -> Vec<String> {
    let files = listed(recorder).into_iter().filter(|(_, is_folder)| !is_folder);
    let mut files: Vec<String> = files.map(|(path, _)| String::from_utf8(path).unwrap()).collect();
    files.sort();
    files
}

/// The paths of the head's snapshot, each with true if it is a folder.
fn listed(recorder: &Recorder) -> Vec<(Vec<u8>, bool)> {
    let state = recorder.store.state();
    let head = state.workspaces[&recorder.workspace].head.unwrap();
    let mut left = vec![(Vec::new(), recorder.store.snapshot(head).unwrap().root)];
    let mut found = Vec::new();
    while let Some((folder, tree)) = left.pop() {
        for entry in recorder.store.folder(tree).unwrap() {
            let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
            let path = [&folder[..], slash, &entry.name].concat();
            left.extend(entry.tree().map(|tree| (path.clone(), tree)));
            found.push((path, entry.tree().is_some()));
        }
    }
    found
}

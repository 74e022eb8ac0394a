//! `[capture] only`: what is recorded where the settings name what alone shall be.

use std::collections::BTreeSet;

use retrograde::workspace::rules::ExclusionReason;

#[cfg(feature = "git")]
use crate::support::git::{Git, has_git};
use crate::support::recorder::Recorder;
use crate::support::rng::Rng;
#[cfg(feature = "git")]
use crate::support::scratch::Scratch;
use crate::support::walker::{differences, walk};

use super::{recorded, set, with};

fn names(recorder: &Recorder) -> Vec<String> {
    recorded(recorder).into_iter().collect()
}

#[test]
#[expect(clippy::disallowed_methods, reason = "tests make folders of their own")]
fn only_matching_paths_are_recorded_at_any_depth() {
    let recorder = with("only = [\"*.md\", \"/docs/\"]");
    for path in ["a.md", "src/b.md", "src/c.rs", "deep/x/y/z.md", "deep/x/q/r.rs", "other/in/n.txt", "docs/i.bin"] {
        recorder.write(path, b"x");
    }
    std::fs::create_dir_all(recorder.root.join("docs/empty")).unwrap();
    std::fs::create_dir_all(recorder.root.join("empty")).unwrap();
    let expected = [
        "a.md",
        "deep",
        "deep/x",
        "deep/x/y",
        "deep/x/y/z.md",
        "docs",
        "docs/empty",
        "docs/i.bin",
        "retro.toml",
        "src",
        "src/b.md",
    ];
    assert_eq!(names(&recorder), expected);
    assert!(!recorder.snap().recorded, "what is left out is left out each time");
    let status = recorder.status();
    let excluded: Vec<String> = status.excluded.iter().map(|one| format!("{} {:?}", one.path, one.why)).collect();
    assert_eq!(excluded, ["deep/x/q Unselected", "empty Unselected", "other Unselected"]);
    // `c.rs`, and those in the folders that hold nothing else.
    assert_eq!((status.unselected_count, status.counts.files, status.counts.folders), (3, 5, 7));
    // A folder comes and goes with what is recorded in it.
    recorder.write("other/in/now.md", b"x");
    assert_eq!(recorder.snap().changes.added, 1);
    assert!(recorded(&recorder).contains("other/in/now.md"));
    std::fs::remove_file(recorder.root.join("other/in/now.md")).unwrap();
    assert_eq!(recorder.snap().changes.deleted, 1);
    assert_eq!(names(&recorder), expected);
}

#[test]
fn the_only_setting_never_makes_a_recording_larger() {
    let recorder = with("only = [\"*.md\", \"kept/\"]\nexclude = [\"draft.md\", \"skip/\"]\ninclude = [\"in.rs\"]");
    for path in
        ["Cargo.toml", "target/a.md", "draft.md", "skip/b.md", "kept/skip/c", "kept/d", "in.rs", "__pycache__/e.md"]
    {
        recorder.write(path, b"x");
    }
    assert_eq!(names(&recorder), ["kept", "kept/d", "retro.toml"]);
}

/// Somebody's pattern may be as wide as can be: the settings, which tell that, are recorded.
#[test]
fn the_settings_file_is_recorded_despite_any_exclude() {
    for settings in ["exclude = [\"*\"]", "exclude = [\"retro.toml\"]", "only = [\"nothing\"]"] {
        let recorder = with(settings);
        recorder.write("a/retro.toml", b"another");
        recorder.write("b", b"b");
        assert!(recorded(&recorder).contains("retro.toml"), "{settings}");
        assert!(settings.contains("retro") || names(&recorder) == ["retro.toml"], "{settings}");
    }
}

#[test]
#[cfg(feature = "git")]
fn tracked_paths_outside_the_only_patterns_are_excluded() {
    if !has_git() {
        return;
    }
    let scratch = Scratch::new();
    let root = scratch.join("ws");
    let git = Git::init(&root, &scratch.join("home"));
    let mut recorder = Recorder::of(scratch, &root);
    for path in ["a/Cargo.toml", "a/target/x.md", "a/target/y", "ignored.md"] {
        recorder.write(path, b"x");
    }
    recorder.write(".gitignore", b"retro.toml\nignored.md\n");
    git.run(&["add", "-f", "a/target/x.md", "a/target/y"], b"");
    set(&mut recorder, "only = [\"*.md\"]\ngitignore = true");
    assert_eq!(names(&recorder), ["a", "a/target", "a/target/x.md", "retro.toml"]);
}

#[test]
fn a_restore_leaves_alone_paths_outside_the_only_patterns() {
    let recorder = with("only = [\"*.md\"]");
    recorder.write("a/b.md", b"one");
    recorder.write("a/c.rs", b"one");
    let first = recorder.snap();
    recorder.write("a/b.md", b"two");
    recorder.write("a/c.rs", b"two");
    recorder.write("new/n.md", b"n");
    recorder.write("new/y.rs", b"y");
    recorder.write("gone/only.md", b"n");
    recorder.snap();
    let outcome = recorder.restore(first.snapshot);
    assert!(outcome.is_exact());
    assert_eq!((recorder.read("a/b.md"), recorder.read("a/c.rs"), recorder.read("new/y.rs")), {
        (b"one".to_vec(), b"two".to_vec(), b"y".to_vec())
    });
    assert!(!recorder.root.join("new/n.md").exists() && !recorder.root.join("gone").exists());
    assert!(!recorder.snap().recorded, "it is the first step again");
    recorder.undo();
    assert_eq!((recorder.read("a/b.md"), recorder.read("new/n.md")), (b"two".to_vec(), b"n".to_vec()));
    // Without `only` more is recorded; going back to a step that had it takes none of that away.
    let mut recorder = recorder;
    set(&mut recorder, "");
    std::fs::create_dir(recorder.root.join("new/empty")).unwrap();
    assert_eq!(recorder.snap().changes.added, 3, "c.rs, y.rs and the empty folder");
    recorder.restore(first.snapshot);
    assert_eq!((recorder.read("a/b.md"), recorder.read("a/c.rs"), recorder.read("new/y.rs")), {
        (b"one".to_vec(), b"two".to_vec(), b"y".to_vec())
    });
}

#[test]
fn a_step_before_only_comes_back_whole() {
    let mut recorder = with("");
    for path in ["a.md", "src/b.rs", "src/in/c.rs", "other/d"] {
        recorder.write(path, b"one");
    }
    let first = recorder.snap();
    let whole = walk(&recorder.root);
    set(&mut recorder, "only = [\"*.md\"]");
    recorder.write("src/b.rs", b"two");
    let second = recorder.snap();
    assert_eq!((second.newly_dropped, second.changes.deleted), (3, 3));
    recorder.write("src/in/c.rs", b"three");
    let restored = recorder.restore(first.snapshot);
    assert!(restored.is_exact());
    assert_eq!(differences(&walk(&recorder.root), &whole), Vec::<String>::new());
    recorder.undo();
    assert_eq!((recorder.read("src/b.rs"), recorder.read("src/in/c.rs")), (b"two".to_vec(), b"three".to_vec()));
}

/// Against the definition: a file is recorded if a pattern matches it or a folder above, a folder if it is matched so
/// or holds something that is recorded.
#[test]
fn the_only_patterns_apply_as_defined_in_random_folders() {
    const CASES: u64 = 40;
    let names = ["a", "b", "c.md", "d.rs"];
    let patterns =
        ["*.md", "a/", "/b", "/a/b/*", "a/**/c.md", "/{a,b/c.md}/d.rs", "b", "*/c.md", "**/d.rs", "/b/a/", "[ab]/d.rs"];
    let mut rng = Rng::new(0x0E17);
    for case in 0..CASES {
        let mut chosen: Vec<&str> = Vec::new();
        for _ in 0..=rng.below(3) {
            chosen.push(patterns[rng.below(patterns.len())]);
        }
        let list: Vec<String> = chosen.iter().map(|pattern| format!("{pattern:?}")).collect();
        let recorder = with(&format!("only = [{}]", list.join(", ")));
        let mut files = BTreeSet::new();
        for _ in 0..12 {
            let depth = 1 + rng.below(4);
            let mut path: Vec<&str> = (1..depth).map(|_| names[rng.below(2)]).collect();
            path.push(names[2 + rng.below(2)]);
            let path = path.join("/");
            recorder.write(&path, b"x");
            files.insert(path);
        }
        let is_named = |path: &str, is_folder: bool| {
            chosen.iter().any(|pattern| {
                let (body, folders_only) = pattern.strip_suffix('/').map_or((*pattern, false), |body| (body, true));
                let whole =
                    if body.contains('/') { body.trim_start_matches('/').to_owned() } else { format!("**/{body}") };
                let glob = globset::GlobBuilder::new(&whole).literal_separator(true).build().unwrap();
                (is_folder || !folders_only) && glob.compile_matcher().is_match(path)
            })
        };
        let above =
            |path: &str| -> Vec<String> { path.match_indices('/').map(|(at, _)| path[..at].to_owned()).collect() };
        let mut expected = BTreeSet::from(["retro.toml".to_owned()]);
        for file in &files {
            let folders = above(file);
            if is_named(file, false) || folders.iter().any(|folder| is_named(folder, true)) {
                expected.insert(file.clone());
                expected.extend(folders);
            }
        }
        assert_eq!(recorded(&recorder), expected, "case {case}: {chosen:?} of {files:?}");
        let left_out = recorder.status();
        assert!(left_out.excluded.iter().all(|one| one.why == ExclusionReason::Unselected));
    }
}

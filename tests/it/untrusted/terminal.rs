//! Output to a terminal about a store from somebody else: names, messages, runs, tags and paths may hold any
//! character, and none that moves a cursor, sets a title or turns the direction of text may come through.

use retrograde::format::facts::{Fact, Restore, RestoreCause};
use retrograde::format::snapshot::{Attachment, GitState, Omission, Reason, Snapshot, encode_omitted};
use retrograde::id::{Digest, SnapshotId, WorkspaceId};
use retrograde::path::TreePath;

use super::forge::{FILE, FOLDER, Forge, NOON, SYMLINK};
use super::run::{VERBS, run};
use crate::support::depth::AtLeast;
use crate::support::verbs;

/// Clears the screen, sets the title, answers as if typed, ends the line, goes back, turns the text; in UTF-8 and not.
const NASTY: &str = "x\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\r\u{8}\u{7f}\u{202e}gpj.exe\u{2066}\u{85}";

/// Verbs whose output is a file's own bytes, or is meant for programs.
const BYTES: [&str; 4] = ["cat ", "--json", "--tar", "--git"];

fn is_shown(character: char) -> bool {
    let turns = matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    character == '\n' || (!character.is_control() && !turns)
}

/// Takes out what the program itself puts in for colour.
fn without_colour(text: &str) -> String {
    let mut pieces = text.split("\u{1b}[");
    let mut out = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let end = piece.find(|c: char| !c.is_ascii_digit() && c != ';').unwrap_or(piece.len());
        match piece[end..].strip_prefix('m') {
            Some(rest) => out.push_str(rest),
            None => {
                out.push_str("\u{1b}[");
                out.push_str(piece);
            }
        }
    }
    out
}

fn nasty() -> Forge {
    let mut forge = Forge::new();
    let tag = format!("{NASTY}\n{NASTY}\ttag");
    let content = forge.content(b"plain\n");
    let edited = forge.content(format!("plain\n{NASTY}\n").as_bytes());
    let target = forge.content(NASTY.as_bytes());
    let name = [NASTY.as_bytes(), b"\xff\n"].concat();
    let mut last = None;
    for id in [content, edited] {
        let below = forge.leaf(&[(FILE, 0o644, &name, 6, id)]);
        let root = forge.leaf(&[
            (FOLDER, 0o755, NASTY.as_bytes(), 6, below.0),
            (FILE, 0o644, b"y\x1b[2J", 6, id),
            (SYMLINK, 0, b"z\x1b[2J", NASTY.len() as u64, target),
        ]);
        let omitted = Omission { path: TreePath::new(&name).unwrap(), reason: Reason::Special };
        let event = format!("{{\"tool\":{0},\"input\":{{\"command\":{0}}},{0}:1}}", json(NASTY));
        let snapshot = Snapshot {
            run: Some(NASTY.to_owned()),
            message: format!("{NASTY}\n{NASTY}"),
            event: Attachment::Inline(event.into_bytes()),
            omitted: Attachment::Inline(encode_omitted(&[omitted])),
            git: Some(GitState { head: Some(NASTY.to_owned()), branch: Some(NASTY.to_owned()) }),
            parents: last.into_iter().collect(),
            ..forge.of(root)
        };
        last = Some(forge.head_with(snapshot));
        forge.tag(&tag, last.unwrap());
    }
    forge.tag("bad", last.unwrap());
    forge.tag(&format!("{NASTY}gone"), SnapshotId(Digest::of(b"gone")));
    let root = [b"/", &name[..]].concat();
    forge.fact(Fact::WorkspaceAdded { workspace: WorkspaceId([9; 16]), root, time: NOON });
    let restore = Restore {
        workspace: forge.workspace,
        before: None,
        target: last.unwrap(),
        paths: vec![name],
        cause: RestoreCause::Restore,
        time: NOON,
    };
    forge.fact(Fact::RestoreBegun(restore));
    forge.write();
    forge
}

fn json(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

#[test]
fn no_view_passes_control_characters_on() {
    verbs::expect_all(VERBS.iter().copied(), &["init", "import", "completions", "help"]);
    let mut shown_count = 0;
    for colour in ["never", "always"] {
        let forge = nasty();
        let more =
            ["restore -v bad", "log --graph --stat", "workspace forget 0909", "show s1 -p", "diff s2 s3", "log nope"];
        let is_for_eyes = |line: &&&str| !BYTES.iter().any(|word| line.contains(word));
        for line in VERBS.iter().filter(is_for_eyes).chain(&more) {
            // Without colour, a patch is for programs, and the bytes of files are as they are.
            let is_patch = line.contains("-p") || (line.starts_with("diff") && !line.contains("--"));
            if is_patch && colour == "never" {
                continue;
            }
            let line =
                line.replace("{rev}", "bad").replace("{path}", "y").replace("{out}", forge.at("out").to_str().unwrap());
            let words: Vec<&str> = ["--color", colour].into_iter().chain(line.split(' ')).collect();
            let (_, stdout, stderr) = run(&forge, &words);
            for text in [String::from_utf8_lossy(&stdout).into_owned(), stderr] {
                let shown = without_colour(&text);
                assert!(shown.chars().all(is_shown), "`{line}` in colour {colour}: {shown:?}");
                shown_count += usize::from(shown.contains("gpj.exe"));
            }
        }
    }
    AtLeast::always(30).require("views that show a nasty name", shown_count);
}

/// Tags are asked for by what they are called, whatever that is, and the answer shows it escaped.
#[test]
fn messages_about_names_are_escaped_too() {
    let forge = nasty();
    let tag = format!("{NASTY}\n{NASTY}\ttag");
    for words in [
        &["show", "--name-status", &tag][..],
        &["tag", "-d", &tag],
        &["tag", "-d", &tag],
        &["log", &tag],
        &["ls", "bad", NASTY],
    ] {
        let (_, stdout, stderr) = run(&forge, words);
        let text = format!("{}{stderr}", String::from_utf8_lossy(&stdout));
        assert!(text.chars().all(is_shown), "{words:?}: {text:?}");
    }
}

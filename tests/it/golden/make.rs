//! Makes the golden store anew, with the program as a person uses it.
//!
//! Contents are the same each time; ids of snapshots are not, because times are in them.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use retrograde::format::pack::{PackHeader, encode_header};

use super::{expected, opened};
use crate::support::rng::Rng;
use crate::support::scratch::Scratch;
use crate::support::xattr;

/// Three workspaces and the store that records them.
struct Maker {
    scratch: Scratch,
}

/// Writes the store and the expected reading into a folder. The parts of it that can be deleted stay away, but for the
/// indexes and the journal.
#[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
pub(super) fn golden_store(folder: &Path) {
    assert!(xattr::is_root(), "files of another owner are in the golden store: make it as root");
    let maker = Maker { scratch: Scratch::new() };
    maker.first_workspace();
    maker.second_workspace();
    maker.put_aside();
    let to = folder.join("store");
    if to.exists() {
        std::fs::remove_dir_all(&to).unwrap();
    }
    std::fs::create_dir_all(to.join("packs")).unwrap();
    let from = maker.scratch.join("store");
    for file in ["FORMAT", "journal", "packs/000001.pack", "packs/000001.idx", "packs/000002.pack", "packs/000002.idx"]
    {
        std::fs::copy(from.join(file), to.join(file)).unwrap();
    }
    let text = serde_json::to_string_pretty(&expected::reading(&opened(&from))).unwrap();
    std::fs::write(folder.join("expected.json"), text + "\n").unwrap();
}

impl Maker {
    /// Most of what a snapshot can hold, and many versions of one file.
    fn first_workspace(&self) {
        self.everything_at_once();
        self.retro("alpha", &["snap", "-m", "everything at once"]);
        self.retro_with("alpha", &["snap", "--event", "-"], br#"{"tool":"ls","exit_code":0}"#);
        for version in 1..=17 {
            self.write("alpha/README.md", text(version).as_bytes());
            let event = format!("{{\"agent\":\"coder\",\"tool\":\"edit\",\"input\":\"version {version}\"}}");
            self.retro_with("alpha", &["snap", "--run", "agent-1", "--event", "-"], event.as_bytes());
        }
        self.retro("alpha", &["tag", "größe", "s3"]);
        self.retro("alpha", &["pin", "s4"]);
        self.second_pack();
        self.write("alpha/data/requests.log", format!("{}one more line\n", log()).as_bytes());
        self.write("alpha/src/b.rs", b"pub fn b() -> u8 {\n    2\n}\n");
        self.retro("alpha", &["snap", "-m", "two files", "--tag", "two-files"]);
        self.write("alpha/src/unrecorded.rs", b"// nobody has recorded this yet\n");
        self.retro("alpha", &["restore", "s5"]);
        self.retro("alpha", &["undo"]);
        self.retro("alpha", &["redo"]);
        self.retro("alpha", &["restore", "s19", "src/b.rs"]);
        self.write("alpha/retro.toml", b"[capture]\nexclude = [\"names/\"]\n");
        self.retro("alpha", &["snap", "-m", "names are left out now"]);
    }

    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    fn everything_at_once(&self) {
        let top = self.path("alpha");
        self.write("alpha/README.md", text(0).as_bytes());
        for name in ["a", "b", "c", "d", "e"] {
            self.write(&format!("alpha/src/{name}.rs"), format!("pub fn {name}() -> u8 {{\n    1\n}}\n").as_bytes());
        }
        self.write("alpha/data/noise.bin", &Rng::new(11).bytes(2_000));
        self.write("alpha/data/requests.log", log().as_bytes());
        self.write("alpha/data/empty", b"");
        std::fs::create_dir_all(top.join("nothing/in/here")).unwrap();
        std::fs::create_dir(top.join("names")).unwrap();
        let names: [&[u8]; 7] =
            [b"\xff\xfe not utf-8", b"two\nlines", b"-rf", b"\\", " \u{1f9ea} ".as_bytes(), b"\x01", b"...%25"];
        for name in names {
            std::fs::write(top.join("names").join(std::ffi::OsStr::from_bytes(name)), name).unwrap();
        }
        symlink("../src/a.rs", top.join("data/link")).unwrap();
        symlink("nowhere", top.join("dangling")).unwrap();
        let mode =
            |path: &str, mode| std::fs::set_permissions(top.join(path), PermissionsExt::from_mode(mode)).unwrap();
        mode("src/c.rs", 0o755);
        mode("src/d.rs", 0o4400);
        mode("nothing", 0o1777);
        // Left out for what is beside it, and special.
        self.write("alpha/Cargo.toml", b"[package]\n");
        self.write("alpha/target/debug/left-out", b"made by a tool");
        let made = Command::new("mkfifo").arg(top.join("pipe")).status().unwrap();
        assert!(made.success());
        // Attributes of each kind.
        assert!(xattr::set(&top.join("src/a.rs"), "user.note", b"hi"));
        assert!(xattr::set(&top.join("src/a.rs"), xattr::ACCESS, &xattr::acl([6, 4, 0, 4, 0])));
        assert!(xattr::set(&top.join("data"), xattr::DEFAULT, &xattr::acl([7, 5, 5, 5, 0])));
        chown(top.join("data/noise.bin"), Some(1_000), Some(1_000)).unwrap();
        // A repository of the user's own.
        self.write("alpha/.git/HEAD", b"ref: refs/heads/main\n");
        self.write("alpha/.git/config", b"[core]\n\trepositoryformatversion = 0\n");
        self.write("alpha/.git/refs/heads/main", b"0123456789abcdef0123456789abcdef01234567\n");
        std::fs::create_dir_all(top.join(".git/objects")).unwrap();
    }

    /// From here on the store grows in a pack of its own: one with nothing but a header is one that was just begun.
    #[expect(clippy::disallowed_methods, reason = "tests forge files of their own")]
    fn second_pack(&self) {
        let store = opened(&self.path("store")).id();
        let header = encode_header(&PackHeader { store, nonce: [2; 16] });
        std::fs::write(self.path("store/packs/000002.pack"), header).unwrap();
    }

    /// A folder whose list is split, before and after one more file.
    fn second_workspace(&self) {
        let name = |number: usize| format!("beta/many/{number:03}-{}", "long-name-".repeat(18));
        for number in 0..400 {
            self.write(&name(number), b"");
        }
        self.retro("beta", &["snap", "--run", "agent-2", "-m", "a folder that is split"]);
        self.write(&name(1_000), b"one more");
        self.retro("beta", &["snap", "--run", "agent-2"]);
        self.retro("beta", &["tag", "größe"]);
    }

    /// A workspace that was forgotten.
    fn put_aside(&self) {
        self.write("gamma/file", b"put aside\n");
        self.retro("gamma", &["snap"]);
        let gamma = self.path("gamma");
        self.retro("alpha", &["workspace", "forget", gamma.to_str().unwrap()]);
    }

    fn path(&self, path: &str) -> PathBuf {
        self.scratch.join(path)
    }

    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    #[track_caller]
    fn retro(&self, workspace: &str, arguments: &[&str]) {
        self.retro_with(workspace, arguments, b"");
    }

    #[track_caller]
    fn retro_with(&self, workspace: &str, arguments: &[&str], input: &[u8]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_retro"));
        command.env_clear().env("HOME", self.scratch.path()).env("RETRO_STORE", self.path("store")).args(arguments);
        command.current_dir(self.path(workspace)).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), input).ok();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// A text of some kilobytes. Each version differs from the one before in one place or, every second time, in two.
fn text(version: usize) -> String {
    let mut lines: Vec<String> =
        (0..60).map(|line| format!("line {line} of a text that is edited again and again")).collect();
    for past in 1..=version {
        lines[past] = format!("edited in version {past}");
        if past % 2 == 0 {
            lines[59 - past] = format!("and in a second place: {past}");
        }
    }
    lines.join("\n") + "\n"
}

/// A file of several chunks that compresses well.
fn log() -> String {
    (0..30_000).map(|line| format!("{line:06} GET /items/{:02} 200 ok from the same place\n", line * 7 % 100)).collect()
}

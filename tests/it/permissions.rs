//! Nobody may read more than before: a store is private whatever the umask, what is restored has the mode it was
//! recorded with, and at no moment, temporary files included, is the content of a private file in one that others may
//! read.

#![expect(clippy::disallowed_methods, reason = "tests write files of their own")]

use std::fs::Permissions;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::rng::noise;
use crate::support::scratch::Scratch;
use crate::support::walker::walk;

/// Usual ones, none at all, and ones that keep even the owner out.
const UMASKS: [&str; 6] = ["000", "022", "077", "0777", "0277", "0177"];

/// The user who runs the program: the one who runs the tests or, if that is root, another without its rights.
struct Person {
    scratch: Scratch,
    /// A program and its arguments that begin as somebody else; empty where there is no need, or no way.
    become_somebody: Vec<String>,
}

impl Person {
    fn new() -> Self {
        let scratch = Scratch::new();
        let become_somebody: Vec<String> =
            "setpriv --reuid=65534 --regid=65534 --clear-groups".split(' ').map(str::to_owned).collect();
        let mut person = Self { scratch, become_somebody };
        let is_root = std::fs::metadata(person.scratch.path()).unwrap().uid() == 0;
        let can = is_root && {
            std::os::unix::fs::chown(person.scratch.path(), Some(65_534), Some(65_534)).is_ok()
                && person.command("022", &["--version"]).output().is_ok_and(|output| output.status.success())
        };
        if !can {
            person.become_somebody.clear();
        }
        for folder in ["ws", "out"] {
            person.own_folder(folder);
        }
        person
    }

    fn at(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    fn own(&self, path: &Path) {
        if !self.become_somebody.is_empty() {
            std::os::unix::fs::lchown(path, Some(65_534), Some(65_534)).unwrap();
        }
    }

    fn own_folder(&self, name: &str) {
        std::fs::create_dir_all(self.at(name)).unwrap();
        self.own(&self.at(name));
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) {
        std::fs::remove_file(self.at(name)).ok();
        std::fs::write(self.at(name), content).unwrap();
        self.own(&self.at(name));
        // Last, because giving a file away takes its special bits.
        std::fs::set_permissions(self.at(name), Permissions::from_mode(mode)).unwrap();
    }

    fn command(&self, umask: &str, arguments: &[&str]) -> Command {
        let mut words =
            vec!["sh".to_owned(), "-c".to_owned(), format!("umask {umask} && exec \"$@\""), "sh".to_owned()];
        words.splice(0..0, self.become_somebody.iter().cloned());
        words.push(env!("CARGO_BIN_EXE_retro").to_owned());
        let mut command = Command::new(&words[0]);
        let folder = if self.at("ws").is_dir() { self.at("ws") } else { self.scratch.path().to_owned() };
        command
            .args(&words[1..])
            .args(arguments)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("HOME", self.at("home"))
            .env("RETRO_STORE", self.at("made/for/store"))
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    #[track_caller]
    fn run(&self, umask: &str, arguments: &[&str]) -> Output {
        let output = self.command(umask, arguments).output().expect("there is a shell");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "umask {umask}, {arguments:?}: {stderr}");
        output
    }

    /// Modes of all files and folders below one, and its own.
    fn modes(&self, name: &str) -> Vec<(PathBuf, bool, u32)> {
        let mut found = Vec::new();
        let mut left = vec![self.at(name)];
        while let Some(path) = left.pop() {
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            if metadata.is_dir() {
                left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            }
            found.push((path, metadata.is_dir(), metadata.permissions().mode() & 0o7777));
        }
        found
    }

    #[track_caller]
    fn expect_private_store(&self, umask: &str) {
        let modes = self.modes("made/for/store");
        assert!(modes.len() >= 8, "{modes:?}");
        for (path, is_folder, mode) in modes {
            let wanted = if is_folder { 0o700 } else { 0o600 };
            assert_eq!(mode, wanted, "umask {umask}: {} is {mode:04o}", path.display());
        }
    }
}

/// W5: folders 0700 and files 0600, also when several processes make them at once, and also packs that appear whole.
#[test]
fn w5_a_store_is_private_whatever_the_umask() {
    for umask in UMASKS {
        let person = Person::new();
        person.write("ws/private", b"secret", 0o600);
        let children: Vec<_> = (0..4)
            .map(|_| person.command(umask, &["snap", "--allow-empty"]).spawn().expect("there is a shell"))
            .collect();
        for child in children {
            let output = child.wait_with_output().unwrap();
            assert!(output.status.success(), "umask {umask}: {}", String::from_utf8_lossy(&output.stderr));
        }
        person.expect_private_store(umask);
        for round in 0..3_usize {
            person.write("ws/large", &noise(1, (6 << 20) + round), 0o600);
            person.run(umask, &["snap"]);
        }
        person.run(umask, &["restore", "s1"]);
        person.run(umask, &["undo"]);
        person.expect_private_store(umask);
        let packs = std::fs::read_dir(person.at("made/for/store/packs")).unwrap().count();
        assert!(packs >= 4, "a large step has a pack of its own");
    }
}

/// An export can hold content that only its owner may read: the tar file and the folder of the repository are private
/// too.
#[test]
fn exports_are_private_whatever_the_umask() {
    for umask in UMASKS {
        let person = Person::new();
        person.write("ws/private", b"secret", 0o600);
        person.run(umask, &["snap"]);
        person.own_folder("out/there.git");
        let mode = |name: &str| std::fs::metadata(person.at(name)).unwrap().permissions().mode() & 0o7777;
        let at = |name: &str| person.at(name).to_str().unwrap().to_owned();
        person.run(umask, &["export", "--tar", &at("out/step.tar")]);
        assert_eq!(mode("out/step.tar"), 0o600, "umask {umask}");
        for name in ["out/new.git", "out/there.git"] {
            person.run(umask, &["export", "--git", &at(name)]);
            assert_eq!(mode(name), 0o700, "umask {umask}");
        }
    }
}

/// Modes come back exactly, elsewhere and in place, over what has another mode now.
#[test]
fn restored_modes_are_those_recorded_whatever_the_umask() {
    const FILES: [(&str, u32); 7] = [
        ("ws/a0600", 0o600),
        ("ws/b0400", 0o400),
        ("ws/c0644", 0o644),
        ("ws/d4755", 0o4755),
        ("ws/e0666", 0o666),
        ("ws/f0700/inner", 0o640),
        ("ws/g1777/inner", 0o604),
    ];
    for umask in UMASKS {
        let person = Person::new();
        for (folder, mode) in [("ws/f0700", 0o700), ("ws/g1777", 0o1777), ("ws/h0555", 0o555)] {
            person.own_folder(folder);
            std::fs::set_permissions(person.at(folder), Permissions::from_mode(mode)).unwrap();
        }
        for (name, mode) in FILES {
            person.write(name, name.as_bytes(), mode);
        }
        if person.become_somebody.is_empty() && std::fs::metadata(person.scratch.path()).unwrap().uid() == 0 {
            person.write("ws/z0000", b"nobody", 0);
        }
        let before = walk(&person.at("ws"));
        person.run(umask, &["snap"]);
        let into = person.at("out/into/deeper");
        person.run(umask, &["restore", "s1", "--into", into.to_str().unwrap()]);
        assert!(walk(&into) == before, "umask {umask}");
        // Everything has another mode and content now, or is gone.
        for (name, mode) in FILES {
            person.write(name, b"changed", mode ^ 0o066);
        }
        std::fs::remove_dir_all(person.at("ws/f0700")).unwrap();
        std::fs::set_permissions(person.at("ws/g1777"), Permissions::from_mode(0o700)).unwrap();
        person.run(umask, &["restore", "s1"]);
        assert!(walk(&person.at("ws")) == before, "umask {umask}");
    }
}

/// While a private file is restored over one that all may read, no file in which its content could be is ever wider.
#[test]
fn content_of_private_files_is_never_in_wider_ones() {
    for into in [false, true] {
        let person = Person::new();
        let content = noise(1, 48 << 20);
        person.write("ws/private", &content, 0o600);
        person.run("000", &["snap"]);
        person.write("ws/private", b"public", 0o666);
        let folder = if into { person.at("out/into") } else { person.at("ws") };
        let is_over = AtomicBool::new(false);
        let (is_over, folder) = (&is_over, &folder);
        let seen = std::thread::scope(|scope| {
            let watch = move || {
                let mut seen = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let Ok(entries) = std::fs::read_dir(folder) else { continue };
                    for entry in entries.flatten() {
                        let Ok(metadata) = std::fs::symlink_metadata(entry.path()) else { continue };
                        let is_public = metadata.len() == 6 && !into;
                        if metadata.is_file() && !is_public {
                            let mode = metadata.permissions().mode() & 0o7777;
                            assert_eq!(mode & !0o600, 0, "{} is {mode:04o}", entry.path().display());
                            seen += usize::from(metadata.len() < 48 << 20);
                        }
                    }
                }
                seen
            };
            let watcher = scope.spawn(watch);
            let target = folder.to_str().unwrap();
            let words: &[&str] = if into { &["restore", "s1", "--into", target] } else { &["restore", "s1"] };
            person.run("000", words);
            is_over.store(true, Ordering::Relaxed);
            watcher.join().unwrap()
        });
        // In place it has no name before it is whole, where the file system can do that.
        assert!(seen > 0 || !into, "it was seen while it was written");
        let restored = std::fs::metadata(folder.join("private")).unwrap();
        assert_eq!((restored.permissions().mode() & 0o7777, restored.len()), (0o600, 48 << 20));
        // The other way round, what all may read replaces what they may not.
        if !into {
            let head = person.run("077", &["undo"]);
            assert!(head.status.success());
            let mode = std::fs::metadata(person.at("ws/private")).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, 0o666);
        }
    }
}

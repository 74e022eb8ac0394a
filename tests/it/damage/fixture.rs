//! A recorded store, copies of it to damage, and running the program on them with little time and memory.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use retrograde::format::pack::{PACK_HEADER_LENGTH_BYTES, PackHeader, decode_header, decode_record, encode_header};

use super::CODES;
use crate::support::damage::copy_folder;
use crate::support::rng::noise;
use crate::support::scratch::Scratch;

/// The contents of a folder by path: contents of files, targets of symlinks.
pub(super) type Contents = BTreeMap<String, Vec<u8>>;

/// A store as it was recorded, an older copy of it, and another store.
pub(super) struct Given {
    scratch: Scratch,
    pub(super) store: PathBuf,
    pub(super) workspace_id: String,
    folders: Vec<Contents>,
}

/// A copy of a store and of its workspace.
pub(super) struct Fixture {
    scratch: Scratch,
    pub(super) store: PathBuf,
    workspace: PathBuf,
    runs: AtomicUsize,
    /// The file that is damaged, relative to the store, and what may be named in its stead.
    damaged: Option<(String, Names)>,
}

/// The names that a message must give if a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// That file.
    File,
    /// That file, a pack, an object or a step: what is in a pack is met by its id, and what rests on it may be
    /// elsewhere.
    FileOrContent,
}

/// A part of a file that has one meaning, such as a header or a payload.
pub(super) struct Part {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// The result of one run of the program.
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: Vec<u8>,
    pub(super) stderr: String,
}

/// Kilobytes of address space a run may have.
const MEMORY_KB: u64 = 1_500_000;

/// The time that a run may take: enough for a slow machine, so only a hang exceeds it.
const PATIENCE: Duration = Duration::from_secs(60);

impl Given {
    /// Six steps: edits that become deltas, a file of several chunks, a symlink, a folder that comes and goes.
    pub(super) fn record() -> Self {
        let scratch = Scratch::new();
        let top = std::fs::canonicalize(scratch.path()).unwrap();
        let fixture = Fixture::at(&top, Scratch::new());
        let mut folders = vec![Contents::new()];
        for step in 1..=6_u64 {
            let text: String =
                (0..400).map(|line| format!("line {line} of {}\n", if line == step { step } else { 0 })).collect();
            fixture.write("src/edited.txt", text.as_bytes());
            fixture.write(&format!("added/{step}"), &noise(step, 700));
            if step == 1 {
                fixture.write("large", &noise(99, 1_150_000));
                std::os::unix::fs::symlink("src/edited.txt", fixture.workspace.join("link")).unwrap();
            }
            if step == 4 {
                std::fs::remove_file(fixture.workspace.join("added/2")).unwrap();
                std::fs::remove_file(fixture.workspace.join("added/1")).unwrap();
                start_another_pack(&fixture.store);
                copy_folder(&fixture.store, &top.join("stale"));
            }
            assert_eq!(fixture.run(&["snap", "-m", &format!("step {step}")]).code, 0);
            folders.push(fixture.folder());
        }
        let workspace_id = std::fs::read_dir(fixture.store.join("workspaces")).unwrap().next().unwrap().unwrap();
        let workspace_id = workspace_id.file_name().into_string().unwrap();
        let other = Fixture::at(&top.join("other"), Scratch::new());
        other.write("theirs", b"of another store");
        assert_eq!(other.run(&["snap"]).code, 0);
        start_another_pack(&other.store);
        other.write("theirs", b"in its second pack");
        assert_eq!(other.run(&["snap"]).code, 0);
        assert!(fixture.store.join("packs/000002.idx").exists());
        Self { scratch, store: fixture.store.clone(), workspace_id, folders }
    }

    /// A copy of store and workspace, where the store knows the workspace to be.
    pub(super) fn copy(&self) -> Fixture {
        let scratch = Scratch::new();
        let top = std::fs::canonicalize(scratch.path()).unwrap();
        copy_folder(&self.store, &top.join("store"));
        copy_folder(&self.store.parent().unwrap().join("ws"), &top.join("ws"));
        let fixture = Fixture::at(&top, scratch);
        assert_eq!(fixture.run(&["workspace", "move", &self.workspace_id]).code, 0);
        fixture
    }

    pub(super) fn steps(&self) -> u64 {
        self.folders.len() as u64 - 1
    }

    pub(super) fn folder(&self, step: u64) -> Contents {
        self.folders[usize::try_from(step).unwrap()].clone()
    }

    /// Contents of the files of a step, without symlinks.
    pub(super) fn files(&self, step: u64) -> impl Iterator<Item = (&String, &Vec<u8>)> {
        self.folders[usize::try_from(step).unwrap()].iter().filter(|(path, _)| *path != "link")
    }

    pub(super) fn all(&self, step: u64) -> impl Iterator<Item = &Vec<u8>> {
        self.folders[usize::try_from(step).unwrap()].values()
    }

    /// The file of the same name in another store.
    pub(super) fn foreign(&self, file: &str) -> Vec<u8> {
        let other = self.scratch.path().join("other/store");
        if file.starts_with("workspaces") {
            let folder = std::fs::read_dir(other.join("workspaces")).unwrap().next().unwrap().unwrap().path();
            return std::fs::read(folder.join("stat")).unwrap();
        }
        std::fs::read(other.join(file)).unwrap()
    }

    /// The file as it was three steps before.
    pub(super) fn stale(&self, file: &str) -> Vec<u8> {
        let stale = self.scratch.path().join("stale").join(file);
        std::fs::read(stale).unwrap_or_default()
    }

    /// The parts of a file: header, records, trailers, and the payloads between them; a few of each.
    pub(super) fn parts(&self, file: &str, bytes: &[u8]) -> Vec<Part> {
        let mut starts = BTreeSet::from([0, 4, 12, 30, 44]);
        let is_pack = file.ends_with(".pack");
        if is_pack {
            let mut at = PACK_HEADER_LENGTH_BYTES;
            let mut count = 0;
            while at < bytes.len() {
                let header = decode_record(&bytes[at..]);
                let length = match &header {
                    Ok(header) => {
                        starts.insert(at + header.header_length_bytes);
                        header.record_length_bytes()
                    }
                    Err(_) => retrograde::format::pack::decode_trailer(&bytes[at..]).unwrap().length_bytes,
                };
                if count % 3 == 0 || header.is_err() {
                    starts.insert(at);
                }
                count += 1;
                at += length;
            }
        } else {
            starts.extend([bytes.len() / 4, bytes.len() / 2, bytes.len() * 3 / 4]);
        }
        let starts: Vec<usize> = starts.into_iter().filter(|start| *start < bytes.len()).collect();
        // Of many alike a few: the first and the last ones, and some between.
        let step = starts.len().div_ceil(8).max(1);
        let last = starts.len().saturating_sub(1);
        let chosen = starts.iter().enumerate().filter(|(at, _)| at % step == 0 || (is_pack && *at < 7) || *at == last);
        chosen
            .map(|(at, start)| Part { start: *start, end: starts.get(at + 1).map_or(bytes.len() - 1, |next| next - 1) })
            .collect()
    }
}

impl Fixture {
    /// An empty folder and no store yet; the folder that holds both goes away with the second.
    pub(super) fn empty() -> (Self, Scratch) {
        let top = Scratch::new();
        let path = std::fs::canonicalize(top.path()).unwrap();
        (Self::at(&path, Scratch::new()), top)
    }

    fn at(top: &Path, scratch: Scratch) -> Self {
        std::fs::create_dir_all(top.join("ws")).unwrap();
        Self { scratch, store: top.join("store"), workspace: top.join("ws"), runs: AtomicUsize::new(0), damaged: None }
    }

    pub(super) fn runs(&self) -> usize {
        self.runs.load(Ordering::Relaxed)
    }

    /// Runs the program, which must end by itself.
    pub(super) fn run(&self, arguments: &[&str]) -> Ran {
        self.runs.fetch_add(1, Ordering::Relaxed);
        let script = format!("ulimit -v {MEMORY_KB}; exec \"$0\" \"$@\"");
        let mut child = Command::new("/bin/sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_retro")])
            .args(arguments)
            .env_clear()
            .env("HOME", self.store.parent().unwrap())
            .env("RETRO_STORE", &self.store)
            .env("TZ", "UTC")
            .current_dir(&self.workspace)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let reader = |mut pipe: Box<dyn Read + Send>| {
            std::thread::spawn(move || {
                let mut bytes = Vec::new();
                pipe.read_to_end(&mut bytes).unwrap();
                bytes
            })
        };
        let stdout = reader(Box::new(child.stdout.take().unwrap()));
        let stderr = reader(Box::new(child.stderr.take().unwrap()));
        let started = retrograde::time::Stopwatch::start();
        let status = loop {
            if let Some(status) = child.try_wait().unwrap() {
                break status;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                panic!("{arguments:?} hangs");
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let code = status.code().unwrap_or_else(|| panic!("{arguments:?} was killed: {status}\n{stderr}"));
        Ran { code, stdout, stderr }
    }

    /// From here on, errors must name this file or what `names` allows.
    pub(super) fn expect_named(&mut self, file: &str, names: Names) {
        self.damaged = Some((file.to_owned(), names));
    }

    /// Runs the program, which must end as documented, and say what is wrong where something is.
    pub(super) fn check(&self, arguments: &[&str]) -> Ran {
        let ran = self.check_end(arguments);
        let is_named = ran.code < 2 || self.names_what_is_wrong(&ran.stderr);
        assert!(is_named, "{arguments:?} does not name what is damaged: exit {}\n{}", ran.code, ran.stderr);
        ran
    }

    /// Runs the program, which must end as documented.
    pub(super) fn check_end(&self, arguments: &[&str]) -> Ran {
        let ran = self.run(arguments);
        let Ran { code, stderr, .. } = &ran;
        assert!(CODES.contains(code) && !stderr.contains("panicked"), "{arguments:?}: exit {code}\n{stderr}");
        ran
    }

    fn names_what_is_wrong(&self, stderr: &str) -> bool {
        // The folder of the store says nothing, and may look like an id.
        let text = stderr.replace(&*self.store.parent().unwrap().to_string_lossy(), "");
        let is_hex = |word: &str| word.len() >= 8 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names_content = text.contains("packs/")
            || text.contains("find ")
            || text.split(|c: char| !c.is_ascii_alphanumeric()).any(is_hex);
        match &self.damaged {
            Some((file, Names::File)) => text.contains(file),
            Some((file, Names::FileOrContent)) => text.contains(file) || names_content,
            None => names_content || ["FORMAT", "journal", "workspaces/"].iter().any(|name| text.contains(name)),
        }
    }

    /// Writes a step elsewhere: what comes of it is the step, or the program says so.
    pub(super) fn try_step(&self, given: &Given, step: u64) -> i32 {
        let into = self.scratch.path().join(format!("into-{}", self.runs()));
        let ran = self.check(&["restore", &format!("s{step}"), "--into", &into.to_string_lossy()]);
        if ran.code == 0 {
            assert!(contents(&into) == given.folder(step), "s{step} was written as something else");
        }
        ran.code
    }

    #[track_caller]
    pub(super) fn expect_step(&self, given: &Given, step: u64) {
        assert_eq!(self.try_step(given, step), 0, "s{step} cannot be written");
    }

    /// The last step is this.
    pub(super) fn expect_last(&self, wanted: &Contents) {
        let into = self.scratch.path().join("last");
        assert_eq!(self.check(&["restore", "@", "--into", &into.to_string_lossy()]).code, 0, "the last step is lost");
        assert!(contents(&into) == *wanted, "the last step is not the folder");
    }

    /// Steps that are in history, or that verify knows of.
    pub(super) fn steps(&self, verified: &[u8]) -> BTreeSet<u64> {
        let ran = self.run(&["log", "--json"]);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        let mut steps: BTreeSet<u64> = text
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["step"].as_u64())
            .collect();
        // Lost snapshots are not listed, but known.
        steps.extend(affected_steps(verified));
        steps
    }

    pub(super) fn write(&self, path: &str, content: &[u8]) {
        let path = self.workspace.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    pub(super) fn folder(&self) -> Contents {
        contents(&self.workspace)
    }

    /// The files of the store, but for the lock that a reader may make.
    pub(super) fn store_files(&self) -> Contents {
        let mut files = contents(&self.store);
        files.remove("lock");
        files
    }
}

/// Steps that verify names in its JSON.
pub(super) fn affected_steps(json: &[u8]) -> BTreeSet<u64> {
    let text = String::from_utf8_lossy(json).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let affects = lines.filter_map(|line| line.get("affects").and_then(|affects| affects.as_array().cloned()));
    affects.flatten().filter_map(|affected| affected["step"].as_u64()).collect()
}

/// A pack that begins with nothing in it, so that the next snapshot goes there.
fn start_another_pack(store: &Path) {
    let first = std::fs::read(store.join("packs/000001.pack")).unwrap();
    let header = PackHeader { nonce: [9; 16], ..decode_header(&first).unwrap() };
    std::fs::write(store.join("packs/000002.pack"), encode_header(&header)).unwrap();
}

pub(super) fn contents(folder: &Path) -> Contents {
    let mut found = Contents::new();
    let mut left = vec![folder.to_owned()];
    while let Some(at) = left.pop() {
        for entry in std::fs::read_dir(&at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let kind = path.symlink_metadata().unwrap().file_type();
            if kind.is_symlink() {
                found.insert(name, std::fs::read_link(&path).unwrap().to_string_lossy().into_owned().into_bytes());
            } else if kind.is_dir() {
                left.push(path);
            } else {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

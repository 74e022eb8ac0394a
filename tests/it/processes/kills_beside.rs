//! Work beside steps and restores, killed at random moments: tags, exports, imports and repairs. Each of them is then
//! done wholly or not at all, or says that it is not done, and the same command does it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::killer::Killer;
use super::{Program, replace};
use crate::support::damage::copy_folder;
use crate::support::depth::rounds;
use crate::support::rng::Rng;
use crate::support::walker::{Nodes, differences, walk};

const STEPS: u64 = 12;

/// A recording that nothing adds to, and what each of its steps must be.
struct Recording {
    program: Program,
    folder: PathBuf,
    rng: Rng,
    killer: Killer,
    expected: BTreeMap<u64, Nodes>,
    /// Snapshots of the steps, the first one first.
    snapshots: Vec<String>,
    /// Trees of the steps, the first one first.
    trees: Vec<String>,
    tags: BTreeMap<String, u64>,
}

impl Recording {
    fn new(seed: u64) -> Self {
        let program = Program::new();
        let folder = program.folder("ws");
        let mut rng = Rng::new(seed);
        let mut expected = BTreeMap::new();
        for step in 1..=STEPS {
            for _ in 0..40 {
                let path = folder.join(format!("d{}/f{:02}", rng.below(5), rng.below(60)));
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                let length = 2_000 + rng.below(20_000);
                replace(&path, &rng.bytes(length));
            }
            if step == STEPS / 2 {
                // It needs a second pack.
                replace(&folder.join("d0/large"), &rng.bytes(9 << 20));
            }
            program.expect(&folder, &["snap", "-q"]);
            expected.insert(step, walk(&folder));
        }
        let killer = Killer::new(seed);
        let (snapshots, trees, tags) = (Vec::new(), Vec::new(), BTreeMap::new());
        let mut recording = Self { program, folder, rng, killer, expected, snapshots, trees, tags };
        recording.snapshots = recording.column(&[], "snapshot");
        recording.trees = recording.column(&[], "tree");
        recording
    }

    /// One value of every step, the first one first.
    fn column(&self, before: &[&str], name: &str) -> Vec<String> {
        let log = self.program.expect(&self.folder, &[before, &["log", "--json"]].concat());
        let value =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()[name].as_str().unwrap().into();
        log.stdout.lines().rev().map(value).collect()
    }

    /// Runs a command that may be killed, and says whether it came to its end.
    fn ends(&mut self, kind: &'static str, arguments: &[&str]) -> bool {
        self.killer.run(kind, self.program.command(&self.folder, arguments)).is_some()
    }

    /// A name that is given, moved or taken away has then what it had before, or what it was to have.
    fn name(&mut self) {
        let name = format!("t{}", self.rng.below(6));
        let step = 1 + self.rng.below(self.snapshots.len()) as u64;
        let before = self.tags.clone();
        let ended = if before.contains_key(&name) && self.rng.below(3) == 0 {
            self.tags.remove(&name);
            self.ends("tag -d", &["tag", "-d", &name])
        } else {
            self.tags.insert(name.clone(), step);
            self.ends("tag", &["tag", "--force", &name, &format!("s{step}")])
        };
        let found = self.found_tags();
        if !ended && found == before {
            self.tags = before;
        }
        assert_eq!(found, self.tags);
    }

    fn found_tags(&self) -> BTreeMap<String, u64> {
        let listed = self.program.expect(&self.folder, &["tag", "--json"]).stdout;
        let tags = listed.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
        tags.map(|tag| (tag["tag"].as_str().unwrap().to_owned(), tag["step"].as_u64().unwrap())).collect()
    }

    /// A tar file is there when it is whole, and half of one is in nobody's way.
    fn export_tar(&mut self) {
        let step = format!("s{}", 1 + self.rng.below(self.snapshots.len()));
        let (killed, whole) = (self.beside("killed.tar"), self.beside("whole.tar"));
        self.program.expect(&self.folder, &["export", &step, "--tar", text(&whole)]);
        let again = ["export", &step, "--tar", text(&killed)];
        let ended = self.ends("export --tar", &again);
        if !killed.exists() {
            assert!(!ended, "an export that ended has written no file");
            self.program.expect(&self.folder, &again);
        }
        assert!(std::fs::read(&killed).unwrap() == std::fs::read(&whole).unwrap(), "half a file has its name");
        [killed, whole].iter().for_each(|file| remove_file(file));
        assert!(!self.beside(".killed.tar.retro-part").exists(), "half a file is left");
    }

    /// An exported repository appears only once it is whole; until then the same command goes on. The steps that an
    /// import has recorded are like any others, and the same command imports the rest.
    #[cfg(feature = "git")]
    fn export_and_import(&mut self) {
        let repository = self.beside("repository");
        let export = ["export", "--git", text(&repository)];
        let ended = self.ends("export --git", &export);
        if !repository.join("HEAD").exists() {
            assert!(!ended, "an export that ended has written no repository");
            self.program.expect(&self.folder, &export);
        }
        assert!(!repository.join(".retro-part").exists(), "what it was made in is left");
        let (store, copy) = (self.beside("other"), self.beside("copy"));
        std::fs::create_dir(&copy).unwrap();
        let there = ["--store", text(&store), "-C", text(&copy)];
        let import = [&there[..], &["import", "--git", text(&repository)]].concat();
        if !self.ends("import", &import) {
            if store.join("FORMAT").exists() {
                self.program.expect(&self.folder, &[&there[..], &["verify"]].concat());
            }
            self.program.expect(&self.folder, &import);
        }
        let trees = self.column(&there, "tree");
        let (part, all) = trees.split_at(trees.len() - self.trees.len());
        assert_eq!(all, self.trees);
        assert_eq!(part, &all[..part.len()], "what was imported first");
        self.program.expect(&self.folder, &[&there[..], &["verify"]].concat());
        [repository, store, copy].iter().for_each(|folder| remove(folder));
    }

    /// A repair that was killed at any moment is finished by the next one.
    fn repair(&mut self) {
        let store = self.beside("damaged");
        copy_folder(&self.program.store, &store);
        for pack in ["000001.pack", "000002.pack"] {
            self.damage(&store, pack);
        }
        let there = ["--store", text(&store)];
        let repair = [&there[..], &["repair"]].concat();
        for _ in 0..1 + self.rng.below(3) {
            self.ends("repair", &repair);
        }
        self.program.expect(&self.folder, &repair);
        self.program.expect(&self.folder, &[&there[..], &["verify"]].concat());
        assert_eq!(self.column(&there, "snapshot"), self.snapshots);
        self.check_a_step(&there);
        remove(&store);
    }

    /// Something from which all comes back: single bits in one pack, a second one of which would be too much for it.
    #[expect(clippy::disallowed_methods, reason = "tests damage files of their own")]
    fn damage(&mut self, store: &Path, pack: &str) {
        let packs = store.join("packs");
        match self.rng.below(5) {
            0 => std::fs::write(store.join("journal"), b"").unwrap(),
            1 => remove_all(&packs, ".idx"),
            2 => remove(&store.join("workspaces")),
            3 => std::fs::write(existing(store.join("FORMAT")), b"retrograde").unwrap(),
            _ => {
                let pack = packs.join(pack);
                let mut bytes = std::fs::read(&pack).unwrap();
                let at = self.rng.below(bytes.len());
                bytes[at] ^= 1 << self.rng.below(8);
                std::fs::write(&pack, bytes).unwrap();
            }
        }
    }

    fn check(&mut self) {
        let left = std::fs::read_dir(self.program.store.join("tmp")).unwrap().count();
        assert!(left <= 1, "{left} temporary files are left");
        self.program.expect(&self.folder, &["verify"]);
        assert_eq!(self.column(&[], "snapshot"), self.snapshots);
        self.check_a_step(&[]);
        let found = walk(&self.folder);
        let wanted = &self.expected[&STEPS];
        assert!(found == *wanted, "in the folder: {:#?}", differences(&found, wanted));
    }

    fn check_a_step(&mut self, before: &[&str]) {
        let step = 1 + self.rng.below(self.expected.len()) as u64;
        let into = self.beside("into");
        let restore = ["restore", &format!("s{step}"), "--into", text(&into)];
        self.program.expect(&self.folder, &[before, &restore].concat());
        let (found, wanted) = (walk(&into), &self.expected[&step]);
        assert!(found == *wanted, "s{step}: {:#?}", differences(&found, wanted));
        remove(&into);
    }

    fn beside(&self, name: &str) -> PathBuf {
        self.program.store.with_file_name(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A path at which there must be something: what stands nowhere cannot be damaged.
fn existing(path: PathBuf) -> PathBuf {
    assert!(path.exists(), "{} does not exist", path.display());
    path
}

fn remove(folder: &Path) {
    if folder.exists() {
        std::fs::remove_dir_all(folder).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
fn remove_file(path: &Path) {
    std::fs::remove_file(path).unwrap();
}

fn remove_all(folder: &Path, ending: &str) {
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| text(path).ends_with(ending)).for_each(|path| remove_file(&path));
}

#[test]
#[expect(clippy::print_stderr, reason = "the number of kills is what a reader of the test's output wants to know")]
fn killed_names_exports_imports_and_repairs_are_whole_or_done_again() {
    let rounds = rounds(20, 40);
    let mut recording = Recording::new(7);
    for round in 0..rounds {
        match round % 5 {
            0 => recording.export_tar(),
            #[cfg(feature = "git")]
            1 => recording.export_and_import(),
            2 | 4 => recording.repair(),
            _ => recording.name(),
        }
        recording.check();
    }
    let kills = recording.killer.kills;
    eprintln!("{rounds} rounds: {kills} processes killed");
    assert!(kills * 3 > rounds, "only {kills} processes were killed before they ended");
}

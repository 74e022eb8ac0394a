//! Processes killed at random moments of their work, again and again in one store. After each kill the store is sound,
//! every acknowledged step comes back exactly, and at most one temporary file is left. The next command announces a
//! restore that was killed; it is then finished or aborted, and the same holds if that is killed in turn. Once a
//! restore has ended, none of its temporary files is left in the folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::killer::Killer;
use super::{Program, Ran, replace};
use crate::support::depth::{AtLeast, rounds};
use crate::support::rng::Rng;
use crate::support::walker::{Nodes, differences, walk};

/// Steps after which a driver begins with a new store, so that looking at all of it stays cheap.
const ROUNDS_PER_STORE: usize = 60;

/// A workspace, and what every acknowledged snapshot of it must be.
struct Driver {
    program: Program,
    folder: PathBuf,
    rng: Rng,
    expected: BTreeMap<u64, Nodes>,
    killer: Killer,
    cut_off: usize,
    /// Restores of which the finishing or taking back was cut off as well.
    cut_off_again: usize,
}

impl Driver {
    fn new(seed: u64) -> Self {
        let program = Program::new();
        let folder = program.folder("ws");
        let rng = Rng::new(seed);
        let (expected, killer) = (BTreeMap::new(), Killer::new(seed));
        let mut driver = Self { program, folder, rng, expected, killer, cut_off: 0, cut_off_again: 0 };
        for number in 0..150 {
            driver.write(number, 900);
        }
        driver.snap_whole();
        driver
    }

    fn path(&self, number: usize) -> PathBuf {
        self.folder.join(format!("d{}", number % 7)).join(format!("f{number:03}"))
    }

    fn write(&mut self, number: usize, length: usize) {
        let path = self.path(number);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = self.rng.bytes(length);
        replace(&path, &content);
    }

    /// Changes the folder as an agent may in one step; now and then by more than is kept in memory at once.
    #[expect(clippy::disallowed_methods, reason = "tests remove files of their own")]
    fn edit(&mut self) {
        for _ in 0..1 + self.rng.below(12) {
            let number = self.rng.below(200);
            match self.rng.below(10) {
                0 => drop(std::fs::remove_file(self.path(number))),
                1 => self.write(number, 40_000),
                _ => self.write(number, 1_500),
            }
        }
        if self.rng.below(15) == 0 {
            self.write(999, 6 << 20);
        }
    }

    fn snap_whole(&mut self) {
        let ran = self.program.expect(&self.folder, &["snap", "--json"]);
        self.acknowledged(&ran);
    }

    /// The workspace has not changed since the step began: this is what it is.
    fn acknowledged(&mut self, ran: &Ran) {
        let step = ran.json()["step"].as_u64().unwrap();
        self.expected.insert(step, walk(&self.folder));
    }

    /// Runs the program, which may be killed. `None` if it was.
    fn killed(&mut self, kind: &'static str, arguments: &[&str]) -> Option<Ran> {
        self.killer.run(kind, self.program.command(&self.folder, arguments))
    }

    fn step(&mut self) {
        self.edit();
        if let Some(ran) = self.killed("snap", &["snap", "--json"]) {
            self.acknowledged(&ran);
        }
    }

    /// An in-place restore that may be killed: whatever came of it, going on leads to the target, going back to where
    /// it began, and nothing is lost on the way.
    fn restore(&mut self) {
        self.edit();
        self.snap_whole();
        let before = walk(&self.folder);
        let steps: Vec<u64> = self.expected.keys().copied().collect();
        let target = steps[self.rng.below(steps.len())];
        let wanted = self.expected[&target].clone();
        let ended = self.killed("restore", &["restore", &format!("s{target}"), "-q"]).is_some();
        if self.is_cut_off() {
            assert!(!ended, "a restore that ended is not cut off");
            if self.rng.below(2) == 0 {
                self.settle(&["restore", "--abort", "-q"]);
                self.expect_folder(&before, "taken back");
                return;
            }
            self.settle(&["restore", "--continue", "-q"]);
        } else if !ended && self.is_before_it_began(&before) {
            if Self::strays(&walk(&self.folder)).is_empty() {
                return;
            }
            self.program.expect(&self.folder, &["restore", &format!("s{target}"), "-q"]);
        }
        self.expect_folder(&wanted, "restored");
        if wanted != before {
            // Killed before it began, it has not been; killed in the middle, going on leads to where it was going.
            let ended = self.killed("undo", &["undo", "-q"]).is_some();
            if self.is_cut_off() {
                assert!(!ended, "an undo that ended is not cut off");
                self.settle(&["restore", "--continue", "-q"]);
            } else if !ended && self.is_before_it_began(&wanted) {
                self.program.expect(&self.folder, &["undo"]);
            }
            self.expect_folder(&before, "undone");
        }
    }

    /// True if a restore is unfinished. Then the next command must warn of it.
    fn is_cut_off(&mut self) -> bool {
        let status = self.program.expect(&self.folder, &["status", "--json"]).json();
        let is_cut_off = status["unfinished_restore"].is_object();
        if is_cut_off {
            self.cut_off += 1;
            let log = self.program.expect(&self.folder, &["log", "-n", "1"]);
            // Going back from an abort is finishing it.
            assert!(log.stderr.contains("was interrupted") && log.stderr.contains("--continue"), "{log:?}");
            let strays = Self::strays(&walk(&self.folder));
            assert!(strays.len() <= 1, "{strays:?} are left");
        }
        is_cut_off
    }

    /// True if the folder is as it was before a restore. On a file system that is not known, a restore that was killed
    /// before it began may leave the folder in which it tried names.
    fn is_before_it_began(&self, before: &Nodes) -> bool {
        let mut found = walk(&self.folder);
        assert!(Self::strays(&found).len() <= 1, "{:?} are left", Self::strays(&found));
        found.retain(|path, _| !path.split(|byte| *byte == b'/').any(is_temporary));
        found == *before
    }

    /// Ends an unfinished restore in one of the ways there are, though killed on the way: then the same way leads to
    /// the same place.
    fn settle(&mut self, way: &[&str]) {
        let ended = self.killed("settle", way).is_some();
        if self.is_cut_off() {
            assert!(!ended, "{way:?} ended, and the restore is unfinished");
            self.cut_off_again += 1;
            // An abort that was cut off is a restore of its own, to be finished like any other; one that had not begun
            // is still to be made.
            self.program.expect(&self.folder, way);
        }
        assert!(!self.is_cut_off(), "{way:?} has not ended it");
    }

    fn expect_folder(&self, wanted: &Nodes, what: &str) {
        let found = walk(&self.folder);
        assert!(found == *wanted, "{what}: {:#?}", differences(&found, wanted));
        let strays = Self::strays(&found);
        assert!(strays.is_empty(), "{what}: {strays:?} are left");
    }

    /// Temporary files in the folder.
    fn strays(found: &Nodes) -> Vec<String> {
        let is_stray = |path: &&Vec<u8>| path.rsplit(|byte| *byte == b'/').next().is_some_and(is_temporary);
        found.keys().filter(is_stray).map(|path| String::from_utf8_lossy(path).into_owned()).collect()
    }

    /// Checks everything that must hold after a kill.
    fn check(&mut self) {
        let left = std::fs::read_dir(self.program.store.join("tmp")).unwrap().count();
        assert!(left <= 1, "{left} temporary files are left");
        self.program.expect(&self.folder, &["verify"]);
        let steps: Vec<u64> = self.expected.keys().copied().collect();
        let step = steps[self.rng.below(steps.len())];
        self.check_step(step);
    }

    fn check_every_step(&self) {
        self.expected.keys().for_each(|step| self.check_step(*step));
    }

    fn check_step(&self, step: u64) {
        let into = self.program.scratch.join("into");
        self.program.expect(&self.folder, &["restore", &format!("s{step}"), "--into", into.to_str().unwrap()]);
        let (found, wanted) = (walk(&into), &self.expected[&step]);
        assert!(found == *wanted, "s{step}: {:#?}", differences(&found, wanted));
        std::fs::remove_dir_all(into).unwrap();
    }
}

/// True if this is a name that a restore gives to its temporary files.
fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(b".retro-tmp-")
}

#[test]
#[expect(clippy::print_stderr, reason = "the number of kills is what a reader of the test's output wants to know")]
fn killed_processes_lose_nothing() {
    let rounds = rounds(24, 80);
    let (mut kills, mut cut_off, mut cut_off_again, mut done) = (0, 0, 0, 0);
    // Few kills meet a restore on a quick machine: a few more rounds then.
    while done < rounds || (cut_off < rounds / 16 && done < rounds * 10) {
        let mut driver = Driver::new(done as u64);
        for round in 0..ROUNDS_PER_STORE.min(rounds.saturating_sub(done).max(8)) {
            if round % 4 == 3 {
                driver.restore()
            } else {
                driver.step()
            }
            driver.check();
            if round % 10 == 9 {
                driver.check_every_step();
            }
            done += 1;
        }
        driver.check_every_step();
        kills += driver.killer.kills;
        cut_off += driver.cut_off;
        cut_off_again += driver.cut_off_again;
    }
    eprintln!(
        "{done} rounds: {kills} processes killed, {cut_off} times with a restore unfinished, \
         {cut_off_again} of them again"
    );
    AtLeast::always(rounds / 16).require("restores that were cut off", cut_off);
    assert!(kills * 3 > done, "only {kills} of {done} processes were killed before they ended");
}

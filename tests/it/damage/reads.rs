//! The part of a recording that can be read, path by path, and the messages about the rest.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use retrograde::format::pack::{PACK_HEADER_LENGTH_BYTES, decode_record, decode_trailer};
use serde_json::Value;

use super::fixture::{Fixture, Given};
use crate::support::git::has_git;

/// Every step and path of a recording, by whether it gives what was recorded.
pub(super) struct Reads {
    whole: BTreeSet<(u64, String)>,
    failed: BTreeSet<(u64, String)>,
}

impl Reads {
    /// Tries all steps. Paths are asked for one by one only in steps that cannot be exported whole.
    pub(super) fn of(given: &Given, fixture: &Fixture) -> Self {
        let mut reads = Self { whole: BTreeSet::new(), failed: BTreeSet::new() };
        for step in 1..=given.steps() {
            let is_whole = fixture.try_step(given, step) == 0;
            for (path, content) in given.files(step) {
                let gives = is_whole || gives(fixture, step, path, content);
                let side = if gives { &mut reads.whole } else { &mut reads.failed };
                side.insert((step, path.clone()));
            }
        }
        reads
    }

    /// True if any path of a step could be read.
    pub(super) fn has_some_of(&self, step: u64) -> bool {
        self.whole.iter().any(|(of, _)| *of == step)
    }

    /// Checks that every path of a step that could be read still can.
    pub(super) fn expect_kept(&self, given: &Given, fixture: &Fixture, step: u64) {
        for (path, content) in given.files(step) {
            if self.whole.contains(&(step, path.clone())) {
                assert!(gives(fixture, step, path, content), "s{step}:{path} could be read before the repair");
            }
        }
    }

    /// Everything that fails, of steps that are known at all, is among what verify says is affected.
    pub(super) fn expect_listed(&self, known: &BTreeSet<u64>, verified: &[u8]) {
        let affected: Vec<Value> = findings(verified)
            .iter()
            .flat_map(|finding| finding["affects"].as_array().cloned().unwrap_or_default())
            .collect();
        let is_listed = |step: u64, path: &str| {
            affected.iter().any(|affected| {
                let above = affected["path"].as_str().unwrap_or_default();
                let is_below = path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
                let holds_it = match affected["part"].as_str() {
                    Some("path") => above == "." || is_below,
                    part => part == Some("snapshot"),
                };
                affected["step"] == step && holds_it
            })
        };
        let unlisted: Vec<_> =
            self.failed.iter().filter(|(step, path)| known.contains(step) && !is_listed(*step, path)).collect();
        assert!(unlisted.is_empty(), "verify lists no damage to {unlisted:?}:\n{}", String::from_utf8_lossy(verified));
    }
}

/// True if a path of a step gives the recorded content; false for an error. Any other bytes fail the test.
fn gives(fixture: &Fixture, step: u64, path: &str, content: &[u8]) -> bool {
    let ran = fixture.check(&["cat", &format!("s{step}:{path}")]);
    assert!(ran.code != 0 || ran.stdout == content, "cat s{step}:{path} printed something else");
    ran.code == 0
}

/// Checks, if git is installed, that an exported repository has the contents recorded at the last step exported.
pub(super) fn expect_exported(repository: &Path, given: &Given, step: u64) {
    for (path, content) in given.files(step).filter(|(path, _)| has_git() && *path == "src/edited.txt") {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(repository).args(["cat-file", "blob", &format!("refs/heads/main:{path}")]);
        let shown = git.output().expect("git is there").stdout;
        assert!(shown == *content, "{path} was exported as something else");
    }
}

/// The findings in the JSON of verify, without the totals.
pub(super) fn findings(json: &[u8]) -> Vec<Value> {
    let text = String::from_utf8_lossy(json).into_owned();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("each line is JSON"));
    lines.filter(|line| line.get("finding").is_some()).collect()
}

/// The framing of a pack: its header, and of every record and trailer the beginning and the length, as start and end
/// offsets. The ids and checksums between them show damage only to a reader that hashes the rest.
pub(super) fn framing(pack: &[u8]) -> Vec<(usize, usize)> {
    const MAGIC: usize = 4;
    let mut frames = vec![(0, PACK_HEADER_LENGTH_BYTES)];
    let mut at = PACK_HEADER_LENGTH_BYTES;
    while at < pack.len() {
        frames.push((at, at + MAGIC));
        at += match decode_record(&pack[at..]) {
            Ok(record) => {
                // After the magic and the encoding: the length of the payload.
                frames.push((at + MAGIC + 1, at + MAGIC + 2));
                record.record_length_bytes()
            }
            Err(_) => decode_trailer(&pack[at..]).expect("the pack was recorded whole").length_bytes,
        };
    }
    frames
}

//! Runs the program and kills it at a random moment.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::Ran;
use crate::support::rng::Rng;

/// Kills commands. It learns how long each kind takes, so that the moment can be any between start and end.
pub(super) struct Killer {
    rng: Rng,
    /// Processes that were killed before they ended.
    pub(super) kills: usize,
    /// The duration of a run of each kind that is not killed.
    usual: BTreeMap<&'static str, Duration>,
}

impl Killer {
    pub(super) fn new(seed: u64) -> Self {
        Self { rng: Rng::new(!seed), kills: 0, usual: BTreeMap::new() }
    }

    /// Runs a command and kills it somewhere between its start and a little after its usual end. `None` if it was
    /// killed.
    #[track_caller]
    pub(super) fn run(&mut self, kind: &'static str, mut command: Command) -> Option<Ran> {
        let usual = self.usual.get(kind).copied().unwrap_or(Duration::from_millis(25));
        let micros = usize::try_from(usual.as_micros()).unwrap() * 5 / 4;
        let wait = Duration::from_micros(self.rng.below(micros.max(1)) as u64);
        let watch = retrograde::time::Stopwatch::start();
        let mut child = command.spawn().unwrap();
        std::thread::sleep(wait);
        // One that is done already is not killed: it is still there to be waited for.
        child.kill().unwrap();
        let ran = Ran::of(child.wait_with_output().unwrap());
        if ran.code.is_some() {
            let took = watch.elapsed();
            let usual = self.usual.entry(kind).or_insert(took);
            *usual = (*usual * 3 + took) / 4;
            assert_eq!(ran.code, Some(0), "{command:?}: {ran:?}");
            return Some(ran);
        }
        // Killed so early means that the usual time is longer than thought.
        let usual = self.usual.entry(kind).or_insert(usual);
        *usual = (*usual * 21 / 20).min(Duration::from_secs(5));
        self.kills += 1;
        None
    }
}

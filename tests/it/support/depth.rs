//! The number of cases that the tests try. There are two depths:
//!
//! ```text
//! cargo test                          quick: at most three minutes after the build on two cores
//! RETRO_TEST_DEPTH=full cargo test    full: every case; what `.ci/run` does
//! RETRO_TEST_ROUNDS=3000 cargo test   this many rounds of each driver of real processes and random operations
//! ```
//!
//! The quick depth touches every promise. It leaves out no file kind, no verb and no crash point entirely; where the
//! cases of a test are many, it tries a sample, the same one in every run.
//!
//! A test with many cases picks them with [`pick`], [`sample`] or [`is_turn`], counts those that it really tried, and
//! states the fewest it must reach at each depth. A loop that came to run over nothing then fails:
//!
//! ```ignore
//! const CASES: AtLeast = AtLeast::new(40, 160);
//!
//! let mut tried = 0;
//! for case in depth::sample(cases, 4) {
//!     tried += try_case(&case);
//! }
//! CASES.require("every damage to every file", tried);
//! ```
//!
//! If the depths do not differ, [`AtLeast::always`] states the one number.

use std::sync::OnceLock;

/// The two depths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// A sample of what is many, for whoever is at work on a change.
    Quick,
    /// Every case, for a change that is to land.
    Full,
}

/// The depth of this run, from `RETRO_TEST_DEPTH`. A value that is no depth fails the test that asks.
pub(crate) fn depth() -> Depth {
    static DEPTH: OnceLock<Depth> = OnceLock::new();
    *DEPTH.get_or_init(|| match variable("RETRO_TEST_DEPTH").as_deref() {
        None | Some("quick") => Depth::Quick,
        Some("full") => Depth::Full,
        Some(other) => panic!("RETRO_TEST_DEPTH is `{other}`: it may be `quick` or `full`"),
    })
}

/// The value for the depth of this run.
pub(crate) fn pick<T>(quick: T, full: T) -> T {
    match depth() {
        Depth::Quick => quick,
        Depth::Full => full,
    }
}

/// True if the case of this number is tried: each one at full depth, the first and every `every`-th at quick depth.
pub(crate) fn is_turn(number: usize, every: usize) -> bool {
    number.is_multiple_of(pick(every, 1))
}

/// The numbers of the cases to try, without end: all at full depth; at quick depth every `every`-th, which for another
/// `turn` are others. Over `every` turns, each number comes once.
pub(crate) fn turns(turn: usize, every: usize) -> impl Iterator<Item = u64> {
    let every = pick(every, 1);
    (turn % every..).step_by(every).map(|number| number as u64)
}

/// All cases at full depth, the first and every `every`-th at quick depth.
pub(crate) fn sample<T>(cases: impl IntoIterator<Item = T>, every: usize) -> impl Iterator<Item = T> {
    cases.into_iter().step_by(pick(every, 1))
}

/// The number of rounds of a driver at this depth, unless `RETRO_TEST_ROUNDS` states another number.
pub(crate) fn rounds(quick: usize, full: usize) -> usize {
    let stated = variable("RETRO_TEST_ROUNDS");
    let parse = |text: String| text.parse().unwrap_or_else(|_| panic!("RETRO_TEST_ROUNDS is `{text}`: no number"));
    stated.map_or(pick(quick, full), parse)
}

/// The fewest cases that a test must reach at each depth.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AtLeast {
    quick: usize,
    full: usize,
}

impl AtLeast {
    /// The fewest at quick and at full depth.
    pub(crate) const fn new(quick: usize, full: usize) -> Self {
        Self { quick, full }
    }

    /// The same number at both depths.
    pub(crate) const fn always(count: usize) -> Self {
        Self { quick: count, full: count }
    }

    /// Prints how many cases were tried, and fails where they are fewer than the depth of this run needs.
    #[track_caller]
    #[expect(clippy::print_stderr, reason = "the number of cases is what a reader of the test's output wants to know")]
    pub(crate) fn require(self, what: &str, tried: usize) {
        eprintln!("{what}: {tried} cases at {:?} depth", depth());
        let least = pick(self.quick, self.full);
        assert!(tried >= least, "{what}: only {tried} cases, and {least} are the fewest at {:?} depth", depth());
    }
}

#[expect(clippy::disallowed_methods, reason = "a person chooses the depth of a run this way")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|text| !text.is_empty())
}

//! Measures `retro` from outside, compared with its peers and with the physical limit.
//!
//! ```text
//! cargo bench --bench compare -- [--repo PATH]... [--steps N] [--quick] [--peers git,jj,..] [--only latency,..]
//!     [--out FILE]
//! ```
//!
//! ```text
//! args            the arguments and sizes
//! sections/       one file per table: its measurements and claims
//! race            rounds in which every tool records the same change, one after another
//! tools recorder  the peers, and how each takes and restores a snapshot
//! call measure    other processes: their environment, their time, their memory
//! floor           the least work of any tool: walk and stat; to be durable, one synced append
//! tree text rng   folders and contents that are the same on every machine
//! history change  real and synthetic histories, as changes to a folder
//! footprint       space that a store occupies
//! report render   results as data, and as Markdown
//! facts           the machine
//! ```
//!
//! Invariants:
//! - A speed is never compared with one from another run: tools take turns on one folder, in an order that rotates, and
//!   a ratio is one of medians over the rounds in which both took part.
//! - Everything dirty is flushed before a timed process starts, so that no tool waits for another's writes.
//! - An exit code of 0 is no proof: retro must name its snapshot, and a store that does not change although the folder
//!   did fails the run. Restored contents are compared. Retro is copied first, in case of a build during the run.
//! - Tools see an empty home and no configuration; nothing is written outside one temporary folder and the report.
//! - No network and no tool but `retro` is needed: a peer that is not installed is listed as such.
//!
//! Criterion is not used for this: it times closures one after another, not processes in turns, and does not count
//! bytes.

mod args;
mod call;
mod change;
mod facts;
mod floor;
mod footprint;
mod history;
mod import;
mod measure;
mod race;
mod recorder;
mod render;
mod report;
mod rng;
mod sections;
mod text;
mod tools;
mod tree;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser as _;

/// Any failure ends the run: half a comparison is useless.
type Result<T> = std::result::Result<T, Error>;

type Error = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    let outcome = match arguments.next() {
        Some(first) if first == floor::FLAG => floor::main(arguments),
        Some(first) if first == measure::FLAG => return measure::main(arguments),
        _ => compare(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn compare() -> Result<()> {
    // `cargo test --all-targets` also starts benches, without the flag that `cargo bench` passes.
    let flag = OsString::from("--bench");
    if !std::env::args_os().any(|argument| argument == flag) {
        say("this takes minutes: start it with `cargo bench --bench compare`");
        return Ok(());
    }
    let args = args::Args::parse_from(std::env::args_os().filter(|argument| *argument != flag));
    let bench = sections::Bench::prepare(args)?;
    let report = sections::run(&bench)?;
    let text = render::markdown(&report);
    show(&text);
    if let Some(out) = bench.args.out() {
        render::write(&report, &text, &out)?;
    }
    Ok(())
}

/// Reports progress to a person.
#[expect(clippy::print_stderr, reason = "a bench reports its progress where it does not mix with the results")]
fn say(line: &str) {
    eprintln!("{line}");
}

#[expect(clippy::print_stdout, reason = "the results are the output of a bench")]
fn show(text: &str) {
    println!("{text}");
}

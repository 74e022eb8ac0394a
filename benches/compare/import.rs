//! Histories in git's own packs, built without a working tree.
//!
//! `git fast-import` reads a history as a stream, in seconds where adding and committing takes minutes. The result is
//! then repacked without reusing deltas, so that the size is git's best and not that of the stream's deltas.

use std::fs;
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::Result;
use crate::call::{Call, Surroundings};
use crate::change::Change;
use crate::footprint::Footprint;
use crate::recorder::without_git_settings;

/// A way of packing in git.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// `git repack -adf`: every delta searched anew, window 10.
    Default,
    /// `git gc --aggressive`: window 250.
    Aggressive,
}

/// Total bytes of git's packs and their indexes after each kind of packing of a history that starts with `base`.
pub(crate) fn packed_bytes(
    base: &[Change],
    steps: &[Vec<Change>],
    packings: &[Packing],
    surroundings: &Surroundings,
    scratch: &Path,
) -> Result<Vec<f64>> {
    let repo = scratch.join("imported");
    let stream = scratch.join("stream");
    fs::create_dir_all(&repo)?;
    write_stream(base, steps, &stream)?;
    let git = || without_git_settings(surroundings.call("git", &repo));
    git().args(["init", "-q", "--bare", "."]).run()?;
    git().args(["fast-import", "--quiet"]).input(&stream).run()?;
    let mut sizes = Vec::new();
    for packing in packings {
        let arguments: &[&str] = match packing {
            Packing::Default => &["repack", "-a", "-d", "-f", "-q"],
            Packing::Aggressive => &["gc", "-q", "--aggressive", "--prune=now"],
        };
        Call::run(&git().args(arguments))?;
        sizes.push(Footprint::of(&repo.join("objects/pack"))?.apparent_bytes as f64);
    }
    fs::remove_dir_all(&repo)?;
    #[expect(clippy::disallowed_methods, reason = "the stream is a temporary file of the bench")]
    fs::remove_file(&stream)?;
    Ok(sizes)
}

#[expect(clippy::disallowed_methods, reason = "the stream is a temporary file of the bench")]
fn write_stream(base: &[Change], steps: &[Vec<Change>], path: &Path) -> Result<()> {
    let mut out = std::io::BufWriter::new(fs::File::create(path)?);
    let commits = std::iter::once(base).chain(steps.iter().map(Vec::as_slice));
    for (number, changes) in commits.enumerate() {
        let time = 1_700_000_000 + number;
        write!(out, "commit refs/heads/main\ncommitter bench <bench@localhost> {time} +0000\ndata 4\nstep\n")?;
        for change in changes {
            write_change(&mut out, change)?;
        }
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn write_change(out: &mut impl std::io::Write, change: &Change) -> Result<()> {
    let (mode, content) = match change {
        Change::Gone { .. } => {
            out.write_all(b"D ")?;
            write_path(out, change.path())?;
            return Ok(());
        }
        Change::File { content, is_executable: true, .. } => ("100755", content),
        Change::File { content, .. } => ("100644", content),
        Change::Link { target, .. } => ("120000", target),
    };
    write!(out, "M {mode} inline ")?;
    write_path(out, change.path())?;
    writeln!(out, "data {}", content.len())?;
    out.write_all(content)?;
    writeln!(out)?;
    Ok(())
}

/// Quotes as a C string, which git accepts for every path.
fn write_path(out: &mut impl std::io::Write, path: &Path) -> Result<()> {
    out.write_all(b"\"")?;
    for &byte in path.as_os_str().as_bytes() {
        match byte {
            b'"' | b'\\' => out.write_all(&[b'\\', byte])?,
            b'\n' => out.write_all(b"\\n")?,
            _ => out.write_all(&[byte])?,
        }
    }
    out.write_all(b"\"\n")?;
    Ok(())
}

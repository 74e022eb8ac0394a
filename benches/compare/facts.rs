//! The machine and the tools of a run, without anything that identifies its owner.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Serialize;

use crate::tools::Probed;

/// The facts that the numbers of a report depend on.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Facts {
    pub(crate) date: String,
    pub(crate) commit: String,
    pub(crate) processor: String,
    pub(crate) cores: usize,
    pub(crate) memory: String,
    pub(crate) kernel: String,
    pub(crate) file_system: String,
    /// Load averages at the start of the run.
    pub(crate) load: String,
    /// The version of each tool, or that it is not installed.
    pub(crate) tools: Vec<(String, String)>,
}

/// Collects the facts for a run in the temporary `folder`.
pub(crate) fn collect(folder: &Path, probed: &[Probed]) -> Facts {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let version = |found: &Probed| found.version.clone().unwrap_or_else(|| "not installed".to_owned());
    Facts {
        date: retrograde::time::Timestamp::now().rfc3339(),
        commit: commit(),
        processor: field("/proc/cpuinfo", "model name"),
        cores,
        memory: field("/proc/meminfo", "MemTotal"),
        kernel: text("/proc/sys/kernel/osrelease"),
        file_system: file_system(folder),
        load: text("/proc/loadavg"),
        tools: probed.iter().map(|found| (found.tool.column().to_owned(), version(found))).collect(),
    }
}

/// The commit that was built, with `-changed` appended if the sources differ from it.
pub(crate) fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    match (git(&["rev-parse", "--short", "HEAD"]), git(&["status", "--porcelain", "--", "src", "Cargo.lock"])) {
        (Some(commit), Some(changes)) if changes.is_empty() => commit,
        (Some(commit), _) => format!("{commit}-changed"),
        _ => "unknown".to_owned(),
    }
}

fn text(path: &str) -> String {
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

/// The value after `name :` in a file of `/proc`.
fn field(path: &str, name: &str) -> String {
    let text = text(path);
    let lines = text.lines().filter_map(|line| line.split_once(':'));
    let found = lines.into_iter().find(|(key, _)| key.trim() == name);
    found.map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
}

/// The type of the file system that holds `folder`: that of the mount with the longest matching path.
fn file_system(folder: &Path) -> String {
    let mounts = text("/proc/self/mounts");
    let mounts = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (_, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(path).then_some((path.len(), kind))
    });
    mounts.max().map_or_else(|| "unknown".to_owned(), |(_, kind)| kind.to_owned())
}

//! Taking and restoring a snapshot of one folder with each tool, into a store of its own.
//!
//! Every tool gets the same folder and uses its cheapest complete way: none has to list, print or check anything that a
//! step does not need. Stores are outside the folder, except jj's, which all others exclude.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Result;
use crate::call::{Call, Surroundings, run_all, run_measured};
use crate::floor::PASSED_OVER;
use crate::tools::Tool;

/// A tool that records one folder.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) tool: Tool,
    surroundings: Surroundings,
    workspace: PathBuf,
    store: PathBuf,
    taken: Cell<usize>,
}

/// A tool's output for a snapshot.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) elapsed: Duration,
    output: Vec<u8>,
    number: usize,
}

impl Recorder {
    /// Prepares an empty store in `under`.
    pub(crate) fn create(tool: Tool, surroundings: &Surroundings, workspace: &Path, under: &Path) -> Result<Self> {
        let store = match tool {
            Tool::Jj => workspace.join(PASSED_OVER),
            _ => under.join(format!("store-{}", tool.column().replace([' ', '(', ')'], ""))),
        };
        let surroundings = surroundings.clone();
        let recorder = Self { tool, surroundings, workspace: workspace.to_owned(), store, taken: Cell::new(0) };
        for call in recorder.creation() {
            call.run()?;
        }
        Ok(recorder)
    }

    /// The folder whose growth is measured.
    pub(crate) fn store(&self) -> &Path {
        &self.store
    }

    /// Deletes the store.
    pub(crate) fn delete(self) -> Result<()> {
        Ok(fs::remove_dir_all(self.store)?)
    }

    /// Takes a snapshot.
    pub(crate) fn snap(&self) -> Result<Taken> {
        let number = self.next_number();
        let done = run_all(&self.snap_calls(number))?;
        self.confirmed(Taken { elapsed: done.elapsed, output: done.output, number })
    }

    /// Takes a snapshot, and returns its peak memory in bytes.
    pub(crate) fn snap_measured(&self, scratch: &Path) -> Result<(Taken, u64)> {
        let number = self.next_number();
        let (done, peak_bytes) = run_measured(&self.snap_calls(number), scratch)?;
        Ok((self.confirmed(Taken { elapsed: done.elapsed, output: done.output, number })?, peak_bytes))
    }

    /// The tool's own name for a snapshot.
    pub(crate) fn revision(&self, taken: &Taken) -> Result<String> {
        let said = |call: Call| -> Result<String> { Ok(String::from_utf8(call.run()?.output)?.trim().to_owned()) };
        match self.tool {
            Tool::Retro => json_text(&taken.output, "snapshot"),
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => said(self.call().args(["rev-parse", "HEAD"])),
            Tool::Jj => said(self.call().args(["log", "--no-graph", "-r", "@", "-T", "commit_id"])),
            Tool::Restic => json_text(&taken.output, "snapshot_id"),
            Tool::Rustic => json_text(&taken.output, "id"),
            Tool::Borg => Ok(format!("s{}", taken.number)),
        }
    }

    /// Restores the folder to a snapshot.
    pub(crate) fn restore(&self, revision: &str) -> Result<Duration> {
        let call = match self.tool {
            Tool::Retro => self.call().args(["restore", revision]),
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => self.call().args(["reset", "-q", "--hard", revision]),
            Tool::Jj => self.call().args(["restore", "--from", revision]),
            _ => self.extraction(revision, &self.workspace),
        };
        Ok(call.run()?.elapsed)
    }

    /// Writes a snapshot into an empty folder.
    pub(crate) fn restore_into(&self, revision: &str, folder: &Path) -> Result<Duration> {
        Ok(self.extraction(revision, folder).run()?.elapsed)
    }

    /// Makes retro's store as small as possible; `None` if retro cannot yet, and for other tools.
    pub(crate) fn compact(&self) -> Option<Duration> {
        let call = (self.tool == Tool::Retro).then(|| self.call().args(["gc", "--level", "19"]))?;
        call.run().ok().map(|done| done.elapsed)
    }

    /// Fails unless the output names the snapshot, for tools that print it: a program that does nothing also exits with
    /// 0, and is the fastest of all.
    fn confirmed(&self, taken: Taken) -> Result<Taken> {
        if matches!(self.tool, Tool::Retro | Tool::Restic | Tool::Rustic) {
            self.revision(&taken)?;
        }
        Ok(taken)
    }

    fn next_number(&self) -> usize {
        self.taken.set(self.taken.get() + 1);
        self.taken.get()
    }

    /// The tool with the options of all its calls.
    fn call(&self) -> Call {
        let call = self.surroundings.call(self.tool.program(), &self.workspace);
        match self.tool {
            Tool::Retro => call.arg("--store").arg(&self.store).arg("-C").arg(&self.workspace),
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => {
                let call = without_git_settings(call).arg("--git-dir").arg(&self.store);
                let call = call.arg("--work-tree").arg(&self.workspace);
                // A collection in the background would slow down the tool that is measured next.
                let settings: &[&str] = match self.tool {
                    Tool::GitAutoGc => &["gc.autoDetach=false", "maintenance.autoDetach=false"],
                    Tool::GitSynced => &["gc.auto=0", "maintenance.auto=false", "core.fsync=all"],
                    _ => &["gc.auto=0", "maintenance.auto=false"],
                };
                settings.iter().fold(call, |call, setting| call.args(["-c", setting]))
            }
            Tool::Jj => call.args(["--quiet", "--config", "git.colocate=false"]).args([
                "--config",
                "user.name=bench",
                "--config",
                "user.email=bench@localhost",
                "--config",
                "snapshot.max-new-file-size=\"8GiB\"",
            ]),
            Tool::Restic => {
                let call = call.env("RESTIC_PASSWORD", "bench").env("RESTIC_PROGRESS_FPS", "0");
                call.arg("--quiet").arg("--repo").arg(&self.store)
            }
            Tool::Rustic => {
                call.env("RUSTIC_REPOSITORY", &self.store).env("RUSTIC_PASSWORD", "bench").arg("--no-progress")
            }
            Tool::Borg => {
                let call = call.env("BORG_REPO", &self.store).env("BORG_RELOCATED_REPO_ACCESS_IS_OK", "yes");
                call.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes")
            }
        }
    }

    fn creation(&self) -> Vec<Call> {
        match self.tool {
            // Its first snapshot creates the store, which is included.
            Tool::Retro => Vec::new(),
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => vec![self.call().args(["init", "-q"])],
            Tool::Jj => vec![self.call().args(["git", "init"])],
            Tool::Restic | Tool::Rustic => vec![self.call().arg("init")],
            Tool::Borg => vec![self.call().args(["init", "--encryption", "none"])],
        }
    }

    fn snap_calls(&self, number: usize) -> Vec<Call> {
        match self.tool {
            Tool::Retro => vec![self.call().args(["snap", "--json"])],
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => {
                // `commit` exits with 1 if there is nothing to commit.
                vec![self.call().args(["add", "-A"]), self.call().args(["commit", "-q", "-m", "step"]).accept(1)]
            }
            Tool::Jj => vec![self.call().args(["util", "snapshot"])],
            Tool::Restic => vec![self.call().args(["backup", "--json", "--exclude", PASSED_OVER, "."])],
            Tool::Rustic => vec![self.call().args(["backup", "--json", "--glob", &format!("!{PASSED_OVER}"), "."])],
            Tool::Borg => {
                vec![self.call().args([
                    "create",
                    "--exclude",
                    &format!("*/{PASSED_OVER}"),
                    &format!("::s{number}"),
                    ".",
                ])]
            }
        }
    }

    /// Writes all files of a snapshot into a folder.
    fn extraction(&self, revision: &str, folder: &Path) -> Call {
        match self.tool {
            Tool::Retro => self.call().args(["restore", revision, "--into"]).arg(folder),
            Tool::Git | Tool::GitAutoGc | Tool::GitSynced => {
                // It has an index of its own, as a second working tree would.
                let call = without_git_settings(self.surroundings.call("git", folder));
                let call = call.env("GIT_INDEX_FILE", folder.with_extension("index"));
                let call = call.arg("--git-dir").arg(&self.store).arg("--work-tree").arg(folder);
                call.args(["checkout", "-q", "-f", revision, "--", "."])
            }
            Tool::Jj => self.call().args(["workspace", "add", "-r", revision]).arg(folder),
            Tool::Restic => self.call().args(["restore", revision, "--target"]).arg(folder),
            Tool::Rustic => self.call().args(["restore", revision]).arg(folder),
            Tool::Borg => {
                let mut call = self.surroundings.call("borg", folder).env("BORG_REPO", &self.store);
                call = call.env("BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK", "yes");
                call.args(["extract", &format!("::{revision}")])
            }
        }
    }
}

/// Git with its defaults, and an author.
pub(crate) fn without_git_settings(call: Call) -> Call {
    let call = call.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    let call = call.env("GIT_AUTHOR_NAME", "bench").env("GIT_AUTHOR_EMAIL", "bench@localhost");
    call.env("GIT_COMMITTER_NAME", "bench").env("GIT_COMMITTER_EMAIL", "bench@localhost")
}

/// The text member of this name in the last line that is a JSON object with it.
fn json_text(output: &[u8], name: &str) -> Result<String> {
    let text = String::from_utf8_lossy(output);
    let values = std::iter::once(&*text).chain(text.lines().rev());
    let found = values
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .find_map(|value| value.get(name).and_then(serde_json::Value::as_str).map(str::to_owned));
    found.ok_or_else(|| format!("read what a tool printed: no {name} in {text}").into())
}

//! Histories from a git repository, or from a generator.

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::Result;
use crate::call::{Call, Surroundings};
use crate::change::{Change, History};
use crate::recorder::without_git_settings;
use crate::rng::Rng;
use crate::{text, tree};

/// The last `count` first-parent commits of a repository, read with the `git` program.
pub(crate) fn of_repository(repo: &Path, count: usize, surroundings: &Surroundings, scratch: &Path) -> Result<History> {
    let repo = std::path::absolute(repo)?;
    let git = || without_git_settings(surroundings.call("git", &repo)).args(["-c", "safe.directory=*"]);
    let listed = git().args(["rev-list", "--first-parent", "-n", &(count + 1).to_string(), "HEAD"]).run()?;
    let listed = String::from_utf8(listed.output)?;
    let ids: Vec<&str> = listed.lines().rev().collect();
    let (first, rest) = ids.split_first().ok_or_else(|| format!("read history {}: no commits", repo.display()))?;
    let diff = || git().args(["diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", "--no-commit-id"]);
    // Compared with the empty tree, the first state is a difference like any other.
    let base = parse_raw(&diff().args([EMPTY_TREE, first]).run()?.output)?;
    let mut commits = Vec::with_capacity(rest.len());
    let mut before = *first;
    for &id in rest {
        commits.push(parse_raw(&diff().args([before, id]).run()?.output)?);
        before = id;
    }
    let wanted: BTreeSet<&str> = base.iter().chain(commits.iter().flatten()).filter_map(Raw::content).collect();
    let contents = contents(git(), &wanted, scratch)?;
    let load = |raw: &Vec<Raw>| raw.iter().filter_map(|one| one.load(&contents)).collect::<Vec<_>>();
    let name = repo.file_name().unwrap_or_default().to_string_lossy();
    let name = name.trim_end_matches(".git").to_owned();
    let base_changes = load(&base);
    Ok(History { name, base: base_changes, commits: commits.iter().map(load).filter(|one| !one.is_empty()).collect() })
}

/// A history of edits, additions, deletions and renames that is the same on every machine.
pub(crate) fn synthetic(files: usize, commits: usize) -> History {
    let mut rng = Rng::new(0x6869_7374);
    let path = |number: usize| PathBuf::from(format!("part_{}/unit_{}/file_{number}.rs", number % 13, number % 211));
    let file = |path: &Path, content: &[u8]| Change::File {
        path: path.to_owned(),
        content: content.to_owned(),
        is_executable: false,
    };
    let content = |rng: &mut Rng| {
        let length = tree::length_bytes(rng);
        text::text(rng, length)
    };
    let mut live: Vec<(PathBuf, Vec<u8>)> = (0..files).map(|number| (path(number), content(&mut rng))).collect();
    let base = live.iter().map(|(path, content)| file(path, content)).collect();
    let mut next = files;
    let commit = |_| {
        let mut changes: Vec<Change> = Vec::new();
        for _ in 0..1 + rng.below(6) {
            let at = rng.below(live.len());
            if changes.iter().any(|change| change.path() == live[at].0) {
                continue;
            }
            match rng.below(100) {
                0..85 => {
                    text::edit(&mut rng, &mut live[at].1);
                    changes.push(file(&live[at].0, &live[at].1));
                }
                85..92 => {
                    live.push((path(next), content(&mut rng)));
                    changes.extend(live.last().map(|(path, content)| file(path, content)));
                    next += 1;
                }
                92..96 => changes.push(Change::Gone { path: live.swap_remove(at).0 }),
                _ => {
                    let (old, content) = live.swap_remove(at);
                    live.push((path(next), content));
                    changes.push(Change::Gone { path: old });
                    changes.extend(live.last().map(|(path, content)| file(path, content)));
                    next += 1;
                }
            }
        }
        changes
    };
    let commits = (0..commits).map(commit).collect();
    History { name: "synthetic".to_owned(), base, commits }
}

const EMPTY_TREE: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";

/// One line of a raw difference.
struct Raw {
    mode: String,
    id: String,
    path: PathBuf,
}

impl Raw {
    /// The object with the new content; `None` for submodules and deletions.
    fn content(&self) -> Option<&str> {
        matches!(self.mode.as_str(), "100644" | "100755" | "120000").then_some(&self.id)
    }

    fn load(&self, contents: &HashMap<String, Vec<u8>>) -> Option<Change> {
        let path = self.path.clone();
        let content = || contents.get(&self.id).cloned();
        match self.mode.as_str() {
            "000000" => Some(Change::Gone { path }),
            "120000" => Some(Change::Link { path, target: content()? }),
            "100644" | "100755" => {
                Some(Change::File { path, content: content()?, is_executable: self.mode.ends_with("755") })
            }
            _ => None,
        }
    }
}

/// Reads `:oldmode newmode oldid newid status NUL path NUL`, and sorts deletions first.
fn parse_raw(output: &[u8]) -> Result<Vec<Raw>> {
    let mut fields = output.split(|&byte| byte == 0);
    let mut lines = Vec::new();
    while let (Some(facts), Some(path)) = (fields.next().filter(|facts| !facts.is_empty()), fields.next()) {
        let facts: Vec<&str> = std::str::from_utf8(facts)?.split(' ').collect();
        let [old_mode, mode, _, id, _] = facts[..] else { return Err(format!("read difference: {facts:?}").into()) };
        // A submodule that is removed was never written.
        if old_mode != ":160000" || mode != "000000" {
            lines.push(Raw { mode: mode.to_owned(), id: id.to_owned(), path: OsStr::from_bytes(path).into() });
        }
    }
    lines.sort_by_key(|line| line.mode != "000000");
    Ok(lines)
}

/// The contents of objects, from one `git cat-file --batch`.
#[expect(clippy::disallowed_methods, reason = "a list of ids goes to git in a temporary file")]
fn contents(git: Call, ids: &BTreeSet<&str>, scratch: &Path) -> Result<HashMap<String, Vec<u8>>> {
    let list = scratch.join("ids");
    std::fs::write(&list, ids.iter().map(|id| format!("{id}\n")).collect::<String>())?;
    let done = git.args(["cat-file", "--batch"]).input(&list).run()?;
    let mut rest = done.output.as_slice();
    let mut contents = HashMap::with_capacity(ids.len());
    for id in ids {
        let end = rest.iter().position(|&byte| byte == b'\n').ok_or("read objects: the output ends early")?;
        let header = std::str::from_utf8(&rest[..end])?;
        let length = header.rsplit(' ').next().and_then(|length| length.parse::<usize>().ok());
        let length = length.ok_or_else(|| format!("read object: {header}"))?;
        let content = rest.get(end + 1..end + 1 + length).ok_or("read objects: the output ends early")?;
        contents.insert((*id).to_owned(), content.to_owned());
        rest = &rest[end + 1 + length + 1..];
    }
    Ok(contents)
}

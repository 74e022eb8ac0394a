//! The choice of commits to import, and their order.
//!
//! ```text
//! one revision, A..B   one line: first parents from the tip back, as far as A's ancestors
//! all                  a line for HEAD, each branch, each remote's branch, each tag, and each step that an export has
//!                      named, in this order; each goes back to the first commit that a line before it has
//! ```
//!
//! Lines are walked here and not by git's library, which fails at the first commit that it cannot read. The walk ends
//! at such a commit, because nothing else names its parents, and reports it. A shallow clone ends at its listed ends.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use gix::ObjectId;
use gix::bstr::{BStr, ByteSlice};
use gix::revision::plumbing::Spec;

use crate::error::{Error, ErrorKind, Result, shown};
use crate::ops::record::said;
use crate::ops::share::git::commit::{ReadCommit, parse};
use crate::ops::share::git::{STEPS_REF, failed, isolated};
use crate::path::escaped;

/// The commits of a repository to import.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits<'a> {
    /// HEAD and its ancestors.
    Head,
    /// A branch, `A..B`, or anything else that git reads as a revision or a range with two ends.
    Range(&'a str),
    /// The commits of all branches and tags.
    All,
}

/// A git repository, and the commits and tags to import.
pub struct Source {
    pub(super) repository: gix::Repository,
    pub(super) lines: Vec<Line>,
    pub(super) skipped: Vec<Skipped>,
    /// Tags, by commit.
    pub(super) tags: HashMap<ObjectId, Vec<String>>,
    pub(super) skipped_tags: Vec<Skipped>,
}

/// A commit, reference or tag of the repository that is not imported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Its id or name.
    pub name: String,
    /// The reason.
    pub reason: String,
}

/// Commits that follow each other.
pub(super) struct Line {
    /// Oldest first.
    pub(super) commits: Vec<ObjectId>,
    /// The first parent of the oldest.
    pub(super) after: Option<ObjectId>,
    /// Their branch, if one was named.
    pub(super) branch: Option<String>,
    /// The run of commits that name none; none for the run in the options.
    pub(super) run: Option<String>,
}

impl Source {
    /// Opens the repository at `folder` and finds the commits. Only their parents are read.
    pub fn open(folder: &Path, commits: Commits<'_>) -> Result<Self> {
        let opened = isolated().open(folder);
        let opened = opened.map_err(|e| {
            failed(ErrorKind::NotFound, "open git repository", folder, e)
                .with_hint("name the top folder of the repository, the one with `.git` in it, or a bare one")
        })?;
        let mut repository: gix::Repository = opened.into();
        if let Some(kind) = repository.config_snapshot().string("extensions.refStorage")
            && !kind.eq_ignore_ascii_case(b"files")
        {
            let detail = format!("its references are kept in a {kind}, which cannot be read here");
            return Err(failed(ErrorKind::Unsupported, "open git repository", folder, detail)
                .with_hint("`git refs migrate --ref-format=files` there, or in a copy, makes it readable"));
        }
        repository.object_cache_size_if_unset(OBJECT_CACHE_BYTES);
        let mut skipped_tags = Vec::new();
        let tags = tags_of(&repository, &mut skipped_tags);
        let mut walk = Walk { repository: &repository, seen: HashSet::new(), skipped: Vec::new() };
        let lines = match commits {
            Commits::Head if walk.repository.head().is_ok_and(|head| head.is_unborn()) => {
                return Err(failed(ErrorKind::NotFound, "import HEAD of", folder, "it has no commit yet")
                    .with_hint("name a branch, or --all"));
            }
            Commits::Head => vec![walk.range("HEAD")?],
            Commits::Range(range) => vec![walk.range(range)?],
            Commits::All => walk.all(&skipped_tags)?,
        };
        let skipped = walk.skipped;
        Ok(Self { repository, lines, skipped, tags, skipped_tags })
    }
}

/// Git objects kept decoded: trees of one commit are the bases of the next one's.
const OBJECT_CACHE_BYTES: usize = 32 << 20;

/// Reads a commit. The error is the reason why it cannot be read.
pub(super) fn read_commit(repository: &gix::Repository, id: ObjectId) -> std::result::Result<ReadCommit, String> {
    match repository.try_find_object(id) {
        Ok(Some(object)) if object.kind == gix::objs::Kind::Commit => {
            parse(&object.data, id.kind()).map_err(str::to_owned)
        }
        Ok(Some(object)) => Err(format!("it is a {}", object.kind)),
        Ok(None) => Err("it is not in the repository".to_owned()),
        Err(e) => Err(e.to_string()),
    }
}

struct Walk<'a> {
    repository: &'a gix::Repository,
    /// Commits that some line has.
    seen: HashSet<ObjectId>,
    skipped: Vec<Skipped>,
}

impl Walk<'_> {
    fn skip(&mut self, name: impl ToString, reason: impl ToString) {
        self.skipped.push(Skipped { name: name.to_string(), reason: reason.to_string() });
    }

    fn range(&mut self, range: &str) -> Result<Line> {
        let repository = self.repository;
        let fail = |e: gix::Error| {
            let path = shown(repository.git_dir());
            Error::new(ErrorKind::NotFound, "find commits", format!("{range} in {path}"), e)
        };
        let spec = repository.rev_parse(range.as_bytes().as_bstr()).map_err(fail)?;
        let (tip, hidden, reference) = match *spec {
            Spec::Include(tip) => (tip, None, spec.first_reference()),
            Spec::Range { from, to } => (to, Some(from), spec.second_reference()),
            _ => {
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "import",
                    range,
                    "it is neither a revision nor a range `A..B`",
                ));
            }
        };
        let branch = match reference {
            Some(reference) if reference.name.as_bstr() == "HEAD" => repository.head_name().map_err(fail)?,
            Some(reference) => Some(reference.name.clone()),
            None => None,
        };
        let commit_of = |id: ObjectId| -> Result<ObjectId> {
            let object = repository.find_object(id).map_err(fail)?;
            Ok(object.peel_to_kind(gix::objs::Kind::Commit).map_err(fail)?.id)
        };
        if let Some(from) = hidden {
            self.hide(commit_of(from)?);
        }
        Ok(self.line(commit_of(tip)?, branch.as_ref().and_then(|name| local_branch(name.as_bstr())), None))
    }

    fn all(&mut self, skipped_tags: &[Skipped]) -> Result<Vec<Line>> {
        let repository = self.repository;
        let fail = |e: gix::Error| failed(ErrorKind::Corrupt, "read references of", repository.git_dir(), e);
        let mut lines = Vec::new();
        let head = repository.head().map_err(fail)?;
        let branch = head.referent_name().and_then(|name| local_branch(name.as_bstr()));
        if let Ok(Some(id)) = head.try_into_peeled_id() {
            let run = branch.as_deref().and_then(run_of);
            lines.push(self.line(id.detach(), branch, run));
        }
        let references = repository.references().map_err(fail)?;
        let steps = references.prefixed(STEPS_REF);
        let groups = [references.local_branches(), references.remote_branches(), references.tags(), steps];
        for (group, found) in groups.into_iter().enumerate() {
            let mut tips: Vec<(String, ObjectId)> = Vec::new();
            for reference in found.map_err(fail)? {
                let mut reference = match reference {
                    Ok(reference) => reference,
                    Err(e) => {
                        self.skip("of a reference", e);
                        continue;
                    }
                };
                let name = reference.name().shorten().to_str_lossy().into_owned();
                let is_symbolic = matches!(reference.target(), gix::refs::TargetRef::Symbolic(_));
                match reference.peel_to_id() {
                    Ok(id) if !is_symbolic => tips.push((name, id.detach())),
                    Ok(_) => {}
                    Err(e) => self.skip(name, e),
                }
            }
            tips.sort();
            for (name, tip) in tips {
                let is_tag = group == 2;
                if is_tag && read_commit(repository, tip).is_err() {
                    // It is a skipped tag already, unless it leads to a lost commit.
                    if repository.has_object(tip) || skipped_tags.iter().any(|tag| tag.name == name) {
                        continue;
                    }
                }
                let branch = (group == 0).then(|| name.clone());
                lines.push(self.line(tip, branch, run_of(&name)));
            }
        }
        lines.retain(|line| !line.commits.is_empty());
        Ok(lines)
    }

    /// Marks `from` and its ancestors as seen.
    fn hide(&mut self, from: ObjectId) {
        let mut todo = vec![from];
        while let Some(id) = todo.pop() {
            if self.seen.insert(id)
                && let Ok(commit) = read_commit(self.repository, id)
            {
                todo.extend(self.parents(id, &commit));
            }
        }
    }

    /// The first parents from `tip` back to the first commit that a line has.
    fn line(&mut self, tip: ObjectId, branch: Option<String>, run: Option<String>) -> Line {
        let mut commits = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next {
            if !self.seen.insert(id) {
                break;
            }
            next = match read_commit(self.repository, id) {
                Ok(commit) => {
                    commits.push(id);
                    self.parents(id, &commit).next()
                }
                Err(reason) => {
                    let more = if commits.is_empty() { "" } else { "; the commits before it cannot be found" };
                    self.skip(id, format!("{reason}{more}"));
                    None
                }
            };
        }
        commits.reverse();
        Line { commits, after: next, branch, run }
    }

    /// The parents of a commit; none where a shallow clone ends.
    fn parents<'c>(&self, id: ObjectId, commit: &'c ReadCommit) -> impl Iterator<Item = ObjectId> + use<'c> {
        let shallow = self.repository.shallow_commits().ok().flatten();
        let is_end = shallow.is_some_and(|ends| ends.contains(&id));
        commit.parents.iter().copied().filter(move |_| !is_end)
    }
}

fn local_branch(name: &BStr) -> Option<String> {
    name.strip_prefix(b"refs/heads/").map(|short| short.to_str_lossy().into_owned())
}

/// The name of a branch or tag as the name of a run, if it can be one.
fn run_of(name: &str) -> Option<String> {
    Some(said::run(name.as_bytes(), "", &mut Vec::new())).filter(|run| !run.is_empty())
}

/// The tags, by commit. Tags of other objects, and names that are not text, are skipped.
fn tags_of(repository: &gix::Repository, skipped: &mut Vec<Skipped>) -> HashMap<ObjectId, Vec<String>> {
    let mut tags: HashMap<ObjectId, Vec<String>> = HashMap::new();
    let Ok(references) = repository.references() else { return tags };
    let Ok(found) = references.tags() else { return tags };
    for mut reference in found.flatten() {
        let short = reference.name().shorten().to_owned();
        let target = reference.peel_to_id().ok();
        let found = target.and_then(|id| Some((id.detach(), repository.try_find_header(id).ok()??.kind())));
        let reason = match (found, short.to_str()) {
            (Some((id, gix::objs::Kind::Commit)), Ok(name)) => {
                tags.entry(id).or_default().push(name.to_owned());
                continue;
            }
            (Some((_, gix::objs::Kind::Commit)), Err(_)) => "its name is not text".to_owned(),
            (Some((_, kind)), _) => format!("it names a {kind}"),
            (None, _) => "its object is not in the repository".to_owned(),
        };
        skipped.push(Skipped { name: escaped(&short), reason });
    }
    tags.values_mut().for_each(|names| names.sort());
    tags
}

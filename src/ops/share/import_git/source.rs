//! Which commits are imported, and in what order.
//!
//! ```text
//! one revision, A..B   one line: first parents from the tip back, as far as A's ancestors
//! all                  a line for HEAD, each branch, each remote's branch, each tag, and each step that an export has
//!                      named, in this order; each goes back to the first commit that a line before it has
//! ```
//!
//! Lines are walked here and not by git's library, which ends at the first commit that it cannot read. What is behind
//! such a commit cannot be found, because it alone says where to go on; the walk ends there and says so. A shallow
//! clone ends as it says it does.

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

/// Which commits of a repository are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Commits<'a> {
    /// Those behind HEAD.
    Head,
    /// A branch, `A..B`, or anything else that git reads as a revision or a range with two ends.
    Range(&'a str),
    /// Those of all branches and tags.
    All,
}

/// A git repository, and what of it is to be imported.
pub struct Source {
    pub(super) repository: gix::Repository,
    pub(super) lines: Vec<Line>,
    pub(super) left_out: Vec<LeftOutCommit>,
    /// By the commit that they name.
    pub(super) tags: HashMap<ObjectId, Vec<String>>,
    pub(super) tags_left_out: Vec<LeftOutTag>,
}

/// A commit that gives no step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutCommit {
    /// Its id in hex.
    pub commit: String,
    /// Why.
    pub reason: String,
}

/// A tag of the repository that is no tag of the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOutTag {
    /// Its name, escaped where it is not text.
    pub tag: String,
    /// Why.
    pub reason: String,
}

/// Commits that follow each other.
pub(super) struct Line {
    /// Oldest first.
    pub(super) commits: Vec<ObjectId>,
    /// The first parent of the oldest.
    pub(super) after: Option<ObjectId>,
    /// The branch they are on, if one was named.
    pub(super) branch: Option<String>,
    /// The run of commits that do not name one; none for the one that the options say.
    pub(super) run: Option<String>,
}

impl Source {
    /// Opens the repository at `folder` and finds the commits. Nothing is read of them but what follows what.
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
        let mut tags_left_out = Vec::new();
        let tags = tags_of(&repository, &mut tags_left_out);
        let mut walk = Walk { repository: &repository, seen: HashSet::new(), left_out: Vec::new() };
        let lines = match commits {
            Commits::Head if walk.repository.head().is_ok_and(|head| head.is_unborn()) => {
                return Err(failed(ErrorKind::NotFound, "import HEAD of", folder, "it has no commit yet")
                    .with_hint("name a branch, or --all"));
            }
            Commits::Head => vec![walk.range("HEAD")?],
            Commits::Range(range) => vec![walk.range(range)?],
            Commits::All => walk.all(&tags_left_out)?,
        };
        let left_out = walk.left_out;
        Ok(Self { repository, lines, left_out, tags, tags_left_out })
    }
}

/// Git objects kept decoded: trees of one commit are the bases of the next one's.
const OBJECT_CACHE_BYTES: usize = 32 << 20;

/// Reads a commit, or says why it cannot be read.
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
    left_out: Vec<LeftOutCommit>,
}

impl Walk<'_> {
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
                return Err(Error::new(ErrorKind::Invalid, "import", range, "it is neither one revision nor `A..B`"));
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

    fn all(&mut self, tags_left_out: &[LeftOutTag]) -> Result<Vec<Line>> {
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
                        self.left_out
                            .push(LeftOutCommit { commit: "of a reference".to_owned(), reason: e.to_string() });
                        continue;
                    }
                };
                let name = reference.name().shorten().to_str_lossy().into_owned();
                let is_symbolic = matches!(reference.target(), gix::refs::TargetRef::Symbolic(_));
                match reference.peel_to_id() {
                    Ok(id) if !is_symbolic => tips.push((name, id.detach())),
                    Ok(_) => {}
                    Err(e) => self.left_out.push(LeftOutCommit { commit: name, reason: e.to_string() }),
                }
            }
            tips.sort();
            for (name, tip) in tips {
                let is_tag = group == 2;
                if is_tag && read_commit(repository, tip).is_err() {
                    // Named among the tags already, unless it leads to a commit that is lost.
                    if repository.has_object(tip) || tags_left_out.iter().any(|left| left.tag == name) {
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

    /// Takes all that `from` follows for seen.
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

    /// The first parents from `tip` back, as far as no line has them.
    fn line(&mut self, tip: ObjectId, branch: Option<String>, run: Option<String>) -> Line {
        let mut commits = Vec::new();
        let mut next = Some(tip);
        while let Some(id) = next {
            if self.seen.contains(&id) {
                break;
            }
            self.seen.insert(id);
            next = match read_commit(self.repository, id) {
                Ok(commit) => {
                    commits.push(id);
                    self.parents(id, &commit).next()
                }
                Err(reason) => {
                    let what = if commits.is_empty() { "" } else { "; what is before it cannot be found" };
                    self.left_out.push(LeftOutCommit { commit: id.to_string(), reason: format!("{reason}{what}") });
                    None
                }
            };
        }
        commits.reverse();
        Line { commits, after: next, branch, run }
    }

    /// What a commit follows; nothing where a shallow clone ends.
    fn parents<'c>(&self, id: ObjectId, commit: &'c ReadCommit) -> impl Iterator<Item = ObjectId> + use<'c> {
        let shallow = self.repository.shallow_commits().ok().flatten();
        let is_end = shallow.is_some_and(|ends| ends.contains(&id));
        commit.parents.iter().copied().filter(move |_| !is_end)
    }
}

fn local_branch(name: &BStr) -> Option<String> {
    name.strip_prefix(b"refs/heads/").map(|short| short.to_str_lossy().into_owned())
}

/// A branch's or tag's name as that of a run, if one can be made of it.
fn run_of(name: &str) -> Option<String> {
    Some(said::run(name.as_bytes(), "", &mut Vec::new())).filter(|run| !run.is_empty())
}

/// Tags by the commit they name. What names no commit, or has no name that a tag can have, is left out.
fn tags_of(repository: &gix::Repository, left_out: &mut Vec<LeftOutTag>) -> HashMap<ObjectId, Vec<String>> {
    let mut tags: HashMap<ObjectId, Vec<String>> = HashMap::new();
    let Ok(references) = repository.references() else { return tags };
    let Ok(found) = references.tags() else { return tags };
    for mut reference in found.flatten() {
        let short = reference.name().shorten().to_owned();
        let mut leave_out = |reason: &str| {
            left_out.push(LeftOutTag { tag: escaped(&short), reason: reason.to_owned() });
        };
        let Ok(id) = reference.peel_to_id() else {
            leave_out("what it names is not in the repository");
            continue;
        };
        match repository.try_find_header(id) {
            Ok(Some(header)) if header.kind() == gix::objs::Kind::Commit => {}
            Ok(Some(header)) => {
                leave_out(&format!("it names a {}", header.kind()));
                continue;
            }
            _ => {
                leave_out("what it names is not in the repository");
                continue;
            }
        }
        match short.to_str() {
            Ok(name) => tags.entry(id.detach()).or_default().push(name.to_owned()),
            Err(_) => leave_out("its name is not text"),
        }
    }
    tags.values_mut().for_each(|names| names.sort());
    tags
}

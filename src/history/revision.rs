//! Revisions: the ways to name a snapshot, and ranges of snapshots.
//!
//! ```text
//! TAG             the snapshot with that tag in the workspace; without a workspace, in the only one that has it
//! ID/REV          REV in the workspace whose id begins with these digits, four or more
//! @  HEAD         the snapshot that the workspace was last recorded as or restored to
//! @{TIME}         the last one of the workspace at or before TIME: `@{10 minutes ago}`, `@{2026-11-20 10:30}`
//! s12  12         step 12 of the workspace; a bare number that is no step may still begin an id
//! run:NAME        the last of that run; this workspace's first, else that of the only one with such a run
//! 3f2a            the one whose id begins with these digits, four or more; all 64 find any snapshot of the store
//! REV-  REV-3     the first parent, the third along first parents; may be repeated
//! REV~  REV~3     the same, as git writes it
//! REV^  REV^2     the first parent, the second parent, as git writes it; REV^0 is REV itself
//!
//! A..B            what follows A up to B, along the first parents of B; A must be among them
//! A..  ..B  ..    up to where the workspace stands; from the first; both
//! ```
//!
//! The forms are tried in this order, on the whole text before an offset is split off. `v1-2` is the tag of that name
//! if there is one, else the snapshot two before `v1`. Names of new tags are checked so that hardly any reads as
//! another form ([`super::name`]). Forms that only git has are read, because people type them, but never written.

use std::collections::BTreeSet;

use super::graph::{self, Load, walk_first_parents};
use super::name::{HEAD, Offset, bare_number, split_offset, step_number};
pub use super::name::{check_run_name, check_tag_name};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{Digest, HexPrefix, SnapshotId, WorkspaceId};
use crate::path::escaped;
use crate::store::{State, Store, Workspace};
use crate::time::Timestamp;

/// The store and workspace against which revisions are resolved.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The store whose snapshots are read.
    pub store: &'a Store,
    /// The facts of the store.
    pub state: &'a State,
    /// The workspace of steps and of `@`, if the command has one.
    pub workspace: Option<WorkspaceId>,
    /// The time from which `10 minutes ago` is counted.
    pub now: Timestamp,
}

/// A range of snapshots along first parents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The snapshot before the first one; `None` if the range begins with history.
    pub after: Option<SnapshotId>,
    /// The last snapshot.
    pub last: SnapshotId,
    /// All snapshots, oldest first; empty if `after` is `last`.
    pub snapshots: Vec<SnapshotId>,
}

/// Finds the snapshot that a revision names.
///
/// Fails with `NotFound` if nothing has that name, and with `Invalid` if the text is no revision or names several
/// snapshots.
pub fn resolve(context: &Context<'_>, text: &str) -> Result<SnapshotId> {
    Resolver::with(context, |resolver| resolver.resolve(text))
}

/// Finds the snapshots that a range names. Fails as [`resolve`], and with `Invalid` if `A` does not come before `B`.
pub fn resolve_range(context: &Context<'_>, text: &str) -> Result<Range> {
    Resolver::with(context, |resolver| resolver.resolve_range(text))
}

/// Returns true if a revision means the same snapshot in every folder: all digits of an id, or digits of a workspace
/// before a slash.
pub fn is_in_full(text: &str) -> bool {
    let is_qualified = || text.split_once('/').is_some_and(|(digits, _)| HexPrefix::parse(digits).is_some());
    Digest::parse(text).is_some() || is_qualified()
}

/// Returns true if the text is a range, not one revision.
pub fn is_range(text: &str) -> bool {
    range_at(text).is_some()
}

/// Splits `REV:PATH` at the first colon that is neither in a time nor in `run:`.
pub fn split_path(text: &str) -> Option<(&str, &str)> {
    let prefix_length = if text.starts_with(RUN_PREFIX) { RUN_PREFIX.len() } else { 0 };
    let is_end = |at: usize| at >= prefix_length && text.as_bytes()[at] == b':';
    let at = outside_times(text).find(|&at| is_end(at))?;
    Some((&text[..at], &text[at + 1..]))
}

const RUN_PREFIX: &str = "run:";

/// Most candidates that a message names when several match.
const CANDIDATES_SHOWN_MAX: usize = 8;

struct Resolver<'a> {
    load: &'a Load<'a>,
    state: &'a State,
    workspace: Option<WorkspaceId>,
    now: Timestamp,
}

impl Resolver<'_> {
    fn with<T>(context: &Context<'_>, work: impl FnOnce(&Resolver<'_>) -> Result<T>) -> Result<T> {
        let load = |id| graph::read(context.store, id);
        work(&Resolver { load: &load, state: context.state, workspace: context.workspace, now: context.now })
    }

    fn resolve(&self, text: &str) -> Result<SnapshotId> {
        if is_range(text) {
            return Err(invalid(text, "this is a range, and one snapshot is needed"));
        }
        let (mut base, mut offsets) = (text, Vec::new());
        loop {
            if let Some(found) = self.exact(base)? {
                return self.follow(found, &offsets, text);
            }
            match split_offset(base) {
                Some((shorter, offset)) => {
                    base = shorter;
                    offsets.push(offset);
                }
                None if bare_number(text).is_some() => {
                    return Err(not_found(text, "there is no such step, and no tag or id that begins so"));
                }
                None => return Err(not_found(text, "no snapshot, step, tag or run has that name")),
            }
        }
    }

    /// Applies offsets to a snapshot, the last one first. Successive steps back are one walk.
    fn follow(&self, from: SnapshotId, offsets: &[Offset], text: &str) -> Result<SnapshotId> {
        let (mut at, mut back) = (from, 0_u64);
        for offset in offsets.iter().rev() {
            match offset {
                Offset::Back(count) => back = back.saturating_add(*count),
                Offset::Parent(number) => {
                    at = self.parent(self.before(at, std::mem::take(&mut back), text)?, *number, text)?;
                }
            }
        }
        self.before(at, back, text)
    }

    fn resolve_range(&self, text: &str) -> Result<Range> {
        let Some(at) = range_at(text) else {
            return Err(invalid(text, "this is not a range").with_hint("write A..B for what follows A up to B"));
        };
        let (first, last) = (&text[..at], &text[at + 2..]);
        if last.starts_with('.') || is_range(last) {
            return Err(invalid(text, "a range has two dots, once"));
        }
        let after = if first.is_empty() { None } else { Some(self.resolve(first)?) };
        let last = self.resolve(if last.is_empty() { "@" } else { last })?;
        let mut snapshots = Vec::new();
        let mut is_found = after.is_none();
        for visit in walk_first_parents(self.load, last) {
            let (id, _) = visit?;
            if Some(id) == after {
                is_found = true;
                break;
            }
            snapshots.push(id);
        }
        if !is_found {
            let detail = format!("{} does not come before {}", escaped(first.as_bytes()), last.short());
            return Err(invalid(text, &detail).with_hint("`retro log --graph` shows what follows what"));
        }
        snapshots.reverse();
        Ok(Range { after, last, snapshots })
    }

    /// Finds the snapshot with exactly this name, without an offset.
    fn exact(&self, text: &str) -> Result<Option<SnapshotId>> {
        if let Some(id) = self.tagged(text)? {
            return Ok(Some(id));
        }
        if let Some((workspace, rest)) = self.qualified(text)? {
            return Resolver { workspace: Some(workspace), ..*self }.exact(rest);
        }
        if text == "@" || text == HEAD {
            let head = self.workspace(text)?.head;
            let nothing = || not_found(text, "the workspace has no snapshot yet").with_hint("`retro snap` takes one");
            return head.ok_or_else(nothing).map(Some);
        }
        let after_head = text.strip_prefix(HEAD).unwrap_or(text);
        if let Some(time) = after_head.strip_prefix("@{").and_then(|rest| rest.strip_suffix('}')) {
            return self.at_time(text, time).map(Some);
        }
        if let Some(step) = step_number(text) {
            let found = self.workspace(text)?.steps.get(&step).copied();
            let nothing = || not_found(text, "the workspace has no such step, or it was forgotten");
            return found.ok_or_else(nothing).map(Some);
        }
        if let Some(name) = text.strip_prefix(RUN_PREFIX) {
            return self.last_of_run(text, name);
        }
        let own = self.workspace.and_then(|id| self.state.workspaces.get(&id));
        let step = bare_number(text).and_then(|number| own?.steps.get(&number));
        match (step, HexPrefix::parse(text)) {
            (Some(id), _) => Ok(Some(*id)),
            (None, Some(prefix)) => self.by_digits(text, &prefix),
            (None, None) => Ok(None),
        }
    }

    fn tagged(&self, text: &str) -> Result<Option<SnapshotId>> {
        if let Some(own) = self.workspace.and_then(|id| self.state.workspaces.get(&id)) {
            return Ok(own.tags.get(text).copied());
        }
        let mut found = self.state.tags().filter(|(_, name, _)| *name == text);
        let (first, second) = (found.next(), found.next());
        match (first, second) {
            (Some((one, ..)), Some((other, ..))) => {
                let roots = [escaped(&one.root), escaped(&other.root)];
                let detail = format!("several workspaces have a tag of that name: {}", shown(&roots));
                Err(invalid(text, &detail).with_hint("choose the workspace with -C"))
            }
            (first, _) => Ok(first.map(|(_, _, id)| id)),
        }
    }

    /// Splits `ID/REV`, where the digits begin the id of one workspace.
    fn qualified<'t>(&self, text: &'t str) -> Result<Option<(WorkspaceId, &'t str)>> {
        let Some((digits, rest)) = text.split_once('/').filter(|(digits, _)| HexPrefix::parse(digits).is_some()) else {
            return Ok(None);
        };
        let digits = digits.to_lowercase();
        let mut found = self.state.workspaces.keys().filter(|id| id.to_string().starts_with(&digits));
        match (found.next(), found.next()) {
            (Some(_), Some(_)) => {
                Err(invalid(text, "several workspaces have ids that begin like this").with_hint("type more digits"))
            }
            (found, _) => Ok(found.map(|id| (*id, rest))),
        }
    }

    /// A parent, counted from 1.
    fn parent(&self, of: SnapshotId, number: u64, text: &str) -> Result<SnapshotId> {
        let snapshot = (self.load)(of)?.ok_or_else(|| not_found(text, "it was forgotten"))?;
        let index = usize::try_from(number - 1).unwrap_or(usize::MAX);
        snapshot.parents.get(index).copied().ok_or_else(|| match snapshot.parents.len() {
            0 => not_found(text, &format!("nothing comes before {}", of.short())),
            1 => not_found(text, &format!("{} has one parent", of.short())),
            count => not_found(text, &format!("{} has {count} parents", of.short())),
        })
    }

    /// Goes back `count` snapshots along first parents.
    fn before(&self, from: SnapshotId, count: u64, text: &str) -> Result<SnapshotId> {
        let mut passed = 0;
        for visit in walk_first_parents(self.load, from) {
            let (id, _) = visit?;
            if passed == count {
                return Ok(id);
            }
            passed += 1;
        }
        let detail = match passed.saturating_sub(1) {
            0 => format!("nothing comes before {}", from.short()),
            1 => format!("only one snapshot comes before {}", from.short()),
            known => format!("only {known} snapshots come before {}", from.short()),
        };
        Err(not_found(text, &detail))
    }

    /// The last step at or before a time. Steps are read one by one from the newest: their times ascend only if nobody
    /// sets the clock back.
    fn at_time(&self, text: &str, time: &str) -> Result<SnapshotId> {
        let workspace = self.workspace(text)?;
        let Some(time) = Timestamp::parse(time, self.now) else {
            return Err(invalid(text, "the time is not understood")
                .with_hint("write @{10 minutes ago}, @{2026-11-20 10:30} or @{2026-11-20T10:30:00Z}"));
        };
        for &id in workspace.steps.values().rev() {
            let snapshot = (self.load)(id)?;
            if snapshot.is_some_and(|snapshot| snapshot.time <= time) {
                return Ok(id);
            }
        }
        Err(not_found(text, &format!("the workspace has no snapshot from before {}", time.local())))
    }

    fn last_of_run(&self, text: &str, name: &str) -> Result<Option<SnapshotId>> {
        let own = self.workspace.and_then(|id| self.state.workspaces.get(&id));
        if let Some(id) = own.and_then(|workspace| workspace.runs.get(name)) {
            return Ok(Some(*id));
        }
        let holders =
            self.state.workspaces.values().filter_map(|workspace| Some((workspace, workspace.runs.get(name)?)));
        match holders.collect::<Vec<_>>()[..] {
            [] => Ok(None),
            [(_, id)] => Ok(Some(*id)),
            ref several => {
                let roots: Vec<String> = several.iter().map(|(workspace, _)| escaped(&workspace.root)).collect();
                let detail = format!("several workspaces have a run of that name: {}", shown(&roots));
                Err(invalid(text, &detail).with_hint("choose the workspace with -C"))
            }
        }
    }

    fn by_digits(&self, text: &str, prefix: &HexPrefix) -> Result<Option<SnapshotId>> {
        if let Some(id) = Digest::parse(text).map(SnapshotId) {
            return Ok((self.load)(id)?.map(|_| id));
        }
        let found: BTreeSet<SnapshotId> = known(self.state).filter(|id| prefix.matches(&id.0)).collect();
        match found.len() {
            0 | 1 => Ok(found.first().copied()),
            count => {
                let digits = (text.len() + 4).max(8);
                let ids: Vec<String> = found.iter().map(|id| id.to_string().chars().take(digits).collect()).collect();
                let detail = format!("{count} snapshots have ids that begin with it: {}", shown(&ids));
                Err(invalid(text, &detail).with_hint("type more digits"))
            }
        }
    }

    fn workspace(&self, text: &str) -> Result<&Workspace> {
        let found = self.workspace.and_then(|id| self.state.workspaces.get(&id));
        found.ok_or_else(|| {
            invalid(text, "this needs a workspace, and none is given")
                .with_hint("run this in a recorded folder, or name one with -C")
        })
    }
}

/// Every snapshot that the state names in any way.
fn known(state: &State) -> impl Iterator<Item = SnapshotId> {
    let of_workspace = |workspace: &'_ Workspace| {
        let unfinished = workspace.unfinished.iter();
        let around = unfinished.flat_map(|restore| restore.before.into_iter().chain([restore.target]));
        around
            .chain(workspace.timeline.recorded())
            .chain(workspace.head)
            .chain(workspace.runs.values().copied())
            .collect::<Vec<_>>()
    };
    let steps = state.snapshots().map(|(_, _, id)| id);
    let named = state.tags().map(|(_, _, id)| id).chain(state.pins.iter().copied());
    steps.chain(named).chain(state.workspaces.values().flat_map(of_workspace))
}

/// The position of the two dots of a range.
fn range_at(text: &str) -> Option<usize> {
    outside_times(text).find(|&at| text.as_bytes()[at..].starts_with(b".."))
}

/// Positions of the bytes outside the braces of a time, where dots and colons mean something else.
fn outside_times(text: &str) -> impl Iterator<Item = usize> {
    let bytes = text.as_bytes();
    let mut is_inside = false;
    (0..bytes.len()).filter(move |&at| {
        is_inside = if is_inside { bytes[at] != b'}' } else { bytes[at..].starts_with(b"@{") };
        !is_inside
    })
}

fn shown(list: &[String]) -> String {
    match list.get(..CANDIDATES_SHOWN_MAX) {
        Some(first) if list.len() > first.len() => {
            format!("{} and {} more", first.join(", "), list.len() - first.len())
        }
        _ => list.join(", "),
    }
}

fn not_found(text: &str, detail: &str) -> Error {
    Error::new(ErrorKind::NotFound, "find snapshot", escaped(text.as_bytes()), detail)
        .with_hint("`retro log` lists the steps, `retro tag` the tags")
}

fn invalid(text: &str, detail: &str) -> Error {
    Error::new(ErrorKind::Invalid, "find snapshot", escaped(text.as_bytes()), detail)
}

#[cfg(test)]
mod tests;

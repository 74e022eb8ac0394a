//! `retro workspace`: the recorded folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use retrograde::detail::{escaped, forgetting, named_forgotten, named_workspace, resolve_folder, root_of};
use retrograde::{
    Error, ErrorKind, Guard, Result, WorkspaceId, forget_workspace, join_workspaces as join, move_workspace,
    recall_workspace, wire,
};

use crate::args::Workspace;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::human;

pub(super) fn run(context: &mut Context, action: Workspace) -> Result<u8> {
    let opened = context.open()?;
    match action {
        Workspace::List => list(context, &opened),
        Workspace::Forget { workspace, undo: true, dry_run } => recall(context, &opened, &workspace, dry_run),
        Workspace::Forget { workspace, undo: false, dry_run } => forget(context, &opened, &workspace, dry_run),
        Workspace::Move { workspace, to, join, force } => {
            let guard = Guard { home: context.home(), force };
            relocate(context, &opened, &workspace, to, join, &guard)
        }
    }
}

fn list(context: &mut Context, opened: &Opened) -> Result<u8> {
    for workspace in opened.state.workspaces.values() {
        let root = root_of(workspace);
        let is_there = root.is_dir();
        let head = workspace.head.and_then(|head| opened.store.snapshot(head).ok());
        if context.out.is_json {
            context.out.json(&wire::Workspace::new(workspace, is_there, head.as_deref()))?;
            continue;
        }
        let age = head.map_or_else(|| "never".to_owned(), |head| head.time.ago(context.now));
        let steps = human::count(workspace.steps.len() as u64, "step");
        let gone = if is_there { "" } else { "  (gone)" };
        let id = context.out.palette.id;
        let short = workspace.id.short();
        context.out.line(format_args!("{id}{short}{id:#}  {steps:>12}  {age:<16}  {}{gone}", human::path(&root)))?;
    }
    Ok(exit::DONE)
}

fn forget(context: &mut Context, opened: &Opened, name: &OsStr, is_dry_run: bool) -> Result<u8> {
    let id = named(context, opened, name)?;
    let found = opened.state.workspaces.get(&id).expect("it was found in this state");
    let what = match is_dry_run {
        true => forgetting(&opened.state, id)?,
        false => forget_workspace(&opened.store, id, context.now)?,
    };
    let out = &mut context.out;
    if out.is_json {
        out.json(&wire::Forgotten::new(found, &what, !is_dry_run))?;
        return Ok(exit::DONE);
    }
    let word = if is_dry_run { "would forget" } else { "forgot" };
    let mut parts = vec![human::count(what.steps, "step"), human::count(what.runs, "run")];
    parts.push(human::count(what.tags.len() as u64, "tag"));
    out.summary(format_args!("{word} {}: {}", escaped(&found.root), parts.join(", ")))?;
    out.summary(format_args!("nothing in the folder is touched, and nothing in the store is deleted"))?;
    out.summary(format_args!("`retro workspace forget --undo {}` takes it back", id.short()))?;
    let named: Vec<String> = what.pinned.iter().map(|id| format!("pin {}", id.short())).collect();
    let named = named.into_iter().chain(what.tagged_elsewhere.iter().map(|tag| format!("tag {}", human::label(tag))));
    let named: Vec<String> = named.collect();
    if let Some(last) = what.last {
        out.summary(format_args!("full ids still open its steps; that of the last is {last}"))?;
    }
    if !named.is_empty() {
        out.summary(format_args!("so do {}", named.join(", ")))?;
    }
    Ok(exit::DONE)
}

/// Takes forgetting a workspace back.
fn recall(context: &mut Context, opened: &Opened, name: &OsStr, is_dry_run: bool) -> Result<u8> {
    let id = named_forgotten(&opened.state, &name.to_string_lossy(), &context.at(Path::new(name))?)?;
    let found = &opened.state.forgotten.get(&id).expect("it was found in this state").workspace;
    if !is_dry_run {
        recall_workspace(&opened.store, id, context.now)?;
    }
    let steps = found.steps.len() as u64;
    if context.out.is_json {
        context.out.json(&wire::Recalled::new(found, !is_dry_run))?;
    } else {
        let word = if is_dry_run { "would record" } else { "recording" };
        let steps = human::count(steps, "step");
        context.out.summary(format_args!("{word} {} again, with its {steps}", escaped(&found.root)))?;
    }
    Ok(exit::DONE)
}

fn relocate(
    context: &mut Context,
    opened: &Opened,
    name: &OsStr,
    to: Option<PathBuf>,
    joins: bool,
    guard: &Guard,
) -> Result<u8> {
    let id = named(context, opened, name)?;
    let folder = to.map_or_else(|| context.folder(), |to| context.at(&to))?;
    let folder = resolve_folder(&folder)?;
    let other = opened.state.workspace_at(folder.as_os_str().as_bytes()).filter(|other| joins && other.id != id);
    let joined = match other {
        Some(other) => join(&opened.store, id, other.id, context.now)?,
        None => {
            move_workspace(&opened.store, id, &folder, guard, context.now)?;
            0
        }
    };
    if context.out.is_json {
        context.out.json(&wire::Moved::new(id, &folder, joined))?;
        return Ok(exit::DONE);
    }
    context.out.summary(format_args!("workspace {} is at {}", id.short(), human::path(&folder)))?;
    if let Some(other) = other {
        let (steps, other) = (human::count(joined, "step"), other.id.short());
        context.out.summary(format_args!("{steps} of workspace {other} come after its own; that one is forgotten"))?;
    }
    Ok(exit::DONE)
}

/// The workspace that a path or an id names. A path may be any bytes, and its folder may be gone.
fn named(context: &Context, opened: &Opened, name: &OsStr) -> Result<WorkspaceId> {
    let path = context.at(Path::new(name))?;
    if let Some(found) = opened.state.workspace_at(path.as_os_str().as_bytes()) {
        return Ok(found.id);
    }
    match name.to_str() {
        Some(text) => named_workspace(&opened.state, text),
        None => {
            let shown = escaped(name.as_bytes());
            Err(Error::new(ErrorKind::NotFound, "find workspace", shown, "no recorded folder has this path")
                .with_hint("`retro workspace list` shows the recorded ones"))
        }
    }
}

//! `retro workspace`: list, forget and move recorded folders.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Guard, Result, WorkspaceId, wire};

use retrograde::detail::{escaped, shown};

use retrograde::workspaces::{
    forget_workspace, forgetting, join_workspaces as join, move_workspace, named_forgotten, named_workspace,
    recall_workspace, resolve_folder, root_of,
};

use crate::args::Workspace;
use crate::context::{Context, Opened};
use crate::views::human;

pub(super) fn run(context: &mut Context, action: Workspace) -> Result<()> {
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

fn list(context: &mut Context, opened: &Opened) -> Result<()> {
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
        context.out.line(format_args!("{id}{short}{id:#}  {steps:>12}  {age:<16}  {}{gone}", shown(&root)))?;
    }
    Ok(())
}

fn forget(context: &mut Context, opened: &Opened, name: &OsStr, is_dry_run: bool) -> Result<()> {
    let id = named(context, opened, name)?;
    let found = opened.state.workspaces.get(&id).expect("it was found in this state");
    let what = match is_dry_run {
        true => forgetting(&opened.state, id)?,
        false => forget_workspace(&opened.store, id, context.now)?,
    };
    let out = &mut context.out;
    if out.is_json {
        return out.json(&wire::Forgotten::new(found, &what, !is_dry_run));
    }
    let word = if is_dry_run { "would forget" } else { "forgot" };
    let (steps, runs) = (human::count(what.steps, "step"), human::count(what.runs, "run"));
    let tags = human::count(what.tags.len() as u64, "tag");
    out.summary(format_args!("{word} {}: {steps}, {runs}, {tags}", escaped(&found.root)))?;
    out.summary(format_args!("nothing in the folder is touched, and nothing in the store is deleted"))?;
    out.summary(format_args!("`retro workspace forget --undo {}` records it again", id.short()))?;
    let pins = what.pinned.iter().map(|id| format!("pin {}", id.short()));
    let tags = what.tagged_elsewhere.iter().map(|tag| format!("tag {}", human::label(tag)));
    let named: Vec<String> = pins.chain(tags).collect();
    if let Some(last) = what.last {
        out.summary(format_args!("full ids still open its steps; the id of the last is {last}"))?;
    }
    if !named.is_empty() {
        out.summary(format_args!("so do {}", named.join(", ")))?;
    }
    Ok(())
}

/// Records a forgotten workspace again.
fn recall(context: &mut Context, opened: &Opened, name: &OsStr, is_dry_run: bool) -> Result<()> {
    let id = named_forgotten(&opened.state, &name.to_string_lossy(), &context.at(Path::new(name))?)?;
    let found = &opened.state.forgotten.get(&id).expect("it was found in this state").workspace;
    if !is_dry_run {
        recall_workspace(&opened.store, id, context.now)?;
    }
    let word = if is_dry_run { "would record" } else { "recording" };
    let (root, steps) = (escaped(&found.root), human::count(found.steps.len() as u64, "step"));
    context.out.done(&wire::Recalled::new(found, !is_dry_run), format_args!("{word} {root} again, with its {steps}"))
}

fn relocate(
    context: &mut Context,
    opened: &Opened,
    name: &OsStr,
    to: Option<PathBuf>,
    joins: bool,
    guard: &Guard,
) -> Result<()> {
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
    let summary = format!("workspace {} is at {}", id.short(), shown(&folder));
    context.out.done(&wire::Moved::new(id, &folder, joined), format_args!("{summary}"))?;
    if let Some(other) = other.filter(|_| !context.out.is_json) {
        let (steps, other) = (human::count(joined, "step"), other.id.short());
        context
            .out
            .summary(format_args!("{steps} of workspace {other} follow its own; workspace {other} is forgotten"))?;
    }
    Ok(())
}

/// The workspace that a path or an id names. The path may be any bytes, and its folder may not exist.
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
                .with_hint("`retro workspace list` lists the recorded folders"))
        }
    }
}

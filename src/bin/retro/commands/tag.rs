//! `retro tag`: tag steps with names, and list the tags.

use std::collections::HashMap;

use retrograde::{Result, SnapshotId, Workspace, WorkspaceId, delete_tag, tag, wire};

use crate::args::Tag;
use crate::context::{Context, Opened};
use crate::views::{human, steps};

pub(super) fn run(context: &mut Context, arguments: &Tag) -> Result<()> {
    let opened = context.open()?;
    match (&arguments.name, &arguments.delete) {
        (_, Some(name)) => {
            // Needs a workspace: without one, a name alone may mean tags of several workspaces.
            delete_tag(&opened.store, opened.workspace()?.id, name, context.now)?;
            context.out.done(&wire::Tagged::new(name, None), format_args!("deleted tag {}", human::label(name)))
        }
        (Some(name), None) => {
            let snapshot = opened.resolve(&arguments.rev)?;
            // If the current folder is in no workspace, the tag goes to the workspace of the snapshot.
            let workspace = match opened.workspace_if_any() {
                Some(workspace) => workspace.id,
                None => opened.store.snapshot(snapshot)?.workspace,
            };
            tag(&opened.store, workspace, name, snapshot, arguments.force, context.now)?;
            let shown = steps::name_in(opened.workspace_if_any(), snapshot, &context.out.palette);
            let json = wire::Tagged::new(name, Some(snapshot));
            context.out.done(&json, format_args!("tagged {shown} as {}", human::label(name)))
        }
        (None, None) => list(context, &opened),
    }
}

/// Lists the tags of the workspace, in order of name; in a folder of no workspace, the tags of all workspaces, each as
/// `WORKSPACE/NAME`.
fn list(context: &mut Context, opened: &Opened) -> Result<()> {
    let own = opened.workspace_if_any();
    let tags = opened.state.tags().filter(|(workspace, ..)| own.is_none_or(|own| own.id == workspace.id));
    let named = |workspace: &Workspace, name: &str| match own {
        Some(_) => human::label(name),
        None => format!("{}/{}", workspace.id.short(), human::label(name)),
    };
    let tags: Vec<_> = tags.collect();
    let width = tags.iter().map(|(workspace, name, _)| named(workspace, name).chars().count()).max().unwrap_or(0);
    let steps = opened.state.snapshots().map(|(workspace, step, id)| ((workspace.id, id), step));
    let steps: HashMap<(WorkspaceId, SnapshotId), u64> = steps.collect();
    for (workspace, name, id) in tags {
        let step = steps.get(&(workspace.id, id)).copied();
        if context.out.is_json {
            context.out.json(&wire::Tag::new(name, id, step, workspace.id))?;
            continue;
        }
        let shown = steps::name(step, id, &context.out.palette);
        // The headline leaves out the event, which would have to be read.
        let about = match opened.store.snapshot(id) {
            Ok(snapshot) => format!("{}  {}", snapshot.time.local(), steps::headline(&snapshot, b"")),
            Err(error) => human::label(&error.to_string()),
        };
        let name = named(workspace, name);
        context.out.line(format_args!("{name:<width$}  {shown}  {}", about.trim_end()))?;
    }
    Ok(())
}

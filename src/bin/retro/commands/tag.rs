//! `retro tag`: names of steps.

use retrograde::error::Result;
use retrograde::ops::tag::{delete_tag, tag};

use crate::args::Tag;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::json::Object;
use crate::views::{human, steps};

pub(super) fn run(context: &mut Context, arguments: &Tag) -> Result<u8> {
    let opened = context.open()?;
    match (&arguments.name, &arguments.delete) {
        (_, Some(name)) => {
            delete_tag(&opened.store, name, context.now)?;
            if context.out.is_json {
                let object = Object::versioned().field("tag", name).field("snapshot", None::<String>);
                context.out.line(format_args!("{}", object.finish()))?;
            } else {
                context.out.summary(format_args!("deleted tag {}", human::label(name)))?;
            }
        }
        (Some(name), None) => {
            let snapshot = opened.resolve(&arguments.rev)?;
            tag(&opened.store, name, snapshot, arguments.force, context.now)?;
            if context.out.is_json {
                let object = Object::versioned().field("tag", name).field("snapshot", snapshot.to_string());
                context.out.line(format_args!("{}", object.finish()))?;
            } else {
                let shown = steps::name_in(opened.workspace_if_any(), snapshot, &context.out.palette);
                context.out.summary(format_args!("tagged {shown} as {}", human::label(name)))?;
            }
        }
        (None, None) => list(context, &opened)?,
    }
    Ok(exit::DONE)
}

/// Lists all tags of the store, in order of name; those of other workspaces say so by having no step.
fn list(context: &mut Context, opened: &Opened) -> Result<()> {
    let tags = &opened.state.tags;
    let name_width = tags.keys().map(|name| human::label(name).chars().count()).max().unwrap_or(0);
    let own = opened.workspace_if_any().map(|workspace| workspace.id);
    let owners = opened.owners();
    for (name, id) in tags {
        let owner = owners.get(id).map(|places| places.iter().find(|place| Some(place.0) == own).unwrap_or(&places[0]));
        if context.out.is_json {
            let object = Object::new()
                .field("tag", name)
                .field("snapshot", id.to_string())
                .field("step", owner.map(|(_, step)| step))
                .field("workspace", owner.map(|(workspace, _)| workspace.to_string()));
            context.out.line(format_args!("{}", object.finish()))?;
            continue;
        }
        let palette = context.out.palette;
        let shown = match owner {
            Some((workspace, step)) if Some(*workspace) == own => steps::name(*step, *id, &palette),
            _ => steps::name_in(None, *id, &palette),
        };
        let about = match opened.store.snapshot(*id) {
            Ok(snapshot) => format!("{}  {}", snapshot.time.local(), steps::headline(&snapshot, b"")),
            Err(error) => human::label(&error.to_string()),
        };
        let name = human::label(name);
        context.out.line(format_args!("{name:<name_width$}  {shown}  {}", about.trim_end()))?;
    }
    Ok(())
}

//! `retro show`: one step, its facts and what it changed.

use retrograde::error::Result;
use retrograde::ops::log::LogEntry;
use retrograde::ops::show;

use crate::args::Show;
use crate::context::Context;
use crate::exit;
use crate::views::json::{self, Object};
use crate::views::{changes, human, steps};

pub(super) fn run(context: &mut Context, arguments: &Show) -> Result<u8> {
    let opened = context.open()?;
    let id = opened.resolve(&arguments.rev)?;
    let shown = show::show(&opened.store, id)?;
    let comparison = show::changes(&opened.store, id, &opened.tree_paths(&arguments.paths)?)?;
    if context.out.is_json {
        let object = shape(shown, &comparison.changes).finish();
        context.out.line(format_args!("{object}"))?;
        return Ok(exit::DONE);
    }
    let palette = context.out.palette;
    for line in steps::facts(&shown, opened.workspace_if_any(), context.now, &palette) {
        context.out.line(format_args!("{line}"))?;
    }
    if !shown.omitted.is_empty() {
        let count = human::count(shown.omitted.len() as u64, "path");
        context.out.line(format_args!("\nomitted   {count}"))?;
        for omission in &shown.omitted {
            context.out.line(format_args!("  {:<10}  {}", omission.reason.word(), omission.path))?;
        }
    }
    if !comparison.changes.is_empty() {
        context.out.line(format_args!(""))?;
    }
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Names)?;
    Ok(exit::DONE)
}

/// A step as `log` lists it, and what only `show` knows.
fn shape(shown: show::Shown, changes: &[retrograde::diff::Change]) -> Object {
    let git = shown.snapshot.git.as_ref();
    let git = git.map(|git| Object::new().field("head", &git.head).field("branch", &git.branch));
    let rules: Vec<String> = shown.rules.lines().map(ToOwned::to_owned).collect();
    let workspace = shown.snapshot.workspace;
    let (omitted, is_pinned, is_incomplete) = (shown.omitted, shown.is_pinned, shown.is_incomplete);
    let (id, snapshot, event, tags) = (shown.id, shown.snapshot, shown.event, shown.tags);
    let entry = LogEntry { id, snapshot, event, tags, is_pinned, is_head: false, is_incomplete };
    json::step(Object::versioned(), &entry)
        .field("workspace", workspace.to_string())
        .field("pinned", is_pinned)
        .object("git", git)
        .field("rules", rules)
        .list("omitted", omitted.iter().map(json::omission))
        .list("changes", changes.iter().map(json::change))
}

//! `retro diff`: compare two steps, or a step with the current folder.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use retrograde::{CompareWith as Other, Config, Error, ErrorKind, Result, SnapshotId, compare};

use retrograde::detail::is_range;

use crate::args::Diff;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::{changes, progress};

/// The sides of a comparison: no old step at the beginning of history, and no new step for the live folder.
struct Sides {
    old: Option<SnapshotId>,
    new: Option<SnapshotId>,
}

pub(super) fn run(context: &mut Context, arguments: &Diff) -> Result<u8> {
    let opened = context.open()?;
    let (sides, paths) = sides(&opened, arguments)?;
    let config = match sides.new {
        Some(_) => Config::default(),
        None => context.workspace_config(&opened)?,
    };
    let progress = progress::reporter(&context.out);
    let old = sides.old.map_or(Other::Nothing, Other::Snapshot);
    let new = match sides.new {
        Some(new) => Other::Snapshot(new),
        None => Other::Live(opened.workspace()?.id, opened.capture(&config, &*progress)),
    };
    let snapshots: Vec<SnapshotId> = sides.old.into_iter().chain(sides.new).collect();
    let selection = opened.selection(&paths, &snapshots)?;
    opened.expect_somewhere(&selection, &snapshots, "compare")?;
    let comparison = compare(&opened.store, &old, &new, &selection)?;
    drop(progress);
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Patch)?;
    Ok(exit::yes_or_no(!arguments.exit_code || comparison.changes.is_empty()))
}

/// The sides and the paths to compare. The second argument may be a step or the first path.
fn sides(opened: &Opened, arguments: &Diff) -> Result<(Sides, Vec<PathBuf>)> {
    let mut sides = match &arguments.old {
        Some(range) if is_range(range) => {
            let (old, new) = opened.resolve_ends(range)?;
            Sides { old, new: Some(new) }
        }
        old => {
            let old = opened.resolve_step(old.as_deref().unwrap_or("@"), "retro diff --")?;
            Sides { old: Some(old), new: None }
        }
    };
    let mut paths = Vec::new();
    if let Some(second) = &arguments.new {
        match step_or_path(opened, second, sides.old)? {
            None => paths.push(PathBuf::from(second)),
            Some(new) if sides.new.is_none() => sides.new = Some(new),
            Some(_) => {
                let range = arguments.old.as_deref().unwrap_or_default();
                return Err(Error::new(
                    ErrorKind::Invalid,
                    "compare",
                    range,
                    "it names two steps already, so that there is no place for a third",
                ));
            }
        }
    }
    paths.extend(arguments.paths.all());
    Ok((sides, paths))
}

/// The step that an argument names; `None` if it is a path. An argument that could be both is refused.
fn step_or_path(opened: &Opened, argument: &OsStr, old: Option<SnapshotId>) -> Result<Option<SnapshotId>> {
    let snapshots: Vec<SnapshotId> = old.into_iter().collect();
    let is_path = opened.names_path(Path::new(argument), &snapshots)?;
    let Some(text) = argument.to_str() else { return Ok(None) };
    match (opened.resolve(text), is_path) {
        (Ok(_), true) => Err(Error::new(ErrorKind::Invalid, "compare", text, "both a step and a path have this name")
            .with_hint("write a path after `--`; write a step as its id, which `retro show REV` prints")),
        (Ok(step), false) => Ok(Some(step)),
        (Err(_), true) => Ok(None),
        (Err(error), false) => Err(opened.explained(error, text, "retro diff --")),
    }
}

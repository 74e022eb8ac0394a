//! `retro diff`: two steps, or a step and the folder as it is now.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use retrograde::detail::is_range;
use retrograde::{CompareWith as Other, Config, Error, ErrorKind, Result, SnapshotId, compare};

use crate::args::Diff;
use crate::context::{Context, Opened};
use crate::exit;
use crate::views::{changes, progress};

/// What is compared: nothing where history begins, and the live folder where no step is named.
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
    let is_different = !comparison.changes.is_empty();
    Ok(if arguments.exit_code && is_different { exit::NO } else { exit::DONE })
}

/// What to compare, and which paths of it. The second argument may be a step or the first path.
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
                return Err(Error::new(ErrorKind::Invalid, "compare", range, "a range has both ends already"));
            }
        }
    }
    paths.extend_from_slice(&arguments.more);
    paths.extend_from_slice(&arguments.paths);
    Ok((sides, paths))
}

/// The step that an argument names, or nothing where it is a path. What could be both is refused.
fn step_or_path(opened: &Opened, argument: &OsStr, old: Option<SnapshotId>) -> Result<Option<SnapshotId>> {
    let snapshots: Vec<SnapshotId> = old.into_iter().collect();
    let is_path = opened.names_path(Path::new(argument), &snapshots)?;
    let Some(text) = argument.to_str() else { return Ok(None) };
    match (opened.resolve(text), is_path) {
        (Ok(_), true) => {
            Err(Error::new(ErrorKind::Invalid, "compare", text, "it is the name of a step, and of a path, too")
                .with_hint("a path stands after `--`; a step has an id, too, which `retro show REV` prints"))
        }
        (Ok(step), false) => Ok(Some(step)),
        (Err(_), true) => Ok(None),
        (Err(error), false) => Err(opened.explained(error, text, "retro diff --")),
    }
}

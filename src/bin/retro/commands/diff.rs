//! `retro diff`: two steps, or a step and the folder as it is now.

use retrograde::error::{Error, ErrorKind, Result};
use retrograde::history::revision::is_range;
use retrograde::id::SnapshotId;
use retrograde::ops::compare::{Other, compare};
use retrograde::workspace::config::Config;

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
    let sides = sides(&opened, arguments)?;
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
    let comparison = compare(&opened.store, &old, &new, opened.tree_paths(&arguments.paths)?)?;
    drop(progress);
    changes::print(&mut context.out, &comparison, arguments.detail, changes::Default::Patch)?;
    let is_different = !comparison.changes.is_empty();
    Ok(if arguments.exit_code && is_different { exit::NO } else { exit::DONE })
}

fn sides(opened: &Opened, arguments: &Diff) -> Result<Sides> {
    match (&arguments.old, &arguments.new) {
        (Some(range), Some(_)) if is_range(range) => {
            Err(Error::new(ErrorKind::Invalid, "compare", range, "a range has both ends already"))
        }
        (Some(range), None) if is_range(range) => {
            let (old, new) = opened.resolve_ends(range)?;
            Ok(Sides { old, new: Some(new) })
        }
        (old, new) => {
            let old = Some(opened.resolve(old.as_deref().unwrap_or("@"))?);
            let new = new.as_deref().map(|new| opened.resolve(new)).transpose()?;
            Ok(Sides { old, new })
        }
    }
}

//! `retro restore`: put the folder, or some paths of it, back to a step, or write a step into another folder.
//! `retro undo` and `retro redo`: back and forth between the states that the folder went through.

use std::collections::BTreeSet;
use std::num::NonZeroU64;
use std::path::Path;

use retrograde::{
    CompareWith as Other, RestoreOptions, RestoreOutcome, Result, Selection, SnapshotId, Store, TreePath, WorkspaceId,
    abort_restore as abort, compare, restore, restore_into, resume_restore as resume, wire,
};

use retrograde::detail::{FillOptions as Options, Kept, RestoreCause, is_in_full, selected, shown};

use crate::args::{Restore, Rewriting, Walk};
use crate::context::{Context, Opened};
use crate::exit;
use crate::output::Output;
use crate::views::{human, progress, restored, steps};

pub(super) fn run(context: &mut Context, arguments: &Restore) -> Result<u8> {
    let opened = context.open_quietly()?;
    if arguments.abort || arguments.resume {
        let finish = if arguments.abort { abort } else { resume };
        return change(context, opened, arguments.how, |opened, id, options| finish(&opened.store, id, &options));
    }
    let rev = match &arguments.rev {
        Some(rev) => rev.clone(),
        // Paths without a step are those of the newest one.
        None => opened.workspace()?.steps.keys().next_back().map_or("@".to_owned(), |step| format!("s{step}")),
    };
    if arguments.into.is_some() || arguments.how.dry_run {
        context.warn_of_unfinished(opened.store.disk(), &opened.state)?;
    }
    let target = opened.resolve_step(&rev, "retro restore @")?;
    let named = arguments.paths.all();
    if let Some(dir) = &arguments.into {
        let paths = opened.selected_paths(&named, target, "restore")?;
        return into(context, &opened, target, &paths, dir);
    }
    let selection = opened.selection(&named, &[target])?;
    opened.expect_somewhere(&selection, &[target], "restore")?;
    let foreign = arguments.force && is_in_full(&rev);
    change(context, opened, arguments.how, |opened, id, mut options| {
        (options.paths, options.foreign) = (paths_to_restore(opened, target, &selection, &options)?, foreign);
        restore(&opened.store, id, target, &options)
    })
}

pub(super) fn undo(context: &mut Context, walk: Walk) -> Result<u8> {
    go(context, walk, retrograde::undo)
}

pub(super) fn redo(context: &mut Context, walk: Walk) -> Result<u8> {
    go(context, walk, retrograde::redo)
}

type Go = fn(&Store, WorkspaceId, NonZeroU64, &RestoreOptions<'_>) -> Result<RestoreOutcome>;

fn go(context: &mut Context, walk: Walk, go: Go) -> Result<u8> {
    let opened = context.open_quietly()?;
    let count = NonZeroU64::new(walk.count).expect("the arguments take no 0");
    change(context, opened, walk.how, |opened, id, options| go(&opened.store, id, count, &options))
}

/// Changes the workspace, and prints the changes and the way back. The exit code says if the folder is exactly the
/// step.
fn change(
    context: &mut Context,
    mut opened: Opened,
    how: Rewriting,
    change: impl FnOnce(&Opened, WorkspaceId, RestoreOptions<'_>) -> Result<RestoreOutcome>,
) -> Result<u8> {
    let id = opened.workspace()?.id;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let mut options = RestoreOptions::new(&config, context.now);
    (options.safety, options.dry_run) = (!how.no_safety_snapshot, how.dry_run);
    (options.home, options.progress) = (opened.home.as_deref(), &*progress);
    let outcome = change(&opened, id, options)?;
    drop(progress);
    opened.state = opened.store.state();
    print(context, &opened, &outcome, how)?;
    way_back(context, &opened, &outcome)?;
    Ok(exit::yes_or_no(outcome.is_exact()))
}

/// Prints the changes to the workspace, made or planned.
fn print(context: &mut Context, opened: &Opened, outcome: &RestoreOutcome, how: Rewriting) -> Result<()> {
    let millis = context.millis();
    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        let warnings = out.take_warnings();
        return out.json(&wire::Restored::new(outcome, millis, warnings));
    }
    let palette = out.palette;
    if how.dry_run || how.verbose {
        out.lines(outcome.plan.iter().map(|action| restored::action(action, &palette)))?;
    }
    let target = steps::name_in(opened.workspace_if_any(), outcome.target, &palette);
    let Some(applied) = &outcome.applied else {
        let word = if how.dry_run { "would change" } else { "changed" };
        let count = human::count(outcome.plan.len() as u64, "path");
        let count = if outcome.plan.is_empty() { "nothing" } else { &count };
        out.summary(format_args!("{target}  {word} {count}"))?;
        return kept(out, &target, outcome.kept(), outcome.is_exact());
    };
    let word = match outcome.cause {
        RestoreCause::Restore => "restored",
        RestoreCause::Undo { .. } | RestoreCause::Abort => "back at",
        RestoreCause::Redo { .. } => "again at",
    };
    out.summary(format_args!("{word} {target}  {}  {elapsed}", restored::counts(applied)))?;
    kept(out, &target, outcome.kept(), outcome.is_exact())
}

/// The most kept paths that are listed; `--json` lists all.
const KEPT_LINES_MAX: usize = 50;

/// Lists the paths that are not as the step has them, with the reasons.
fn kept(out: &mut Output, target: &str, kept: &[Kept], is_exact: bool) -> Result<()> {
    let warning = out.palette.warning;
    if !is_exact {
        let count = kept.iter().filter(|kept| kept.reason.is_difference()).count() as u64;
        out.summary(format_args!("{warning}not exactly{warning:#} {target}: {}", human::count(count, "path")))?;
    }
    let line = |kept: &Kept| format!("{warning}kept{warning:#}  {}  {}", kept.path, kept.reason);
    out.lines(human::first(KEPT_LINES_MAX, kept.iter().map(line), "; `--json` lists them all"))
}

/// Prints the state before and the way back to it, and the state now if it is not the target.
fn way_back(context: &mut Context, opened: &Opened, outcome: &RestoreOutcome) -> Result<()> {
    let out = &mut context.out;
    if out.is_json || !outcome.is_noted {
        return Ok(());
    }
    let workspace = opened.workspace_if_any();
    let palette = out.palette;
    let name = |id| steps::name_in(workspace, id, &palette);
    if let Some(state) = outcome.state.filter(|state| *state != outcome.target) {
        let state = name(state);
        out.summary(format_args!("the folder is now {state}"))?;
    }
    let Some(before) = outcome.before else {
        return out.summary(format_args!("the state before was not recorded: there is no way back to it"));
    };
    if before == outcome.target || outcome.state == Some(before) {
        return Ok(());
    }
    let timeline = workspace.map(|workspace| &workspace.timeline);
    let before_is = |state: Option<Option<SnapshotId>>| state.flatten() == Some(before);
    let undo_leads_there = timeline.is_some_and(|timeline| before_is(timeline.backwards().nth(1)));
    let redo_leads_there = timeline.is_some_and(|timeline| before_is(timeline.undone().next().map(Some)));
    let before = name(before);
    match outcome.cause {
        RestoreCause::Abort => out.summary(format_args!("the state before is kept as {before}")),
        RestoreCause::Undo { .. } if redo_leads_there => {
            out.summary(format_args!("the state before was {before}; `retro redo` goes back to it"))
        }
        RestoreCause::Restore | RestoreCause::Redo { .. } if undo_leads_there => {
            out.summary(format_args!("the state before was {before}; `retro undo` goes back to it"))
        }
        _ => out.summary(format_args!("the state before was {before}")),
    }
}

/// The named paths, and of each pattern the paths that match and differ, in the step or in the folder. Where nothing
/// differs, one path that matches stands for all: no path at all would mean everything.
fn paths_to_restore(
    opened: &Opened,
    target: SnapshotId,
    selection: &Selection,
    options: &RestoreOptions<'_>,
) -> Result<Vec<TreePath>> {
    if !selection.has_patterns() {
        return Ok(selection.paths().to_vec());
    }
    let live = Other::Live(opened.workspace()?.id, opened.capture(options.config, options.progress));
    let comparison = compare(&opened.store, &Other::Snapshot(target), &live, selection)?;
    let changed = comparison.changes.iter().flat_map(|change| change.old_path.iter().chain([&change.path]));
    let differing: BTreeSet<TreePath> = changed.filter_map(|path| selection.over(path)).collect();
    let mut found = selected(&opened.store, target, selection)?;
    found.extend(differing.iter().cloned());
    opened.expect_all(selection, &found, &format!("snapshot {} and in the folder", target.short()), "restore")?;
    let mut paths: Vec<TreePath> = differing.into_iter().chain(selection.paths().iter().cloned()).collect();
    if paths.is_empty() {
        paths.extend(found.into_iter().next());
    }
    Ok(paths)
}

fn into(context: &mut Context, opened: &Opened, target: SnapshotId, paths: &[TreePath], dir: &Path) -> Result<u8> {
    let folder = context.at(dir)?;
    let progress = progress::reporter(&context.out);
    let options = Options { durable: true, progress: &*progress, ..Options::default() };
    let filled = restore_into(&opened.store, target, paths, &folder, &options)?;
    drop(progress);
    let (millis, elapsed) = (context.millis(), human::duration(context.started.elapsed()));
    let out = &mut context.out;
    if out.is_json {
        out.json(&wire::Filled::new(&filled, target, &folder, millis))?;
    } else {
        let name = steps::name_in(opened.workspace_if_any(), target, &out.palette);
        let (files, size) = (human::count(filled.files, "file"), human::size(filled.bytes));
        out.summary(format_args!("{name} into {}  {files}, {size}  {elapsed}", shown(&folder)))?;
        kept(out, &name, &filled.kept, filled.kept.is_empty())?;
    }
    Ok(exit::yes_or_no(filled.kept.is_empty()))
}

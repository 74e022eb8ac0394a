//! `retro restore`: put the folder, or some paths of it, back to a step; or write a step somewhere else.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use retrograde::detail::{FillOptions as Options, Kept, RestoreCause, is_in_full, selected};
use retrograde::{
    CompareWith as Other, Config, Progress, RestoreOptions, RestoreOutcome, Result, SnapshotId, TreePath,
    abort_restore as abort, compare, restore, restore_into, resume_restore as resume, wire,
};

use crate::args::{Restore, Rewriting};
use crate::context::{Context, Opened};
use crate::exit;
use crate::output::Output;
use crate::views::{human, progress, restored, steps};

pub(super) fn run(context: &mut Context, arguments: &Restore) -> Result<u8> {
    let mut opened = context.open_quietly()?;
    if arguments.resume || arguments.abort {
        return unfinished(context, opened, arguments);
    }
    let rev = match &arguments.rev {
        Some(rev) => rev.clone(),
        // Paths without a step are those of the newest one.
        None => opened.workspace()?.steps.keys().next_back().map_or("@".to_owned(), |step| format!("s{step}")),
    };
    let rev = rev.as_str();
    if arguments.into.is_some() || arguments.how.dry_run {
        context.warn_of_unfinished(opened.store.disk(), &opened.state)?;
    }
    let target = opened.resolve_step(rev, "retro restore @")?;
    let named = [&arguments.more[..], &arguments.paths].concat();
    if let Some(dir) = &arguments.into {
        let paths = opened.selected_paths(&named, target, "restore")?;
        return into(context, &opened, target, &paths, dir);
    }
    let workspace = opened.workspace()?;
    let id = workspace.id;
    let config = context.workspace_config(&opened)?;
    let paths = paths_to_restore(context, &opened, target, &named, &config)?;
    let progress = progress::reporter(&context.out);
    let mut options = options(context, &opened, arguments.how, &config, &*progress);
    (options.paths, options.foreign) = (paths, arguments.force && is_in_full(rev));
    let outcome = restore(&opened.store, id, target, &options)?;
    drop(progress);
    opened.refresh();
    print(context, &opened, &outcome, arguments.how)?;
    way_back(context, &opened, &outcome)?;
    Ok(if outcome.is_exact() { exit::DONE } else { exit::NO })
}

/// Finishes a restore that was cut off, or goes back from it.
fn unfinished(context: &mut Context, mut opened: Opened, arguments: &Restore) -> Result<u8> {
    let workspace = opened.workspace()?;
    let id = workspace.id;
    let config = context.workspace_config(&opened)?;
    let progress = progress::reporter(&context.out);
    let options = options(context, &opened, arguments.how, &config, &*progress);
    let outcome = if arguments.abort { abort } else { resume }(&opened.store, id, &options)?;
    drop(progress);
    opened.refresh();
    print(context, &opened, &outcome, arguments.how)?;
    way_back(context, &opened, &outcome)?;
    Ok(if outcome.is_exact() { exit::DONE } else { exit::NO })
}

/// How to change the workspace, without paths.
pub(super) fn options<'a>(
    context: &Context,
    opened: &'a Opened,
    how: Rewriting,
    config: &'a Config,
    progress: &'a dyn Progress,
) -> RestoreOptions<'a> {
    let mut options = RestoreOptions::new(config, context.now);
    (options.safety, options.dry_run) = (!how.no_safety_snapshot, how.dry_run);
    (options.home, options.progress) = (opened.home.as_deref(), progress);
    options
}

/// Prints what was done to the workspace, or would be.
pub(super) fn print(context: &mut Context, opened: &Opened, outcome: &RestoreOutcome, how: Rewriting) -> Result<()> {
    let millis = context.millis();
    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        let warnings = out.take_warnings();
        return out.json(&wire::Restored::new(outcome, millis, warnings));
    }
    let palette = out.palette;
    if how.dry_run || how.verbose {
        for action in &outcome.plan {
            out.line(format_args!("{}", restored::action(action, &palette)))?;
        }
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

/// Lists of kept paths are cut at this length; with --json they are whole.
const KEPT_LINES_MAX: usize = 50;

/// Says which paths are not as the step has them, and why.
fn kept(out: &mut Output, target: &str, kept: &[Kept], is_exact: bool) -> Result<()> {
    let warning = out.palette.warning;
    if !is_exact {
        let count = kept.iter().filter(|kept| kept.reason.is_difference()).count() as u64;
        out.summary(format_args!("{warning}not exactly{warning:#} {target}: {}", human::count(count, "path")))?;
    }
    for kept in kept.iter().take(KEPT_LINES_MAX) {
        out.line(format_args!("{warning}kept{warning:#}  {}  {}", kept.path, kept.reason))?;
    }
    if let Some(more) = kept.len().checked_sub(KEPT_LINES_MAX).filter(|more| *more > 0) {
        out.line(format_args!("... and {} more; `--json` lists them all", human::number(more as u64)))?;
    }
    Ok(())
}

/// Says where the workspace was before, how to get there again, and where it is now if that is not the target.
pub(super) fn way_back(context: &mut Context, opened: &Opened, outcome: &RestoreOutcome) -> Result<()> {
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
        RestoreCause::Abort => out.summary(format_args!("what was there is kept as {before}")),
        RestoreCause::Undo { .. } if redo_leads_there => {
            out.summary(format_args!("before it was {before}; `retro redo` goes there again"))
        }
        RestoreCause::Restore | RestoreCause::Redo { .. } if undo_leads_there => {
            out.summary(format_args!("before it was {before}; `retro undo` goes back there"))
        }
        _ => out.summary(format_args!("before it was {before}")),
    }
}

/// The paths that are named, and for patterns those that differ and match, in the step or in the folder. Where none of
/// them differs one that matches stands for all: no path at all would mean everything.
fn paths_to_restore(
    context: &Context,
    opened: &Opened,
    target: SnapshotId,
    named: &[PathBuf],
    config: &Config,
) -> Result<Vec<TreePath>> {
    let selection = opened.selection(named, &[target])?;
    opened.expect_somewhere(&selection, &[target], "restore")?;
    if !selection.has_patterns() {
        return Ok(selection.paths().to_vec());
    }
    let progress = progress::reporter(&context.out);
    let live = Other::Live(opened.workspace()?.id, opened.capture(config, &*progress));
    let comparison = compare(&opened.store, &Other::Snapshot(target), &live, &selection)?;
    let changed = comparison.changes.iter().flat_map(|change| change.old_path.iter().chain([&change.path]));
    let differing: BTreeSet<TreePath> = changed.filter_map(|path| selection.over(path)).collect();
    let mut found = selected(&opened.store, target, &selection)?;
    found.extend(differing.iter().cloned());
    opened.expect_all(&selection, &found, &format!("snapshot {} and in the folder", target.short()), "restore")?;
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
        return Ok(if filled.kept.is_empty() { exit::DONE } else { exit::NO });
    }
    let palette = out.palette;
    let name = steps::name_in(opened.workspace_if_any(), target, &palette);
    let files = human::count(filled.files, "file");
    let size = human::size(filled.bytes);
    out.summary(format_args!("{name} into {}  {files}, {size}  {elapsed}", human::path(&folder)))?;
    kept(out, &name, &filled.kept, filled.kept.is_empty())?;
    Ok(if filled.kept.is_empty() { exit::DONE } else { exit::NO })
}

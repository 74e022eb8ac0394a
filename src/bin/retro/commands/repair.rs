//! `retro repair`: put a damaged store right.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use retrograde::detail::ObjectKind;
use retrograde::{RepairAction as Action, RepairOptions, RepairOutcome, Result, WorkspaceId, repair};

use crate::context::Context;
use crate::exit;
use crate::views::json::Object;
use crate::views::{human, progress};

pub(super) fn run(context: &mut Context, dry_run: bool) -> Result<u8> {
    let (disk, _) = context.disk()?;
    let progress = progress::reporter(&context.out);
    let scratch = std::env::temp_dir();
    let dry_run = dry_run.then_some(&*scratch);
    let options = RepairOptions { dry_run, now: context.now, progress: &*progress };
    let outcome = repair(&disk, &options)?;
    drop(progress);
    let (millis, elapsed) = (context.millis(), human::duration(context.started.elapsed()));
    if context.out.is_json {
        for action in &outcome.actions {
            context.out.line(format_args!("{}", shape(action).finish()))?;
        }
        context.out.line(format_args!("{}", sums(&outcome).field("millis", millis).finish()))?;
    } else {
        for line in lines(&outcome.actions) {
            context.out.line(format_args!("{line}"))?;
        }
        for left in &outcome.left {
            context.out.line(format_args!("left        {}", human::label(left)))?;
        }
        for line in verdict(&outcome, &elapsed) {
            context.out.summary(format_args!("{line}"))?;
        }
    }
    let is_whole = outcome.findings_left.is_none_or(|left| left == 0);
    Ok(if is_whole { exit::DONE } else { exit::NO })
}

fn lines(actions: &[Action]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut marks: BTreeMap<(bool, Option<WorkspaceId>), Vec<RangeInclusive<u64>>> = BTreeMap::new();
    let given_up = actions.iter().filter(|action| matches!(action, Action::GiveUp { .. })).count() as u64;
    let mut said = false;
    for action in actions {
        let (word, what) = match action {
            Action::Format { detail } => ("write", format!("FORMAT  ({detail})")),
            Action::TurnBack { file, bits } => {
                ("turn back", format!("{} of {file}", human::count(*bits, "flipped bit")))
            }
            Action::History { detail } => ("recover", detail.clone()),
            Action::Homeless { workspace } => {
                let move_it = format!("`retro workspace move {} DIR` says where", workspace.short());
                ("recover", format!("workspace {}, but not where it is: {move_it}", workspace.short()))
            }
            Action::Save { objects } => {
                ("save", format!("{}, which can be read and needs something damaged", human::count(*objects, "object")))
            }
            Action::Rewrite { file, detail } => ("rewrite", format!("{file}  ({detail})")),
            Action::Quarantine { file, detail } => ("put aside", format!("{file}  ({detail})")),
            Action::Cache { file, detail } => ("rebuild", format!("{file}  ({detail})")),
            Action::Reimport { objects } => ("bring back", format!("{} from live folders", counted(objects))),
            Action::GiveUp { .. } if std::mem::replace(&mut said, true) => continue,
            Action::GiveUp { .. } => {
                let count = human::count(given_up, "snapshot");
                ("give up", format!("{count} of which nobody knows the step any more; `retro verify` lists their ids"))
            }
            Action::Mark { step: Some((workspace, step)), incomplete, .. } => {
                add(marks.entry((*incomplete, Some(*workspace))).or_default(), *step);
                continue;
            }
            Action::Mark { snapshot, incomplete, .. } => {
                (if *incomplete { "mark" } else { "unmark" }, snapshot.short())
            }
        };
        lines.push(format!("{word:<10}  {}", human::label(&what)));
    }
    for ((incomplete, workspace), mut ranges) in marks {
        ranges.sort_by_key(|range| *range.start());
        let shown: Vec<String> = joined(&ranges).iter().map(shown).collect();
        let word = if incomplete { "mark" } else { "unmark" };
        let of = workspace.map(|id| format!(" of workspace {}", id.short())).unwrap_or_default();
        lines.push(format!("{word:<10}  {} incomplete{of}", shown.join(", ")));
    }
    lines
}

fn add(ranges: &mut Vec<RangeInclusive<u64>>, step: u64) {
    ranges.push(step..=step);
}

/// Ranges that follow each other become one.
fn joined(ranges: &[RangeInclusive<u64>]) -> Vec<RangeInclusive<u64>> {
    let mut joined: Vec<RangeInclusive<u64>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(*range.start()) => *last = *last.start()..=*range.end(),
            _ => joined.push(range.clone()),
        }
    }
    joined
}

fn shown(range: &RangeInclusive<u64>) -> String {
    let (first, last) = (range.start(), range.end());
    if first == last { format!("s{first}") } else { format!("s{first}-s{last}") }
}

fn counted(objects: &BTreeMap<ObjectKind, u64>) -> String {
    let parts: Vec<String> = objects
        .iter()
        .map(|(kind, count)| match kind {
            ObjectKind::Content => format!("{} of content", human::count(*count, "object")),
            kind => human::count(*count, kind.word()),
        })
        .collect();
    parts.join(", ")
}

fn verdict(outcome: &RepairOutcome, elapsed: &str) -> Vec<String> {
    let count = human::count(outcome.actions.len() as u64, "thing");
    match (outcome.actions.is_empty(), outcome.findings_left) {
        (true, None | Some(0)) => vec!["nothing to repair".to_owned()],
        (false, None) => vec![format!("would do {count}; nothing was changed")],
        (_, Some(0)) => vec![format!("repaired: {count} done, no damage left  {elapsed}")],
        (_, Some(left)) => {
            let found = human::count(left, "finding");
            let marked =
                if left == outcome.findings_marked { ", all of snapshots known to be incomplete or lost" } else { "" };
            let done = if outcome.actions.is_empty() {
                "nothing more can be done".to_owned()
            } else {
                format!("did {count}  {elapsed}")
            };
            vec![done, format!("{found} left{marked}; `retro verify` lists what is lost")]
        }
    }
}

fn shape(action: &Action) -> Object {
    let (word, file, detail) = match action {
        Action::TurnBack { file, .. } => ("turn-back", Some(&**file), None),
        Action::Format { detail } => ("format", Some("FORMAT"), Some(detail)),
        Action::History { detail } => ("history", None, Some(detail)),
        Action::Homeless { .. } => ("homeless", None, None),
        Action::Rewrite { file, detail } => ("rewrite", Some(&**file), Some(detail)),
        Action::Quarantine { file, detail } => ("quarantine", Some(&**file), Some(detail)),
        Action::Cache { file, detail } => ("cache", Some(&**file), Some(detail)),
        Action::Reimport { .. } => ("reimport", None, None),
        Action::GiveUp { .. } => ("give-up", None, None),
        Action::Save { .. } => ("save", None, None),
        Action::Mark { incomplete: true, .. } => ("mark", None, None),
        Action::Mark { incomplete: false, .. } => ("unmark", None, None),
    };
    let (workspace, step, snapshot) = match action {
        Action::Homeless { workspace } => (Some(workspace.to_string()), None, None),
        Action::GiveUp { snapshot } => (None, None, Some(snapshot.clone())),
        Action::Mark { snapshot, step, .. } => {
            let (workspace, step) = step.unzip();
            (workspace.map(|id| id.to_string()), step, Some(snapshot.to_string()))
        }
        _ => (None, None, None),
    };
    let objects = match action {
        Action::Reimport { objects } => Some(objects.values().sum::<u64>()),
        Action::TurnBack { bits, .. } => Some(*bits),
        Action::Save { objects } => Some(*objects),
        _ => None,
    };
    Object::new()
        .field("action", word)
        .field("file", file)
        .field("detail", detail)
        .field("workspace", workspace)
        .field("step", step)
        .field("snapshot", snapshot)
        .field("objects", objects)
}

fn sums(outcome: &RepairOutcome) -> Object {
    Object::versioned()
        .field("actions", outcome.actions.len())
        .field("done", outcome.is_done)
        .field("findings_left", outcome.findings_left)
        .field("findings_marked", outcome.findings_marked)
        .field("left", &outcome.left)
}

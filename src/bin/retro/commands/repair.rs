//! `retro repair`: repair a damaged store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use retrograde::detail::{ObjectKind, RecoverySource, RepairLeft as Left, StoreFile};
use retrograde::{RepairAction as Action, RepairOptions, RepairOutcome, Result, WorkspaceId, repair, wire};

use crate::context::Context;
use crate::exit;
use crate::views::{findings, human, problems, progress};

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
            context.out.json(&shape(action))?;
        }
        let left = outcome.left.iter().map(left).collect();
        context.out.json(&wire::Repaired::new(&outcome, left, millis))?;
    } else {
        for line in lines(&outcome.actions) {
            context.out.line(format_args!("{line}"))?;
        }
        for one in &outcome.left {
            context.out.line(format_args!("left        {}", human::label(&left(one))))?;
        }
        for line in verdict(&outcome, &elapsed) {
            context.out.summary(format_args!("{line}"))?;
        }
    }
    let is_whole = outcome.findings_left.is_none_or(|left| left == 0);
    Ok(if is_whole { exit::DONE } else { exit::NO })
}

/// A line for each action. Steps in a row are one.
fn lines(actions: &[Action]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut steps: BTreeMap<(&str, &str, Option<WorkspaceId>), BTreeSet<u64>> = BTreeMap::new();
    let given_up = actions.iter().filter(|action| matches!(action, Action::GiveUp(_))).count() as u64;
    for action in actions {
        match action {
            Action::RecoverSnapshot { workspace, step, tag: None, .. } => {
                let found = " from the snapshots themselves";
                steps.entry(("recover", found, Some(*workspace))).or_default().insert(*step);
            }
            Action::Mark { step: Some((workspace, step)), incomplete, .. } => {
                let word = if *incomplete { "mark" } else { "unmark" };
                steps.entry((word, " incomplete", Some(*workspace))).or_default().insert(*step);
            }
            Action::GiveUp(_) => {}
            action => lines.push(format!("{:<10}  {}", verb(action), human::label(&sentence(action)))),
        }
    }
    for ((verb, end, workspace), steps) in steps {
        let shown: Vec<String> = ranges(&steps).iter().map(findings::steps).collect();
        let of = workspace.map(|id| format!(" of workspace {}", id.short())).unwrap_or_default();
        lines.push(format!("{verb:<10}  {}{of}{end}", shown.join(", ")));
    }
    if given_up > 0 {
        let count = human::count(given_up, "snapshot");
        lines.push(format!("give up     {count} that nobody can read; `retro verify` lists their ids"));
    }
    lines
}

fn verb(action: &Action) -> &'static str {
    match action {
        Action::WriteFormat(_) => "write",
        Action::TurnBack(..) => "turn back",
        Action::RecoverTransactions(..)
        | Action::RecoverWorkspace(..)
        | Action::RecoverSnapshot { .. }
        | Action::FindAgain(..) => "recover",
        Action::KeepHead(..) => "keep",
        Action::GiveUp(_) => "give up",
        Action::Save(..) => "save",
        Action::Rewrite { .. } => "rewrite",
        Action::PutAside(_) => "put aside",
        Action::Rebuild(_) => "rebuild",
        Action::BringBack(..) => "bring back",
        Action::Mark { incomplete: true, .. } => "mark",
        Action::Mark { incomplete: false, .. } => "unmark",
    }
}

fn sentence(action: &Action) -> String {
    match action {
        Action::WriteFormat(problem) | Action::PutAside(problem) | Action::Rebuild(problem) => {
            let file = problem.file.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{file}  ({})", problems::problem(problem))
        }
        Action::TurnBack(pack, bits) => {
            format!("{} of {}", human::count(*bits, "flipped bit"), StoreFile::Pack(*pack))
        }
        Action::RecoverTransactions(source, transactions) => {
            let count = human::count(*transactions, "transaction");
            match source {
                RecoverySource::Journal => format!("{count} from the journal"),
                RecoverySource::DamagedRanges => format!("{count} from damaged parts of packs"),
                RecoverySource::Nothing => format!("{count} as lost: nothing is known of them"),
            }
        }
        Action::RecoverWorkspace(workspace, true) => format!("workspace {}", workspace.short()),
        Action::RecoverWorkspace(workspace, false) => {
            let id = workspace.short();
            format!("workspace {id}, but not where it is: `retro workspace move {id} DIR` says where")
        }
        Action::RecoverSnapshot { workspace, step, tag, .. } => {
            let tag = tag.as_deref().unwrap_or_default();
            format!("s{step} of workspace {} as {tag}: another snapshot has the step", workspace.short())
        }
        Action::KeepHead(workspace, step) => format!("s{step} of workspace {} as its head", workspace.short()),
        Action::GiveUp(snapshot) => snapshot.to_string(),
        Action::FindAgain(snapshot) => format!("{snapshot}, which was given up earlier"),
        Action::Save(objects) => {
            format!("{}, readable only as long as something damaged is there", human::count(*objects, "object"))
        }
        Action::Rewrite { pack, is_too_long: true, .. } => {
            format!("{}  (it is longer than a pack may be: its contents go into a new one)", StoreFile::Pack(*pack))
        }
        Action::Rewrite { pack, damaged_bytes, lost, .. } => {
            let lost = human::count(*lost, "object");
            format!("{}  ({damaged_bytes} bytes are damaged; {lost} given up)", StoreFile::Pack(*pack))
        }
        Action::BringBack(objects) => format!("{} from live folders", counted(objects)),
        Action::Mark { snapshot, .. } => snapshot.short(),
    }
}

fn left(left: &Left) -> String {
    match left {
        Left::NotSearched(reason) => format!("a folder was not searched: {reason}"),
        Left::TooManyLost(count) => format!("{count} transactions are missing, more than anybody could have made"),
        Left::NoNumber => "there is no number left for another transaction".to_owned(),
    }
}

/// Numbers in a row become a range.
fn ranges(steps: &BTreeSet<u64>) -> Vec<RangeInclusive<u64>> {
    let mut ranges: Vec<RangeInclusive<u64>> = Vec::new();
    for step in steps {
        match ranges.last_mut() {
            Some(last) if last.end().checked_add(1) == Some(*step) => *last = *last.start()..=*step,
            _ => ranges.push(*step..=*step),
        }
    }
    ranges
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

fn shape(action: &Action) -> wire::Repair {
    let problem = match action {
        Action::WriteFormat(problem) | Action::PutAside(problem) | Action::Rebuild(problem) => Some(problem),
        _ => None,
    };
    wire::Repair::new(action, problem.map(problems::problem))
}

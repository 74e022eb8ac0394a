//! `retro repair`: repair a damaged store.

use std::collections::{BTreeMap, BTreeSet};

use retrograde::{RepairOptions, RepairOutcome, Result, WorkspaceId, repair, wire};

use retrograde::detail::{ObjectKind, RecoverySource, RepairAction as Action, RepairLeft as Left, StoreFile};

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
            context.out.json(&wire::Repair::new(action, action.problem().map(problems::problem)))?;
        }
        let left = outcome.left.iter().map(left).collect();
        context.out.json(&wire::Repaired::new(&outcome, left, millis))?;
    } else {
        context.out.lines(lines(&outcome.actions))?;
        context.out.lines(outcome.left.iter().map(|one| format!("not done    {}", human::label(&left(one)))))?;
        for line in verdict(&outcome, &elapsed) {
            context.out.summary(format_args!("{line}"))?;
        }
    }
    Ok(exit::yes_or_no(outcome.findings_left.is_none_or(|left| left == 0)))
}

/// A line for each action; consecutive steps share one.
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
            action => {
                let word = wire::RepairWord::from(action).word().replace('-', " ");
                lines.push(format!("{word:<10}  {}", human::label(&sentence(action))));
            }
        }
    }
    for ((verb, end, workspace), steps) in steps {
        let of = workspace.map(|id| format!(" of workspace {}", id.short())).unwrap_or_default();
        lines.push(format!("{verb:<10}  {}{of}{end}", ranges(steps)));
    }
    if given_up > 0 {
        let count = human::count(given_up, "snapshot");
        lines.push(format!("give up     {count} that cannot be read; `retro verify` lists their ids"));
    }
    lines
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
            format!("workspace {id}, but not its path: `retro workspace move {id} DIR` sets it")
        }
        Action::RecoverSnapshot { workspace, step, tag, .. } => {
            let tag = tag.as_deref().unwrap_or_default();
            format!("s{step} of workspace {} as tag {tag}: another snapshot has the step", workspace.short())
        }
        Action::KeepHead(workspace, step) => format!("s{step} of workspace {} as its head", workspace.short()),
        Action::GiveUp(snapshot) => snapshot.to_string(),
        Action::FindAgain(snapshot) => format!("{snapshot}, which was given up earlier"),
        Action::Save(objects) => {
            format!("{} that can only be read from damaged files", human::count(*objects, "object"))
        }
        Action::Rewrite { pack, is_too_long: true, .. } => {
            format!("{}  (it is too long for a pack: its contents go into a new one)", StoreFile::Pack(*pack))
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
        Left::NotSearched(reason) => format!("a folder could not be searched for lost contents: {reason}"),
        Left::TooManyLost(count) => format!("record {count} lost transactions: the number is not plausible"),
        Left::NoNumber => "record lost transactions: no number is left for another transaction".to_owned(),
    }
}

/// Consecutive steps as ranges.
fn ranges(steps: BTreeSet<u64>) -> String {
    let steps = Vec::from_iter(steps);
    let ranges = steps.chunk_by(|one, next| one.checked_add(1) == Some(*next));
    let shown: Vec<String> = ranges.map(|range| findings::steps(&(range[0]..=range[range.len() - 1]))).collect();
    shown.join(", ")
}

fn counted(objects: &BTreeMap<ObjectKind, u64>) -> String {
    let part = |(kind, count): (&ObjectKind, &u64)| match kind {
        ObjectKind::Content => format!("{} of content", human::count(*count, "object")),
        kind => human::count(*count, kind.word()),
    };
    objects.iter().map(part).collect::<Vec<_>>().join(", ")
}

fn verdict(outcome: &RepairOutcome, elapsed: &str) -> Vec<String> {
    let count = human::count(outcome.actions.len() as u64, "repair");
    match (outcome.actions.is_empty(), outcome.findings_left) {
        (true, None | Some(0)) => vec!["nothing to repair".to_owned()],
        (false, None) => vec![format!("would do {count}; nothing was changed")],
        (_, Some(0)) => vec![format!("repaired: {count} done, no damage left  {elapsed}")],
        (is_idle, Some(left)) => {
            let found = human::count(left, "finding");
            let is_marked = left == outcome.findings_marked;
            let marked = if is_marked { ", all of steps known to be incomplete or lost" } else { "" };
            let done = if is_idle { "nothing more can be done".to_owned() } else { format!("did {count}  {elapsed}") };
            vec![done, format!("{found} left{marked}; `retro verify` lists them")]
        }
    }
}

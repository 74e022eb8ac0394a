//! Findings of `verify`, each as a block of lines.

use std::ops::RangeInclusive;

use retrograde::Finding;

use retrograde::detail::{
    Affected, AffectedPart as Part, Damage, DamagedObject, ObjectKind, Problem, ProblemKind, State,
};

use super::color::Palette;
use super::{human, problems};

/// A finding: the affected paths and steps, the damaged object or file, and the problem.
pub(crate) fn lines(finding: &Finding, state: &State, palette: &Palette) -> Vec<String> {
    let style = palette.error;
    let (place, problem) = (place(&finding.problem), problems::problem(&finding.problem));
    let mut lines: Vec<String> = finding.affects.iter().map(|affected| subject(affected, state)).collect();
    match (&finding.problem.kind, place) {
        (ProblemKind::OnlyInJournal(..), Some(place)) if !lines.is_empty() => {
            lines = vec![format!("{place} ({})", lines.join(", "))];
        }
        (_, place) => lines.extend(place),
    }
    lines.push(human::printable(&problem));
    if let ProblemKind::Object(object) = &finding.problem.kind {
        lines.extend(about(object, finding));
    }
    let word = word(&finding.problem.kind);
    let first = format!("{style}{word:<7}{style:#}  {}", lines[0]);
    std::iter::once(first).chain(lines[1..].iter().map(|line| format!("         {line}"))).collect()
}

/// The consequences of damage to an object.
fn about(object: &DamagedObject, finding: &Finding) -> Vec<String> {
    let mut lines: Vec<String> = object.cause.iter().map(|cause| format!("because of {cause}")).collect();
    let is_needed = !finding.affects.is_empty();
    let line = match (object.is_readable, finding.is_marked) {
        (true, _) => "still readable",
        (false, true) if is_needed => "known: these steps are marked as incomplete",
        (false, true) => "known: it is recorded as lost; its step is not known",
        (false, false) if is_needed => return lines,
        (false, false) if object.key.kind == ObjectKind::Snapshot => "its step is not known",
        (false, false) => "no step needs it",
    };
    lines.push(line.to_owned());
    lines
}

fn word(kind: &ProblemKind) -> &'static str {
    match kind {
        ProblemKind::Cache(_) => "wrong",
        ProblemKind::LostTransactions(_) | ProblemKind::OnlyInJournal(..) => "lost",
        ProblemKind::Unnamed(..) => "unnamed",
        ProblemKind::Object(object) if matches!(object.damage, Damage::Missing | Damage::CutOff | Damage::GivenUp) => {
            "lost"
        }
        _ => "damaged",
    }
}

/// The object, transaction or file that a problem is about.
fn place(problem: &Problem) -> Option<String> {
    let file = problem.file.as_ref().map(|file| human::label(&file.to_string()));
    let file = file.map(|file| problem.offset.map_or(file.clone(), |offset| format!("{file} at offset {offset}")));
    match (&problem.kind, problem.transactions()) {
        (ProblemKind::Object(object), _) => {
            let named = |id| format!("{} {id}", object.key.kind.word());
            let object = object.id.map_or_else(|| object.key.to_string(), named);
            Some(file.map_or(object.clone(), |file| format!("{object}  {file}")))
        }
        (_, Some([first, last])) if first == last => Some(format!("transaction {first}")),
        (_, Some([first, last])) => Some(format!("transactions {first} to {last}")),
        _ => file,
    }
}

/// The affected path and steps: `src/main.rs  in s3-s120, s130`. With several workspaces, the workspace too; for a
/// single step, its id too.
fn subject(affected: &Affected, state: &State) -> String {
    let mut steps: Vec<String> = affected.steps.iter().map(steps).collect();
    let mut found = affected.steps(state);
    if let (Some((_, id)), None) = (found.next(), found.next()) {
        steps = vec![format!("{} {}", steps.join(", "), id.short())];
    }
    steps.extend(affected.snapshot.map(|id| id.short()));
    let steps = match affected.workspace {
        Some(id) if state.workspaces.len() > 1 => format!("{} {}", id.short(), steps.join(", ")),
        _ => steps.join(", "),
    };
    match &affected.part {
        Part::Snapshot => steps,
        Part::Path(path) if path.is_root() => format!(".  in {steps}"),
        Part::Path(path) => format!("{path}  in {steps}"),
        Part::Event => format!("the event of {steps}"),
        Part::Times => format!("the modification times of {steps}"),
        Part::Omitted => format!("the list of omitted paths of {steps}"),
        Part::Attributes => format!("the owners, ACLs and extended attributes of {steps}"),
        Part::Excluded => format!("the list of excluded paths of {steps}"),
        Part::Rules => format!("the rules of {steps}"),
    }
}

/// `s3`, or `s3-s120`.
pub(crate) fn steps(range: &RangeInclusive<u64>) -> String {
    let (first, last) = (range.start(), range.end());
    if first == last { format!("s{first}") } else { format!("s{first}-s{last}") }
}

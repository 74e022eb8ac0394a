//! What verify found: a block of lines for people, an object for programs.

use retrograde::detail::{Affected, AffectedPart as Part, FindingKind, ObjectKind};
use retrograde::{Finding, SnapshotId, State};

use super::color::Palette;
use super::human;
use super::json::Object;

/// A finding: what and where, why, and then every step and path that needs it, steps in a row as a range.
pub(crate) fn lines(finding: &Finding, state: &State, palette: &Palette) -> Vec<String> {
    let style = palette.error;
    let word = if finding.kind == FindingKind::Cache { "wrong" } else { "damaged" };
    let object = finding.object.as_ref().map(|(kind, id)| format!("{} {id}", kind.word()));
    let place = finding.file.as_ref().map(|file| match finding.offset {
        Some(offset) => format!("{} at offset {offset}", human::label(file)),
        None => human::label(file),
    });
    let what: Vec<String> = object.into_iter().chain(place).collect();
    let what = if what.is_empty() { "history".to_owned() } else { what.join("  ") };
    let mut lines = vec![format!("{style}{word:<7}{style:#}  {what}"), indented(&human::printable(&finding.detail))];
    if let Some(cause) = &finding.cause {
        lines.push(indented(&format!("because of {cause}")));
    }
    for affected in &finding.affects {
        lines.push(indented(&format!("  {:<14}  {}", steps(affected, state), part(&affected.part))));
    }
    match &finding.object {
        Some((ObjectKind::Snapshot, _)) if finding.affects.is_empty() => {
            lines.push(indented("which step of which workspace it was is not known"));
        }
        Some(_) if finding.is_harmless() => lines.push(indented("it can be had all the same")),
        Some(_) if finding.affects.is_empty() => lines.push(indented("no snapshot needs it")),
        _ => {}
    }
    if finding.is_marked && finding.affects.is_empty() {
        lines.push(indented("marked: it is known to be lost"));
    } else if finding.is_marked {
        lines.push(indented("marked: these snapshots are known to be incomplete"));
    }
    lines
}

/// The same for programs; every snapshot stands for itself.
pub(crate) fn shape(finding: &Finding, state: &State) -> Object {
    let (object, id) = finding.object.as_ref().map(|(kind, id)| (kind.word().replace(' ', "_"), id)).unzip();
    Object::new()
        .field("finding", finding.kind.word())
        .field("file", &finding.file)
        .field("offset", finding.offset)
        .field("object", object)
        .field("id", id)
        .field("detail", &finding.detail)
        .field("cause", &finding.cause)
        .field("marked", finding.is_marked)
        .list("affects", finding.affects.iter().flat_map(|affected| each(affected, state)))
}

fn each(affected: &Affected, state: &State) -> Vec<Object> {
    let one = |step: Option<u64>, snapshot: SnapshotId| {
        let object = Object::new()
            .field("workspace", affected.workspace.map(|id| id.to_string()))
            .field("step", step)
            .field("snapshot", snapshot.to_string())
            .field("part", affected.part.word());
        match &affected.part {
            Part::Path(path) => object.path(path),
            _ => object.field("path", None::<String>),
        }
    };
    let stray = affected.snapshot.map(|id| one(None, id));
    let steps = snapshots(affected, state).map(|(step, id)| one(Some(step), id));
    steps.chain(stray).collect()
}

fn snapshots(affected: &Affected, state: &State) -> impl Iterator<Item = (u64, SnapshotId)> {
    let workspace = affected.workspace.and_then(|id| state.workspaces.get(&id));
    let ranges = affected.steps.iter();
    ranges.flat_map(move |range| {
        workspace.into_iter().flat_map(|found| found.steps.range(range.clone()).map(|(step, id)| (*step, *id)))
    })
}

/// `s3-s120, s130`, with the workspace where there are several; of a single step its id too.
fn steps(affected: &Affected, state: &State) -> String {
    if let Some(id) = affected.snapshot {
        return id.short();
    }
    let mut shown: Vec<String> = Vec::new();
    for range in &affected.steps {
        let (first, last) = (range.start(), range.end());
        shown.push(if first == last { format!("s{first}") } else { format!("s{first}-s{last}") });
    }
    let mut found = snapshots(affected, state);
    if let (Some((_, id)), None) = (found.next(), found.next()) {
        shown.push(id.short());
        return prefixed(affected, state, &shown.join(" "));
    }
    prefixed(affected, state, &shown.join(", "))
}

fn prefixed(affected: &Affected, state: &State, steps: &str) -> String {
    match affected.workspace {
        Some(id) if state.workspaces.len() > 1 => format!("{} {steps}", id.short()),
        _ => steps.to_owned(),
    }
}

fn part(part: &Part) -> String {
    match part {
        Part::Snapshot => "(the snapshot itself)".to_owned(),
        Part::Path(path) if path.is_root() => ".".to_owned(),
        Part::Path(path) => path.to_string(),
        Part::Event => "(its event)".to_owned(),
        Part::Times => "(its modification times)".to_owned(),
        Part::Omitted => "(its list of omitted paths)".to_owned(),
        Part::Attributes => "(its owners, ACLs and extended attributes)".to_owned(),
        Part::LeftOut => "(its list of paths left out)".to_owned(),
        Part::Rules => "(its exclude list)".to_owned(),
    }
}

fn indented(text: &str) -> String {
    format!("         {text}")
}

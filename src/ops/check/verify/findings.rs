//! What was found, put into words, in the order of files.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::walk::{Key, Trouble, Walked};
use super::{Affected, Finding, FindingKind, Part};
use crate::error::Result;
use crate::format::facts::Fact;
use crate::format::pack::ObjectKind;
use crate::id::to_hex;
use crate::store::State;
use crate::store::inspect::{InspectedPack, Inspection, Taken};
use crate::workspace::cache::{CacheKey, StatCache};

/// Everything that is wrong.
pub(super) fn findings(inspection: &Inspection, walked: &Walked) -> Vec<Finding> {
    let mut found = Vec::new();
    found.extend(inspection.obstacles.iter().map(|(file, detail)| of_file(FindingKind::Place, file, detail.clone())));
    if let Some(detail) = &inspection.format_trouble {
        found.push(of_file(FindingKind::Format, "FORMAT", detail.clone()));
    }
    found.extend(inspection.unusable.iter().map(|(file, detail)| of_file(FindingKind::Pack, file, detail.clone())));
    found.extend(inspection.packs.iter().flat_map(of_pack));
    found.extend(of_facts(inspection));
    found
        .extend(inspection.wrong_caches.iter().map(|(file, detail)| of_file(FindingKind::Cache, file, detail.clone())));
    let state = inspection.reader.state();
    let mut objects: Vec<Finding> = walked
        .objects
        .iter()
        .map(|((kind, prefix), trouble)| of_object(*kind, prefix, trouble, walked, &state))
        .collect();
    objects.sort_by(|a, b| (&a.file, a.offset, &a.object).cmp(&(&b.file, b.offset, &b.object)));
    found.extend(objects);
    found
}

/// Stat caches that are there and of no use.
pub(super) fn stat_cache_notes(inspection: &Inspection) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let reader = &inspection.reader;
    for workspace in reader.state().workspaces.values() {
        let file = format!("workspaces/{}/stat", workspace.id);
        let key = CacheKey {
            store: reader.id(),
            workspace: workspace.id,
            generation: crate::ops::record::capture::GENERATION,
        };
        if reader.disk().open(&file).is_ok() && StatCache::load(reader.disk(), key).is_empty() {
            notes.push(format!("{file}: it is not used; the next snapshot reads all files and writes it again"));
        }
    }
    Ok(notes)
}

fn of_file(kind: FindingKind, file: &str, detail: String) -> Finding {
    let file = Some(file.to_owned());
    Finding {
        kind,
        file,
        offset: None,
        object: None,
        detail,
        cause: None,
        affects: Vec::new(),
        is_marked: false,
        keys: None,
    }
}

fn of_pack(pack: &InspectedPack) -> Vec<Finding> {
    let mut found = Vec::new();
    if pack.is_headless {
        found.push(of_file(FindingKind::Pack, &pack.file, "its header is damaged".to_owned()));
    }
    let cut = pack.lost.iter().any(|(_, _, offset)| *offset >= pack.length_bytes);
    if let Some(known) = pack.known_length_bytes {
        let detail = format!("it was {known} bytes long and is {}", pack.length_bytes);
        found.push(of_file(FindingKind::Pack, &pack.file, detail));
    } else if cut {
        let detail = format!("it is {} bytes long, and its index knows objects beyond", pack.length_bytes);
        found.push(of_file(FindingKind::Pack, &pack.file, detail));
    }
    for stretch in &pack.damaged {
        let length = stretch.place.end - stretch.place.start;
        let (good, broken) = (stretch.salvaged.len(), stretch.broken.len());
        let detail = format!("{length} bytes are no intact batch: {good} objects in them can be read, {broken} cannot");
        let finding = of_file(FindingKind::Bytes, &pack.file, detail);
        found.push(Finding { offset: Some(stretch.place.start), ..finding });
    }
    found
}

fn of_facts(inspection: &Inspection) -> Vec<Finding> {
    let mut found = Vec::new();
    for (file, end, detail) in &inspection.wrong_commits {
        let finding = of_file(FindingKind::Facts, file, format!("the commit that ends here is wrong: {detail}"));
        found.push(Finding { offset: Some(*end), ..finding });
    }
    for gap in &inspection.lost_sequences {
        let (first, last) = (gap.start(), gap.end());
        let detail = if first == last {
            format!("commit {first} is lost, with what it says about history")
        } else {
            format!("commits {first} to {last} are lost, with what they say about history")
        };
        found.push(Finding { file: None, ..of_file(FindingKind::Facts, "", detail) });
    }
    for (one, other) in inspection.displaced(&BTreeMap::new()) {
        let detail =
            format!("workspace {} is at the same path as {}, which was put there later", one.short(), other.short());
        found.push(Finding { file: None, ..of_file(FindingKind::Facts, "", detail) });
    }
    for (workspace, taken) in inspection.unknown_workspaces(&BTreeMap::new()) {
        let count = taken.len();
        let detail = format!("workspace {} is not known: its {count} snapshots have no name", workspace.short());
        found.push(Finding { file: None, ..of_file(FindingKind::Facts, "", detail) });
    }
    for (workspace, step, Taken { snapshot: id, .. }) in inspection.shadowed() {
        let short = workspace.short();
        let detail = format!("s{step} of workspace {short} was taken twice: snapshot {id} has no name any more");
        found.push(Finding { file: None, ..of_file(FindingKind::Facts, "", detail) });
    }
    for (sequence, facts) in &inspection.journal_only {
        let detail = format!("commit {sequence} is in no pack; the journal still has its facts");
        let affects = facts.iter().filter_map(taken).collect();
        found.push(Finding { affects, ..of_file(FindingKind::Facts, "journal", detail) });
    }
    found
}

fn taken(fact: &Fact) -> Option<Affected> {
    let Fact::SnapshotTaken { workspace, step, .. } = fact else { return None };
    let steps: Vec<RangeInclusive<u64>> = vec![*step..=*step];
    Some(Affected { workspace: Some(*workspace), part: Part::Snapshot, steps, snapshot: None })
}

fn of_object(kind: ObjectKind, prefix: &[u8; 16], trouble: &Trouble, walked: &Walked, state: &State) -> Finding {
    let affects = trouble.affects();
    let is_given_up = kind == ObjectKind::Snapshot && state.lost.contains(prefix);
    let is_marked = match affects.is_empty() {
        true => is_given_up,
        false => affects.iter().all(|affected| are_marked(affected, state)),
    };
    let reason = trouble.base.map(|base| (kind, cause(kind, base, walked)));
    Finding {
        kind: FindingKind::Object,
        file: trouble.file.clone(),
        offset: trouble.offset,
        object: Some((kind, shown(prefix, trouble))),
        detail: trouble.detail.clone(),
        cause: reason.map(|key| named(key, walked)),
        affects,
        is_marked,
        keys: (!trouble.is_spare).then(|| ((kind, *prefix), reason.unwrap_or((kind, *prefix)))),
    }
}

/// The object at the end of a chain of damaged bases.
fn cause(kind: ObjectKind, base: [u8; 16], walked: &Walked) -> [u8; 16] {
    let mut at = base;
    for _ in 0..crate::limits::DELTA_DEPTH_MAX {
        match walked.objects.get(&(kind, at)).and_then(|trouble| trouble.base) {
            Some(next) => at = next,
            None => break,
        }
    }
    at
}

fn named((kind, prefix): Key, walked: &Walked) -> String {
    let id = walked.objects.get(&(kind, prefix)).map_or_else(|| to_hex(&prefix), |trouble| shown(&prefix, trouble));
    format!("{} {id}", kind.word())
}

fn are_marked(affected: &Affected, state: &State) -> bool {
    let steps = affected.workspace.and_then(|id| state.workspaces.get(&id)).map(|workspace| &workspace.steps);
    let mut ids = affected
        .steps
        .iter()
        .flat_map(|range| steps.into_iter().flat_map(|steps| steps.range(range.clone()).map(|(_, id)| id)))
        .chain(&affected.snapshot);
    ids.all(|id| state.incomplete.contains(id))
}

fn shown(prefix: &[u8; 16], trouble: &Trouble) -> String {
    trouble.id.map_or_else(|| to_hex(prefix), |id| id.to_string())
}

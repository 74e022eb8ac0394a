//! The pass for packs and caches: it saves objects of damaged records, writes damaged packs anew, and rebuilds wrong
//! caches.
//!
//! Objects are saved one round before their pack is written anew, so that no readable object is ever only in
//! quarantine.

use super::{Action, Round};
use crate::error::Result;
use crate::store::file::StoreFile;
use crate::store::inspect::{CacheProblem, Problem, ProblemKind};
use crate::store::repair::{Rewrite, put_file_aside, remove_cache, rewrite_pack, to_save, write_pack};

/// Writes damaged packs anew; then handles other files and caches.
pub(super) fn rewrite(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let done = write_anew(round, false)?;
    if done.is_empty() { tidy(round) } else { Ok(done) }
}

/// Writes damaged packs anew. Deltas of lost objects are kept, because the objects may come back, unless those are
/// `given_up`.
pub(super) fn write_anew(round: &mut Round<'_>, given_up: bool) -> Result<Vec<Action>> {
    let (inspection, checked) = (&round.inspection, round.checked()?);
    let tails = inspection.packs.iter().filter_map(|pack| Some((pack.number, pack.tail.as_ref()?)));
    let mut actions: Vec<Action> = tails
        .map(|(pack, tail)| {
            let damaged_bytes = tail.place.end - tail.place.start;
            Action::Rewrite { pack, damaged_bytes, lost: tail.broken.len() as u64, is_too_long: false }
        })
        .collect();
    let objects = to_save(inspection, checked, given_up)?;
    if !objects.is_empty() {
        actions.push(Action::Save(objects.len() as u64));
    }
    if !actions.is_empty() {
        write_pack(inspection, &[].into(), &objects, round.guard())?;
        round.complete_caches()?;
        return Ok(actions);
    }
    for pack in &inspection.packs {
        let done = rewrite_pack(inspection, checked, pack, given_up, round.guard())?;
        let Some(Rewrite { damaged_bytes, lost, is_too_long }) = done else { continue };
        actions.push(Action::Rewrite { pack: pack.number, damaged_bytes, lost, is_too_long });
        // Its contents are in a new pack now, with the next number.
        if is_too_long {
            break;
        }
    }
    if !actions.is_empty() {
        round.complete_caches()?;
    }
    Ok(actions)
}

/// Moves files that are not part of the store to quarantine, and rebuilds caches that differ from the packs.
fn tidy(round: &mut Round<'_>) -> Result<Vec<Action>> {
    let (inspection, no_pack) = (&round.inspection, ProblemKind::Cache(CacheProblem::NoPack));
    let mut strays: Vec<Problem> = Vec::new();
    for problem in &inspection.problems {
        match (&problem.kind, &problem.file) {
            (ProblemKind::NotAPack(_), Some(StoreFile::Pack(pack))) => {
                strays.push(problem.clone());
                let index = StoreFile::Index(*pack);
                if round.disk.open(&index.to_string()).is_ok() {
                    strays.push(Problem::of(index, no_pack.clone()));
                }
            }
            (kind, _) if *kind == no_pack => strays.push(problem.clone()),
            _ => {}
        }
    }
    let mut actions = Vec::new();
    for problem in strays {
        problem.file.iter().try_for_each(|file| put_file_aside(&**round.disk, file, round.guard()))?;
        actions.push(Action::PutAside(problem));
    }
    for problem in inspection.caches().filter(|problem| problem.kind != no_pack) {
        problem.file.iter().try_for_each(|file| remove_cache(inspection, file, round.guard()))?;
        actions.push(Action::Rebuild(problem.clone()));
    }
    if !actions.is_empty() {
        round.complete_caches()?;
    }
    Ok(actions)
}

//! `retro verify`: check the store for damage.

use retrograde::{Result, VerifyLevel as Level, VerifyOptions, VerifyOutcome, verify, wire};

use crate::args::Verify;
use crate::context::Context;
use crate::exit;
use crate::views::{findings, human, problems, progress};

pub(super) fn run(context: &mut Context, arguments: &Verify) -> Result<u8> {
    let (disk, _) = context.disk()?;
    let level = match (arguments.quick, arguments.sample) {
        (true, _) => Level::Quick,
        (false, Some(parts_per_million)) => {
            let seed = arguments.seed.unwrap_or(context.now.0.unsigned_abs());
            Level::Sample { parts_per_million, seed }
        }
        (false, None) => Level::Full,
    };
    let progress = progress::reporter(&context.out);
    let found = verify(&disk, &VerifyOptions { level, progress: &*progress })?;
    drop(progress);
    context.warn_of_unfinished(&*disk, &found.state)?;
    let (millis, elapsed) = (context.millis(), human::duration(context.started.elapsed()));
    let palette = context.out.palette;
    if context.out.is_json {
        for finding in &found.findings {
            let detail = problems::problem(&finding.problem);
            context.out.json(&wire::Finding::new(finding, &found.state, detail))?;
        }
        let notes = found.notes.iter().map(problems::note).collect();
        context.out.json(&wire::Verified::new(&found, notes, millis))?;
    } else {
        let lines = |finding| findings::lines(finding, &found.state, &palette);
        context.out.lines(found.findings.iter().flat_map(lines))?;
        for note in &found.notes {
            context.out.summary(format_args!("note     {}", human::label(&problems::note(note))))?;
        }
        context.out.summary(format_args!("{}  {elapsed}", summary(&found, level)))?;
        context.out.summary(format_args!("{}", verdict(&found)))?;
    }
    Ok(exit::yes_or_no(found.findings.is_empty()))
}

fn summary(found: &VerifyOutcome, level: Level) -> String {
    let packs = human::count(found.packs, "pack");
    let size = human::size(found.pack_bytes);
    let objects = human::count(found.objects, "object");
    let snapshots = human::count(found.snapshots, "snapshot");
    let decoded = match level {
        Level::Full => String::new(),
        Level::Quick => " (structure only)".to_owned(),
        Level::Sample { seed, .. } => {
            format!(" ({} of them decoded, seed {seed})", human::number(found.decoded_objects))
        }
    };
    format!("checked {packs} ({size}), {objects}{decoded}, {snapshots}")
}

fn verdict(found: &VerifyOutcome) -> String {
    let count = found.findings.len();
    let findings = human::count(count as u64, "finding");
    match found.findings.iter().filter(|finding| finding.is_marked).count() {
        _ if count == 0 => "no damage".to_owned(),
        marked if marked == count => {
            format!("{findings}, all of steps known to be incomplete or lost: a repair has recovered what it could")
        }
        _ => format!("{findings}; `retro repair --dry-run` shows what can be repaired"),
    }
}

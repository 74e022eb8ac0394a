//! `retro export --git`: write steps as a git repository.

use std::path::Path;

use retrograde::{Result, wire};

use retrograde::detail::shown;

use retrograde::share::{ExportGitOptions, export_git};

use crate::context::Context;
use crate::views::{event, human, progress};

/// The longest subject of a commit that is made from the event of its step, in characters.
const SUBJECT_WIDTH_MAX: usize = 72;

pub(super) fn run(context: &mut Context, range: Option<&str>, dir: &Path) -> Result<()> {
    let opened = context.open()?;
    let snapshots: Vec<_> = match range {
        Some(range) => opened.resolve_range(range)?,
        None => opened.workspace()?.steps.values().copied().collect(),
    };
    let folder = context.at(dir)?;
    let progress = progress::reporter(&context.out);
    let subject = |facts: &[u8]| event::summary(facts, SUBJECT_WIDTH_MAX);
    let options = ExportGitOptions { bare: true, keep_facts: true, subject: &subject, progress: &*progress };
    let exported = export_git(&opened.store, &snapshots, &folder, &options)?;
    drop(progress);
    let out = &mut context.out;
    if out.is_json {
        return out.json(&wire::GitExported::new(&folder, &exported));
    }
    let (commits, size) = (human::count(exported.commits, "commit"), human::size(exported.written_bytes));
    out.summary(format_args!("wrote {}  {commits}, {size}; a bare repository", shown(&folder)))?;
    let runs = exported.branches.iter().filter_map(|(run, reference)| Some(("run", run.as_ref()?, reference)));
    let tags = exported.tags.iter().map(|(tag, reference)| ("tag", tag, reference));
    for (kind, name, reference) in runs.chain(tags).filter(|(_, name, reference)| name != reference) {
        let line = format!("{kind} {name} is {reference} in git");
        out.summary(format_args!("{}", human::printable(&line)))?;
    }
    let warning = out.palette.warning;
    out.lines(exported.skipped.iter().map(|one| format!("{warning}skipped{warning:#}  {}  {}", one.path, one.reason)))
}

//! `retro import`: record the commits of a git repository as steps.

use std::fmt::Display;

use retrograde::{Error, ErrorKind, Result, wire};

use retrograde::detail::escaped;

use retrograde::share::{
    GitCommits as Commits, GitImport as Imported, GitSource as Source, ImportGitOptions, import_git,
};

use retrograde::workspaces::forget_workspace;

use super::snap::{Recorded, run_name};
use crate::args::Import;
use crate::context::Context;
use crate::views::{human, progress, steps};

pub(super) fn run(context: &mut Context, arguments: Import) -> Result<()> {
    let run = run_name(context, arguments.run.map(Into::into)).to_string_lossy().into_owned();
    let commits = match &arguments.range {
        Some(range) => Commits::Range(range),
        None if arguments.all => Commits::All,
        None => Commits::Head,
    };
    let source = Source::open(&context.at(&arguments.git)?, commits)?;
    let opened = context.open_or_create(&context.folder()?, false)?;
    let (workspace, is_new) = Recorded::find(context, &opened)?.register(context, &opened, false)?;
    let progress = progress::reporter(&context.out);
    let options = ImportGitOptions { run, now: context.now, progress: &*progress };
    let imported = import_git(&opened.store, workspace, source, &options).and_then(expect_some);
    drop(progress);
    if is_new && opened.store.state().workspaces.get(&workspace).is_some_and(|found| found.steps.is_empty()) {
        // No step came of it: the folder stays unrecorded.
        forget_workspace(&opened.store, workspace, context.now)?;
    }
    print(context, &imported?)
}

/// Fails if none of the commits could be read.
fn expect_some(imported: Imported) -> Result<Imported> {
    match imported.skipped.first().filter(|_| imported.snapshots + imported.known == 0) {
        None => Ok(imported),
        Some(first) => {
            let detail = format!("{}, and no other commit could be read", first.reason);
            Err(Error::new(ErrorKind::Corrupt, "import commit", &first.name, detail)
                .with_hint("`git fsck` lists what the repository lacks; `git fetch --unshallow --refetch` may get it"))
        }
    }
}

fn print(context: &mut Context, imported: &Imported) -> Result<()> {
    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        return out.json(&wire::GitImported::new(imported));
    }
    let palette = out.palette;
    let known = human::count(imported.known, "commit");
    match imported.first.zip(imported.last) {
        None if imported.known > 0 => out.summary(format_args!("nothing new: {known} recorded already"))?,
        None => out.summary(format_args!("nothing to import"))?,
        Some(((first, first_step), (last, last_step))) => {
            let count = human::count(imported.snapshots, "step");
            let (first, last) = (steps::name(first_step, first, &palette), steps::name(last_step, last, &palette));
            let known = if imported.known > 0 { format!("({known} recorded already)  ") } else { String::new() };
            out.summary(format_args!("imported {count}, {first} to {last}  {known}{elapsed}"))?;
        }
    }
    if imported.omitting > 0 {
        let steps = human::count(imported.omitting, "step");
        out.summary(format_args!("{steps} with omitted paths; `retro show` lists them"))?;
    }
    let warning = palette.warning;
    let mut list = |head: &str, lines: Vec<[String; 2]>| {
        let line = |[what, why]: &[String; 2]| format!("{}  {}", human::printable(what), human::printable(why));
        let lines = human::first(LINES_MAX, lines.iter().map(line), "; `--json` lists them all");
        out.lines(lines.into_iter().map(|line| format!("{warning}{head}{warning:#}  {line}")))
    };
    let pair = |what: &dyn Display, why: &dyn Display| [what.to_string(), why.to_string()];
    list("skipped", imported.skipped.iter().map(|one| pair(&one.name, &one.reason)).collect())?;
    list("skipped", imported.refused.iter().map(|one| pair(&escaped(&one.path), &one.reason)).collect())?;
    let tag = |tag: &str| format!("tag {tag}");
    list("skipped", imported.skipped_tags.iter().map(|one| pair(&tag(&one.name), &one.reason)).collect())?;
    list("guessed", imported.guessed.iter().map(|(commit, what)| pair(commit, what)).collect())
}

/// The most lines of each list.
const LINES_MAX: usize = 20;

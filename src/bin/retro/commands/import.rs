//! `retro import`: the commits of a git repository as steps.

#[cfg(feature = "git")]
use std::fmt::Display;

use retrograde::Result;

use crate::args::Import;
use crate::context::Context;

#[cfg(not(feature = "git"))]
pub(super) fn run(_: &mut Context, _: Import) -> Result<u8> {
    Err(no_git())
}

#[cfg(feature = "git")]
pub(super) fn run(context: &mut Context, arguments: Import) -> Result<u8> {
    use retrograde::GitCommits as Commits;
    use retrograde::GitSource as Source;
    use retrograde::ImportGitOptions;
    use retrograde::forget_workspace;
    use retrograde::import_git;

    use super::snap::{Place, said_run};
    use crate::views::progress;

    let run = said_run(context, arguments.run.map(Into::into)).to_string_lossy().into_owned();
    let commits = match &arguments.range {
        Some(range) => Commits::Range(range),
        None if arguments.all => Commits::All,
        None => Commits::Head,
    };
    let source = Source::open(&context.at(&arguments.git)?, commits)?;
    let opened = context.open_or_create(&context.folder()?, false)?;
    let (workspace, is_new) = Place::find(context, &opened)?.register(context, &opened, false)?;
    let progress = progress::reporter(&context.out);
    let options = ImportGitOptions { run, now: context.now, progress: &*progress };
    let imported = import_git(&opened.store, workspace, source, &options).and_then(expect_some);
    drop(progress);
    let is_empty = |found: &retrograde::Workspace| found.steps.is_empty();
    if is_new && opened.store.state().workspaces.get(&workspace).is_some_and(is_empty) {
        // Nothing came of it: the folder is not recorded, as before.
        forget_workspace(&opened.store, workspace, context.now)?;
    }
    print(context, &imported?)?;
    Ok(crate::exit::DONE)
}

/// An import that could read none of the commits has failed.
#[cfg(feature = "git")]
fn expect_some(imported: retrograde::GitImport) -> Result<retrograde::GitImport> {
    use retrograde::Error;
    use retrograde::ErrorKind;
    match imported.skipped.first().filter(|_| imported.snapshots + imported.known == 0) {
        None => Ok(imported),
        Some(first) => {
            let detail = format!("{}, and no other commit could be read", first.reason);
            Err(Error::new(ErrorKind::Corrupt, "import commit", &first.name, detail)
                .with_hint("`git fsck` says what the repository lacks; `git fetch --unshallow --refetch` may get it"))
        }
    }
}

#[cfg(feature = "git")]
fn print(context: &mut Context, imported: &retrograde::GitImport) -> Result<()> {
    use crate::views::{human, steps};

    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        return out.json(&retrograde::wire::GitImported::new(imported));
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
    let mut list = |head: &str, lines: Vec<(String, String)>| -> Result<()> {
        for (what, why) in lines.iter().take(LISTED_MAX) {
            let (what, why) = (human::printable(what), human::printable(why));
            out.line(format_args!("{warning}{head}{warning:#}  {what}  {why}"))?;
        }
        match lines.len().checked_sub(LISTED_MAX).filter(|more| *more > 0) {
            Some(more) => out.line(format_args!("{warning}{head}{warning:#}  {more} more; --json lists them")),
            None => Ok(()),
        }
    };
    let pair = |what: &dyn Display, why: &dyn Display| (what.to_string(), why.to_string());
    list("skipped", imported.skipped.iter().map(|one| pair(&one.name, &one.reason)).collect())?;
    let path = |path: &[u8]| retrograde::detail::escaped(path);
    list("skipped", imported.refused.iter().map(|one| pair(&path(&one.path), &one.reason)).collect())?;
    let tags = imported.skipped_tags.iter();
    list("skipped", tags.map(|one| pair(&format!("tag {}", one.name), &one.reason)).collect())?;
    list("guessed", imported.guessed.iter().map(|(commit, what)| pair(commit, what)).collect())
}

/// Lines of one kind that are printed.
#[cfg(feature = "git")]
const LISTED_MAX: usize = 20;

/// This build was made without the feature `git`.
#[cfg(not(feature = "git"))]
pub(super) fn no_git() -> retrograde::Error {
    use retrograde::Error;
    use retrograde::ErrorKind;
    Error::new(ErrorKind::Unsupported, "read or write", "git repositories", "this build of retro cannot")
        .with_hint("build it with the feature `git`, which is on by default")
}

//! `retro import`: the commits of a git repository as steps.

use std::path::Path;

use retrograde::error::Result;

use crate::context::Context;

#[cfg(not(feature = "git"))]
pub(super) fn run(_: &mut Context, _: &Path, _: Option<&str>, _: Option<String>) -> Result<u8> {
    Err(no_git())
}

#[cfg(feature = "git")]
pub(super) fn run(context: &mut Context, dir: &Path, range: Option<&str>, run: Option<String>) -> Result<u8> {
    use retrograde::ops::import_git::{ImportGitOptions, import_git};

    use super::snap::{Place, said_run};
    use crate::views::progress;

    let run = said_run(context, run.map(Into::into)).to_string_lossy().into_owned();
    let repository = context.at(dir)?;
    let opened = context.open_or_create()?;
    let (workspace, _) = Place::find(context, &opened)?.register(context, &opened, false)?;
    let progress = progress::reporter(&context.out);
    let options = ImportGitOptions { run, now: context.now, progress: &*progress };
    let imported = import_git(&opened.store, workspace, &repository, range, &options)?;
    drop(progress);
    print(context, &imported)?;
    Ok(crate::exit::DONE)
}

#[cfg(feature = "git")]
fn print(context: &mut Context, imported: &retrograde::ops::import_git::Imported) -> Result<()> {
    use crate::views::json::{self, Object};
    use crate::views::{human, steps};

    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        let end = |end: Option<(retrograde::id::SnapshotId, u64)>| {
            end.map(|(id, step)| Object::new().field("snapshot", id.to_string()).field("step", step))
        };
        let object = Object::versioned()
            .field("snapshots", imported.snapshots)
            .object("first", end(imported.first))
            .object("last", end(imported.last))
            .field("exact", imported.exact)
            .list("omitted", imported.omitted.iter().map(json::omission))
            .field("tags", &imported.tags)
            .field("stored_bytes", imported.stored_bytes);
        return out.line(format_args!("{}", object.finish()));
    }
    let palette = out.palette;
    let steps = human::count(imported.snapshots, "step");
    let Some(((first, first_step), (last, last_step))) = imported.first.zip(imported.last) else {
        return out.summary(format_args!("nothing to import"));
    };
    let (first, last) = (steps::name(first_step, first, &palette), steps::name(last_step, last, &palette));
    let omitted = match imported.omitted.len() {
        0 => String::new(),
        count => format!("({count} omitted)  "),
    };
    out.summary(format_args!("imported {steps}, {first} to {last}  {omitted}{elapsed}"))
}

/// This build was made without the feature `git`.
#[cfg(not(feature = "git"))]
pub(super) fn no_git() -> retrograde::error::Error {
    use retrograde::error::{Error, ErrorKind};
    Error::new(ErrorKind::Unsupported, "read or write", "git repositories", "this build of retro cannot")
        .with_hint("build it with the feature `git`, which is on by default")
}

//! `retro snap`: take a snapshot, registering the folder first where it is unknown.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use retrograde::error::{Error, ErrorKind, Result};
use retrograde::history::revision::{check_run_name, check_tag_name};
use retrograde::id::WorkspaceId;
use retrograde::ops::register::{Guard, register, resolve_folder, root_of};
use retrograde::ops::snap::{RUN_DEFAULT, SnapOptions, SnapOutcome, snap};
use retrograde::workspace::config::Config;
use retrograde::workspace::git_head::git_state;
use retrograde::workspace::rules::Rules;

use crate::args::Snap;
use crate::context::{Context, Opened};
use crate::views::json::{self, Object};
use crate::views::{event, human, progress, restored, steps};
use crate::{exit, output::Output};

pub(super) fn run(context: &mut Context, arguments: Snap) -> Result<u8> {
    // Whatever is wrong with the arguments is found out before anything is registered.
    let run = run_name(context, arguments.run)?;
    arguments.tag.as_deref().map_or(Ok(()), check_tag_name)?;
    let event = match &arguments.event {
        Some(path) if path.as_os_str() == "-" => Some(event::read(path)?),
        Some(path) => Some(event::read(&context.at(path)?)?),
        None => None,
    };
    let opened = context.open_or_create()?;
    let place = Place::find(context, &opened)?;
    let config = context.config(&place.root)?;
    let (workspace, is_new) = place.register(context, &opened, arguments.force)?;
    let progress = progress::reporter(&context.out);
    let outcome = snap(
        &opened.store,
        workspace,
        &SnapOptions {
            message: arguments.message,
            run,
            event,
            tag: arguments.tag,
            allow_empty: arguments.allow_empty,
            config: &config,
            home: opened.home.as_deref(),
            git: git_state(&place.root),
            now: context.now,
            progress: &*progress,
        },
    )?;
    drop(progress);
    if is_new {
        introduce(&context.out, &opened, &place.root, workspace, &config)?;
    }
    print(context, &outcome)?;
    // What was true before this process waited may not be any more.
    context.warn_of_unfinished(opened.store.disk(), &opened.store.state())?;
    Ok(exit::DONE)
}

/// Width of the patterns named when a folder is recorded for the first time, in characters.
const EXCLUDED_WIDTH_MAX: usize = 60;

/// The folder that a step is recorded of.
pub(super) struct Place {
    /// Where it is.
    root: PathBuf,
    /// The workspace, if it is one already.
    known: Option<WorkspaceId>,
}

impl Place {
    /// The workspace that the current folder is in, or else the current folder.
    pub(super) fn find(context: &Context, opened: &Opened) -> Result<Self> {
        let folder = resolve_folder(&context.folder()?)?;
        Ok(match opened.workspace_around(&folder) {
            Some(workspace) => Self { root: root_of(workspace), known: Some(workspace.id) },
            None => Self { root: folder, known: None },
        })
    }

    /// Registers it where it is unknown; says whether it was.
    pub(super) fn register(&self, context: &Context, opened: &Opened, force: bool) -> Result<(WorkspaceId, bool)> {
        if let Some(known) = self.known {
            return Ok((known, false));
        }
        register(&opened.store, &self.root, &Guard { home: context.home(), force }, context.now)
    }
}

/// The run that a step belongs to: as said, else as the environment says, else `main`.
pub(super) fn run_name(context: &Context, said: Option<String>) -> Result<String> {
    let name = match said.map(OsString::from).or_else(|| context.environment.run.clone()) {
        None => return Ok(RUN_DEFAULT.to_owned()),
        Some(name) => name
            .into_string()
            .map_err(|name| Error::new(ErrorKind::Invalid, "name run", name.display(), "it is not UTF-8 text"))?,
    };
    check_run_name(&name)?;
    Ok(name)
}

/// Says once what is recorded from now on, where, and what is left out.
fn introduce(out: &Output, opened: &Opened, root: &Path, workspace: WorkspaceId, config: &Config) -> Result<()> {
    let (folder, store) = (human::path(root), human::path(&opened.store_root));
    out.note(format_args!("recording {folder} in {store} (workspace {})", workspace.short()));
    let rules = Rules::new(&config.capture.rule_options(Vec::new()))?;
    let mut excluded: Vec<&str> = rules.text().lines().filter_map(|line| line.strip_prefix("- ")).collect();
    // Plain names say more than the patterns of swap files, which sort before them.
    excluded.sort_by_key(|pattern| pattern.contains('*'));
    let count = human::count(excluded.len() as u64, "pattern");
    if let Some(some) = human::wrapped(excluded, EXCLUDED_WIDTH_MAX).into_iter().next().filter(|some| !some.is_empty())
    {
        out.note(format_args!("leaving out {some} ... ({count}; `retro status` lists them)"));
    }
    if rules.has_gitignore() {
        out.note(format_args!("what .gitignore files name is left out too, as retro.toml says"));
    }
    Ok(())
}

fn print(context: &mut Context, outcome: &SnapOutcome) -> Result<()> {
    let millis = context.millis();
    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        return out.line(format_args!("{}", shape(outcome, millis).finish()));
    }
    let palette = out.palette;
    let name = steps::name(outcome.step, outcome.snapshot, &palette);
    let what = if outcome.recorded { human::counts(&outcome.changes) } else { "no change".to_owned() };
    let omitted = match outcome.omitted.len() {
        0 => String::new(),
        count => format!("({count} omitted)  "),
    };
    out.summary(format_args!("{name}  {what}  {omitted}{elapsed}"))?;
    if let Some(still_there) = human::still_there(outcome.left_out) {
        out.note(format_args!("note: {still_there}"));
    }
    Ok(())
}

fn shape(outcome: &SnapOutcome, millis: u64) -> Object {
    let parents: Vec<String> = outcome.parents.iter().map(ToString::to_string).collect();
    Object::versioned()
        .field("snapshot", outcome.snapshot.to_string())
        .field("step", outcome.step)
        .field("tree", outcome.tree.to_string())
        .field("parents", parents)
        .field("run", &outcome.run)
        .field("recorded", outcome.recorded)
        .counts(&outcome.changes)
        .field("left_out", outcome.left_out)
        .list("omitted", outcome.omitted.iter().map(json::omission))
        .field("stored_bytes", outcome.stored_bytes)
        .object("unfinished_restore", outcome.unfinished.as_ref().map(restored::unfinished))
        .field("millis", millis)
}

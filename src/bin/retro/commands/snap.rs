//! `retro snap`: take a snapshot, and register the folder first if it is unknown.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Guard, Result, SnapOptions, SnapOutcome, WorkspaceId, register, snap, wire};

use retrograde::detail::{GitNotice, GitPart, GitProblem, RUN_DEFAULT, git_state, shown};

use retrograde::workspaces::{Recognised, move_workspace, recognise, replaced_by_other, resolve_folder, root_of};

use crate::args::Snap;
use crate::context::{Context, Opened};
use crate::output::Output;
use crate::views::{event, excluded, human, progress, read, steps, warnings};

pub(super) fn run(context: &mut Context, arguments: Snap) -> Result<()> {
    let event = arguments.event.as_deref().and_then(|path| read_event(context, path));
    let opened = context.open_or_create(&context.folder()?, arguments.force)?;
    let guard = Guard { home: context.home(), force: arguments.force };
    let folder = Recorded::find_or_adopt(context, &opened, arguments.adopt.then_some(&guard))?;
    let config = context.config(&opened, folder.known, &folder.root)?;
    folder.warn_of_other(&context.out, &opened);
    let (workspace, is_new) = folder.register(context, &opened, arguments.force)?;
    let progress = progress::reporter(&context.out);
    let (git, git_notice) = git_state(&folder.root);
    let mut options = SnapOptions::new(&config, context.now);
    options.message = arguments.message.into_vec();
    options.run = run_name(context, arguments.run).into_vec();
    (options.event, options.git) = (event, git);
    // A name that is not text becomes another invalid name, which is refused after the step is recorded.
    options.tag = arguments.tag.map(|tag| tag.to_string_lossy().into_owned());
    options.allow_empty = arguments.allow_empty;
    (options.home, options.progress) = (opened.home.as_deref(), &*progress);
    let mut outcome = snap(&opened.store, workspace, &options)?;
    drop(options);
    drop(progress);
    for repair in &outcome.repairs {
        context.out.warning(format_args!("{}", warnings::repair(repair)));
    }
    add_notice(&mut outcome.git_notices, git_notice);
    // A repository keeps references of an unknown form: one warning is enough.
    let is_news = |notice: &&GitNotice| {
        is_new || !matches!(notice.problem, GitProblem::Unsupported(_)) || notice.part != GitPart::Head
    };
    for notice in outcome.git_notices.iter().filter(is_news) {
        context.out.warning(format_args!("{}", warnings::git(notice, config.capture.gitignore)));
    }
    if is_new {
        folder.warn_of_move(&context.out, &opened);
        introduce(&context.out, &opened, &folder.root, workspace, &outcome);
    }
    // The state may have changed while this process waited.
    context.warn_of_unfinished(opened.store.disk(), &opened.store.state())?;
    print(context, &outcome)?;
    match outcome.tag_refused {
        Some(error) => Err(tag_refused(error, outcome.step)),
        None => Ok(()),
    }
}

/// Adds the problem of git's `HEAD`, unless it is in the list already.
pub(super) fn add_notice(notices: &mut Vec<GitNotice>, head: Option<GitNotice>) {
    if let Some(head) = head.filter(|head| !notices.contains(head)) {
        notices.push(head);
    }
}

/// Reads the event. If it cannot be read, the step is recorded without it.
fn read_event(context: &Context, path: &Path) -> Option<Vec<u8>> {
    let is_stdin = path.as_os_str() == "-";
    let read = if is_stdin { event::read(path) } else { context.at(path).and_then(|path| event::read(&path)) };
    let unread = |error| context.out.warning(format_args!("{error}; the step is recorded without an event"));
    read.map_err(unread).ok()
}

/// The error for a tag that was refused after its step was recorded.
fn tag_refused(error: Error, step: u64) -> Error {
    let force = if error.kind() == ErrorKind::Exists { ", with --force it moves the tag" } else { "" };
    error.with_hint(format!("s{step} is recorded without the tag; `retro tag NAME s{step}` adds one{force}"))
}

/// The number of excluded paths listed when a folder is recorded for the first time.
const EXCLUDED_MAX: usize = 8;

/// The folder to be recorded.
pub(super) struct Recorded {
    /// Its path.
    root: PathBuf,
    /// Its workspace, if it is registered.
    known: Option<WorkspaceId>,
    /// Its workspace at an old path, if it has been moved.
    was: Option<WorkspaceId>,
}

impl Recorded {
    /// Finds the workspace around the current folder; without one, the current folder is to be recorded.
    #[cfg(feature = "git")]
    pub(super) fn find(context: &Context, opened: &Opened) -> Result<Self> {
        Self::find_or_adopt(context, opened, None)
    }

    /// As [`Recorded::find`]. A moved folder is recognised by its identity; with `adopts`, the store learns its new
    /// path.
    fn find_or_adopt(context: &Context, opened: &Opened, adopts: Option<&Guard>) -> Result<Self> {
        let folder = resolve_folder(&context.folder()?)?;
        if let Some(workspace) = opened.workspace_around(&folder) {
            return Ok(Self { root: root_of(workspace), known: Some(workspace.id), was: None });
        }
        let recognised = folder.ancestors().find_map(|folder| Some((recognise(&opened.state, folder)?, folder)));
        Ok(match recognised {
            None => Self { root: folder, known: None, was: None },
            Some((Recognised::Same(id), at)) => {
                let root = opened.state.workspaces.get(&id).map_or_else(|| at.to_owned(), root_of);
                Self { root, known: Some(id), was: None }
            }
            Some((Recognised::Moved(id), at)) => match adopts {
                Some(guard) => {
                    move_workspace(&opened.store, id, at, guard, context.now)?;
                    context.out.note(format_args!("workspace {} is now at {}", id.short(), shown(at)));
                    Self { root: at.to_owned(), known: Some(id), was: None }
                }
                None => Self { root: at.to_owned(), known: None, was: Some(id) },
            },
        })
    }

    /// Warns that a new history has begun although the folder has one from its old path.
    fn warn_of_move(&self, out: &Output, opened: &Opened) {
        let Some(found) = self.was.and_then(|was| opened.state.workspaces.get(&was)) else { return };
        let (id, old, here) = (found.id.short(), shown(&root_of(found)), shown(&self.root));
        let steps = human::count(found.steps.len() as u64, "step");
        let what = if root_of(found).is_dir() { ", and another folder is there now" } else { "" };
        out.warning(format_args!(
            "this folder was recorded at {old} ({steps}) and has moved{what}; a new history of it begins here\n\
             hint: `retro workspace move --join {id} {here}` makes one history of both; `retro snap --adopt` would \
             have continued the old one"
        ));
    }

    /// Warns that another folder is now at the path of a recorded one, and continues its history.
    fn warn_of_other(&self, out: &Output, opened: &Opened) {
        let Some(found) = self.known.and_then(|known| opened.state.workspaces.get(&known)) else { return };
        let Some(moved) = replaced_by_other(found) else { return };
        let (id, moved, here) = (found.id.short(), shown(&moved), shown(&self.root));
        out.warning(format_args!(
            "the folder that was recorded at {here} is now at {moved}; this other folder continues its history\n\
             hint: `retro workspace move {id} {moved}` gives the history back to that folder, and `retro snap` here \
             begins a new one"
        ));
    }

    /// Registers the folder if it is unknown. Returns true if it was.
    pub(super) fn register(&self, context: &Context, opened: &Opened, force: bool) -> Result<(WorkspaceId, bool)> {
        if let Some(known) = self.known {
            return Ok((known, false));
        }
        register(&opened.store, &self.root, &Guard { home: context.home(), force }, context.now)
    }
}

/// The run of a step: as given, else from the environment, else `main`.
pub(super) fn run_name(context: &Context, given: Option<OsString>) -> OsString {
    given.or_else(|| context.environment.run.clone()).unwrap_or_else(|| RUN_DEFAULT.into())
}

/// Prints, at the first snapshot, the recorded folder, its store and the excluded paths.
fn introduce(out: &Output, opened: &Opened, root: &Path, workspace: WorkspaceId, outcome: &SnapOutcome) {
    let (folder, store) = (shown(root), shown(&opened.store_root));
    out.note(format_args!("recording {folder} in {store} (workspace {})", workspace.short()));
    if !outcome.excluded.is_empty() {
        let names = excluded::names(&outcome.excluded, EXCLUDED_MAX).join(", ");
        out.note(format_args!("excluding {names}; `retro status` lists the rules"));
    }
}

fn print(context: &mut Context, outcome: &SnapOutcome) -> Result<()> {
    let millis = context.millis();
    let elapsed = human::duration(context.started.elapsed());
    let out = &mut context.out;
    if out.is_json {
        let warnings = out.take_warnings();
        return out.json(&wire::Snapped::new(outcome, millis, warnings));
    }
    let palette = out.palette;
    let name = steps::name(outcome.step, outcome.snapshot, &palette);
    let what = match (outcome.recorded, outcome.noted) {
        (true, _) => human::counts(&outcome.changes),
        (false, true) => "no change; the event is kept with this step".to_owned(),
        (false, false) => "no change".to_owned(),
    };
    let omitted = match outcome.omitted.len() {
        0 => String::new(),
        count => format!("({count} omitted)  "),
    };
    out.summary(format_args!("{name}  {what}  {omitted}{elapsed}"))?;
    if let Some(read) = read::sentence(&outcome.read) {
        out.note(format_args!("note: read {read}"));
    }
    if let Some(changed) = excluded::changed_rules(outcome.rules_changed, outcome.newly_dropped) {
        out.note(format_args!("note: {changed}"));
    }
    Ok(())
}

//! `retro snap`: take a snapshot, registering the folder first where it is unknown.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use retrograde::detail::{
    GitNotice, GitPart, GitProblem, RUN_DEFAULT, Recognised, git_state, recognise, replaced_by_other, resolve_folder,
    root_of,
};
use retrograde::{
    Error, ErrorKind, Guard, Result, SnapOptions, SnapOutcome, WorkspaceId, move_workspace, register, snap, wire,
};

use crate::args::Snap;
use crate::context::{Context, Opened};
use crate::views::{event, human, left_out, progress, read, steps, warnings};
use crate::{exit, output::Output};

pub(super) fn run(context: &mut Context, arguments: Snap) -> Result<u8> {
    let event = arguments.event.as_deref().and_then(|path| read_event(context, path));
    let opened = context.open_or_create(&context.folder()?, arguments.force)?;
    let guard = Guard { home: context.home(), force: arguments.force };
    let place = Place::find_or_adopt(context, &opened, arguments.adopt.then_some(&guard))?;
    let config = context.config(&opened, place.known, &place.root)?;
    place.warn_of_other(&context.out, &opened);
    let (workspace, is_new) = place.register(context, &opened, arguments.force)?;
    let progress = progress::reporter(&context.out);
    let (git, git_notice) = git_state(&place.root);
    let mut options = SnapOptions::new(&config, context.now);
    options.message = arguments.message.into_vec();
    options.run = said_run(context, arguments.run).into_vec();
    (options.event, options.git) = (event, git);
    // What is not text is no name; what is shown of it is no name either.
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
    // References in a form that is not known are for long: once is enough.
    let is_news = |notice: &&GitNotice| {
        is_new || !matches!(notice.problem, GitProblem::Unsupported(_)) || notice.part != GitPart::Head
    };
    for notice in outcome.git_notices.iter().filter(is_news) {
        context.out.warning(format_args!("{}", warnings::git(notice, config.capture.gitignore)));
    }
    if is_new {
        place.warn_of_move(&context.out, &opened);
        introduce(&context.out, &opened, &place.root, workspace, &outcome);
    }
    // What was true before this process waited may not be any more.
    context.warn_of_unfinished(opened.store.disk(), &opened.store.state())?;
    print(context, &outcome)?;
    match outcome.tag_refused {
        Some(error) => Err(tag_refused(error, outcome.step)),
        None => Ok(exit::DONE),
    }
}

/// Adds what is wrong with git's `HEAD`, unless the same was found already.
pub(super) fn add_notice(notices: &mut Vec<GitNotice>, head: Option<GitNotice>) {
    if let Some(head) = head.filter(|head| !notices.contains(head)) {
        notices.push(head);
    }
}

/// The event that was asked for. One that cannot be read is no reason not to record the step.
fn read_event(context: &Context, path: &Path) -> Option<Vec<u8>> {
    let is_stdin = path.as_os_str() == "-";
    let read = if is_stdin { event::read(path) } else { context.at(path).and_then(|path| event::read(&path)) };
    let unread = |error| context.out.warning(format_args!("{error}; the step is recorded without an event"));
    read.map_err(unread).ok()
}

/// Why a step that was recorded has no tag.
fn tag_refused(error: Error, step: u64) -> Error {
    let hint = format!("s{step} stands without the tag; `retro tag NAME s{step}` gives it one");
    let hint = match error.kind() {
        ErrorKind::Exists => format!("{hint}, and --force moves one that is taken"),
        _ => hint,
    };
    error.with_hint(hint)
}

/// Paths named that are left out, when a folder is recorded for the first time.
const EXCLUDED_MAX: usize = 8;

/// The folder that a step is recorded of.
pub(super) struct Place {
    /// Where it is.
    root: PathBuf,
    /// The workspace, if it is one already.
    known: Option<WorkspaceId>,
    /// The workspace that this folder was before it was moved here.
    was: Option<WorkspaceId>,
}

impl Place {
    /// The workspace that the current folder is in, or else the current folder.
    #[cfg(feature = "git")]
    pub(super) fn find(context: &Context, opened: &Opened) -> Result<Self> {
        Self::find_or_adopt(context, opened, None)
    }

    /// The same; a recorded folder that was moved here is known by what it is, and where it is is told to the store if
    /// that is wanted.
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
                    context.out.note(format_args!("workspace {} is at {} now", id.short(), human::path(at)));
                    Self { root: at.to_owned(), known: Some(id), was: None }
                }
                None => Self { root: at.to_owned(), known: None, was: Some(id) },
            },
        })
    }

    /// Says that a new history has begun though there is one of this folder, which was somewhere else.
    fn warn_of_move(&self, out: &Output, opened: &Opened) {
        let Some(found) = self.was.and_then(|was| opened.state.workspaces.get(&was)) else { return };
        let (id, old, here) = (found.id.short(), human::path(&root_of(found)), human::path(&self.root));
        let steps = human::count(found.steps.len() as u64, "step");
        let what = if root_of(found).is_dir() { ", where another folder is now" } else { "" };
        out.warning(format_args!(
            "this folder was recorded at {old} ({steps}) and has moved{what}; a new history of it has begun here\n\
             hint: `retro workspace move --join {id} {here}` makes one history of both; `retro snap --adopt` would have \
             gone on with the old one"
        ));
    }

    /// Says that the history goes on with another folder than the one it is of, where that one is found.
    fn warn_of_other(&self, out: &Output, opened: &Opened) {
        let Some(found) = self.known.and_then(|known| opened.state.workspaces.get(&known)) else { return };
        let Some(moved) = replaced_by_other(found) else { return };
        let (id, moved, here) = (found.id.short(), human::path(&moved), human::path(&self.root));
        out.warning(format_args!(
            "the folder that was recorded at {here} is at {moved} now; this other folder goes on with its history\n\
             hint: `retro workspace move {id} {moved}` gives the history back to that one, and `retro snap` here begins a \
             new one"
        ));
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
pub(super) fn said_run(context: &Context, said: Option<OsString>) -> OsString {
    said.or_else(|| context.environment.run.clone()).unwrap_or_else(|| RUN_DEFAULT.into())
}

/// Says once what is recorded from now on, where, and what is left out.
fn introduce(out: &Output, opened: &Opened, root: &Path, workspace: WorkspaceId, outcome: &SnapOutcome) {
    let (folder, store) = (human::path(root), human::path(&opened.store_root));
    out.note(format_args!("recording {folder} in {store} (workspace {})", workspace.short()));
    if !outcome.excluded.is_empty() {
        let names = left_out::names(&outcome.excluded, EXCLUDED_MAX).join(", ");
        out.note(format_args!("leaving out {names}; `retro status` says more"));
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
    if let Some(still_there) = human::still_there(outcome.rules_changed, outcome.left_out) {
        out.note(format_args!("note: {still_there}"));
    }
    Ok(())
}

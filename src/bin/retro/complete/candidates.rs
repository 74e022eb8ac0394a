//! The words that fit, read from the store.

use retrograde::detail::{find_entry as find, split_path, step_event as event};
use retrograde::{SnapshotId, TreePath, Workspace};

use super::words::{Kind, Wanted};
use crate::context::{Context, Opened};
use crate::views::{human, steps};

/// Steps offered, the newest: nobody picks one out of thousands.
const STEP_COUNT_MAX: usize = 50;

/// How a shell should treat the candidates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// As words.
    Words,
    /// As paths: after a folder more may follow.
    Paths,
    /// The shell offers files.
    Files,
    /// The shell offers folders.
    Folders,
}

impl Mode {
    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Words => "words",
            Self::Paths => "paths",
            Self::Files => "files",
            Self::Folders => "folders",
        }
    }
}

/// Words that begin with what is typed, each with a few words about it.
pub(crate) fn candidates(context: &mut Context, wanted: &Wanted) -> (Mode, Vec<(String, String)>) {
    let mut mode = Mode::Words;
    let mut found: Vec<(String, String)> = Vec::new();
    if let Some(directory) = &wanted.directory {
        context.global.directory = Some(directory.clone());
    }
    if let Some(store) = &wanted.store {
        context.global.store = Some(store.clone());
    }
    for kind in &wanted.kinds {
        match kind {
            Kind::Fixed(words) => found.extend(words.iter().cloned()),
            Kind::File => mode = Mode::Files,
            Kind::Folder => mode = Mode::Folders,
            dynamic => {
                let Ok(opened) = context.open_quietly() else { continue };
                if matches!(dynamic, Kind::Path | Kind::StepAndPath) {
                    mode = Mode::Paths;
                }
                found.extend(recorded(&opened, dynamic, wanted));
            }
        }
    }
    found.retain(|(word, _)| word.starts_with(&wanted.word) && !word.chars().any(char::is_control));
    let whole = |(word, about): (String, String)| (format!("{}{word}", wanted.before), human::one_line(&about, 72));
    (mode, found.into_iter().map(whole).collect())
}

fn recorded(opened: &Opened, kind: &Kind, wanted: &Wanted) -> Vec<(String, String)> {
    let workspace = opened.workspace_if_any();
    match kind {
        Kind::Step => steps_of(opened, &wanted.word),
        Kind::Run => {
            let runs = workspace.into_iter().flat_map(|workspace| workspace.runs.iter());
            runs.map(|(name, last)| (name.clone(), said(opened, *last))).collect()
        }
        Kind::Tag => tags_of(opened),
        Kind::Workspace => {
            let about = |workspace: &Workspace| human::count(workspace.steps.len() as u64, "step");
            let root = |workspace: &Workspace| String::from_utf8(workspace.root.clone()).ok();
            opened.state.workspaces.values().filter_map(|one| Some((root(one)?, about(one)))).collect()
        }
        Kind::Path => {
            let step = wanted.step.as_deref().unwrap_or("@");
            let step = step.rsplit("..").find(|part| !part.is_empty()).unwrap_or("@");
            let head = workspace.and_then(|workspace| workspace.head);
            let snapshots: Vec<SnapshotId> = opened.resolve(step).ok().into_iter().chain(head).collect();
            paths_of(opened, &snapshots, &wanted.word, |folder| opened.tree_path(folder.as_ref()).ok())
        }
        Kind::StepAndPath => {
            let Some((step, path)) = split_path(&wanted.word) else { return Vec::new() };
            let snapshots: Vec<SnapshotId> = opened.resolve(step).into_iter().collect();
            let is_relative = path == "." || path.starts_with("./") || path.starts_with("../");
            let found = paths_of(opened, &snapshots, path, |folder| match is_relative {
                true => opened.tree_path(folder.as_ref()).ok(),
                false => TreePath::new(folder.trim_end_matches('/').as_bytes()).ok(),
            });
            found.into_iter().map(|(path, about)| (format!("{step}:{path}"), about)).collect()
        }
        Kind::Fixed(_) | Kind::File | Kind::Folder => Vec::new(),
    }
}

/// Steps, tags and runs; after `A..` they follow it.
fn steps_of(opened: &Opened, word: &str) -> Vec<(String, String)> {
    let before = word.rfind("..").map_or("", |at| &word[..at + 2]);
    let mut found = tags_of(opened);
    if let Some(workspace) = opened.workspace_if_any() {
        let head = workspace.head.map(|head| ("@".to_owned(), said(opened, head)));
        found.extend(head);
        let newest = workspace.steps.iter().rev().take(STEP_COUNT_MAX);
        found.extend(newest.map(|(step, id)| (format!("s{step}"), said(opened, *id))));
        found.extend(workspace.runs.iter().map(|(name, last)| (format!("run:{name}"), said(opened, *last))));
    }
    found.into_iter().map(|(name, about)| (format!("{before}{name}"), about)).collect()
}

fn tags_of(opened: &Opened) -> Vec<(String, String)> {
    let own = opened.workspace_if_any().map(|workspace| workspace.id);
    let tags = opened.state.tags().filter(|(workspace, ..)| own.is_none_or(|own| own == workspace.id));
    tags.map(|(_, name, id)| (name.to_owned(), said(opened, id))).collect()
}

/// What is in the folder that a half-typed path leads to.
fn paths_of(
    opened: &Opened,
    snapshots: &[SnapshotId],
    word: &str,
    place: impl Fn(&str) -> Option<TreePath>,
) -> Vec<(String, String)> {
    let before = word.rfind('/').map_or("", |at| &word[..=at]);
    let Some(folder) = place(if before.is_empty() { "." } else { before }).or_else(|| place("")) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for snapshot in snapshots {
        let Ok(snapshot) = opened.store.snapshot(*snapshot) else { continue };
        let tree = match folder.is_root() {
            true => Some(snapshot.root),
            false => find(&opened.store, snapshot.root, &folder).ok().flatten().and_then(|entry| entry.tree()),
        };
        for entry in tree.and_then(|tree| opened.store.folder(tree).ok()).unwrap_or_default() {
            let slash = if entry.tree().is_some() { "/" } else { "" };
            if let Ok(name) = std::str::from_utf8(&entry.name) {
                found.push((format!("{before}{name}{slash}"), String::new()));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// A step in a few words.
fn said(opened: &Opened, id: SnapshotId) -> String {
    let Ok(snapshot) = opened.store.snapshot(id) else { return String::new() };
    let event = event(&opened.store, &snapshot).unwrap_or_default();
    format!("{}  {}", snapshot.time.local(), steps::headline(&snapshot, &event)).trim_end().to_owned()
}

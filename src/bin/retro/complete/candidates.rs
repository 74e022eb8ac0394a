//! The words that can follow, read from the store.

use retrograde::{SnapshotId, TreePath, Workspace};

use retrograde::detail::{find_entry as find, split_path, step_event as event};

use super::words::{Kind, Wanted};
use crate::context::{Context, Opened};
use crate::views::{human, steps};

/// The most steps that are offered, the newest.
const STEP_COUNT_MAX: usize = 50;

/// The mode for the shell, and the words that begin with the typed one, each with a short description.
pub(crate) fn candidates(context: &mut Context, wanted: Wanted) -> (&'static str, Vec<(String, String)>) {
    let mut mode = "words";
    let mut found: Vec<(String, String)> = Vec::new();
    context.global.directory = wanted.directory.clone().or(context.global.directory.take());
    context.global.store = wanted.store.clone().or(context.global.store.take());
    for kind in &wanted.kinds {
        match kind {
            Kind::Fixed(words) => found.extend(words.iter().cloned()),
            Kind::File => mode = "files",
            Kind::Folder => mode = "folders",
            dynamic => {
                let Ok(opened) = context.open_quietly() else { continue };
                if matches!(dynamic, Kind::Path | Kind::StepAndPath) {
                    mode = "paths";
                }
                found.extend(recorded(&opened, dynamic, &wanted));
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
            runs.map(|(name, last)| (name.clone(), about(opened, *last))).collect()
        }
        Kind::Tag => tags_of(opened),
        Kind::Workspace => {
            let about = |workspace: &Workspace| human::count(workspace.steps.len() as u64, "step");
            let root = |workspace: &Workspace| String::from_utf8(workspace.root.clone()).ok();
            opened.state.workspaces.values().filter_map(|one| Some((root(one)?, about(one)))).collect()
        }
        Kind::Path => {
            let step = wanted.step.rsplit("..").find(|part| !part.is_empty()).unwrap_or("@");
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

/// Steps, tags and runs, also after `A..`.
fn steps_of(opened: &Opened, word: &str) -> Vec<(String, String)> {
    let before = word.rfind("..").map_or("", |at| &word[..at + 2]);
    let mut found = tags_of(opened);
    if let Some(workspace) = opened.workspace_if_any() {
        let head = workspace.head.map(|head| ("@".to_owned(), about(opened, head)));
        found.extend(head);
        let newest = workspace.steps.iter().rev().take(STEP_COUNT_MAX);
        found.extend(newest.map(|(step, id)| (format!("s{step}"), about(opened, *id))));
        found.extend(workspace.runs.iter().map(|(name, last)| (format!("run:{name}"), about(opened, *last))));
    }
    found.into_iter().map(|(name, about)| (format!("{before}{name}"), about)).collect()
}

fn tags_of(opened: &Opened) -> Vec<(String, String)> {
    let own = opened.workspace_if_any().map(|workspace| workspace.id);
    let tags = opened.state.tags().filter(|(workspace, ..)| own.is_none_or(|own| own == workspace.id));
    tags.map(|(_, name, id)| (name.to_owned(), about(opened, id))).collect()
}

/// The contents of the folder of a half-typed path.
fn paths_of(
    opened: &Opened,
    snapshots: &[SnapshotId],
    word: &str,
    tree_path: impl Fn(&str) -> Option<TreePath>,
) -> Vec<(String, String)> {
    let before = word.rfind('/').map_or("", |at| &word[..=at]);
    let Some(folder) = tree_path(if before.is_empty() { "." } else { before }).or_else(|| tree_path("")) else {
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
fn about(opened: &Opened, id: SnapshotId) -> String {
    let Ok(snapshot) = opened.store.snapshot(id) else { return String::new() };
    let event = event(&opened.store, &snapshot).unwrap_or_default();
    format!("{}  {}", snapshot.time.local(), steps::headline(&snapshot, &event)).trim_end().to_owned()
}

//! Candidates for the word being typed: fixed words, and steps, tags, runs and paths from the store.

use retrograde::{SnapshotId, TreePath, Workspace};

use retrograde::detail::{find_entry as find, split_path, step_event as event};

use super::words::{Expected, Kind};
use crate::context::{Context, Opened};
use crate::views::{human, steps};

/// The most steps that are offered, the newest.
const STEP_COUNT_MAX: usize = 50;

/// The mode (the first line of output, see [`super`]) and the candidates that begin with the typed word, each with a
/// short description.
pub(crate) fn candidates(context: &mut Context, expected: Expected) -> (&'static str, Vec<(String, String)>) {
    let mut mode = "words";
    let mut found: Vec<(String, String)> = Vec::new();
    // `-C` and `--store` of the half-typed line hold, not those of `retro __complete`.
    context.global.directory = expected.directory.clone().or(context.global.directory.take());
    context.global.store = expected.store.clone().or(context.global.store.take());
    for kind in &expected.kinds {
        match kind {
            Kind::Fixed(words) => found.extend(words.iter().cloned()),
            Kind::File => mode = "files",
            Kind::Folder => mode = "folders",
            dynamic => {
                let Ok(opened) = context.open_quietly() else { continue };
                if matches!(dynamic, Kind::Path | Kind::StepAndPath) {
                    mode = "paths";
                }
                found.extend(recorded(&opened, dynamic, &expected));
            }
        }
    }
    found.retain(|(word, _)| word.starts_with(&expected.word) && !word.chars().any(char::is_control));
    let whole = |(word, about): (String, String)| (format!("{}{word}", expected.before), human::one_line(&about, 72));
    (mode, found.into_iter().map(whole).collect())
}

fn recorded(opened: &Opened, kind: &Kind, expected: &Expected) -> Vec<(String, String)> {
    let workspace = opened.workspace_if_any();
    match kind {
        Kind::Step => steps_of(opened, &expected.word),
        Kind::Run => {
            let runs = workspace.into_iter().flat_map(|workspace| workspace.runs.iter());
            runs.map(|(name, last)| (name.clone(), description(opened, *last))).collect()
        }
        Kind::Tag => tags_of(opened),
        Kind::Workspace => {
            let step_count = |workspace: &Workspace| human::count(workspace.steps.len() as u64, "step");
            let root = |workspace: &Workspace| String::from_utf8(workspace.root.clone()).ok();
            opened.state.workspaces.values().filter_map(|one| Some((root(one)?, step_count(one)))).collect()
        }
        Kind::Path => {
            // The step may be a range: its later end. Paths of the current step are offered too.
            let step = expected.step.rsplit("..").find(|part| !part.is_empty()).unwrap_or("@");
            let head = workspace.and_then(|workspace| workspace.head);
            let snapshots: Vec<SnapshotId> = opened.resolve(step).ok().into_iter().chain(head).collect();
            paths_of(opened, &snapshots, &expected.word, |folder| opened.tree_path(folder.as_ref()).ok())
        }
        Kind::StepAndPath => {
            let Some((step, path)) = split_path(&expected.word) else { return Vec::new() };
            let snapshots: Vec<SnapshotId> = opened.resolve(step).into_iter().collect();
            // As in `REV:PATH` everywhere: `./` and `../` count from the current folder, others from the root.
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
    let typed_range_start = word.rfind("..").map_or("", |at| &word[..at + 2]);
    let mut found = tags_of(opened);
    if let Some(workspace) = opened.workspace_if_any() {
        let head = workspace.head.map(|head| ("@".to_owned(), description(opened, head)));
        found.extend(head);
        let newest = workspace.steps.iter().rev().take(STEP_COUNT_MAX);
        found.extend(newest.map(|(step, id)| (format!("s{step}"), description(opened, *id))));
        found.extend(workspace.runs.iter().map(|(name, last)| (format!("run:{name}"), description(opened, *last))));
    }
    found.into_iter().map(|(name, about)| (format!("{typed_range_start}{name}"), about)).collect()
}

fn tags_of(opened: &Opened) -> Vec<(String, String)> {
    let own = opened.workspace_if_any().map(|workspace| workspace.id);
    let tags = opened.state.tags().filter(|(workspace, ..)| own.is_none_or(|own| own == workspace.id));
    tags.map(|(_, name, id)| (name.to_owned(), description(opened, id))).collect()
}

/// The entries, in each of the snapshots, of the folder that a half-typed path ends in. Outside of the workspace there
/// are none.
fn paths_of(
    opened: &Opened,
    snapshots: &[SnapshotId],
    word: &str,
    tree_path: impl Fn(&str) -> Option<TreePath>,
) -> Vec<(String, String)> {
    let typed_folder = word.rfind('/').map_or("", |at| &word[..=at]);
    let Some(folder) = tree_path(typed_folder) else { return Vec::new() };
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
                found.push((format!("{typed_folder}{name}{slash}"), String::new()));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The description of a candidate: the step's time and headline.
fn description(opened: &Opened, id: SnapshotId) -> String {
    let Ok(snapshot) = opened.store.snapshot(id) else { return String::new() };
    let event = event(&opened.store, &snapshot).unwrap_or_default();
    format!("{}  {}", snapshot.time.local(), steps::headline(&snapshot, &event)).trim_end().to_owned()
}

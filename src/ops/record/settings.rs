//! The settings in force in a workspace, even if its `retro.toml` is unusable.
//!
//! An agent can write that file. An unusable one (a merge conflict in it is enough) must stop neither recording nor
//! going back. Until it is corrected, the rules of the newest step that has any are in force.

use std::path::Path;

use super::attached::rules_of;
use crate::error::{ErrorKind, Result};
use crate::id::WorkspaceId;
use crate::store::Store;
use crate::workspace::beneath::Root;
use crate::workspace::config::{self, Config, Notice};

/// Number of steps that are searched for rules, the newest first; an imported step has none.
const STEPS_MAX: usize = 64;

/// Settings, and notices about them.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The settings in force.
    pub config: Config,
    /// The parts of the files that do not count, and the settings in force instead.
    pub notices: Vec<Notice>,
}

/// The settings for the folder `root`, which is or will be the root of a workspace.
pub fn settings(store: &Store, workspace: Option<WorkspaceId>, root: &Path) -> Settings {
    let mut notices = Vec::new();
    let loaded = Root::open(root).and_then(|root| config::load(&root, &mut notices));
    let config = match loaded {
        Ok(config) => config,
        // Others report that the folder is gone.
        Err(error) if error.kind() == ErrorKind::NotFound => Config::default(),
        Err(error) => {
            let last = workspace.and_then(|workspace| last_good(store, workspace));
            let (step, config) = last.unzip();
            notices = vec![Notice::Unusable { reason: error.to_string(), step }];
            config.unwrap_or_default()
        }
    };
    Settings { config, notices }
}

/// The rules of the newest step that has any, as settings.
fn last_good(store: &Store, workspace: WorkspaceId) -> Option<(u64, Config)> {
    let state = store.state();
    let steps = state.workspaces.get(&workspace)?.steps.iter().rev().take(STEPS_MAX);
    let read = |snapshot| -> Result<Option<Config>> {
        let text = rules_of(store, &*store.snapshot(snapshot)?)?;
        if text.is_empty() { Ok(None) } else { Config::of_rules(&text).map(Some) }
    };
    steps.into_iter().find_map(|(step, id)| read(*id).ok().flatten().map(|config| (*step, config)))
}

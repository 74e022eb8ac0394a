//! `retro init`: register a folder without taking a snapshot.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use retrograde::{Guard, Result, register, wire};

use retrograde::detail::shown;

use retrograde::workspaces::{resolve_folder, root_of};

use crate::context::Context;

pub(super) fn run(context: &mut Context, dir: Option<PathBuf>, force: bool) -> Result<()> {
    let folder = match dir {
        Some(dir) => context.at(&dir)?,
        None => context.folder()?,
    };
    let folder = resolve_folder(&folder)?;
    let opened = context.open_or_create(&folder, force)?;
    if !force && opened.state.workspace_at(folder.as_os_str().as_bytes()).is_none() {
        context.refuse_inside(&opened.store_root, &folder)?;
    }
    let guard = Guard { home: context.home(), force };
    let (workspace, is_new) = register(&opened.store, &folder, &guard, context.now)?;
    let around = folder.parent().and_then(|parent| opened.workspace_around(parent));
    if let Some(around) = around.filter(|_| is_new) {
        let root = shown(&root_of(around));
        context.out.note(format_args!("note: {root} is recorded too, and this folder with it"));
    }
    let json = wire::Registered::new(workspace, &folder, &opened.store_root, is_new);
    let word = if is_new { "recording" } else { "already recording" };
    let (folder, store) = (shown(&folder), shown(&opened.store_root));
    context.out.done(&json, format_args!("{word} {folder} in {store} (workspace {})", workspace.short()))
}

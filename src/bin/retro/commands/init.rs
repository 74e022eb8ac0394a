//! `retro init`: register a folder without taking a snapshot.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use retrograde::Result;
use retrograde::detail::{resolve_folder, root_of};
use retrograde::{Guard, register};

use crate::context::Context;
use crate::exit;
use crate::views::human;
use crate::views::json::Object;

pub(super) fn run(context: &mut Context, dir: Option<PathBuf>, force: bool) -> Result<u8> {
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
        let root = human::path(&root_of(around));
        context.out.note(format_args!("note: {root} is recorded too, and this folder with it"));
    }
    if context.out.is_json {
        let object = Object::versioned()
            .field("workspace", workspace.to_string())
            .bytes("root", folder.as_os_str().as_encoded_bytes())
            .bytes("store", opened.store_root.as_os_str().as_encoded_bytes())
            .field("new", is_new);
        context.out.line(format_args!("{}", object.finish()))?;
    } else {
        let word = if is_new { "recording" } else { "already recording" };
        let (folder, store) = (human::path(&folder), human::path(&opened.store_root));
        context.out.summary(format_args!("{word} {folder} in {store} (workspace {})", workspace.short()))?;
    }
    Ok(exit::DONE)
}

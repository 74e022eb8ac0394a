//! `retro ls`: list the files and folders of a step.

use std::path::PathBuf;

use retrograde::{LsOptions, Result, TreePath, ls, wire};

use retrograde::detail::{Entry, EntryKind, entry_at};

use crate::context::Context;
use crate::views::color::Palette;
use crate::views::human;

pub(super) fn run(context: &mut Context, rev: &str, paths: &[PathBuf], is_recursive: bool) -> Result<()> {
    let opened = context.open()?;
    let snapshot = opened.resolve_step(rev, "retro ls @")?;
    let selection = opened.selection(paths, &[snapshot])?;
    let found = opened.selected_in(&selection, snapshot, "list")?;
    let out = &mut context.out;
    let palette = out.palette;
    let mut print = |path: &TreePath, entry: &Entry| {
        if out.is_json {
            out.json(&wire::Entry::new(path, entry))
        } else {
            out.line(format_args!("{}", line(path, entry, &palette)))
        }
    };
    let found = if selection.is_everything() { vec![TreePath::root()] } else { found };
    for path in found {
        // A folder that a pattern matches is listed itself; of a named folder the contents are listed.
        let is_named = selection.is_everything() || selection.paths().contains(&path);
        if !is_named {
            print(&path, &entry_at(&opened.store, snapshot, &path)?)?;
        }
        let is_folder = || Ok(path.is_root() || entry_at(&opened.store, snapshot, &path)?.kind == EntryKind::Folder);
        if is_named || (is_recursive && is_folder()?) {
            ls(&opened.store, snapshot, &LsOptions { path, is_recursive }, &mut print)?;
        }
    }
    Ok(())
}

/// One entry, as kind and mode, size, path: `-0644   1.2 kB  src/main.rs`.
fn line(path: &TreePath, entry: &Entry, palette: &Palette) -> String {
    let (letter, slash, style) = match entry.kind {
        EntryKind::File => ('-', "", anstyle::Style::new()),
        EntryKind::Folder => ('d', "/", palette.title),
        EntryKind::Symlink => ('l', "", palette.place),
    };
    format!("{letter}{:04o}  {:>7}  {style}{path}{slash}{style:#}", entry.mode, human::size(entry.size))
}

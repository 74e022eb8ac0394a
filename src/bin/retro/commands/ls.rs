//! `retro ls`: what is in a step.

use std::path::Path;

use retrograde::error::Result;
use retrograde::format::tree::{Entry, Kind};
use retrograde::ops::ls::{LsOptions, ls};
use retrograde::path::TreePath;

use crate::context::Context;
use crate::exit;
use crate::views::color::Palette;
use crate::views::{human, json};

pub(super) fn run(context: &mut Context, rev: &str, path: Option<&Path>, is_recursive: bool) -> Result<u8> {
    let opened = context.open()?;
    let snapshot = opened.resolve(rev)?;
    let path = path.map_or_else(|| Ok(TreePath::root()), |path| opened.tree_path(path))?;
    let out = &mut context.out;
    let palette = out.palette;
    ls(&opened.store, snapshot, &LsOptions { path, is_recursive }, &mut |path, entry| {
        if out.is_json {
            out.line(format_args!("{}", json::entry(path, entry).finish()))
        } else {
            out.line(format_args!("{}", line(path, entry, &palette)))
        }
    })?;
    Ok(exit::DONE)
}

/// Kind and mode, size, path: `-0644   1.2 kB  src/main.rs`.
fn line(path: &TreePath, entry: &Entry, palette: &Palette) -> String {
    let (letter, slash, style) = match entry.kind {
        Kind::File => ('-', "", anstyle::Style::new()),
        Kind::Folder => ('d', "/", palette.title),
        Kind::Symlink => ('l', "", palette.place),
    };
    format!("{letter}{:04o}  {:>7}  {style}{path}{slash}{style:#}", entry.mode, human::size(entry.size))
}

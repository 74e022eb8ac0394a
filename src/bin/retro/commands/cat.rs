//! `retro cat`: print a file as a step has it.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Result, TreePath, cat};

use retrograde::detail::{escaped, split_path};

use crate::context::Context;

pub(super) fn run(context: &mut Context, target: &OsStr, paths: &[PathBuf]) -> Result<()> {
    if !paths.is_empty() {
        return several(context, target, paths);
    }
    let (revision, path) = match split(target) {
        Ok(both) => both,
        Err(error) => return Err(without_colon(context, target, error)),
    };
    let opened = context.open()?;
    let snapshot = opened.resolve_step(&revision, "retro cat @")?;
    let invalid = |problem| {
        Error::new(ErrorKind::Invalid, "print", escaped(path.as_bytes()), problem).with_hint(
            "write the path from the workspace root, as src/main.rs, or from the current folder, as ./main.rs",
        )
    };
    let path = match path.as_bytes() {
        relative @ ([b'.'] | [b'.', b'/', ..] | [b'.', b'.'] | [b'.', b'.', b'/', ..]) => {
            opened.tree_path(Path::new(OsStr::from_bytes(relative)))?
        }
        from_root => TreePath::new(from_root).map_err(invalid)?,
    };
    cat(&opened.store, snapshot, &path, &mut |piece| context.out.bytes(piece)).map(drop)
}

/// Prints files one after another.
fn several(context: &mut Context, rev: &OsStr, paths: &[PathBuf]) -> Result<()> {
    let opened = context.open()?;
    let snapshot = opened.resolve_step(&rev.to_string_lossy(), "retro cat @")?;
    let found = opened.selected_paths(paths, snapshot, "print")?;
    let out = &mut context.out;
    found.iter().try_for_each(|path| cat(&opened.store, snapshot, path, &mut |piece| out.bytes(piece)).map(drop))
}

/// The error for an argument without a colon, with a hint if it is a path.
fn without_colon(context: &Context, target: &OsStr, error: Error) -> Error {
    let Ok(opened) = context.open_quietly() else { return error };
    let head: Vec<_> = opened.workspace_if_any().and_then(|workspace| workspace.head).into_iter().collect();
    if opened.resolve(&target.to_string_lossy()).is_err()
        && opened.names_path(Path::new(target), &head).unwrap_or(false)
    {
        let path = escaped(target.as_bytes());
        return error.with_hint(format!("`{path}` is a path: `retro cat @ {path}`"));
    }
    error
}

/// Splits `REV:PATH`. The path may be any bytes; the part before it is text.
fn split(target: &OsStr) -> Result<(String, OsString)> {
    let bytes = target.as_bytes();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).expect("this much of it is valid"),
    };
    let (revision, _) = split_path(text).ok_or_else(|| {
        Error::new(ErrorKind::Invalid, "print", escaped(bytes), "it has no colon between a step and a path")
            .with_hint("write REV PATH or REV:PATH, such as @ main.rs or s12:src/main.rs")
    })?;
    Ok((revision.to_owned(), OsString::from_vec(bytes[revision.len() + 1..].to_vec())))
}

#[cfg(test)]
mod tests {
    use super::{OsStr, OsStrExt, OsString, split};

    #[test]
    fn the_path_may_be_any_bytes() {
        let cut = |target: &[u8]| split(OsStr::from_bytes(target)).ok();
        let both = |revision: &str, path: &[u8]| Some((revision.to_owned(), OsString::from(OsStr::from_bytes(path))));
        assert_eq!(cut(b"@:a:b\xff"), both("@", b"a:b\xff"));
        assert_eq!(cut(b"run:x:a"), both("run:x", b"a"));
        assert_eq!(cut(b"@{2026-11-20 10:30}:a"), both("@{2026-11-20 10:30}", b"a"));
        assert_eq!(cut(b"@"), None);
    }
}

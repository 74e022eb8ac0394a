//! `retro export`: a step as a tar file, or steps as a git repository.

use std::fs::{File, Permissions};
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use retrograde::error::{Error, ErrorKind, Result, shown};
use retrograde::ops::export_tar::{ExportTarOptions, Exported, export_tar};
use retrograde::path::TreePath;

use crate::args::Export;
use crate::context::{Context, Opened};
use crate::exit;
use crate::output::Output;
use crate::views::json::Object;
use crate::views::{human, progress};

pub(super) fn run(context: &mut Context, arguments: &Export) -> Result<u8> {
    let opened = context.open()?;
    match (&arguments.tar, &arguments.git) {
        (Some(file), _) => tar(context, &opened, arguments, file),
        (None, Some(dir)) => git(context, &opened, arguments, dir),
        (None, None) => unreachable!("the definition of the arguments asks for one of them"),
    }
}

fn tar(context: &mut Context, opened: &Opened, arguments: &Export, file: &Path) -> Result<u8> {
    let snapshot = opened.resolve(arguments.rev.as_deref().unwrap_or("@"))?;
    let paths = opened.tree_paths(&arguments.paths)?;
    let progress = progress::reporter(&context.out);
    let options = ExportTarOptions { prefix: TreePath::root(), progress: &*progress };
    if file.as_os_str() == "-" {
        if std::io::stdout().is_terminal() {
            return Err(Error::new(ErrorKind::Invalid, "export", "a tar file", "standard output is a terminal")
                .with_hint("name a file, or send it somewhere with `|` or `>`"));
        }
        export_tar(&opened.store, snapshot, &paths, context.out.writer(), &options)?;
        return Ok(exit::DONE);
    }
    let path = context.at(file)?;
    let write = |out: &mut dyn Write| export_tar(&opened.store, snapshot, &paths, out, &options);
    let exported = to_new_file(&path, write)?;
    drop(progress);
    print(&mut context.out, &path, &exported)?;
    Ok(exit::DONE)
}

/// Writes a file that must not be there yet, readable by its owner only, because what goes into it may be: mode 0600,
/// whatever the umask. What could not be written whole is removed.
fn to_new_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let opened = File::options().write(true).create_new(true).mode(0o600).open(path);
    let opened = opened.and_then(|file| file.set_permissions(Permissions::from_mode(0o600)).map(|()| file));
    let file = opened.map_err(|error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            Error::new(ErrorKind::Exists, "export to", shown(path), "the file is there already")
                .with_hint("remove it first, or name another")
        }
        _ => Error::io("create", path, error),
    })?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let written = write(&mut out).and_then(|written| {
        let finished = out.flush().and_then(|()| out.get_ref().sync_all());
        finished.map(|()| written).map_err(|e| Error::io("write", path, e))
    });
    if written.is_err() {
        #[expect(
            clippy::disallowed_methods,
            reason = "the file was created here a moment ago, and half of it is no use"
        )]
        drop(std::fs::remove_file(path));
    }
    written
}

fn print(out: &mut Output, path: &Path, exported: &Exported) -> Result<()> {
    if out.is_json {
        let object = Object::versioned()
            .bytes("tar", path.as_os_str().as_encoded_bytes())
            .field("files", exported.files)
            .field("folders", exported.folders)
            .field("symlinks", exported.symlinks)
            .field("content_bytes", exported.content_bytes)
            .field("written_bytes", exported.written_bytes);
        return out.line(format_args!("{}", object.finish()));
    }
    let (files, size) = (human::count(exported.files, "file"), human::size(exported.written_bytes));
    out.summary(format_args!("wrote {}  {files}, {size}", human::path(path)))
}

#[cfg(not(feature = "git"))]
fn git(_: &mut Context, _: &Opened, _: &Export, _: &Path) -> Result<u8> {
    Err(super::import::no_git())
}

#[cfg(feature = "git")]
fn git(context: &mut Context, opened: &Opened, arguments: &Export, dir: &Path) -> Result<u8> {
    use retrograde::ops::export_git::{ExportGitOptions, export_git};
    let snapshots: Vec<_> = match &arguments.rev {
        Some(range) => opened.resolve_range(range)?,
        None => opened.workspace()?.steps.values().copied().collect(),
    };
    let folder = context.at(dir)?;
    let progress = progress::reporter(&context.out);
    let options = ExportGitOptions { bare: true, keep_facts: true, progress: &*progress };
    let exported = export_git(&opened.store, &snapshots, &folder, &options)?;
    drop(progress);
    let out = &mut context.out;
    if out.is_json {
        let reference = |name: &str| {
            let name = name.to_owned();
            move |(from, to): &(String, String)| Object::new().field(&name, from).field("reference", to)
        };
        let left_out = exported.left_out.iter().map(|left| Object::new().path(&left.path).field("reason", left.reason));
        let object = Object::versioned()
            .bytes("git", folder.as_os_str().as_encoded_bytes())
            .field("commits", exported.commits)
            .field("head", &exported.head)
            .list("branches", exported.branches.iter().map(reference("run")))
            .list("tags", exported.tags.iter().map(reference("tag")))
            .field("objects", exported.objects)
            .field("written_bytes", exported.written_bytes)
            .list("left_out", left_out);
        out.line(format_args!("{}", object.finish()))?;
        return Ok(exit::DONE);
    }
    let (commits, size) = (human::count(exported.commits, "commit"), human::size(exported.written_bytes));
    out.summary(format_args!("wrote {}  {commits}, {size}; a bare repository", human::path(&folder)))?;
    for left in &exported.left_out {
        let warning = out.palette.warning;
        out.line(format_args!("{warning}left out{warning:#}  {}  {}", left.path, left.reason))?;
    }
    Ok(exit::DONE)
}

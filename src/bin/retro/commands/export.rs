//! `retro export`: a step as a tar file, or steps as a git repository.

use std::ffi::OsStr;
use std::fs::{File, Permissions, TryLockError};
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use retrograde::detail::{expect_no_store, shown};
use retrograde::{Error, ErrorKind, ExportTarOptions, Result, TarExport as Exported, TreePath, export_tar, wire};

use crate::args::Export;
use crate::context::{Context, Opened};
use crate::exit;
use crate::output::Output;
#[cfg(feature = "git")]
use crate::views::event;
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
    let snapshot = opened.resolve_step(arguments.rev.as_deref().unwrap_or("@"), "retro export --tar FILE --")?;
    let named = [&arguments.more[..], &arguments.paths].concat();
    let paths = opened.selected_paths(&named, snapshot, "export")?;
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
    expect_no_store(&opened.store, "export to", &path)?;
    let write = |out: &mut dyn Write| export_tar(&opened.store, snapshot, &paths, out, &options);
    let exported = to_new_file(&path, write)?;
    drop(progress);
    print(&mut context.out, &path, &exported)?;
    Ok(exit::DONE)
}

/// Writes a file that must not be there yet, readable by its owner only, because what goes into it may be: mode 0600,
/// whatever the umask. It gets its name when it is whole and durable; until then it has another one beside it, which
/// the next export to the same file takes over where it was left.
fn to_new_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let there = || {
        Error::new(ErrorKind::Exists, "export to", shown(path), "the file is there already")
            .with_hint("remove it first, or name another")
    };
    if path.symlink_metadata().is_ok() {
        return Err(there());
    }
    let part = part_of(path);
    let file = open_part(&part)?;
    let mut out = BufWriter::with_capacity(256 << 10, file);
    let written = write(&mut out).and_then(|written| {
        let finished = out.flush().and_then(|()| out.get_ref().sync_all());
        finished.map_err(|e| Error::io("write", &part, e))?;
        rename_new(&part, path).map_err(|e| match e.kind() {
            std::io::ErrorKind::AlreadyExists => there(),
            _ => Error::io("rename to", path, e),
        })?;
        Ok(written)
    });
    if written.is_err() {
        #[expect(clippy::disallowed_methods, reason = "the file was written here, and half of it is no use")]
        drop(std::fs::remove_file(&part));
    }
    written
}

/// The name of a file until it is whole, no longer than a name may be.
fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = [b".", &name[..name.len().min(200)], b".retro-part"].concat();
    path.with_file_name(OsStr::from_bytes(&name))
}

/// Opens a file to be written anew that nobody else is writing.
fn open_part(part: &Path) -> Result<File> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    loop {
        let opened =
            File::options().write(true).create(true).truncate(false).mode(0o600).custom_flags(flags).open(part);
        let file = opened.map_err(|e| Error::io("create", part, e))?;
        file.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => {
                Error::new(ErrorKind::Exists, "export to", shown(part), "another export is writing it")
            }
            TryLockError::Error(e) => Error::io("lock", part, e),
        })?;
        // Between opening and locking the other may have finished: then it is the file that was wanted, under its own
        // name.
        let locked = file.metadata().map_err(|e| Error::io("look at", part, e))?;
        // What others own or have a name for they could read.
        if !locked.is_file() || locked.nlink() > 1 || locked.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::new(ErrorKind::Exists, "export to", shown(part), "it is not what an export has left")
                .with_hint("remove it first, or name another file"));
        }
        let is_same = |named: std::fs::Metadata| (named.dev(), named.ino()) == (locked.dev(), locked.ino());
        if part.symlink_metadata().is_ok_and(is_same) {
            let prepared = file.set_permissions(Permissions::from_mode(0o600)).and_then(|()| file.set_len(0));
            return prepared.map(|()| file).map_err(|e| Error::io("write", part, e));
        }
    }
}

/// Renames, where the new name is not taken.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => {
            rustix::fs::rename(from, to)?;
        }
        renamed => renamed?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn print(out: &mut Output, path: &Path, exported: &Exported) -> Result<()> {
    if out.is_json {
        return out.json(&wire::TarExported::new(path, exported));
    }
    let (files, size) = (human::count(exported.files, "file"), human::size(exported.written_bytes));
    out.summary(format_args!("wrote {}  {files}, {size}", human::path(path)))
}

/// Longest subject of a commit that is made of the facts of its step, in characters.
#[cfg(feature = "git")]
const SUBJECT_WIDTH_MAX: usize = 72;

#[cfg(not(feature = "git"))]
fn git(_: &mut Context, _: &Opened, _: &Export, _: &Path) -> Result<u8> {
    Err(super::import::no_git())
}

#[cfg(feature = "git")]
fn git(context: &mut Context, opened: &Opened, arguments: &Export, dir: &Path) -> Result<u8> {
    use retrograde::ExportGitOptions;
    use retrograde::export_git;
    let snapshots: Vec<_> = match &arguments.rev {
        Some(range) => opened.resolve_range(range)?,
        None => opened.workspace()?.steps.values().copied().collect(),
    };
    let folder = context.at(dir)?;
    let progress = progress::reporter(&context.out);
    let subject = |facts: &[u8]| event::summary(facts, SUBJECT_WIDTH_MAX);
    let options = ExportGitOptions { bare: true, keep_facts: true, subject: &subject, progress: &*progress };
    let exported = export_git(&opened.store, &snapshots, &folder, &options)?;
    drop(progress);
    let out = &mut context.out;
    if out.is_json {
        out.json(&wire::GitExported::new(&folder, &exported))?;
        return Ok(exit::DONE);
    }
    let (commits, size) = (human::count(exported.commits, "commit"), human::size(exported.written_bytes));
    out.summary(format_args!("wrote {}  {commits}, {size}; a bare repository", human::path(&folder)))?;
    let renamed = |kind: &'static str, names: &[(String, String)]| -> Vec<String> {
        let other = names.iter().filter(|(name, reference)| name != reference);
        other.map(|(name, reference)| format!("{kind} {name} is {reference} in git")).collect()
    };
    let named = |(run, reference): &(Option<String>, String)| Some((run.clone()?, reference.clone()));
    let runs: Vec<(String, String)> = exported.branches.iter().filter_map(named).collect();
    for line in [renamed("run", &runs), renamed("tag", &exported.tags)].concat() {
        out.summary(format_args!("{}", human::printable(&line)))?;
    }
    for skipped in &exported.skipped {
        let warning = out.palette.warning;
        out.line(format_args!("{warning}skipped{warning:#}  {}  {}", skipped.path, skipped.reason))?;
    }
    Ok(exit::DONE)
}

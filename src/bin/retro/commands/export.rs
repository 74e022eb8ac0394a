//! `retro export --tar`: write a step as a tar file.

use std::ffi::OsStr;
use std::fs::{File, Permissions, TryLockError};
use std::io::{BufWriter, IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use retrograde::{Error, ErrorKind, Result, TreePath, wire};

use retrograde::detail::shown;

use retrograde::share::{ExportTarOptions, expect_no_store, export_tar};

use crate::args::Export;
use crate::context::Context;
use crate::views::{human, progress};

pub(super) fn run(context: &mut Context, arguments: &Export) -> Result<()> {
    let opened = context.open()?;
    let file = arguments.tar.as_deref().expect("the definition of the arguments requires --tar or --git");
    let snapshot = opened.resolve_step(arguments.rev.as_deref().unwrap_or("@"), "retro export --tar FILE --")?;
    let paths = opened.selected_paths(&arguments.paths.all(), snapshot, "export")?;
    let progress = progress::reporter(&context.out);
    let options = ExportTarOptions { prefix: TreePath::root(), progress: &*progress };
    if file.as_os_str() == "-" {
        if std::io::stdout().is_terminal() {
            return Err(Error::new(ErrorKind::Invalid, "export", "a tar file", "standard output is a terminal")
                .with_hint("name a file, or redirect the output with `|` or `>`"));
        }
        return export_tar(&opened.store, snapshot, &paths, context.out.writer(), &options).map(drop);
    }
    let path = context.at(file)?;
    expect_no_store(&opened.store, "export to", &path)?;
    let write = |out: &mut dyn Write| export_tar(&opened.store, snapshot, &paths, out, &options);
    let exported = to_new_file(&path, write)?;
    drop(progress);
    let (files, size) = (human::count(exported.files, "file"), human::size(exported.written_bytes));
    let json = wire::TarExported::new(&path, &exported);
    context.out.done(&json, format_args!("wrote {}  {files}, {size}", shown(&path)))
}

/// Writes a file that must not exist yet. It has mode 0600 whatever the umask, because its content may be secret. It
/// gets its name when it is complete and durable. Until then it has a temporary name beside it; the next export to the
/// same file overwrites one that an interrupted export left.
fn to_new_file<T>(path: &Path, write: impl FnOnce(&mut dyn Write) -> Result<T>) -> Result<T> {
    let there = || {
        Error::new(ErrorKind::Exists, "export to", shown(path), "the file exists already")
            .with_hint("remove it first, or name another file")
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
        #[expect(clippy::disallowed_methods, reason = "the incomplete file was written here")]
        drop(std::fs::remove_file(&part));
    }
    written
}

/// The temporary name of a file, no longer than a name may be.
fn part_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().as_bytes();
    let name = [b".", &name[..name.len().min(200)], b".retro-part"].concat();
    path.with_file_name(OsStr::from_bytes(&name))
}

/// Opens a temporary file, empty, that no other process is writing.
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
        let locked = file.metadata().map_err(|e| Error::io("look at", part, e))?;
        // Other users could read a file that they own or have another name for.
        if !locked.is_file() || locked.nlink() > 1 || locked.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::new(
                ErrorKind::Exists,
                "export to",
                shown(part),
                "it is not the temporary file of an export",
            )
            .with_hint("remove it first, or name another file"));
        }
        // If another export has finished between opening and locking, the locked file has its final name by now.
        let is_same = |named: std::fs::Metadata| (named.dev(), named.ino()) == (locked.dev(), locked.ino());
        if part.symlink_metadata().is_ok_and(is_same) {
            let prepared = file.set_permissions(Permissions::from_mode(0o600)).and_then(|()| file.set_len(0));
            return prepared.map(|()| file).map_err(|e| Error::io("write", part, e));
        }
    }
}

/// Renames a file, unless the new name exists.
fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems cannot do both at once.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if to.symlink_metadata().is_err() => {
            rustix::fs::rename(from, to)?;
        }
        renamed => renamed?,
    }
    let folder = to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

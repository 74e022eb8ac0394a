//! The physical limit of a step: listing every folder and reading every entry's stat, on all cores, and nothing else. A
//! step that survives a power loss also appends a thousand bytes to a file and syncs it.
//!
//! It runs as a separate process, like the tools, started from the bench's own binary. Folders are opened relative to
//! the parent's handle; no path is ever built. `walkdir` is not used: it builds a path for every entry, and a floor
//! with work that a recorder can avoid is too high.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use retrograde::time::Stopwatch;

use crate::Result;

/// First argument of the helper process; the folder and the file to append to follow.
pub(crate) const FLAG: &str = "--floor";

/// Folder of a peer that lives in the workspace; all others skip it.
pub(crate) const PASSED_OVER: &str = ".jj";

/// Bytes that a small step adds to a store.
const SYNCED_BYTES: usize = 1_000;

/// Walks the folder, appends to the file and syncs it. Prints the time of each in nanoseconds, and the number of
/// entries.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> Result<()> {
    let root = arguments.next().ok_or("walk: no folder given")?;
    let synced = arguments.next().ok_or("walk: no file to append to given")?;
    let watch = Stopwatch::start();
    let entries = walk(Path::new(&root))?;
    let walked = watch.elapsed();
    append_synced(Path::new(&synced))?;
    crate::show(&format!("{} {} {entries}", walked.as_nanos(), (watch.elapsed() - walked).as_nanos()));
    Ok(())
}

fn append_synced(path: &Path) -> Result<()> {
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path)?;
    file.write_all(&[0xa5; SYNCED_BYTES])?;
    Ok(file.sync_data()?)
}

/// The state that the threads of a walk share.
#[derive(Default)]
struct Seen {
    entries: AtomicU64,
    failures: AtomicU64,
}

/// Counts the entries below `root` after reading the stat of each.
#[cfg(target_os = "linux")]
fn walk(root: &Path) -> Result<u64> {
    use std::ffi::CString;
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, StatxFlags, open, openat, statx};

    const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NOFOLLOW);

    fn folder<'s>(scope: &rayon::Scope<'s>, above: &OwnedFd, name: &CString, seen: &'s Seen) -> rustix::io::Result<()> {
        let handle = Arc::new(openat(above, name, FLAGS, Mode::empty())?);
        let mut buffer = Vec::with_capacity(32 << 10);
        let mut entries = RawDir::new(&*handle, buffer.spare_capacity_mut());
        let mut count = 0;
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            if matches!(name.to_bytes(), b"." | b"..") || name.to_bytes() == PASSED_OVER.as_bytes() {
                continue;
            }
            count += 1;
            let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::STATX_DONT_SYNC;
            statx(&*handle, name, flags, StatxFlags::BASIC_STATS)?;
            if entry.file_type() == FileType::Directory {
                let (handle, name) = (Arc::clone(&handle), name.to_owned());
                scope.spawn(move |scope| {
                    if folder(scope, &handle, &name, seen).is_err() {
                        seen.failures.fetch_add(1, Ordering::Relaxed);
                    }
                });
            }
        }
        seen.entries.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    let seen = Seen::default();
    let handle = open(root, FLAGS, Mode::empty())?;
    rayon::scope(|scope| folder(scope, &handle, &c".".to_owned(), &seen))?;
    match seen.failures.into_inner() {
        0 => Ok(seen.entries.into_inner()),
        failures => Err(format!("walk: {failures} folders could not be read").into()),
    }
}

/// Counts the entries below `root` after reading the stat of each; not the limit, because Linux's system calls are
/// missing.
#[cfg(not(target_os = "linux"))]
fn walk(root: &Path) -> Result<u64> {
    let seen = Seen::default();
    rayon::scope(|scope| folder(scope, root.to_owned(), &seen));
    return match seen.failures.into_inner() {
        0 => Ok(seen.entries.into_inner()),
        failures => Err(format!("walk: {failures} folders could not be read").into()),
    };

    fn folder<'s>(scope: &rayon::Scope<'s>, path: std::path::PathBuf, seen: &'s Seen) {
        let Ok(entries) = std::fs::read_dir(&path) else {
            seen.failures.fetch_add(1, Ordering::Relaxed);
            return;
        };
        for entry in entries.flatten().filter(|entry| entry.file_name() != PASSED_OVER) {
            seen.entries.fetch_add(1, Ordering::Relaxed);
            if entry.metadata().is_ok_and(|facts| facts.is_dir()) {
                scope.spawn(move |scope| folder(scope, entry.path(), seen));
            }
        }
    }
}

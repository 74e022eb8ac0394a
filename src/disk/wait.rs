//! Waiting for a lock, and reporting the process that holds it.
//!
//! Locks are held for milliseconds. A lock that takes longer is held by a long operation, or by a stopped process; the
//! user wants to know which. The kernel does the waiting. A second thread, started only if the lock is taken, reports
//! once after [`LOCK_WAIT_SILENT`] and ends with the wait.

use std::fs::{File, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{Builder, scope};

use crate::limits::LOCK_WAIT_SILENT;

/// A lock that has been waited for longer than usual.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockWait {
    /// The locked file, for messages.
    pub lock: String,
    /// A process that holds the lock, if the system lists it.
    pub holder: Option<LockHolder>,
}

/// A process that holds a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockHolder {
    /// Its number.
    pub pid: u32,
    /// Its command, as the system lists it; empty where it is unknown.
    pub command: String,
    /// True if a signal or a debugger has stopped it.
    pub is_stopped: bool,
}

/// Receives the reports of waits; called from another thread.
pub type LockWatch = dyn Fn(LockWait) + Send + Sync;

/// Locks `file`, shared or alone. Reports to `watch` once if that takes long.
pub(super) fn lock(file: &File, is_shared: bool, name: &str, watch: Option<&LockWatch>) -> std::io::Result<()> {
    let tried = if is_shared { file.try_lock_shared() } else { file.try_lock() };
    match tried {
        Ok(()) => return Ok(()),
        Err(TryLockError::Error(error)) => return Err(error),
        Err(TryLockError::WouldBlock) => {}
    }
    let wait = || if is_shared { file.lock_shared() } else { file.lock() };
    let Some(watch) = watch else { return wait() };
    scope(|threads| {
        let (done, waiting) = channel::<()>();
        let report = move || {
            if waiting.recv_timeout(LOCK_WAIT_SILENT) == Err(RecvTimeoutError::Timeout) {
                watch(LockWait { lock: name.to_owned(), holder: holder_of(file) });
            }
        };
        // Without room for a thread, the wait goes unreported.
        drop(Builder::new().spawn_scoped(threads, report));
        let locked = wait();
        drop(done);
        locked
    })
}

/// The first holder of the lock on a file that `/proc/locks` lists; `None` where there is no such list.
fn holder_of(file: &File) -> Option<LockHolder> {
    let found = file.metadata().ok()?;
    let locks = std::fs::read_to_string("/proc/locks").ok()?;
    let pid = holder_in(&locks, found.dev(), found.ino())?;
    let command = std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim_end().to_owned();
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).unwrap_or_default().trim_start();
    Some(LockHolder { pid, command, is_stopped: state.starts_with(['T', 't']) })
}

/// The process that holds a lock on this file, out of the text of `/proc/locks`. A line that begins with `->` after its
/// number is of a process that waits.
fn holder_in(locks: &str, device: u64, inode: u64) -> Option<u32> {
    let file = format!("{:02x}:{:02x}:{inode}", rustix::fs::major(device), rustix::fs::minor(device));
    let held = locks.lines().map(|line| line.split_ascii_whitespace().collect::<Vec<_>>());
    let mut held = held.filter(|fields| fields.get(1) == Some(&"FLOCK") && fields.get(5) == Some(&file.as_str()));
    held.next()?.get(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{LockWait, holder_in, lock};
    use std::sync::Mutex;
    use std::time::Duration;

    const LOCKS: &str = "\
1: POSIX  ADVISORY  WRITE 11 fe:00:42 0 EOF
2: -> FLOCK  ADVISORY  WRITE 12 fe:00:42 0 EOF
3: FLOCK  ADVISORY  WRITE 13 fe:00:42 0 EOF
4: FLOCK  ADVISORY  WRITE 14 fe:01:42 0 EOF
";

    #[test]
    fn the_holder_and_not_a_waiting_process_is_found() {
        let device = rustix::fs::makedev(0xfe, 0);
        assert_eq!(holder_in(LOCKS, device, 42), Some(13));
        assert_eq!(holder_in(LOCKS, device, 43), None);
        assert_eq!(holder_in("nonsense\n5: FLOCK\n", device, 42), None);
    }

    #[test]
    fn a_long_wait_is_reported_once_and_a_short_one_never() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let reports = Mutex::new(Vec::new());
        let wait_for = |held: Duration, reports: &Mutex<Vec<LockWait>>| {
            let (ours, theirs) = (file.reopen().unwrap(), file.reopen().unwrap());
            theirs.lock().unwrap();
            std::thread::scope(|threads| {
                threads.spawn(move || {
                    std::thread::sleep(held);
                    drop(theirs);
                });
                // A watch outlives every call in the program, and so in a test.
                let (sender, receiver) = std::sync::mpsc::channel();
                let watch = move |wait| sender.send(wait).unwrap();
                lock(&ours, false, "lock", Some(&watch)).unwrap();
                drop(watch);
                reports.lock().unwrap().extend(receiver);
            });
        };
        wait_for(Duration::from_millis(20), &reports);
        assert!(reports.lock().unwrap().is_empty());
        wait_for(super::LOCK_WAIT_SILENT + Duration::from_millis(700), &reports);
        let reports = reports.into_inner().unwrap();
        assert_eq!(reports.len(), 1);
        let holder = reports[0].holder.as_ref().expect("this system lists its locks");
        assert_eq!((holder.pid, holder.is_stopped), (std::process::id(), false));
    }
}

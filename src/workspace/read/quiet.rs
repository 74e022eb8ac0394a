//! Tests whether no process has a file open for writing; such a file is *quiet*.
//!
//! A writable shared memory map keeps its file open for writing. If no process has the file open just before it is
//! read, none can change it later without a change of its times: a later map sets them with the first write. Without
//! this test, a restore soon after a large checkout would read every file again.
//!
//! The kernel grants a read lease only on a file that no process has open for writing; the lease is returned at once. A
//! process that opens the file for writing in between waits that long. The kernel reports that by a signal, `SIGIO` by
//! default, which would end this process; so `SIGURG` is set first, which is ignored by default. A lease is refused to
//! processes that neither own the file nor have `CAP_LEASE`, and on file systems without leases: then somebody may have
//! it open.
//!
//! On file systems stacked on others, a map keeps only the file below open, and a lease proves nothing: see
//! [`FileSystem::counts_maps`].

use std::fs::File;

use crate::workspace::filesystem::FileSystem;

/// Returns true if no process has the file open for writing; false if that is unknown.
pub(super) fn is_quiet(file: &File) -> bool {
    FileSystem::of(file).counts_maps() && lease::take(file) && lease::give_back(file)
}

#[cfg(all(target_os = "linux", not(feature = "portable")))]
#[expect(unsafe_code, reason = "neither the standard library nor rustix has leases")]
mod lease {
    use std::fs::File;
    use std::os::fd::AsRawFd;

    /// Sets the signal (`fcntl(2)`); the crate `libc` does not define it on every platform.
    const F_SETSIG: libc::c_int = 10;

    pub(super) fn take(file: &File) -> bool {
        command(file, F_SETSIG, libc::SIGURG) && command(file, libc::F_SETLEASE, libc::F_RDLCK)
    }

    pub(super) fn give_back(file: &File) -> bool {
        command(file, libc::F_SETLEASE, libc::F_UNLCK)
    }

    fn command(file: &File, command: libc::c_int, argument: libc::c_int) -> bool {
        // SAFETY: the descriptor is open, and these commands take numbers only.
        unsafe { libc::fcntl(file.as_raw_fd(), command, argument) == 0 }
    }
}

#[cfg(any(not(target_os = "linux"), feature = "portable"))]
mod lease {
    use std::fs::File;

    pub(super) fn take(_: &File) -> bool {
        false
    }

    pub(super) fn give_back(_: &File) -> bool {
        false
    }
}

#[cfg(all(test, target_os = "linux", not(feature = "portable")))]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::{is_quiet, lease};

    #[test]
    fn a_file_that_is_open_for_writing_is_not_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let read = || std::fs::File::open(&path).unwrap();
        if !is_quiet(&read()) {
            // Not every file system has leases.
            return;
        }
        let writer = std::fs::File::options().write(true).open(&path).unwrap();
        assert!(!is_quiet(&read()));
        drop(writer);
        let other = read();
        assert!(is_quiet(&read()) && is_quiet(&other), "readers do not count");
    }

    /// By default the signal would end the process, and this test with it.
    #[test]
    fn a_writer_that_comes_in_between_waits_and_the_signal_of_it_is_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let file = std::fs::File::open(&path).unwrap();
        if !lease::take(&file) {
            return;
        }
        let writer = std::thread::spawn(move || std::fs::write(&path, b"y"));
        std::thread::sleep(std::time::Duration::from_millis(100));
        assert!(!writer.is_finished(), "it waits for the lease, and the signal was sent");
        lease::give_back(&file);
        writer.join().unwrap().unwrap();
    }
}

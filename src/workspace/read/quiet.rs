//! Whether anybody has a file open for writing.
//!
//! A shared memory map that may be written keeps its file open for writing. Where nobody has it open at the moment before
//! it is read, nobody can change it later without a trace in its times: whoever maps it then sets them with the first write.
//!
//! The kernel gives a read lease only on a file that nobody has open for writing; it is given back at once. Whoever opens
//! the file for writing in between is made to wait that long, and the kernel tells us so by a signal, for which one is
//! chosen that is ignored unless somebody asked for it.

use std::fs::File;

/// Chooses the signal (`fcntl(2)`); the crate `libc` does not name it everywhere.
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// Whether nobody has the file open for writing. Where the system cannot tell, somebody may have.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "neither the standard library nor rustix knows leases")]
pub(super) fn is_quiet(file: &File) -> bool {
    use std::os::fd::AsRawFd;
    let descriptor = file.as_raw_fd();
    // SAFETY: the descriptor is open, and these commands take numbers only.
    unsafe {
        libc::fcntl(descriptor, F_SETSIG, libc::SIGURG) == 0
            && libc::fcntl(descriptor, libc::F_SETLEASE, libc::F_RDLCK) == 0
            && libc::fcntl(descriptor, libc::F_SETLEASE, libc::F_UNLCK) == 0
    }
}

/// Whether nobody has the file open for writing. Where the system cannot tell, somebody may have.
#[cfg(not(target_os = "linux"))]
pub(super) fn is_quiet(_: &File) -> bool {
    false
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "tests make their own files")]
mod tests {
    use super::is_quiet;

    #[test]
    fn a_file_that_is_open_for_writing_is_not_quiet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, b"x").unwrap();
        let read = || std::fs::File::open(&path).unwrap();
        if !is_quiet(&read()) {
            // Not every file system gives leases.
            return;
        }
        let writer = std::fs::File::options().write(true).open(&path).unwrap();
        assert!(!is_quiet(&read()));
        drop(writer);
        let other = read();
        assert!(is_quiet(&read()) && is_quiet(&other), "readers do not count");
    }
}

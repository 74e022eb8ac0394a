//! A terminal for a program to print on.

use std::io::Read;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::{Command, Stdio};

/// Runs a program with a terminal as both of its outputs, and returns what it printed there, and how it exited.
pub(crate) fn on_terminal(mut command: Command) -> (String, Option<i32>) {
    let (ours, theirs) = open();
    let same = theirs.try_clone().expect("a handle can be had twice");
    let mut child = command.stdin(Stdio::null()).stdout(theirs).stderr(same).spawn().expect("the program is there");
    // The end of what is printed comes when nobody has the other side open any more.
    drop(command);
    let mut printed = Vec::new();
    let mut reader = std::fs::File::from(ours);
    let mut piece = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut piece) {
        printed.extend_from_slice(&piece[..count]);
    }
    let code = child.wait().expect("it ends").code();
    (String::from_utf8_lossy(&printed).replace("\r\n", "\n"), code)
}

#[expect(unsafe_code, reason = "no safe library among the dependencies opens a pseudoterminal")]
fn open() -> (OwnedFd, OwnedFd) {
    let (mut ours, mut theirs) = (-1, -1);
    use std::ptr::null_mut;
    // SAFETY: both numbers outlive the call, and the other arguments may be null.
    let failed = unsafe { libc::openpty(&raw mut ours, &raw mut theirs, null_mut(), null_mut(), null_mut()) };
    assert_eq!(failed, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: the call has just opened both, and nobody else knows them.
    unsafe { (OwnedFd::from_raw_fd(ours), OwnedFd::from_raw_fd(theirs)) }
}

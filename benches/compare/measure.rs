//! The peak memory of a process, from the kernel's accounting.
//!
//! The kernel reports to a parent the largest resident size among its ended children. The bench has many children, so
//! each measured one gets a parent of its own: this binary, started with [`FLAG`]. `/proc/PID/status` is not used,
//! because it vanishes with the process and misses the peak.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::Result;

/// First argument of the helper process; the file for the result and the command follow.
pub(crate) const FLAG: &str = "--measure";

/// Runs the command, writes its peak resident memory in bytes to the file, and exits as the command did.
pub(crate) fn main(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    match run(arguments) {
        Ok(code) => code,
        Err(error) => {
            crate::say(&format!("measure: {error}"));
            ExitCode::from(u8::MAX)
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "the result is passed in a file, the command's output is its own")]
fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<ExitCode> {
    let out = arguments.next().ok_or("no file for the result")?;
    let program = arguments.next().ok_or("no command")?;
    let status = Command::new(program).args(arguments).status()?;
    std::fs::write(out, peak_bytes_of_children()?.to_string())?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

/// The largest resident size of any ended child, in bytes.
#[expect(unsafe_code, reason = "neither std nor rustix offers getrusage, and the call only fills a structure of ours")]
fn peak_bytes_of_children() -> Result<u64> {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: the pointer is to a whole `rusage`, which the call fills; if it does not, all bytes zero are a valid one.
    let usage = unsafe {
        if libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr()) != 0 {
            return Err(std::io::Error::last_os_error().into());
        }
        usage.assume_init()
    };
    let unit = if cfg!(target_os = "macos") { 1 } else { 1 << 10 };
    Ok(u64::try_from(usage.ru_maxrss)? * unit)
}

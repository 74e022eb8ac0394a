//! Mounts, in namespaces of their own: what a test mounts is gone when its script ends, however it ends, and nobody
//! else ever sees it. They need root and a kernel that lets it mount; where either is missing, tests say how little
//! they tried.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use super::scratch::Scratch;

/// True if this machine lets the tests mount.
pub(crate) fn can_mount() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let scratch = Scratch::new();
        let tried = script(&scratch, "mkdir a b && mount --bind a b && mount -t tmpfs none a");
        tried.status.success()
    })
}

/// Runs shell commands in `scratch`, in a mount namespace of their own, up to the first that fails. `$RETRO` is the
/// program, with a home and a store beside each other in the folder.
pub(crate) fn script(scratch: &Scratch, commands: &str) -> Output {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "sh", "-euc", commands])
        .current_dir(scratch.path())
        .env_clear()
        .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", scratch.join("home"))
        .env("RETRO", env!("CARGO_BIN_EXE_retro"))
        .env("RETRO_STORE", scratch.join("store"));
    command.output().unwrap_or_else(|error| panic!("run unshare: {error}"))
}

/// The same, and what it printed on both streams; a script that fails is a failed test.
#[track_caller]
pub(crate) fn run(scratch: &Scratch, commands: &str) -> String {
    let output = script(scratch, commands);
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    assert!(output.status.success(), "{}: {commands}\n{text}", output.status);
    text
}

/// A folder with a home, and a place for a store.
pub(crate) fn bench() -> Scratch {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.join("home")).unwrap();
    scratch
}

/// True if a program is installed.
pub(crate) fn has(program: &str) -> bool {
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| PathBuf::from(folder).join(program))
        .any(|path: PathBuf| Path::is_file(&path))
}

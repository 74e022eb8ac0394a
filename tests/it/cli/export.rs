//! `retro export`.

use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::Cli;
use crate::support::git::has_git;

#[test]
fn a_step_becomes_a_tar_file() {
    let cli = Cli::with_two_steps();
    cli.check("export --tar ../x.tar", "wrote $HOME/x.tar  3 files, 4.6 kB");
    cli.check(
        "export --tar ../x.tar",
        "
        | ! error: export to $HOME/x.tar: the file exists already
        | ! hint: remove it first, or name another file
        | exit 4
    ",
    );
    let file = std::fs::read(cli.home().join("x.tar")).unwrap();
    assert!(cli.run(&["export", "--tar", "-"]).stdout == file);
    let part = cli.run(&["export", "s1", "--tar", "-", "--", "dir"]).stdout;
    let mut archive = tar::Archive::new(&part[..]);
    let names: Vec<String> =
        archive.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string()).collect();
    assert_eq!(names, ["dir/", "dir/b.txt"]);
    assert!(cli.run(&["export", "s1", "d*", "--tar", "-"]).stdout == part);
    cli.check(
        "export --tar ../y.tar -- no-such-path",
        "
        | ! error: export no-such-path: snapshot [short] has no such path
        | ! hint: `retro ls -r [short]` lists its files, `retro log -- PATH` the steps that changed a path
        | exit 3
    ",
    );
    assert!(!cli.home().join("y.tar").exists());
    cli.check(
        "export s1",
        "
        | ! error: the following required arguments were not provided:
        | !   <--tar <FILE>|--git <DIR>>
        | !
        | ! Usage: retro export <--tar <FILE>|--git <DIR>> <REV> [PATH]...
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}

/// An export that is killed at any moment leaves nothing under the name that was asked for, or all of it, and the next
/// one is not kept from finishing.
#[test]
fn a_killed_export_never_blocks_the_next() {
    let cli = Cli::with_two_steps();
    for number in 0..300 {
        cli.write(format!("many/{number}"), format!("{number}").repeat(number).as_bytes());
    }
    cli.run(&["snap"]).expect(0);
    let whole = cli.run(&["export", "--tar", "-"]).stdout;
    let (mut killed, mut left) = (0, 0);
    for round in 0..40_u64 {
        let (tar, git) = (format!("../{round}.tar"), format!("../{round}.git"));
        for line in [["export", "--tar", &tar], ["export", "--git", &git]] {
            let mut child = cli.command().args(line).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(Duration::from_micros(300 + round * 600));
            child.kill().unwrap();
            killed += usize::from(child.wait().unwrap().code().is_none());
        }
        let tar = cli.home().join(format!("{round}.tar"));
        left += usize::from(cli.home().join(format!(".{round}.tar.retro-part")).exists());
        if !tar.exists() {
            cli.run(&["export", "--tar", &format!("../{round}.tar")]).expect(0);
        }
        assert!(std::fs::read(tar).unwrap() == whole, "{round}");
        let git = cli.home().join(format!("{round}.git"));
        left += usize::from(git.join(".retro-part").exists());
        if !git.join("HEAD").exists() {
            cli.run(&["export", "--git", &format!("../{round}.git")]).expect(0);
            assert!(git.join("HEAD").exists() && !git.join(".retro-part").exists(), "{round}");
        }
        if has_git() {
            let git = |arguments: &[&str]| {
                let output = Command::new("git").arg("-C").arg(&git).args(arguments).output().unwrap();
                assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            };
            git(&["fsck", "--strict"]);
            assert_eq!(git(&["rev-list", "--count", "HEAD"]), "3\n", "{round}");
        }
    }
    assert!(killed > 20 && left > 5, "{killed} killed, {left} left something");
    let parts = std::fs::read_dir(cli.home()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let parts: Vec<String> = parts.filter(|name| name.ends_with("retro-part")).collect();
    assert!(parts.is_empty(), "{parts:?}");
}

/// A file that another process is writing, or has put there, is left alone.
#[test]
fn exports_take_over_only_what_exports_have_left() {
    let cli = Cli::with_two_steps();
    let part = cli.home().join(".x.tar.retro-part");
    cli.write(&part, b"half of it");
    let locked = std::fs::File::open(&part).unwrap();
    locked.lock().unwrap();
    cli.check(
        "export --tar ../x.tar",
        "
        | ! error: export to $HOME/.x.tar.retro-part: another export is writing it
        | exit 4
    ",
    );
    drop(locked);
    cli.run(&["export", "--tar", "../x.tar"]).expect(0);
    assert!(!part.exists() && cli.home().join("x.tar").exists());
    // Nor what is no file of one's own, or leads elsewhere.
    let precious = cli.home().join("precious/file");
    cli.write(&precious, b"of somebody");
    symlink(&precious, cli.home().join(".x2.tar.retro-part")).unwrap();
    cli.run(&["export", "--tar", "../x2.tar"]).expect(9);
    std::fs::hard_link(&precious, cli.home().join(".x3.tar.retro-part")).unwrap();
    cli.run(&["export", "--tar", "../x3.tar"]).expect(4);
    std::fs::create_dir(cli.home().join("link")).unwrap();
    symlink(cli.home().join("precious"), cli.home().join("link/.retro-part")).unwrap();
    cli.run(&["export", "--git", "../link"]).expect(4);
    assert_eq!(cli.read(&precious), b"of somebody");
    for name in ["mine", "objects"] {
        cli.write(cli.home().join("git").join(name), b"of somebody");
        cli.run(&["export", "--git", "../git"]).expect(4);
        assert_eq!(cli.read(cli.home().join("git").join(name)), b"of somebody");
        std::fs::remove_dir_all(cli.home().join("git")).unwrap();
    }
    // Half of a repository was moved up when the export was killed.
    cli.write(cli.home().join("git/.retro-part/repository/HEAD"), b"ref: refs/heads/nobody\n");
    cli.write(cli.home().join("git/config"), b"");
    // Without its mark, it is a repository of somebody who has a folder of that name.
    cli.run(&["export", "--git", "../git"]).expect(4);
    assert!(cli.home().join("git/.retro-part/repository/HEAD").exists() && cli.home().join("git/config").exists());
    cli.write(cli.home().join("git/.retro-part/retro-export"), b"");
    cli.write(cli.home().join("git/mine/own"), b"of somebody");
    cli.run(&["export", "--git", "../git"]).expect(4);
    std::fs::remove_dir_all(cli.home().join("git/mine")).unwrap();
    let locked = std::fs::File::open(cli.home().join("git/.retro-part")).unwrap();
    locked.lock().unwrap();
    cli.run(&["export", "--git", "../git"]).expect(4);
    drop(locked);
    cli.run(&["export", "--git", "../git"]).expect(0);
    assert!(!cli.home().join("git/.retro-part").exists() && !cli.read(cli.home().join("git/config")).is_empty());
}

/// Every step can be reached, is called what the log calls it, and what git cannot name like this is said.
#[cfg(feature = "git")]
#[test]
fn git_reaches_every_step_by_a_name_that_it_allows() {
    let cli = Cli::with_two_steps();
    cli.run(&["restore", "s1"]).expect(0);
    cli.write("c.txt", b"other\n");
    cli.run_with(&["snap", "--event", "-"], br#"{"tool":"bash","input":"echo other > c.txt"}"#).expect(0);
    for tag in ["release/1", "release", "odd?name"] {
        cli.run(&["tag", tag, "s1"]).expect(0);
    }
    cli.check(
        "export --git ../out.git",
        "
        | wrote $HOME/out.git  3 commits, [size]; a bare repository
        | tag odd?name is odd-name in git
        | tag release/1 is release-1 in git
    ",
    );
    if !has_git() {
        return;
    }
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(cli.home().join("out.git")).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(!git(&["fsck", "--strict", "--no-progress"]).contains("dangling"));
    assert_eq!(git(&["log", "--format=%s", "main"]), "bash: echo other > c.txt\nfirst\n");
    assert_eq!(git(&["log", "-1", "--format=%s", "retro/steps/s2"]), "second\n");
    // All of it comes back, with what nobody has said.
    std::fs::create_dir(cli.home().join("copy")).unwrap();
    let other = cli.home().join("other-store");
    let arguments = ["--store", other.to_str().unwrap(), "-C", "../copy"];
    cli.run(&[&arguments[..], &["import", "--git", "../out.git", "--all"]].concat()).expect(0);
    let steps = |line: &str| {
        let mut steps: Vec<_> =
            cli.json(line).iter().map(|step| (step["tree"].to_string(), step["message"].to_string())).collect();
        steps.sort();
        steps
    };
    assert_eq!(steps(&[&arguments[..], &["log", "--json"]].concat().join(" ")), steps("log --json"));
}

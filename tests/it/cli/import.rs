//! `retro import`, and the way to git and back.

#[cfg(feature = "git")]
use std::path::PathBuf;
#[cfg(feature = "git")]
use std::process::{Command, Stdio};
#[cfg(feature = "git")]
use std::time::Duration;

use super::Cli;
#[cfg(feature = "git")]
use crate::support::git::has_git;

#[cfg(feature = "git")]
#[test]
fn a_history_goes_to_git_and_comes_back() {
    let cli = Cli::with_two_steps();
    cli.run(&["tag", "v1", "s1"]).expect(0);
    cli.check("export --git ../out.git", "wrote $HOME/out.git  2 commits, [size]; a bare repository");
    cli.check(
        "export --git ../out.git",
        "
        | ! error: export to $HOME/out.git: the folder is not empty
        | ! hint: name a new folder, or an empty one
        | exit 4
    ",
    );
    let trees = |line: &str| cli.json(line).iter().map(|step| step["tree"].clone()).collect::<Vec<_>>();
    let before = trees("log --json");
    std::fs::create_dir(cli.home().join("copy")).unwrap();
    let other = cli.home().join("other-store");
    let arguments = ["--store", other.to_str().unwrap(), "-C", "../copy"];
    cli.check_words(
        &[&arguments[..], &["import", "--git", "../out.git"]].concat(),
        "
        | imported 2 steps, s1 [short] to s2 [short]  [span]
    ",
    );
    cli.check_words(
        &[&arguments[..], &["log"]].concat(),
        "
        | @ s2  [short]  [time]  +1 ~1 -0  second
        |   s1  [short]  [time]  +2 ~0 -0  first  [v1]
    ",
    );
    let again = [&arguments[..], &["log", "--json"]].concat().join(" ");
    assert_eq!(trees(&again), before);
    cli.check("export s2..s2 --git ../none.git", "wrote $HOME/none.git  0 commits, [size]; a bare repository");
}

#[test]
fn a_folder_that_is_no_repository_is_refused() {
    let cli = Cli::new();
    let ran = cli.run(&["import", "--git", "nowhere"]);
    assert_eq!(ran.code, if cfg!(feature = "git") { 3 } else { 8 });
    cli.check(
        "import",
        "
        | ! error: the following required arguments were not provided:
        | !   --git <DIR>
        | !
        | ! Usage: retro import --git <DIR> [COMMITS]
        | !
        | ! For more information, try '--help'.
        | exit 2
    ",
    );
}

/// git in a folder of a test's own, with nobody's settings.
#[cfg(feature = "git")]
struct RealGit<'a> {
    cli: &'a Cli,
    root: PathBuf,
}

#[cfg(feature = "git")]
impl<'a> RealGit<'a> {
    /// A repository with three commits of `f`, a folder and a tag on the second.
    fn with_three_commits(cli: &'a Cli, name: &str, arguments: &[&str]) -> Option<Self> {
        let git = Self { cli, root: cli.home().join(name) };
        if !has_git() {
            return None;
        }
        std::fs::create_dir(&git.root).unwrap();
        // An older git knows less: then there is nothing to try.
        let made = git.command(&[&["init", "-q", "-b", "main"], arguments].concat()).output().unwrap();
        if !made.status.success() {
            return None;
        }
        for (number, text) in ["one", "two", "three"].iter().enumerate() {
            cli.write(git.root.join("f"), text.as_bytes());
            cli.write(git.root.join("d/g"), format!("{text} too").as_bytes());
            git.run(&["add", "-A"]);
            git.run(&["commit", "-q", "-m", text]);
            if number == 1 {
                git.run(&["tag", "v1"]);
            }
        }
        Some(git)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.args(["-c", "user.name=A U Thor", "-c", "user.email=a@b"]).args(arguments).current_dir(&self.root);
        command.env("HOME", self.cli.home()).env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// A failed or empty import leaves no recorded folder.
#[cfg(feature = "git")]
#[test]
fn a_failed_import_leaves_no_recorded_folder() {
    let cli = Cli::new();
    let Some(git) = RealGit::with_three_commits(&cli, "repo", &[]) else { return };
    cli.run(&["import", "--git", "../repo", "no-such-branch"]).expect(3);
    cli.check("import --git ../repo main..main", "nothing to import");
    let tree = git.run(&["rev-parse", "main^{tree}"]);
    let (folder, file) = tree.trim().split_at(2);
    cli.remove(git.root.join(".git/objects").join(folder).join(file));
    cli.run(&["import", "--git", "../repo", "main~1..main"]).expect(7);
    assert_eq!(cli.json("workspace list --json").len(), 0);
    // Without that commit's tree the others come all the same, and it is named.
    let commit = git.run(&["rev-parse", "main"]);
    let imported = cli.json("import --git ../repo --json");
    assert_eq!((&imported[0]["snapshots"], &imported[0]["skipped"][0]["commit"]), (&2.into(), &commit.trim().into()));
    assert_eq!(cli.json("workspace list --json").len(), 1);
}

/// Repositories of every kind that git makes are read, or refused as what they are.
#[cfg(feature = "git")]
#[test]
fn every_kind_of_repository_is_read_or_refused_by_name() {
    let cli = Cli::new();
    let Some(git) = RealGit::with_three_commits(&cli, "repo", &[]) else { return };
    let check = |name: &str, steps: u64, omitting: u64| {
        let other = cli.home().join(format!("{name}-store"));
        std::fs::create_dir(cli.home().join(format!("{name}-copy"))).unwrap();
        let line = format!("--store {} -C ../{name}-copy import --git ../{name} --json", other.display());
        let imported = cli.json(&line).remove(0);
        assert_eq!((&imported["snapshots"], &imported["omitting"]), (&steps.into(), &omitting.into()), "{name}");
        let show = format!("--store {} -C ../{name}-copy cat @:d/g", other.display());
        assert_eq!(cli.run(&show.split(' ').collect::<Vec<_>>()).stdout, b"three too", "{name}");
    };
    let url = format!("file://{}", git.root.display());
    git.run(&["config", "uploadpack.allowFilter", "true"]);
    git.run(&["clone", "-q", "--depth", "2", &url, "../shallow"]);
    git.run(&["clone", "-q", "--filter=blob:none", &url, "../partial"]);
    check("shallow", 2, 0);
    check("partial", 3, 2);
    if RealGit::with_three_commits(&cli, "sha256", &["--object-format=sha256"]).is_some() {
        check("sha256", 3, 0);
    }
    if RealGit::with_three_commits(&cli, "reftable", &["--ref-format=reftable"]).is_some() {
        cli.check(
            "import --git ../reftable",
            "
            | ! error: open git repository $HOME/reftable: its references are kept in a reftable, which cannot be
            :  read here
            | ! hint: `git refs migrate --ref-format=files` there, or in a copy, makes it readable
            | exit 8
        ",
        );
    }
}

/// The output of an import, and of a second one.
#[cfg(feature = "git")]
#[test]
fn skipped_parts_are_named_and_nothing_is_imported_twice() {
    let cli = Cli::new();
    let Some(git) = RealGit::with_three_commits(&cli, "repo", &[]) else { return };
    git.run(&["checkout", "-q", "-b", "side", "main~1"]);
    cli.write(git.root.join("side"), b"side");
    git.run(&["add", "-A"]);
    git.run(&["commit", "-q", "--allow-empty-message", "-m", ""]);
    git.run(&["checkout", "-q", "main"]);
    git.run(&["tag", "s7"]);
    cli.check(
        "import --git ../repo main~1",
        "
        | imported 2 steps, s1 [short] to s2 [short]  [span]
    ",
    );
    cli.check(
        "import --git ../repo --all",
        "
        | imported 2 steps, s3 [short] to s4 [short]  (2 commits recorded already)  [span]
        | skipped  tag s7  name tag s7: it reads as a step
    ",
    );
    cli.check(
        "import --git ../repo --all",
        "
        | nothing new: 4 commits recorded already
        | skipped  tag s7  name tag s7: it reads as a step
    ",
    );
    let runs: Vec<_> = cli.json("log --json").iter().map(|step| step["run"].clone()).collect();
    assert_eq!(runs, ["side", "main", "main", "main"]);
    assert_eq!(cli.json("tag --json")[0]["tag"], "v1");
    // `@` is what HEAD is.
    assert_eq!(cli.run(&["cat", "@:f"]).stdout, b"three");
    cli.run(&["import", "--git", "../repo", "--all", "main"]).expect(2);
}

/// An import that is killed again and again ends with every commit once.
#[cfg(feature = "git")]
#[test]
fn a_killed_import_is_completed_by_the_next() {
    let cli = Cli::new();
    let Some(git) = RealGit::with_three_commits(&cli, "repo", &[]) else { return };
    for number in 0..60 {
        cli.write(git.root.join("f"), number.to_string().as_bytes());
        git.run(&["commit", "-q", "-a", "-m", &number.to_string()]);
    }
    let mut killed = 0;
    for round in 0..30_u64 {
        let mut command = cli.command();
        command.args(["import", "--git", "../repo"]).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        std::thread::sleep(Duration::from_millis(3 + round % 10 * 4));
        child.kill().unwrap();
        killed += usize::from(child.wait().unwrap().code().is_none());
    }
    cli.run(&["import", "--git", "../repo"]).expect(0);
    let messages: Vec<_> = cli.json("log --json -n 0").iter().map(|step| step["message"].clone()).collect();
    assert_eq!(messages.len(), 63, "{killed} killed");
    let expected: Vec<String> = git.run(&["log", "--format=%s"]).lines().map(str::to_owned).collect();
    assert_eq!(messages, expected);
}

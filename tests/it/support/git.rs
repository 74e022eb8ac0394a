//! git, to be asked what it makes of a folder. Tests that need it check what they can where it is not installed.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// True if git is installed.
pub(crate) fn has_git() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| Command::new("git").arg("--version").output().is_ok_and(|output| output.status.success()))
}

/// A repository, and git without any settings but its own.
pub(crate) struct Git {
    root: PathBuf,
    home: PathBuf,
}

impl Git {
    /// An empty repository, made by hand so that it is one also where git is not installed.
    #[expect(clippy::disallowed_methods, reason = "tests write files of their own")]
    pub(crate) fn init(root: &Path, home: &Path) -> Self {
        for folder in ["objects", "refs", "info"] {
            std::fs::create_dir_all(root.join(".git").join(folder)).expect("nothing is in the way");
        }
        std::fs::create_dir_all(home).expect("nothing is in the way");
        std::fs::write(root.join(".git/HEAD"), "ref: refs/heads/main\n").expect("the folder was made");
        std::fs::write(root.join(".git/config"), "[core]\n\trepositoryformatversion = 0\n\tbare = false\n")
            .expect("the folder was made");
        Self { root: root.to_owned(), home: home.to_owned() }
    }

    /// A folder that git makes a repository of, with these arguments of `git init`. Only where git is installed.
    #[track_caller]
    pub(crate) fn really_init(root: &Path, home: &Path, arguments: &[&str]) -> Self {
        [root, home].iter().for_each(|folder| std::fs::create_dir_all(folder).expect("nothing is in the way"));
        let git = Self { root: root.to_owned(), home: home.to_owned() };
        git.run(&[&["init", "-q", "-b", "main"], arguments].concat(), b"");
        for setting in [["user.name", "me"], ["user.email", "me@example.org"], ["protocol.file.allow", "always"]] {
            git.run(&["config", setting[0], setting[1]], b"");
        }
        git
    }

    /// The same repository, or another, seen from another folder.
    pub(crate) fn at(&self, root: &Path) -> Self {
        Self { root: root.to_owned(), home: self.home.clone() }
    }

    /// The output of git, which must succeed.
    #[track_caller]
    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (code, text) = self.try_run(arguments, input);
        assert_eq!(code, Some(0), "git {arguments:?}");
        text
    }

    /// The output of git, also if its answer is no (exit 1).
    #[track_caller]
    pub(crate) fn run_any(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let (code, text) = self.try_run(arguments, input);
        assert!(matches!(code, Some(0 | 1)), "git {arguments:?}: {code:?}");
        text
    }

    /// The exit code and the output of git.
    pub(crate) fn try_run(&self, arguments: &[&str], input: &[u8]) -> (Option<i32>, Vec<u8>) {
        let mut child = Command::new("git")
            .args(arguments)
            .current_dir(&self.root)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env_remove("GIT_DIR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("git was there before");
        drop(child.stdin.take().expect("it is piped").write_all(input));
        let output = child.wait_with_output().expect("it ends");
        (output.status.code(), output.stdout)
    }
}

//! Other processes: their environment, time and memory.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::Duration;

use retrograde::time::Stopwatch;

use crate::{Result, measure};

/// Starts processes with a fixed environment.
#[derive(Clone, Debug)]
pub(crate) struct Surroundings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    home: PathBuf,
    search_path: OsString,
}

/// A command that can be started repeatedly.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    surroundings: Surroundings,
    program: OsString,
    arguments: Vec<OsString>,
    folder: PathBuf,
    environment: Vec<(OsString, OsString)>,
    input: Option<PathBuf>,
    also_accepted: Option<i32>,
}

/// The result of one or several processes.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    /// Time from before the first start to after the last end.
    pub(crate) elapsed: Duration,
    /// Output of the last process.
    pub(crate) output: Vec<u8>,
}

impl Surroundings {
    /// Creates an empty home, and locates the programs.
    ///
    /// Retro is copied first, because cargo may replace the binary during a run of half an hour, and the rest of the
    /// numbers would then measure another program.
    #[expect(clippy::disallowed_methods, reason = "the bench reads the environment only here")]
    pub(crate) fn new(home: &Path) -> Result<Self> {
        fs::create_dir_all(home)?;
        let programs = home.join("bin");
        fs::create_dir_all(&programs)?;
        fs::copy(env!("CARGO_BIN_EXE_retro"), programs.join("retro"))
            .map_err(|error| format!("copy retro: {error}"))?;
        let others = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(programs).chain(std::env::split_paths(&others));
        let search_path = std::env::join_paths(folders)?;
        Ok(Self(Arc::new(Inner { home: home.to_owned(), search_path })))
    }

    /// A command that runs in `folder`.
    pub(crate) fn call(&self, program: impl AsRef<OsStr>, folder: &Path) -> Call {
        Call {
            surroundings: self.clone(),
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            folder: folder.to_owned(),
            environment: Vec::new(),
            input: None,
            also_accepted: None,
        }
    }

    /// The version that `program` reports; `None` if it is not installed or reports none.
    pub(crate) fn version(&self, program: impl AsRef<OsStr>, argument: &str) -> Option<String> {
        let done = self.call(program, &self.0.home).arg(argument).run().ok()?;
        let text = String::from_utf8(done.output).ok()?;
        text.lines().next().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty())
    }
}

impl Call {
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Uses this file as input; by default there is none.
    pub(crate) fn input(mut self, path: &Path) -> Self {
        self.input = Some(path.to_owned());
        self
    }

    /// An exit code that counts as success.
    pub(crate) fn accept(mut self, code: i32) -> Self {
        self.also_accepted = Some(code);
        self
    }

    pub(crate) fn run(&self) -> Result<Done> {
        run_all(std::slice::from_ref(self))
    }

    fn start(&self) -> Result<Output> {
        let Inner { home, search_path } = &*self.surroundings.0;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).current_dir(&self.folder).env_clear();
        command.env("HOME", home).env("TMPDIR", home).env("PATH", search_path).env("LC_ALL", "C");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(match &self.input {
            Some(path) => fs::File::open(path)?.into(),
            None => Stdio::null(),
        });
        Ok(command.output()?)
    }

    fn check(&self, output: &Output) -> Result<()> {
        if output.status.success() || self.also_accepted.is_some() && output.status.code() == self.also_accepted {
            return Ok(());
        }
        let program = Path::new(&self.program).file_name().unwrap_or_default().to_string_lossy();
        let arguments: Vec<_> = self.arguments.iter().map(|argument| argument.to_string_lossy()).collect();
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("run {program} {}: {}\n{}", arguments.join(" "), output.status, said.trim()).into())
    }

    /// The same call as a child of a process that writes its peak memory to `out`.
    fn measured(&self, out: &Path) -> Result<Self> {
        let mut call = self.clone();
        call.arguments = vec![measure::FLAG.into(), out.into(), self.program.clone()];
        call.arguments.extend(self.arguments.iter().cloned());
        call.program = std::env::current_exe()?.into();
        Ok(call)
    }
}

/// Runs calls one after another, and times them together.
pub(crate) fn run_all(calls: &[Call]) -> Result<Done> {
    let watch = Stopwatch::start();
    let mut outputs = Vec::with_capacity(calls.len());
    for call in calls {
        outputs.push(call.start().map_err(|error| format!("start {}: {error}", call.program.to_string_lossy()))?);
    }
    let elapsed = watch.elapsed();
    calls.iter().zip(&outputs).try_for_each(|(call, output)| call.check(output))?;
    Ok(Done { elapsed, output: outputs.pop().map(|output| output.stdout).unwrap_or_default() })
}

/// As [`all`], with the largest peak of resident memory among them, in bytes.
pub(crate) fn run_measured(calls: &[Call], scratch: &Path) -> Result<(Done, u64)> {
    let out = scratch.join("peak");
    let mut peak_bytes = 0;
    let mut all = Done { elapsed: Duration::ZERO, output: Vec::new() };
    for call in calls {
        let done = call.measured(&out)?.run()?;
        let said = fs::read_to_string(&out)?;
        peak_bytes = peak_bytes.max(said.parse()?);
        all = Done { elapsed: all.elapsed + done.elapsed, output: done.output };
    }
    Ok((all, peak_bytes))
}

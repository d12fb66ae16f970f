//! A command that runs in the workspace's root. It is printed as a user would type it, and an error
//! contains the command line.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::workspace::Workspace;

/// One call of a program.
pub(crate) struct Call {
    root: PathBuf,
    program: OsString,
    args: Vec<OsString>,
    env: Vec<(&'static str, OsString)>,
    input: Option<PathBuf>,
    output: Option<PathBuf>,
    /// An exit code that does not count as a failure.
    accepted: Option<i32>,
}

impl Call {
    /// Creates a call of `program` in the root.
    pub(crate) fn new(workspace: &Workspace, program: impl AsRef<OsStr>) -> Self {
        Self {
            root: workspace.root.clone(),
            program: program.as_ref().to_owned(),
            args: Vec::new(),
            env: Vec::new(),
            input: None,
            output: None,
            accepted: None,
        }
    }

    /// Creates a call of the cargo that runs this xtask.
    pub(crate) fn cargo(workspace: &Workspace) -> Self {
        Self::new(workspace, std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds an argument.
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub(crate) fn env(mut self, name: &'static str, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name, value.as_ref().to_owned()));
        self
    }

    /// Reads standard input from a file: `< path`.
    pub(crate) fn input(mut self, path: &Path) -> Self {
        self.input = Some(path.to_owned());
        self
    }

    /// Writes standard output to a file: `> path`.
    pub(crate) fn output(mut self, path: &Path) -> Self {
        self.output = Some(path.to_owned());
        self
    }

    /// Also accepts this exit code as a success.
    pub(crate) fn accept(mut self, code: i32) -> Self {
        self.accepted = Some(code);
        self
    }

    /// Program and arguments.
    pub(crate) fn command_line(&self) -> Vec<OsString> {
        std::iter::once(&self.program).chain(&self.args).cloned().collect()
    }

    /// Prints the command on standard error and runs it. Returns an error if it fails.
    pub(crate) fn run(&self) -> Result<()> {
        eprintln!("$ {self}");
        let mut command = self.command()?;
        if let Some(path) = &self.output {
            command.stdout(Stdio::from(fs::File::create(path)?.into_file()));
        }
        let status = command.status().with_context(|| format!("starting `{self}`"))?;
        self.check(status)
    }

    /// Prints and runs the command; returns its standard output.
    pub(crate) fn run_and_capture(&self) -> Result<String> {
        eprintln!("$ {self}");
        self.capture()
    }

    /// Runs the command without printing it; returns its standard output.
    pub(crate) fn capture(&self) -> Result<String> {
        let child = self.command()?.stdout(Stdio::piped()).spawn();
        let output = child
            .and_then(std::process::Child::wait_with_output)
            .with_context(|| format!("starting `{self}`"))?;
        self.check(output.status)?;
        String::from_utf8(output.stdout).with_context(|| format!("the output of `{self}` is not UTF-8"))
    }

    fn check(&self, status: std::process::ExitStatus) -> Result<()> {
        if !status.success() && (status.code().is_none() || status.code() != self.accepted) {
            bail!("`{self}` failed: {status}");
        }
        Ok(())
    }

    fn command(&self) -> Result<Command> {
        let mut command = Command::new(&self.program);
        command.current_dir(&self.root).args(&self.args);
        // `cargo run` sets variables that describe xtask. If they were passed on, build scripts that watch them would
        // run again at every change between `cargo` and `cargo xtask`.
        for (name, _) in std::env::vars_os() {
            if name.to_str().is_some_and(set_by_cargo_run) {
                command.env_remove(name);
            }
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        if let Some(path) = &self.input {
            command.stdin(Stdio::from(fs::File::open(path)?.into_file()));
        }
        Ok(command)
    }

    fn display_word(&self, word: &OsStr) -> String {
        let path = Path::new(word);
        if path == self.root {
            return ".".to_owned();
        }
        shell_quoted(&path.strip_prefix(&self.root).unwrap_or(path).to_string_lossy())
    }
}

/// Formats the command line, with paths under the root relative to it.
impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, value) in &self.env {
            write!(f, "{name}={} ", self.display_word(value))?;
        }
        let program = Path::new(&self.program);
        if program.file_stem().is_some_and(|name| name == "cargo") {
            f.write_str("cargo")?;
        } else {
            f.write_str(&self.display_word(&self.program))?;
        }
        for arg in &self.args {
            write!(f, " {}", self.display_word(arg))?;
        }
        if let Some(path) = &self.input {
            write!(f, " < {}", self.display_word(path.as_os_str()))?;
        }
        if let Some(path) = &self.output {
            write!(f, " > {}", self.display_word(path.as_os_str()))?;
        }
        Ok(())
    }
}

fn set_by_cargo_run(name: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_PRIMARY_"]
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// Quotes a word for a POSIX shell.
fn shell_quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_printed_as_a_user_would_type_it() {
        let workspace = Workspace { root: PathBuf::from("/home/me/loc") };
        let call = Call::new(&workspace, "/home/me/loc/target/release/loc")
            .env("PROTOC", "/home/me/loc/protoc")
            .args(["predict", "my photo's.jpg", ""])
            .arg("/home/me/loc/data")
            .arg("/elsewhere")
            .arg("/home/me/loc")
            .input(Path::new("/home/me/loc/list"))
            .output(Path::new("out.jsonl"));
        assert_eq!(
            call.to_string(),
            r"PROTOC=protoc target/release/loc predict 'my photo'\''s.jpg' '' data /elsewhere . < list > out.jsonl"
        );
    }

    #[test]
    fn the_error_of_a_command_contains_its_command_line_and_exit_code() {
        let workspace = Workspace { root: PathBuf::from(".") };
        let error = Call::new(&workspace, "sh").args(["-c", "exit 3"]).run().unwrap_err();
        assert_eq!(error.to_string(), "`sh -c 'exit 3'` failed: exit status: 3");
        Call::new(&workspace, "sh").args(["-c", "exit 3"]).accept(3).run().unwrap();
        assert!(Call::new(&workspace, "sh").args(["-c", "exit 3"]).accept(4).run().is_err());
        let error = Call::new(&workspace, "no-such-program").run().unwrap_err();
        assert!(format!("{error:#}").starts_with("starting `no-such-program`: "), "{error:#}");
    }

    #[test]
    fn output_is_captured_and_input_is_read_from_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("in");
        fs::write(&path, "hello").unwrap();
        let workspace = Workspace { root: folder.path().to_owned() };
        assert_eq!(Call::new(&workspace, "cat").input(&path).capture().unwrap(), "hello");
    }
}

//! A Python environment with scripts: created once, with pinned versions; the packages are printed first.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;
use fs_err as fs;

use crate::command::Call;
use crate::workspace::Workspace;

pub(crate) struct Python {
    pub(crate) program: PathBuf,
    scripts: PathBuf,
}

impl Python {
    /// Creates the environment in `dir` for the folder `scripts` of the workspace, which has its `requirements.txt`; unless it
    /// exists with the same requirements.
    pub(crate) fn install(workspace: &Workspace, python: &str, dir: &Path, scripts: &str) -> Result<Self> {
        let scripts = workspace.root.join(scripts);
        let wanted = fs::read_to_string(scripts.join("requirements.txt"))?;
        let (venv, mark) = (dir.join("venv"), dir.join("venv/installed.txt"));
        let program = venv.join("bin/python");
        if fs::read_to_string(&mark).is_ok_and(|installed| installed == wanted) {
            return Ok(Self { program, scripts });
        }
        let packages: Vec<&str> = wanted.lines().filter(|line| !line.starts_with('#')).collect();
        eprintln!("installing into {}: {}", workspace.relative(&venv).display(), packages.join(", "));
        Call::new(workspace, python).args(["-m", "venv", "--clear"]).arg(&venv).run()?;
        let requirements = scripts.join("requirements.txt");
        let log = dir.join("pip.log");
        Call::new(workspace, &program)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r"])
            .arg(&requirements)
            .output(&log)
            .run()?;
        fs::write(&mark, wanted)?;
        Ok(Self { program, scripts })
    }

    /// The command line that runs one of the scripts.
    pub(crate) fn script(&self, name: &str, args: &[OsString]) -> Vec<OsString> {
        let mut command_line = vec![self.program.clone().into(), self.scripts.join(name).into()];
        command_line.extend_from_slice(args);
        command_line
    }
}

//! `cargo xtask judges`: independent readers and writers of annotation formats (panlabel, globox) as judges: what loc writes
//! they read to the same boxes, and the reverse.

use anyhow::Result;
use fs_err as fs;

use crate::command::Call;
use crate::pipeline::build_loc;
use crate::python::Python;
use crate::workspace::Workspace;

/// The folder of the script and of its `requirements.txt`.
const SCRIPTS: &str = "xtask/judges";

/// Installs the judges; returns why that is not possible on this machine: no Python, or no package index.
pub(crate) fn install(workspace: &Workspace) -> Result<Python> {
    let folder = workspace.metadata()?.target_directory.join("judges");
    fs::create_dir_all(&folder)?;
    Python::install(workspace, "python3", &folder, SCRIPTS)
}

/// Runs the judges; they say with what they agree.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    judge(workspace, &install(workspace)?)
}

/// Runs the installed judges.
pub(crate) fn judge(workspace: &Workspace, python: &Python) -> Result<()> {
    let loc = build_loc(workspace)?;
    let folder = workspace.metadata()?.target_directory.join("judges/sets");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    let words = python.script("judge.py", &[loc.into(), folder.into()]);
    Call::new(workspace, &words[0]).args(&words[1..]).run()
}

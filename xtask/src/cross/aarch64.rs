//! The tests of loc-net and loc-infer for aarch64, under qemu: they say nothing about speed.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use fs_err as fs;

use super::toolchain::Toolchain;
use crate::command::Call;
use crate::kernels;
use crate::skips::is_installed;
use crate::stages::Stages;
use crate::workspace::Workspace;

const TARGET: &str = "aarch64-unknown-linux-gnu";
const LINKER: &str = "aarch64-linux-gnu-gcc";
const OBJDUMP: &str = "aarch64-linux-gnu-objdump";
const EMULATOR: &str = "qemu-aarch64";

/// Tests of loc-net that take minutes each under qemu: whole networks, trained in all their forms.
const SLOW: &[&str] = &[
    "exec::training::tests::bytes_do_not_depend_on_the_number_of_threads",
    "exec::training::tests::gradients_match_difference_quotients",
    "exec::training::tests::gradients_of_parts_add_up_to_the_same_bytes_as_the_whole_batch",
    "exec::training::tests::heads_on_cached_features_compute_the_same_as_the_complete_network",
    "exec::training::tests::outputs_equal_prediction_for_every_batch",
];

/// Test files of loc-infer that do not run under qemu, and why.
const EXCEPT: &[(&str, &str)] =
    &[("application", "calls cargo"), ("fork", "the child of a fork has threads that qemu does not know")];

/// Test files of loc-infer that take seconds under qemu. The others take minutes each: they wait for threads, or run many
/// predictions.
const FAST: &[&str] = &["damage", "decode", "geometry", "localizer"];

/// What is needed to build and run programs for aarch64.
pub(super) struct Tools(Toolchain);

impl Tools {
    /// Finds the tools, or returns what is missing.
    pub(super) fn find(workspace: &Workspace) -> Result<Self, String> {
        let toolchain = Toolchain::find(workspace, TARGET, false)?;
        for program in [LINKER, OBJDUMP, EMULATOR] {
            if !is_installed(program) {
                return Err(format!("{program} is not installed (hint: `cargo xtask cross --help`)"));
            }
        }
        Ok(Self(toolchain))
    }

    /// A call of `cargo test`. The programs are linked statically, since dynamically linked ones can hang in qemu when they
    /// start a thread.
    fn test(&self, workspace: &Workspace, package: &str) -> Result<Call> {
        Ok(self
            .0
            .cargo(workspace, "test")?
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER", LINKER)
            .env(
                "CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER",
                format!("{EMULATOR} -L /usr/aarch64-linux-gnu"),
            )
            .env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUSTFLAGS", "-C target-feature=+crt-static")
            // Fewer random cases: qemu is slow, and each kernel has its own table of cases.
            .env("PROPTEST_CASES", "16")
            .args(["--package", package]))
    }
}

/// Adds the tests of both crates, and the check of the compiled kernels.
pub(super) fn add_stages(workspace: &Workspace, stages: &mut Stages, tools: &Tools, quick: bool) {
    let slow = if quick { SLOW } else { &[] };
    let name = match slow.len() {
        0 => "aarch64: tests of loc-net".to_owned(),
        n => format!("aarch64: tests of loc-net, without {n} slow ones"),
    };
    stages.run(&name, || {
        let skips = slow.iter().flat_map(|test| ["--skip", test]);
        tools.test(workspace, "loc-net")?.args(["--lib", "--"]).args(skips).run()
    });
    stages.run("aarch64: no intrinsic stayed a call", || {
        let build = tools.test(workspace, "loc-net")?.args(["--lib", "--no-run"]);
        kernels::no_intrinsic_is_a_call(workspace, build, OBJDUMP)
    });
    let name = match quick {
        true => "aarch64: tests of loc-infer, without slow files",
        false => "aarch64: tests of loc-infer",
    };
    stages.run(name, || {
        let mut files = test_files(workspace)?;
        files.retain(|name| !quick || FAST.contains(&name.as_str()));
        let tests = files.iter().flat_map(|name| ["--test", name]);
        tools.test(workspace, "loc-infer")?.args(["--no-fail-fast", "--lib"]).args(tests).run()
    });
    for (name, why) in EXCEPT {
        stages.skip(&format!("aarch64: test `{name}` of loc-infer"), why);
    }
}

/// The names of the test files of loc-infer that run under qemu.
fn test_files(workspace: &Workspace) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(workspace.root.join("crates/loc-infer/tests"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "rs") {
            names.push(stem(&path)?);
        }
    }
    names.sort();
    for (name, _) in EXCEPT {
        ensure!(names.iter().any(|found| found == name), "loc-infer has no test `{name}`");
    }
    names.retain(|name| EXCEPT.iter().all(|(except, _)| except != name));
    Ok(names)
}

fn stem(path: &Path) -> Result<String> {
    let stem = path.file_stem().context("a file has a name")?;
    Ok(stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_name_tests_that_exist() {
        let workspace = Workspace::locate().unwrap();
        let files = test_files(&workspace).unwrap();
        assert!(files.iter().any(|name| name == "native") && !files.iter().any(|name| name == "application"));
        assert!(FAST.iter().all(|fast| files.iter().any(|name| name == fast)));
        for test in SLOW {
            let (module, name) = test.rsplit_once("::").unwrap();
            let file = format!("crates/loc-net/src/{}.rs", module.replace("::", "/"));
            let text = fs::read_to_string(workspace.root.join(&file)).unwrap();
            assert!(text.contains(&format!("fn {name}(")), "{file} has no {name}");
        }
    }
}

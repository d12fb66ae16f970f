//! `cargo xtask kernels`: checks of loc-net's kernels beyond one run of their tests: with every instruction set of this
//! machine, without calls of intrinsics, under the address sanitizer, under Miri.

use std::path::PathBuf;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::command::Call;
use crate::fuzz::{host, nightly};
use crate::skips::is_installed;
use crate::stages::Stages;
use crate::workspace::{Workspace, protoc};

/// The environment variable that chooses an instruction set.
const VARIABLE: &str = "LOC_ISA";
/// What Miri, which is slow, tests: the kernels, the threads, which access each other's stacks, and the shared buffers.
const MIRI: [&str; 3] = ["kernels::", "parallel::", "buffers::"];

/// Runs all checks.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let mut stages = Stages::new(true);
    let only = ["--package", "loc-net"].map(str::to_owned);
    add_instruction_sets(workspace, &mut stages, &only);
    add_checks(workspace, &mut stages, &only);
    stages.finish()
}

/// The instruction sets that the kernels may use here, from the narrowest; found without loc-net, whose choice is tested.
fn instruction_sets() -> Vec<&'static str> {
    let mut sets = vec!["portable"];
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            sets.push("avx2");
        }
        let has_avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq");
        if has_avx512 {
            sets.push("avx512");
        }
    }
    #[cfg(target_arch = "aarch64")]
    sets.push("neon");
    sets
}

/// Adds the tests of loc-net with each instruction set. `scope`: the packages and features with which cargo builds them.
pub(crate) fn add_instruction_sets(workspace: &Workspace, stages: &mut Stages, scope: &[String]) {
    let mut tests = None;
    for set in instruction_sets() {
        stages.run(&format!("loc-net with {set}"), || {
            if tests.is_none() {
                tests = Some(built_tests(build_tests(workspace, scope)?)?);
            }
            let tests = tests.as_deref().context("the tests are built")?;
            Call::new(workspace, tests).env(VARIABLE, set).arg("--quiet").run()
        });
    }
}

/// Adds the checks of the compiled code and of its memory accesses.
pub(crate) fn add_checks(workspace: &Workspace, stages: &mut Stages, scope: &[String]) {
    let name = "no intrinsic stayed a call";
    if is_installed("objdump") {
        stages.run(name, || no_intrinsic_is_a_call(workspace, build_tests(workspace, scope)?, "objdump"));
    } else {
        stages.skip(name, "objdump is not installed");
    }
    let sanitizer = host(workspace).ok().filter(|_| cfg!(unix));
    for set in instruction_sets().into_iter().filter(|set| *set != "portable") {
        let name = format!("loc-net with {set} under the address sanitizer");
        match &sanitizer {
            Some(host) => stages.run(&name, || address_sanitizer(workspace, host, set)),
            None => stages.skip(&name, "no nightly toolchain"),
        }
    }
    let name = "portable kernels and threads under Miri";
    if miri(workspace).arg("--version").capture().is_ok() {
        stages.run(name, || {
            miri(workspace).args(["test", "--package", "loc-net", "--lib", "--"]).args(MIRI).run()
        });
    } else {
        stages.skip(name, "no nightly toolchain with Miri");
    }
}

/// A call of cargo that builds the unit tests of loc-net.
fn build_tests(workspace: &Workspace, scope: &[String]) -> Result<Call> {
    let cargo = Call::cargo(workspace).env("PROTOC", protoc()?);
    Ok(cargo.args(["test", "--release", "--lib", "--no-run"]).args(scope))
}

/// Builds the unit tests of loc-net and returns their program.
fn built_tests(build: Call) -> Result<PathBuf> {
    #[derive(Deserialize)]
    struct Target {
        name: String,
    }
    #[derive(Deserialize)]
    struct Message {
        target: Option<Target>,
        executable: Option<PathBuf>,
    }
    let messages = build.args(["--message-format", "json-render-diagnostics"]).run_and_capture()?;
    for line in messages.lines() {
        let message: Message = serde_json::from_str(line).context("reading the output of cargo")?;
        if message.target.is_some_and(|target| target.name == "loc_net")
            && let Some(program) = message.executable
        {
            return Ok(program);
        }
    }
    bail!("cargo built no tests of loc-net")
}

/// Builds the tests of loc-net and fails if a function of loc-net calls an intrinsic: then the function, or a closure in it,
/// was compiled without the instruction set of the intrinsic, and is many times slower.
pub(crate) fn no_intrinsic_is_a_call(workspace: &Workspace, build: Call, objdump: &str) -> Result<()> {
    let program = built_tests(build)?;
    let disassemble =
        Call::new(workspace, objdump).args(["--disassemble", "--no-show-raw-insn", "--demangle=rust"]);
    let text = disassemble.arg(&program).run_and_capture()?;
    let functions = text.lines().filter(|line| function(line).is_some_and(|name| name.contains("loc_net::")));
    ensure!(functions.count() > 100, "{objdump} shows no functions of loc-net in {}", program.display());
    let calls = calls_of_intrinsics(&text);
    ensure!(calls.is_empty(), "an intrinsic stayed a call:\n{}", calls.join("\n"));
    Ok(())
}

/// The calls of intrinsics in functions of loc-net, as `caller calls intrinsic`, each once.
fn calls_of_intrinsics(disassembly: &str) -> Vec<String> {
    let is_intrinsic = |name: &str| name.trim_start_matches('<').starts_with("core::core_arch::");
    let mut caller = "";
    let mut calls = Vec::new();
    for line in disassembly.lines() {
        if let Some(name) = function(line) {
            caller = name;
        } else if let Some((_, operand)) = line.split_once('\t')
            // A jump inside a function has an offset: `<name+0x10>`.
            && let Some((_, callee)) = operand.split_once('<')
            && let Some(callee) = callee.strip_suffix('>')
            && is_intrinsic(callee)
            && !callee.contains("+0x")
            && caller.contains("loc_net::")
        {
            calls.push(format!("{caller} calls {callee}"));
        }
    }
    calls.sort();
    calls.dedup();
    calls
}

/// The name in a line that begins a function: `0000000000001000 <name>:`.
fn function(line: &str) -> Option<&str> {
    let (address, name) = line.strip_suffix(">:")?.split_once(" <")?;
    address.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(name)
}

/// Runs the tests of loc-net under the address sanitizer, with debug assertions.
fn address_sanitizer(workspace: &Workspace, host: &str, set: &str) -> Result<()> {
    nightly(workspace, "cargo")
        .env("CARGO_TARGET_DIR", workspace.metadata()?.target_directory.join("sanitizer"))
        .env("RUSTFLAGS", "-Zsanitizer=address -Cdebug-assertions")
        .env(VARIABLE, set)
        .args(["test", "--release", "--package", "loc-net", "--lib", "--target", host, "--", "--quiet"])
        .run()
}

/// A call of Miri, an interpreter that detects undefined behaviour; it has no AVX2. Tree borrows are needed for the thread
/// pool, and leaks are ignored because it keeps its threads until the end. Isolation is disabled so that proptest can read
/// its file of earlier failures.
fn miri(workspace: &Workspace) -> Call {
    nightly(workspace, "cargo")
        .env("MIRIFLAGS", "-Zmiri-disable-isolation -Zmiri-tree-borrows -Zmiri-ignore-leaks")
        .env("PROPTEST_CASES", "3")
        .env(VARIABLE, "portable")
        .arg("miri")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_of_intrinsics_are_found_in_functions_of_loc_net_only() {
        let text = "\
0000000000000010 <loc_net::kernels::gemm::tile>:
      11:\tcall   20 <core::core_arch::x86::avx::_mm256_loadu_ps>
      16:\tjmp    20 <core::core_arch::x86::avx::_mm256_loadu_ps>
      18:\tcall   30 <<core::core_arch::x86::__m256 as core::clone::Clone>::clone>
      1d:\tjne    11 <loc_net::kernels::gemm::tile+0x1>
      1f:\tcall   40 <core::ptr::drop_in_place<core::core_arch::x86::__m256>>
0000000000000020 <core::core_arch::x86::avx::_mm256_loadu_ps>:
      21:\tjmp    25 <core::core_arch::x86::avx::_mm256_loadu_ps+0x5>
0000000000000030 <std_detect::detect>:
      31:\tcall   50 <core::core_arch::x86::xsave::_xgetbv>
0000000000000040 <<loc_net::Gemm as loc_net::Kernel>::eval>:
      44:\tbl\t20 <core::core_arch::aarch64::neon::vfmaq_f32>
";
        assert_eq!(
            calls_of_intrinsics(text),
            [
                "<loc_net::Gemm as loc_net::Kernel>::eval calls core::core_arch::aarch64::neon::vfmaq_f32",
                "loc_net::kernels::gemm::tile calls <core::core_arch::x86::__m256 as core::clone::Clone>::clone",
                "loc_net::kernels::gemm::tile calls core::core_arch::x86::avx::_mm256_loadu_ps",
            ]
        );
    }

    #[test]
    fn every_machine_has_the_portable_set() {
        assert_eq!(instruction_sets()[0], "portable");
    }
}

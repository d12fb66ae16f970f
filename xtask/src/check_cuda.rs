//! `cargo xtask check-cuda`: type-checks the workspace with CUDA on a machine that has none.
//!
//! The build script of candle-kernels compiles CUDA sources with `nvcc`. A type check does not need its output, so a
//! small shell script in the target folder replaces nvcc.

use std::path::Path;

use anyhow::{Result, bail};
use fs_err as fs;

use crate::command::Call;
use crate::workspace::{Workspace, protoc};

/// The stub of `nvcc`. It supports the four calls that build scripts make: print the version, compile `.cu` files to
/// `.ptx`, compile one `.cu` file to an object, combine objects to a library.
const STUB: &str = r#"#!/bin/sh
# Not a compiler: a stub of nvcc for `cargo xtask check-cuda`. It writes empty files.
set -eu
makes=object into=. result= sources=
while [ $# -gt 0 ]; do
    case $1 in
        --version) echo 'stub of nvcc, release 13.0, V13.0.0'; exit ;;
        --list-gpu-code) echo sm_80; exit ;;
        --ptx) makes=ptx ;;
        --lib) makes=library ;;
        --output-directory) into=$2; shift ;;
        -o) result=$2; shift ;;
        *.cu) sources="$sources $1" ;;
    esac
    shift
done
case $makes in
    ptx) for source in $sources; do name=${source##*/}; : > "$into/${name%.cu}.ptx"; done ;;
    object) : > "$result" ;;
    library) printf '!<arch>\n' > "$result" ;;
esac
"#;

const RESULT: &str = "\
checked: all Rust code behind `--features cuda`, in loc and in Candle, passes the type checker.
not checked: whether CUDA kernels compile, whether a binary links or starts, or whether a GPU computes the right
numbers. nvcc was replaced by a stub that writes empty files; nothing was linked and nothing was run.";

/// Runs the check in a separate target folder, so that a real build does not use its empty kernels.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    if cfg!(windows) {
        bail!("the stub of nvcc is a shell script; run this on Linux or macOS");
    }
    let metadata = workspace.metadata()?;
    let target = metadata.target_directory.join("check-cuda");
    let toolkit = target.join("stub");
    write_stub(&toolkit)?;
    let with_cuda = metadata.packages.iter().filter(|package| package.features.contains_key("cuda"));
    let features: Vec<String> = with_cuda.map(|package| format!("{}/cuda", package.name)).collect();
    Call::cargo(workspace)
        .env("CARGO_TARGET_DIR", &target)
        .env("CUDA_COMPUTE_CAP", "80")
        .env("CUDARC_CUDA_VERSION", "13000")
        .env("CUDA_HOME", &toolkit)
        .env("NVCC", toolkit.join("bin/nvcc"))
        .env("PROTOC", protoc()?)
        .args([
            "check",
            "--workspace",
            "--exclude",
            "xtask",
            "--all-targets",
            "--features",
            &features.join(","),
        ])
        .run()?;
    println!("{RESULT}");
    Ok(())
}

fn write_stub(toolkit: &Path) -> Result<()> {
    let nvcc = toolkit.join("bin/nvcc");
    fs::create_dir_all(toolkit.join("bin"))?;
    // Build scripts look for the folders of the toolkit's headers and libraries; empty folders are enough.
    fs::create_dir_all(toolkit.join("include"))?;
    fs::create_dir_all(toolkit.join("lib64"))?;
    fs::write(&nvcc, STUB)?;
    #[cfg(unix)]
    fs::set_permissions(&nvcc, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_stub_supports_the_calls_that_build_scripts_make() {
        let folder = tempfile::tempdir().unwrap();
        write_stub(folder.path()).unwrap();
        let workspace = Workspace { root: folder.path().to_owned() };
        // With `sh`: a file that this process has just written cannot be executed while a child process of another
        // test, forked in between, still has it open.
        let nvcc = || Call::new(&workspace, "sh").arg(folder.path().join("bin/nvcc"));
        assert!(nvcc().arg("--version").capture().unwrap().contains("release 13.0,"));
        let gencode = "-gencode=arch=compute_80,code=sm_80";
        nvcc().args([gencode, "--ptx", "--output-directory", ".", "src/a.cu", "b.cu"]).run().unwrap();
        nvcc().args([gencode, "-c", "-o", "c d.o", "-Xcompiler", "-fPIC", "src/c.cu"]).run().unwrap();
        nvcc().args(["--lib", "-o", "libx.a", "c d.o"]).run().unwrap();
        for name in ["a.ptx", "b.ptx", "c d.o"] {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), b"", "{name}");
        }
        assert_eq!(fs::read(folder.path().join("libx.a")).unwrap(), b"!<arch>\n");
    }
}

//! Failpoints: where tests interrupt a save. They do nothing without the feature `faults`, and with it nothing unless
//! `LOC_FAULT` is set; `cargo xtask faults` sets it.

/// Passes the next failpoint of this process.
///
/// `LOC_FAULT=kill@N` ends the process with SIGKILL at its N-th point, `full@N` makes that point fail as a full disk
/// would, and `LOC_FAULT_LOG=FILE` adds a line for each point to a file.
#[cfg(feature = "faults")]
pub(crate) fn point(file: &std::path::Path, what: &str) -> std::io::Result<()> {
    use std::io::Write;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let number = PASSED.fetch_add(1, Ordering::SeqCst) + 1;
    if let Some(log) = std::env::var_os("LOC_FAULT_LOG") {
        let mut log = fs_err::OpenOptions::new().create(true).append(true).open(log)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy();
        writeln!(log, "{name} {what}")?;
    }
    let Ok(fault) = std::env::var("LOC_FAULT") else { return Ok(()) };
    match fault.split_once('@') {
        Some((action, at)) if at.parse() == Ok(number) => match action {
            "full" => Err(std::io::ErrorKind::StorageFull.into()),
            _ => {
                // Not `abort`: the process must run no handler and flush nothing.
                let _ =
                    std::process::Command::new("kill").args(["-9", &std::process::id().to_string()]).status();
                loop {
                    std::thread::park();
                }
            }
        },
        _ => Ok(()),
    }
}

/// Does nothing.
#[cfg(not(feature = "faults"))]
#[expect(clippy::unnecessary_wraps, reason = "with the feature it can fail")]
pub(crate) fn point(_: &std::path::Path, _: &str) -> std::io::Result<()> {
    Ok(())
}

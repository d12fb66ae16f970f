//! The report of skipped tests: which, why, and whether the reason applies to this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::skip;
use crate::workspace::Workspace;

/// The file to which the tests of one run append their skips.
pub(crate) struct Skips {
    file: PathBuf,
}

/// One line of the file.
struct Line<'a> {
    /// The name of the reason ([`skip::Reason::name`]).
    reason: &'a str,
    krate: &'a str,
    test: &'a str,
    /// What is missing.
    what: &'a str,
}

impl Skips {
    /// Creates an empty file in the target folder.
    pub(crate) fn create(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.metadata()?.target_directory;
        fs::create_dir_all(&folder)?;
        let file = folder.join("skips.txt");
        fs::write(&file, "")?;
        Ok(Self { file })
    }

    /// The environment variable for the tests: its name, and the path of the file as its value.
    pub(crate) fn variable(&self) -> (&'static str, &PathBuf) {
        (skip::FILE, &self.file)
    }

    /// Prints the skipped tests with reasons. If `strict`, fails if a reason does not apply to this machine.
    pub(crate) fn finish(&self, workspace: &Workspace, strict: bool) -> Result<()> {
        let text = fs::read_to_string(&self.file)?;
        let (summary, unexpected) = summary(&text, &|reason| applies(workspace, reason))?;
        println!("\n{summary}");
        if strict && !unexpected.is_empty() {
            bail!("skipped for a reason that does not apply here: {}", unexpected.join(", "));
        }
        Ok(())
    }
}

/// Returns a summary by reason, and the tests whose reason does not apply.
fn summary(text: &str, applies: &dyn Fn(&str) -> Option<bool>) -> Result<(String, Vec<String>)> {
    let mut by_reason: BTreeMap<&str, (BTreeSet<String>, &str)> = BTreeMap::new();
    for line in text.lines() {
        let Line { reason, krate, test, what } =
            parse(line).with_context(|| format!("`{line}` is not a skip"))?;
        let (tests, _) = by_reason.entry(reason).or_insert_with(|| (BTreeSet::new(), what));
        tests.insert(format!("{krate} {test}"));
    }
    let all: usize = by_reason.values().map(|(tests, _)| tests.len()).sum();
    let mut lines = vec![match all {
        0 => "no test was skipped".to_owned(),
        1 => "1 test was skipped or cut short".to_owned(),
        n => format!("{n} tests were skipped or cut short"),
    }];
    let mut unexpected = Vec::new();
    for (reason, (tests, what)) in by_reason {
        let expected = applies(reason).with_context(|| format!("unknown reason `{reason}`"))?;
        let note = if expected { "" } else { ", NOT EXPECTED HERE" };
        lines.push(format!("{:4}  {reason}: {what}{note}", tests.len()));
        lines.extend(tests.iter().map(|test| format!("      {test}")));
        if !expected {
            unexpected.extend(tests);
        }
    }
    Ok((lines.join("\n"), unexpected))
}

fn parse(line: &str) -> Option<Line<'_>> {
    let mut fields = line.splitn(4, '\t');
    Some(Line { reason: fields.next()?, krate: fields.next()?, test: fields.next()?, what: fields.next()? })
}

/// Returns whether a reason applies to this machine, checked independently of the tests; `None` for an unknown reason.
fn applies(workspace: &Workspace, reason: &str) -> Option<bool> {
    Some(match reason {
        "shared" => !workspace.shared().is_dir(),
        "mount" => !can_mount(workspace),
        "root" => is_root(),
        "processor" => !has_fast_kernels(),
        "proc" => !std::path::Path::new("/proc/self").is_dir(),
        // `cargo test` builds it.
        "binary" => false,
        _ => !is_installed(reason.strip_prefix("program ")?),
    })
}

/// Returns whether a program of this name can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    let started = command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    started.status().is_ok()
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

fn can_mount(workspace: &Workspace) -> bool {
    let script = "d=$(mktemp -d) && mount -t tmpfs tmpfs \"$d\" 2>/dev/null && umount \"$d\"; s=$?; rmdir \"$d\"; exit $s";
    let mut command = Command::new("sh");
    command.args(["-c", script]).current_dir(&workspace.root);
    command.status().is_ok_and(|status| status.success())
}

#[cfg(target_arch = "x86_64")]
fn has_fast_kernels() -> bool {
    is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_fast_kernels() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skip::Reason;

    #[test]
    fn tests_are_counted_once_per_reason_and_unexpected_skips_are_listed() {
        let text = "shared\tloc-data\traccoons\tx is not there\nshared\tloc-data\traccoons\ty is not there\n\
                    shared\tloc-model\tgolden\tx is not there\nroot\tloc-cli\tsecrets\troot may read everything\n";
        let (shown, unexpected) = summary(text, &|reason| Some(reason == "root")).unwrap();
        assert_eq!(
            shown,
            "3 tests were skipped or cut short\n   1  root: root may read everything\n      loc-cli secrets\n   \
             2  shared: x is not there, NOT EXPECTED HERE\n      loc-data raccoons\n      loc-model golden"
        );
        assert_eq!(unexpected, ["loc-data raccoons", "loc-model golden"]);
        assert_eq!(summary("", &|_| None).unwrap(), ("no test was skipped".to_owned(), vec![]));
        assert!(summary("nonsense\n", &|_| None).is_err());
    }

    #[test]
    fn every_reason_can_be_checked() {
        let workspace = Workspace::locate().unwrap();
        for reason in [
            Reason::Shared,
            Reason::Mount,
            Reason::Root,
            Reason::Program("sh"),
            Reason::Processor,
            Reason::Proc,
            Reason::Binary,
        ] {
            // A new reason does not compile here until it is added, and fails below until `applies` has a case for it.
            match reason {
                Reason::Shared | Reason::Mount | Reason::Root | Reason::Program(_) => {}
                Reason::Processor | Reason::Proc | Reason::Binary => {}
            }
            assert!(applies(&workspace, &reason.name()).is_some(), "{reason:?}");
        }
        assert_eq!(applies(&workspace, "program sh"), Some(false));
        assert_eq!(applies(&workspace, "program no-such-program"), Some(true));
        assert_eq!(applies(&workspace, "unknown"), None);
    }
}

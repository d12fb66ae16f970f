//! The tests that were skipped: which, why, and whether that was to be expected on this machine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use fs_err as fs;

use crate::skip;
use crate::workspace::Workspace;

/// The file to which the tests of one run add their skips.
pub(crate) struct Skips {
    file: PathBuf,
}

/// One line of it: the reason's word, crate, test, and what was missing.
type Line<'a> = (&'a str, &'a str, &'a str, &'a str);

impl Skips {
    /// A file without lines, in the target folder.
    pub(crate) fn begin(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.metadata()?.target_directory;
        fs::create_dir_all(&folder)?;
        let file = folder.join("skips.txt");
        fs::write(&file, "")?;
        Ok(Self { file })
    }

    /// What the tests are told by the environment: the name of a variable, and the file.
    pub(crate) fn variable(&self) -> (&'static str, &PathBuf) {
        (skip::FILE, &self.file)
    }

    /// Prints how many tests were skipped and why; if `strict`, fails for a reason that does not hold on this machine.
    pub(crate) fn finish(&self, workspace: &Workspace, strict: bool) -> Result<()> {
        let text = fs::read_to_string(&self.file)?;
        let (summary, unexpected) = summary(&text, &|word| holds(workspace, word))?;
        println!("\n{summary}");
        if strict && !unexpected.is_empty() {
            bail!("skipped for a reason that does not hold here: {}", unexpected.join(", "));
        }
        Ok(())
    }
}

/// What was skipped, by reason; and the tests whose reason does not hold.
fn summary(text: &str, holds: &dyn Fn(&str) -> Option<bool>) -> Result<(String, Vec<String>)> {
    let mut by_reason: BTreeMap<&str, (BTreeSet<String>, &str)> = BTreeMap::new();
    for line in text.lines() {
        let (word, krate, test, what) = fields(line).with_context(|| format!("`{line}` is no skip"))?;
        let (tests, _) = by_reason.entry(word).or_insert_with(|| (BTreeSet::new(), what));
        tests.insert(format!("{krate} {test}"));
    }
    let all: usize = by_reason.values().map(|(tests, _)| tests.len()).sum();
    let mut lines = vec![match all {
        0 => "no test was skipped".to_owned(),
        1 => "1 test was skipped or cut short".to_owned(),
        n => format!("{n} tests were skipped or cut short"),
    }];
    let mut unexpected = Vec::new();
    for (word, (tests, what)) in by_reason {
        let expected = holds(word).with_context(|| format!("there is no reason `{word}`"))?;
        let note = if expected { "" } else { ", NOT EXPECTED HERE" };
        lines.push(format!("{:4}  {word}: {what}{note}", tests.len()));
        lines.extend(tests.iter().map(|test| format!("      {test}")));
        if !expected {
            unexpected.extend(tests);
        }
    }
    Ok((lines.join("\n"), unexpected))
}

fn fields(line: &str) -> Option<Line<'_>> {
    let mut fields = line.splitn(4, '\t');
    Some((fields.next()?, fields.next()?, fields.next()?, fields.next()?))
}

/// The table of reasons: whether what each speaks of is so on this machine, found out independently of the tests.
fn holds(workspace: &Workspace, word: &str) -> Option<bool> {
    Some(match word {
        "shared" => !workspace.shared().is_dir(),
        "mount" => !can_mount(workspace),
        "root" => is_root(),
        "processor" => !has_fast_kernels(),
        "proc" => !std::path::Path::new("/proc/self").is_dir(),
        // `cargo test` builds it.
        "binary" => false,
        _ => !is_there(word.strip_prefix("program ")?),
    })
}

/// Whether a program of this name can be started.
pub(crate) fn is_there(program: &str) -> bool {
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
    fn tests_are_counted_once_a_reason_and_the_unexpected_are_named() {
        let text = "shared\tloc-data\traccoons\tx is not there\nshared\tloc-data\traccoons\ty is not there\n\
                    shared\tloc-model\tgolden\tx is not there\nroot\tloc-cli\tsecrets\troot may read everything\n";
        let (shown, unexpected) = summary(text, &|word| Some(word == "root")).unwrap();
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
    fn every_reason_is_in_the_table() {
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
            // A reason that is added without a cause does not compile here, or is found missing.
            match reason {
                Reason::Shared | Reason::Mount | Reason::Root | Reason::Program(_) => {}
                Reason::Processor | Reason::Proc | Reason::Binary => {}
            }
            assert!(holds(&workspace, &reason.word()).is_some(), "{reason:?}");
        }
        assert_eq!(holds(&workspace, "program sh"), Some(false));
        assert_eq!(holds(&workspace, "program no-such-program"), Some(true));
        assert_eq!(holds(&workspace, "a whim"), None);
    }
}

//! Named stages that run one after the other, with the time of each, and a summary table.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// The stages of one task that have run so far.
pub(crate) struct Stages {
    keep_going: bool,
    done: Vec<Stage>,
}

struct Stage {
    name: String,
    outcome: Outcome,
    /// Why it was skipped; else empty.
    why: String,
    time: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    Skipped,
}

impl Stages {
    /// Creates an empty list. Unless `keep_going`, a failure skips all later stages.
    pub(crate) fn new(keep_going: bool) -> Self {
        Self { keep_going, done: Vec::new() }
    }

    /// Runs a stage; an error is printed immediately.
    pub(crate) fn run(&mut self, name: &str, stage: impl FnOnce() -> Result<()>) {
        if self.failed() && !self.keep_going {
            return self.skip(name, "after a failure");
        }
        eprintln!("\n== {name}");
        let start = Instant::now();
        let outcome = match stage() {
            Ok(()) => Outcome::Passed,
            Err(error) => {
                eprintln!("error: stage `{name}`: {error:#}");
                Outcome::Failed
            }
        };
        self.done.push(Stage { name: name.to_owned(), outcome, why: String::new(), time: start.elapsed() });
    }

    /// Records a stage that does not run, with the reason.
    pub(crate) fn skip(&mut self, name: &str, why: &str) {
        let (name, why) = (name.to_owned(), why.to_owned());
        self.done.push(Stage { name, outcome: Outcome::Skipped, why, time: Duration::ZERO });
    }

    /// Prints the table and `N passed, N failed`. Returns an error if a stage failed.
    pub(crate) fn finish(self) -> Result<()> {
        print!("\n{}", self.table());
        if self.failed() {
            let failed = self.done.iter().filter(|stage| stage.outcome == Outcome::Failed);
            bail!("failed: {}", failed.map(|stage| stage.name.as_str()).collect::<Vec<_>>().join(", "));
        }
        Ok(())
    }

    fn failed(&self) -> bool {
        self.count(Outcome::Failed) > 0
    }

    fn count(&self, outcome: Outcome) -> usize {
        self.done.iter().filter(|stage| stage.outcome == outcome).count()
    }

    fn table(&self) -> String {
        let width = self.done.iter().map(|stage| stage.name.len()).max().unwrap_or(0);
        let mut table = String::new();
        for Stage { name, outcome, why, time } in &self.done {
            let (outcome, more) = match outcome {
                Outcome::Passed => ("passed", minutes(*time)),
                Outcome::Failed => ("FAILED", minutes(*time)),
                Outcome::Skipped => ("skipped", why.clone()),
            };
            table += &format!("{name:width$}  {outcome:7}  {more}\n");
        }
        let total = self.done.iter().map(|stage| stage.time).sum();
        table += &format!("{:width$}  {:7}  {}\n", "total", "", minutes(total));
        table += &format!("{} passed, {} failed", self.count(Outcome::Passed), self.count(Outcome::Failed));
        match self.count(Outcome::Skipped) {
            0 => table + "\n",
            skipped => table + &format!(", {skipped} skipped\n"),
        }
    }
}

fn minutes(time: Duration) -> String {
    format!("{:3} min {:02} s", time.as_secs() / 60, time.as_secs() % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_three(keep_going: bool) -> Stages {
        let mut stages = Stages::new(keep_going);
        stages.run("first", || Ok(()));
        stages.run("second one", || bail!("no"));
        stages.run("third", || Ok(()));
        stages
    }

    #[test]
    fn a_failure_skips_the_rest_unless_keep_going() {
        let table = run_three(false).table();
        assert!(
            table.contains("second one  FAILED     0 min 00 s\nthird       skipped  after a failure\n"),
            "{table}"
        );
        assert!(table.ends_with("\n1 passed, 1 failed, 1 skipped\n"), "{table}");
        assert!(run_three(true).table().ends_with("\n2 passed, 1 failed\n"));
    }

    #[test]
    fn the_error_names_the_failed_stages() {
        assert_eq!(run_three(true).finish().unwrap_err().to_string(), "failed: second one");
        let mut good = Stages::new(false);
        good.run("only", || Ok(()));
        good.finish().unwrap();
    }
}

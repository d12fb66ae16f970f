//! Shows the progress of a training: a bar on a terminal, a line an epoch elsewhere.

use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use loc_data::summary;
use loc_train::{Event, Row};

use super::shared::warn_skipped;
use crate::output::{Output, escape};
use crate::remedy::with_flags;

/// Shows events: a bar on a terminal, a line an epoch elsewhere.
pub(super) struct Progress<'a> {
    output: &'a Output,
    bar: Option<ProgressBar>,
    /// Whether photos were left out because `--skip-bad` allows any number.
    pub(super) partly: bool,
    /// What is to be done on a frozen backbone, until it was told how long it takes.
    backbone: Option<Backbone>,
    /// Photos of the present pass whose features are computed.
    pass: usize,
}

/// The work on a frozen backbone.
struct Backbone {
    began: Instant,
    /// Photos that went through it, and all that will.
    done: usize,
    of: usize,
    /// Photos that are then trained on end to end.
    end_to_end: usize,
    /// Seconds that the heads take.
    heads: f64,
}

impl Backbone {
    /// The time that is left. A training step takes about three times as long as a prediction.
    fn left(&self, passed: Duration) -> Duration {
        let photos = (self.of - self.done + 3 * self.end_to_end) as f64;
        passed.mul_f64(photos / self.done.max(1) as f64) + Duration::from_secs_f64(self.heads)
    }
}

/// A time in words, with about two digits.
fn rough(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    let step = match seconds {
        ..20.0 => 1.0,
        ..120.0 => 5.0,
        ..1200.0 => 30.0,
        ..7200.0 => 60.0,
        _ => 600.0,
    };
    let rounded = Duration::from_secs_f64((seconds / step).round().max(1.0) * step);
    humantime::format_duration(rounded).to_string()
}

impl<'a> Progress<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output, bar: None, partly: false, backbone: None, pass: 0 }
    }

    pub(super) fn show(&mut self, event: Event) {
        match event {
            Event::Warning(text) => self.output.warn(&text),
            Event::DataWarnings(warnings) => {
                for line in summary(&with_flags(warnings)) {
                    self.output.warn(&line);
                }
            }
            Event::Note(text) => self.output.note(&text),
            Event::LeftOut(left_out) => {
                self.partly = left_out.by_skip_any();
                warn_skipped(left_out, self.output);
            }
            Event::Ready { run, train, val, classes, parameters, epochs, resumed, .. } => {
                let names: Vec<String> = classes.iter().map(|c| escape(c)).collect();
                self.line(&format!(
                    "{}: {train} photos train, {val} validate; classes {}; {parameters} parameters; {epochs} epochs",
                    run.display(),
                    names.join(", ")
                ));
                if let Some((epoch, step)) = resumed {
                    self.line(&format!("continues after epoch {epoch}, step {step}"));
                }
                self.line(HEADER);
                if self.output.bars {
                    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
                    if let Ok(style) =
                        ProgressStyle::with_template("{prefix} {wide_bar} {pos}/{len} {msg} {eta}")
                    {
                        bar.set_style(style);
                    }
                    bar.enable_steady_tick(Duration::from_millis(250));
                    self.bar = Some(bar);
                }
            }
            Event::Workload { features, head_steps, step_seconds, end_to_end } => {
                self.backbone = Some(Backbone {
                    began: Instant::now(),
                    done: 0,
                    of: features,
                    end_to_end,
                    heads: step_seconds * head_steps as f64,
                });
            }
            Event::TimeLeft(left) => {
                self.line(&format!("the remaining epochs will take about {}", rough(left)));
            }
            Event::Features { done, of } => self.features(done, of),
            Event::Heads { epoch, epochs } if epoch == epochs => {
                self.line(&format!("the heads were trained for {epochs} epochs on the frozen backbone"));
            }
            Event::Step { epoch, step, steps, loss } => {
                if let Some(bar) = &self.bar {
                    if step == 1 {
                        bar.reset();
                    }
                    bar.set_prefix(format!("epoch {epoch}"));
                    bar.set_length(steps as u64);
                    bar.set_position(step as u64);
                    bar.set_message(format!("loss {loss:.4}"));
                }
            }
            Event::Epoch { row, epochs, best } => self.line(&line(&row, epochs, best)),
            _ => {}
        }
    }

    /// The features of photos were computed: tells once how long all will take, if that is long.
    fn features(&mut self, done: usize, of: usize) {
        const SOON: Duration = Duration::from_secs(10);
        if let Some(backbone) = &mut self.backbone {
            backbone.done += done - std::mem::replace(&mut self.pass, if done == of { 0 } else { done });
            let passed = backbone.began.elapsed();
            if passed >= SOON && backbone.done < backbone.of {
                let left = backbone.left(passed);
                self.backbone = None;
                self.line(&format!("all will take about {} more", rough(left)));
            }
        }
        if done == of {
            self.line(&format!("the features of {of} photos are computed"));
        }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.output.note(text)),
            None => self.output.note(text),
        }
    }

    pub(super) fn end(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

const HEADER: &str = "  epoch    seconds  train loss   val loss   accuracy   mean IoU   loc. acc.";

fn line(row: &Row, epochs: usize, best: bool) -> String {
    let mark = if best { "  best" } else { "" };
    format!(
        "{:>7} {:>10.1} {:>11.4} {:>10.4} {:>10.3} {:>10.3} {:>11.3}{mark}",
        format!("{}/{epochs}", row.epoch),
        row.time,
        row.train_loss,
        row.val_loss,
        row.val_acc,
        row.val_iou,
        row.val_acc_iou50
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_about_two_digits() {
        for (seconds, text) in [
            (0.2, "1s"),
            (17.4, "17s"),
            (63.0, "1m 5s"),
            (314.0, "5m"),
            (3601.0, "1h"),
            (9000.0, "2h 30m"),
            (90_000.0, "1day 1h"),
        ] {
            assert_eq!(rough(Duration::from_secs_f64(seconds)), text);
        }
    }

    #[test]
    fn the_time_of_the_rest_is_that_of_photos_and_of_heads() {
        let backbone = Backbone { began: Instant::now(), done: 100, of: 600, end_to_end: 50, heads: 7.0 };
        assert_eq!(backbone.left(Duration::from_secs(10)), Duration::from_secs(50 + 15 + 7));
    }
}

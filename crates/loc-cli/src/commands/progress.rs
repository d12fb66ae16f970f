//! Shows the progress of a training: a bar on a terminal, a line an epoch elsewhere.

use std::time::Duration;

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
}

impl<'a> Progress<'a> {
    pub(super) fn new(output: &'a Output) -> Self {
        Self { output, bar: None, partly: false }
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
            Event::Features { done, of } if done == of => {
                self.line(&format!("the features of {of} photos are computed"));
            }
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

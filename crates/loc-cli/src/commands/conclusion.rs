//! The end of a training: whether the model learned anything, the report, and what to do next.

use anyhow::Result;
use loc_train::{Comparison, Evaluation, Outcome, Prediction, Run, Status, worst_first};

use crate::output::{Output, escape_name, quoted};
use crate::outputs::{Inputs, Kind, Target};
use crate::report;

/// Photos that are named at the end.
const NAMED: usize = 3;

/// Prints what the model reached and, as the last three lines, what to do next; writes the report if `with_report`.
pub(super) fn conclude(outcome: &Outcome, with_report: bool, output: &Output) -> Result<()> {
    let run = outcome.run.path();
    if let Some(evaluation) = &outcome.evaluation {
        output.note(&verdict(evaluation));
        output.note(&presence(evaluation));
    }
    if let Some(curve) = &outcome.curve {
        output.note(&curve.to_string());
    }
    let shown = quoted(&run.to_string_lossy());
    if outcome.status == Status::Interrupted {
        output.note(&format!("stopped, the state is saved; continue with: loc train --resume {shown}"));
    }
    if outcome.status == Status::EarlyStopped {
        output.note("stopped early: no improvement");
    }
    // A training is not lost because a page about it cannot be written.
    let written = with_report
        && write_report(&outcome.run)
            .inspect_err(|error| {
                output.warn(&format!("no report is written: {}", crate::remedy::explain(error)));
            })
            .is_ok();
    output.data(&run.display().to_string())?;
    if matches!(outcome.status, Status::Finished | Status::EarlyStopped) {
        output.note(&look_at(&outcome.run, written));
        output.note(&format!("predict: loc predict -m {shown} PHOTO --save drawn"));
        output.note(&format!("export:  loc export -m {shown} -o model.onnx"));
    }
    Ok(())
}

/// The worst photos, and where they are shown.
fn look_at(run: &Run, written: bool) -> String {
    let page = match written {
        true => run.report().display().to_string(),
        false => format!("loc report {}", quoted(&run.path().to_string_lossy())),
    };
    let answers = Prediction::read(run).unwrap_or_default();
    let judged: Vec<_> = answers.iter().enumerate().map(|(i, answer)| answer.judged(i)).collect();
    let worst = worst_first(&judged).into_iter().take(NAMED).map(|i| escape_name(&answers[i].file));
    format!("report:  {page} (the worst photos: {})", worst.collect::<Vec<_>>().join(", "))
}

fn write_report(run: &Run) -> Result<()> {
    let target = Target::file(&run.report(), Kind::Report, &Inputs::default(), false)?;
    let folders = [run.path().to_owned()];
    target.write(report::Report::gather(&folders, None)?.html()?.into_bytes())
}

/// One line: whether the model can say that nothing is there.
fn presence(e: &Evaluation) -> String {
    let Some(found) = &e.presence else {
        return "the model always answers: no training photo is without an object".into();
    };
    let number = |value: Option<f64>| value.map_or("n/a".into(), |value| format!("{value:.3}"));
    format!(
        "presence: AUROC {}, precision {} and recall {} from probability {:.3} on ({} photos, {} without an object)",
        number(found.auroc),
        number(found.precision),
        number(found.recall),
        found.threshold,
        found.samples,
        found.negatives
    )
}

/// One line: whether the model beats the constant answer, by the 95 % interval of the difference.
pub(crate) fn verdict(e: &Evaluation) -> String {
    let (Some(accuracy), Some(iou), Some(baseline)) = (e.accuracy, e.mean_iou, e.baseline) else {
        return "no photo to compare with a constant answer".into();
    };
    let constant = format!(
        "the constant answer (always the majority class and the median box): accuracy {:.3}, mean IoU {:.3}",
        baseline.majority_accuracy, baseline.median_box.mean_iou
    );
    let how = match e.against_constant() {
        Some(Comparison::Beats) => "beats",
        Some(Comparison::DoesNotBeat) => "does not beat",
        _ => "cannot be told apart from",
    };
    let photos = if e.samples == 1 { "1 photo".into() } else { format!("{} photos", e.samples) };
    format!("accuracy {accuracy:.3}, mean IoU {iou:.3}: {how} {constant} ({photos})")
}

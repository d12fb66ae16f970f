//! `loc report`: writes the page about runs.

use anyhow::{Result, bail};

use crate::args::ReportArgs;
use crate::output::{Exit, Output, Usage};
use crate::outputs::{Inputs, Kind, Target};
use crate::report::Report;

pub(crate) fn run(args: &ReportArgs, output: &Output) -> Result<Exit> {
    if args.audit.is_some() && args.runs.len() > 1 {
        bail!(Usage("--audit is for one run (hint: put audit.json into each run folder)".into()));
    }
    let report = Report::gather(&args.runs, args.audit.as_deref())?;
    let path = args.output.clone().unwrap_or_else(|| report.default_path());
    let mut inputs = Inputs::default().files(&report.photos()).files(args.audit.iter());
    for run in &args.runs {
        inputs = inputs.model(run);
    }
    let target = Target::file(&path, Kind::Report, &inputs, args.overwrite.force)?;
    target.write(report.html()?.into_bytes())?;
    for note in report.notes() {
        output.warn(&note);
    }
    output.made(&target)?;
    Ok(Exit::Ok)
}

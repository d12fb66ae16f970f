//! The hints of the libraries in the words of the command line: one table from options to flags and commands.

use std::fmt::Write;

use loc_data::{DataError, Diagnostic, Exif, Hint};
use loc_train::TrainError;

/// The flag for an option of reading a data set.
fn data_flag(remedy: loc_data::Remedy) -> String {
    match remedy {
        loc_data::Remedy::ListClasses => "`--classes`".into(),
        loc_data::Remedy::SkipInvalidPhotos => "`--skip-bad`".into(),
        loc_data::Remedy::Encoding(example) => format!("`--encoding {example}`"),
        loc_data::Remedy::Exif(Exif::Upright) => "`--exif upright`".into(),
        loc_data::Remedy::Exif(Exif::AsStored) => "`--exif as-stored`".into(),
        loc_data::Remedy::Exif(_) => "`--exif upright` or `--exif as-stored`".into(),
        other => other.to_string(),
    }
}

/// The command for a step that an error of prediction asks for.
fn model_command(remedy: loc_infer::Remedy) -> &'static str {
    match remedy {
        loc_infer::Remedy::ImportWeights => {
            "convert it: `loc import FILE -o model.safetensors --classes A,B,…`"
        }
        loc_infer::Remedy::UseModelFile => {
            "name a .safetensors file of `loc train` or `loc import`, or an .onnx file of `loc export`"
        }
        loc_infer::Remedy::ExportAgain => "export the model again with `loc export`",
        loc_infer::Remedy::AllowNonfinite => "`--allow-nonfinite` uses it anyway",
        _ => "see `loc --help`",
    }
}

/// Puts the flags of the command line into the hints.
pub(crate) fn with_flags(mut diagnostics: Vec<Diagnostic>) -> Vec<Diagnostic> {
    for diagnostic in &mut diagnostics {
        diagnostic.hint = diagnostic.hint.take().map(|hint| Hint::from(hint.render(data_flag)));
    }
    diagnostics
}

/// The text of an error with what it is caused by, and a hint with flags and commands.
pub(crate) fn explain(error: &anyhow::Error) -> String {
    let mut text = format!("{error:#}");
    let train = error.downcast_ref::<TrainError>();
    let data = match train {
        Some(TrainError::Data(data)) => Some(data),
        _ => error.downcast_ref::<DataError>(),
    };
    if let Some(data) = data {
        if let Some(listed) = listed_with_flags(data) {
            text = text.replace(&data.to_string(), &listed.to_string());
        }
        if let Some(hint) = data.hint() {
            let separator = if text.contains('\n') { '\n' } else { ' ' };
            // Writing to a string cannot fail.
            let _ = write!(text, "{separator}(hint: {})", hint.render(data_flag));
        }
    }
    if let Some(remedy) = error.downcast_ref::<loc_infer::Error>().and_then(loc_infer::Error::remedy) {
        let _ = write!(text, " (hint: {})", model_command(remedy));
    }
    text
}

/// The same error with flags in the hints of its diagnostics.
fn listed_with_flags(error: &DataError) -> Option<DataError> {
    match error {
        DataError::Defects { path, skipped } => {
            let mut skipped = skipped.clone();
            skipped.diagnostics = with_flags(skipped.diagnostics);
            Some(DataError::Defects { path: path.clone(), skipped })
        }
        DataError::Changed { path, diagnostics } => {
            let diagnostics = with_flags(diagnostics.clone());
            Some(DataError::Changed { path: path.clone(), diagnostics })
        }
        _ => None,
    }
}

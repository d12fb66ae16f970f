//! The hints of the libraries in the words of the command line: the only place where a remedy becomes flags and commands.

use std::fmt::Write;

use loc_data::{DataError, Diagnostic, Exif, Hint, NoDataSetError};
use loc_train::{AUTO, RECIPES, Remedy, TrainError};

/// The flag for an option of reading a data set.
fn data_flag(remedy: loc_data::Remedy) -> String {
    match remedy {
        loc_data::Remedy::ListClasses => "`--classes`".into(),
        loc_data::Remedy::SkipInvalidPhotos => "`--skip-bad`".into(),
        loc_data::Remedy::Encoding(example) => format!("`--encoding {example}`"),
        loc_data::Remedy::Columns(example) => format!("`--columns {example}`"),
        loc_data::Remedy::Class => "`--class NAME`".into(),
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
        loc_infer::Remedy::Calibrate => {
            "`loc calibrate -m MODEL --data DATA` fits it, of a .safetensors model"
        }
        loc_infer::Remedy::AllowNonfinite => "`--allow-nonfinite` uses it anyway",
        _ => "see `loc --help`",
    }
}

/// The flags and commands for an error of a training.
fn training(remedy: &Remedy) -> String {
    let new_folder = "leave --exist-ok out: the run then gets a folder of its own";
    match remedy {
        Remedy::DidYouMean(name) => format!("did you mean `{name}`?"),
        Remedy::SaveAsUtf8 => "save the file as UTF-8".into(),
        Remedy::GiveSettings => "a run folder's `config.toml` is one".into(),
        Remedy::NameRecipe => {
            let known: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
            format!("{AUTO}, {}, or a file NAME.toml", known.join(", "))
        }
        Remedy::CheckFile => "does the file exist, and may you read it?".into(),
        Remedy::RecipeWithoutHeadWarmup => "a recipe without `head_warmup` is needed".into(),
        Remedy::FreezeBackbone => "`--recipe transfer`".into(),
        Remedy::TrainAlone => "start a single process, or leave the option out".into(),
        Remedy::GiveData => "`--data FOLDER`; `loc data sample shapes` generates a data set".into(),
        Remedy::OrderClasses => "`--classes` sets their order".into(),
        Remedy::SmallerBatch { most } => {
            format!("`--batch {most}` is the largest that fits; a smaller `--imgsz` needs less")
        }
        Remedy::FewerFeatures { most } => {
            let fit = most.map_or_else(String::new, |most| format!("the features of {most} would fit: "));
            format!("{fit}smaller `copies` or `views` (`--set copies=N`), or a smaller `--imgsz`")
        }
        Remedy::GetWeights => {
            "`loc weights fetch` or `loc weights add FILE` puts them there; `--backbone-weights FILE` uses a file"
                .into()
        }
        Remedy::GiveWeights => "`--backbone-weights`: a safetensors file, or a folder that holds one".into(),
        Remedy::GiveParentFolder => "`--project` takes the folders above, `--name` the name".into(),
        Remedy::UseNewFolder => new_folder.into(),
        Remedy::MoveFilesAway => format!("move these away, or {new_folder}"),
        Remedy::LowerLearningRate => "a lower learning rate, `--lr`".into(),
        Remedy::StartAgain => "give the command again".into(),
        Remedy::ChangeSplit => "`--val` sets the fraction that validates".into(),
        Remedy::ExtendTo(epochs) => format!("`--epochs {epochs}` extends it"),
        Remedy::ExtendWithNewSchedule(epochs) => {
            format!("`--epochs {epochs} --schedule-from-here`, once it is finished")
        }
        Remedy::NewSchedule => "`--schedule-from-here` starts a new one over the added epochs".into(),
        Remedy::OtherIsa { before: Some(before) } => {
            format!("`LOC_ISA={before}` chooses it; `--allow-other-isa` accepts the difference")
        }
        Remedy::OtherIsa { before: None } => "`--allow-other-isa` accepts the difference".into(),
        Remedy::StartFrom(model) => {
            format!("`loc train --init {}` starts a new run from its weights", model.display())
        }
        Remedy::FreeSpace => "free some space, then continue with `loc train --resume`".into(),
        Remedy::RaiseFileLimit => "the limit on the size of files, `ulimit -f`, is below it".into(),
        Remedy::FindFolder(folder) => format!("was the folder {} moved or removed?", folder.display()),
        Remedy::MakeWritable(folder) => {
            format!("{} must be a writable folder; `--project` names another", folder.display())
        }
        Remedy::LookInRunsFolder => "run folders are in runs/train".into(),
        Remedy::FindWriter => "which program wrote it?".into(),
        Remedy::WaitForProcess => "one process per run: wait, or stop that one first".into(),
        Remedy::MoveLockAway => "move it away, or use another folder".into(),
        Remedy::MakeReadable => "make it readable, then continue with `loc train --resume`; if it is moved away, the run \
                                 continues from the save before"
            .into(),
        Remedy::CheckMetadata => "was the metadata edited by hand?".into(),
        _ => "see docs/formats.md".into(),
    }
}

/// The flags and commands for an error of a prediction in shards.
fn sharding(remedy: loc_shard::Remedy) -> &'static str {
    match remedy {
        loc_shard::Remedy::MakePlan => "`loc shard plan` makes one",
        loc_shard::Remedy::OtherFolder => {
            "a plan is never changed: give `loc shard plan` another folder with `-o`"
        }
        loc_shard::Remedy::SameModel => {
            "`-m` names the model of the plan; a new model needs a new plan, in another folder"
        }
        loc_shard::Remedy::SameVersion => "run the same loc everywhere, or make a new plan in another folder",
        loc_shard::Remedy::IndexFromZero => "number the tasks from 0: with Slurm, `--array=0-LAST`",
        loc_shard::Remedy::FewerShards => "a smaller `--shards`",
        loc_shard::Remedy::FixManifest => "the list has one photo a line, each once",
        loc_shard::Remedy::RunShards => "`loc shard run` with `--shard` runs them",
        loc_shard::Remedy::RunAgain => "give the command again; what is complete is kept",
        loc_shard::Remedy::AllowErrors => "are the photos readable here? `--max-error-rate` allows more",
        _ => "see docs/scale.md",
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
    let mut text = chain(error);
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
    if let Some(remedy) = train.and_then(TrainError::remedy) {
        let separator = if text.contains('\n') { '\n' } else { ' ' };
        let _ = write!(text, "{separator}(hint: {})", training(&remedy));
    }
    if let Some(remedy) = error.downcast_ref::<loc_shard::Error>().and_then(loc_shard::Error::remedy) {
        let _ = write!(text, " (hint: {})", sharding(remedy));
    }
    let prediction = match error.downcast_ref() {
        Some(loc_shard::Error::Model(model)) => Some(model),
        _ => error.downcast_ref::<loc_infer::Error>(),
    };
    if let Some(remedy) = prediction.and_then(loc_infer::Error::remedy) {
        let _ = write!(text, " (hint: {})", model_command(remedy));
    }
    text
}

/// The texts of an error and its causes. The libraries' errors include the text of their cause: it is not repeated.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
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
        DataError::NoDataSet { path, error } => {
            let NoDataSetError::CsvHeader { csv, message, hint } = &**error else { return None };
            let (csv, message, hint) = (csv.clone(), message.clone(), hint.render(data_flag).into());
            let error = Box::new(NoDataSetError::CsvHeader { csv, message, hint });
            Some(DataError::NoDataSet { path: path.clone(), error })
        }
        _ => None,
    }
}

//! What may help against an error, in words, flags and commands: the only place where the libraries' remedies become
//! `hint:` lines.

use loc_train::{RECIPES, Remedy, TrainError};

/// The hint of an error that a library knows a remedy for.
pub(crate) fn of(error: &anyhow::Error) -> Option<String> {
    let training = error.downcast_ref::<TrainError>().and_then(TrainError::remedy);
    training.as_ref().map(words)
}

/// A remedy of a training in words.
fn words(remedy: &Remedy) -> String {
    let new_folder = "leave --exist-ok out: the run then gets a folder of its own";
    match remedy {
        Remedy::DidYouMean(name) => format!("did you mean `{name}`?"),
        Remedy::SaveAsUtf8 => "save the file as UTF-8".into(),
        Remedy::GiveSettings => "a run folder's `config.toml` is one".into(),
        Remedy::NameRecipe => {
            let known: Vec<&str> = RECIPES.iter().map(|(name, _)| *name).collect();
            format!("{}, or a file NAME.toml", known.join(", "))
        }
        Remedy::CheckFile => "does the file exist, and may you read it?".into(),
        Remedy::RecipeWithoutHeadWarmup => "a recipe without `head_warmup` is needed".into(),
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

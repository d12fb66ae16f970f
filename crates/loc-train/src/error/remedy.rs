//! What may help against an error, as data. A program puts it into its own words, flags and commands.

use std::io::ErrorKind;
use std::path::PathBuf;

use crate::error::{
    ConfigError, MetadataError, ModelFileError, ResumeError, ReuseError, RunError, TrainError,
};

/// What may help against an error.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// This known name is nearest to the unknown one.
    DidYouMean(String),
    /// Save the file as UTF-8.
    SaveAsUtf8,
    /// Give a file of settings, such as a run's.
    GiveSettings,
    /// Resume with the run's instruction set, if this processor has it, or allow another one.
    OtherIsa {
        /// The run's set, if it can be chosen here.
        before: Option<String>,
    },
    /// Name a built-in recipe, or a file.
    NameRecipe,
    /// Check that the file exists and can be read.
    CheckFile,
    /// Warm the head up with a recipe that has no head warm-up.
    RecipeWithoutHeadWarmup,
    /// Use a recipe that freezes the backbone.
    FreezeBackbone,
    /// Give a data set, or generate one.
    GiveData,
    /// Order the classes as the model has them.
    OrderClasses,
    /// Use at most this many photos in a batch, or a smaller input.
    SmallerBatch {
        /// The largest batch that fits.
        most: u64,
    },
    /// Use fewer copies of photos, or a smaller input.
    FewerFeatures {
        /// How many photos and copies would fit, if that is known.
        most: Option<u64>,
    },
    /// Get the pretrained weights, or give the file.
    GetWeights,
    /// Give the file of the pretrained weights, or its folder.
    GiveWeights,
    /// Give the folders above the run apart from its name.
    GiveParentFolder,
    /// Let the run have a folder of its own.
    UseNewFolder,
    /// Move the other files away, or let the run have a folder of its own.
    MoveFilesAway,
    /// Use a lower learning rate.
    LowerLearningRate,
    /// Start the training again.
    StartAgain,
    /// Use another fraction of photos for validation.
    ChangeSplit,
    /// Extend the run to this many epochs.
    ExtendTo(usize),
    /// Extend the run to this many epochs with a new schedule, once it is finished.
    ExtendWithNewSchedule(usize),
    /// Start the schedule again over the added epochs.
    NewSchedule,
    /// Start a new run from the weights of this model.
    StartFrom(PathBuf),
    /// Free disk space, then resume.
    FreeSpace,
    /// Raise the limit on the size of files.
    RaiseFileLimit,
    /// Find out whether this folder was moved or removed.
    FindFolder(PathBuf),
    /// Make this folder writable, or use another one.
    MakeWritable(PathBuf),
    /// Train on a single process.
    TrainAlone,
    /// Look for runs where they are written by default.
    LookInRunsFolder,
    /// Find out which program wrote the file.
    FindWriter,
    /// Wait for the process that trains the run, or stop it.
    WaitForProcess,
    /// Move the file away, or use another folder.
    MoveLockAway,
    /// Make the state readable, then resume; if it is moved away, the run continues from the save before.
    MakeReadable,
    /// Find out whether the metadata was edited by hand.
    CheckMetadata,
}

impl TrainError {
    /// What may help against this error, if anything is known.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::Config { kind, .. } => of_config(kind),
            Self::Resume { kind, .. } => Some(of_resume(kind)),
            Self::Run { kind, .. } => of_run(kind),
            Self::Model { kind, .. } => match &**kind {
                ModelFileError::Classes { .. } => Some(Remedy::OrderClasses),
                ModelFileError::Metadata(kind) => of_metadata(kind),
                _ => None,
            },
            Self::Metadata(kind) => of_metadata(kind),
            Self::NotFinite { .. } => Some(Remedy::LowerLearningRate),
            Self::Stopped => Some(Remedy::StartAgain),
            Self::EmptySplit { .. } => Some(Remedy::ChangeSplit),
            _ => None,
        }
    }
}

fn of_config(kind: &ConfigError) -> Option<Remedy> {
    Some(match kind {
        ConfigError::OtherContent { .. } => Remedy::GiveSettings,
        ConfigError::NotUtf8 => Remedy::SaveAsUtf8,
        ConfigError::Toml { nearest, .. } | ConfigError::UnknownKey { nearest, .. } => {
            Remedy::DidYouMean(nearest.clone()?)
        }
        ConfigError::UnknownRecipe { .. } => Remedy::NameRecipe,
        ConfigError::UnreadableRecipe(_) => Remedy::CheckFile,
        ConfigError::NestedHeadWarmup { .. } => Remedy::RecipeWithoutHeadWarmup,
        ConfigError::CurveNeedsFrozen => Remedy::FreezeBackbone,
        ConfigError::ProcessesOnCpu | ConfigError::ProcessesInTime => Remedy::TrainAlone,
        ConfigError::NoData => Remedy::GiveData,
        ConfigError::BatchMemory { most, .. } => Remedy::SmallerBatch { most: *most },
        ConfigError::FeatureMemory { most, .. } => Remedy::FewerFeatures { most: Some(*most) },
        ConfigError::NoFeatureMemory { .. } => Remedy::FewerFeatures { most: None },
        ConfigError::MissingWeights { is_given: false, .. } => Remedy::GetWeights,
        ConfigError::MissingWeights { .. } => Remedy::GiveWeights,
        ConfigError::RunName { .. } => Remedy::GiveParentFolder,
        ConfigError::Reuse { why: ReuseError::OtherFiles { .. }, .. } => Remedy::MoveFilesAway,
        ConfigError::Reuse { .. } => Remedy::UseNewFolder,
        _ => return None,
    })
}

fn of_resume(kind: &ResumeError) -> Remedy {
    match kind {
        ResumeError::Finished { epochs } => Remedy::ExtendTo(epochs + 10),
        ResumeError::NothingToExtend { epochs, .. } => Remedy::ExtendWithNewSchedule(epochs + 10),
        ResumeError::ScheduleEnds { .. } => Remedy::NewSchedule,
        ResumeError::OtherIsa { before, here, .. } => {
            Remedy::OtherIsa { before: here.then(|| before.clone()) }
        }
        ResumeError::Settings { model, .. } | ResumeError::DataChanged { model, .. } => {
            Remedy::StartFrom(model.clone())
        }
    }
}

fn of_metadata(kind: &MetadataError) -> Option<Remedy> {
    matches!(kind, MetadataError::Contradiction { .. }).then_some(Remedy::CheckMetadata)
}

fn of_run(kind: &RunError) -> Option<Remedy> {
    Some(match kind {
        RunError::Write { error, folder } => match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Remedy::FreeSpace,
            ErrorKind::FileTooLarge => Remedy::RaiseFileLimit,
            ErrorKind::NotFound | ErrorKind::NotADirectory => Remedy::FindFolder(folder.clone()),
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                Remedy::MakeWritable(folder.clone())
            }
            _ => return None,
        },
        RunError::Create { folder, .. } => Remedy::MakeWritable(folder.clone()),
        RunError::Schema { .. } => Remedy::FindWriter,
        RunError::NotARun => Remedy::LookInRunsFolder,
        RunError::Locked { .. } => Remedy::WaitForProcess,
        RunError::OtherLock => Remedy::MoveLockAway,
        RunError::SplitChanged { model, .. } | RunError::NoState { model, .. } => {
            Remedy::StartFrom(model.clone())
        }
        RunError::UnreadState(_) => Remedy::MakeReadable,
        _ => return None,
    })
}

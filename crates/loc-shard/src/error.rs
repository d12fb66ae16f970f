//! The errors of this crate, and whether a scheduler should try again.

use std::fmt::Display;
use std::io;
use std::path::Path;

/// Whether it can help to run the same command again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// Yes: a disk, a network or the scheduler was the reason.
    Again,
    /// No: plan, model or arguments do not fit together.
    Mismatch,
    /// No: the data are at fault.
    Data,
}

/// What to do about an error. Applications show it in their own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Make a plan first.
    MakePlan,
    /// Make the other plan in another folder.
    OtherFolder,
    /// Give the model that the plan was made with, wherever it lies on this machine.
    SameModel,
    /// Run the same version of loc on all machines.
    SameVersion,
    /// Number the tasks from 0.
    IndexFromZero,
    /// Fewer shards than photos.
    FewerShards,
    /// Correct the list of photos.
    FixManifest,
    /// Run the shards that are missing.
    RunShards,
    /// Run the same command again.
    RunAgain,
    /// Allow more errors, or make the photos readable.
    AllowErrors,
}

/// Why a plan, a shard or a merge failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or an object could not be read or written.
    #[error("{what}: {error}")]
    Io {
        /// The file or the object.
        what: String,
        /// The reason.
        #[source]
        error: io::Error,
    },
    /// The folder has no plan.
    #[error("{place}: holds no plan")]
    NoPlan {
        /// The folder.
        place: String,
    },
    /// The plan cannot be read as one.
    #[error("{what}: is not a plan that this loc reads: {reason}")]
    BadPlan {
        /// The plan's file.
        what: String,
        /// What is wrong.
        reason: String,
    },
    /// The folder has another plan, or parts of one.
    #[error("{place}: holds another plan: its {field} is {planned}, not {given}")]
    OtherPlan {
        /// The folder.
        place: String,
        /// What differs.
        field: &'static str,
        /// Its value in the existing plan.
        planned: String,
        /// Its value in the new one.
        given: String,
    },
    /// The plan was made by another version of loc.
    #[error("the plan was made by loc {planned}, this is loc {found}: their answers may differ")]
    Version {
        /// The version in the plan.
        planned: String,
        /// This version.
        found: String,
    },
    /// The model is not the one of the plan.
    #[error("{path}: is not the model of the plan: its SHA-256 is {found}, not {planned}")]
    OtherModel {
        /// The file.
        path: String,
        /// The digest in the plan.
        planned: String,
        /// The file's digest.
        found: String,
    },
    /// The model's file cannot be read or used.
    #[error("{0}")]
    Model(#[source] loc_infer::Error),
    /// An argument that cannot be used.
    #[error("{0}")]
    Argument(String),
    /// A line of the manifest cannot be used.
    #[error("{manifest}, line {line}: {reason}")]
    Manifest {
        /// The list of photos.
        manifest: String,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        reason: String,
    },
    /// The number of shards does not fit the number of photos.
    #[error("{shards} shards for {photos} photos: between 1 and one for each photo are possible")]
    Shards {
        /// The number of shards that was asked for.
        shards: u64,
        /// The number of lines of the manifest.
        photos: u64,
    },
    /// The index of a shard that the plan does not have.
    #[error("shard {index}: the plan has the shards 0 to {}", shards.saturating_sub(1))]
    Index {
        /// The index.
        index: u64,
        /// The number of shards in the plan.
        shards: u64,
    },
    /// The planned manifest has changed.
    #[error("{what}: is not the manifest of the plan: {reason}")]
    OtherManifest {
        /// The file.
        what: String,
        /// How it differs.
        reason: String,
    },
    /// More photos than allowed could not be predicted. Nothing was written.
    #[error(
        "shard {shard}: {errors} of {photos} photos have errors, more than allowed; the first is {first}"
    )]
    TooManyErrors {
        /// The shard.
        shard: u64,
        /// The number of rows with an error.
        errors: u64,
        /// The number of rows.
        photos: u64,
        /// The first photo with an error, and its error.
        first: String,
    },
    /// Parts are missing or damaged.
    #[error("{place}: not all parts are there and intact: {parts}")]
    Incomplete {
        /// The folder.
        place: String,
        /// The parts, in words.
        parts: String,
    },
    /// A part does not hold what the plan says.
    #[error("{part}: {reason}")]
    Part {
        /// The part's file.
        part: String,
        /// What is wrong.
        reason: String,
    },
    /// The stop flag was set.
    #[error("stopped: the shard is not finished, and nothing of it is kept")]
    Stopped,
}

impl Error {
    /// Whether the same command should be run again.
    #[must_use]
    pub fn retry(&self) -> Retry {
        match self {
            Self::Io { .. } | Self::Incomplete { .. } | Self::Stopped => Retry::Again,
            Self::TooManyErrors { .. } | Self::Manifest { .. } | Self::Part { .. } => Retry::Data,
            _ => Retry::Mismatch,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn remedy(&self) -> Option<Remedy> {
        match self {
            Self::NoPlan { .. } => Some(Remedy::MakePlan),
            Self::Io { .. } | Self::Stopped => Some(Remedy::RunAgain),
            Self::OtherPlan { .. } | Self::OtherManifest { .. } => Some(Remedy::OtherFolder),
            Self::OtherModel { .. } => Some(Remedy::SameModel),
            Self::Version { .. } => Some(Remedy::SameVersion),
            Self::Index { .. } => Some(Remedy::IndexFromZero),
            Self::Shards { .. } => Some(Remedy::FewerShards),
            Self::Manifest { .. } => Some(Remedy::FixManifest),
            Self::Incomplete { .. } => Some(Remedy::RunShards),
            Self::TooManyErrors { .. } => Some(Remedy::AllowErrors),
            _ => None,
        }
    }

    /// An error of reading or writing `what`.
    pub(crate) fn io(what: impl Display, error: impl Into<io::Error>) -> Self {
        Self::Io { what: what.to_string(), error: error.into() }
    }

    /// As [`Error::io`], for a path.
    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        move |error| Self::io(path.display(), error)
    }
}

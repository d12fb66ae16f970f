//! The commands and flags of `loc data`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{OverwriteArgs, ReadingArgs, TextFormat, ToleranceArgs};

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Check photos, annotations and boxes; exit code 4 if there are errors
    Check(CheckArgs),
    /// Print statistics: classes, photo sizes, boxes, and the score of a constant answer
    Stats(StatsArgs),
    /// Draw samples with their boxes in one picture
    Show(ShowArgs),
    /// Find wrong classes and boxes: photos whose annotation is doubted by models that have not seen them
    Audit(AuditArgs),
    /// Split a data set into train and val
    Split(SplitArgs),
    /// Write a data set in another annotation format
    Convert(ConvertArgs),
    /// Generate the sample data set `shapes`: photos of boxes, discs and stars, without a download
    Sample(SampleArgs),
}

/// Which data set and how it is read.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// Folder with photos and annotations, or a CSV, JSON or YOLO's YAML file
    #[arg(value_name = "DATA")]
    pub(crate) data: PathBuf,

    #[command(flatten)]
    pub(crate) reading: ReadingArgs,
}

/// A data set of which invalid photos may be skipped.
#[derive(Debug, Args)]
pub(crate) struct OpenArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    #[command(flatten)]
    pub(crate) tolerance: ToleranceArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Each finding has its file and line, what is wrong, and how to correct it; at the end they are counted by kind.

With --fix the findings are those that remain and what was repaired: corners of boxes in the wrong order, boxes that
exceed their photo, photos with the ending of another format, files that are not UTF-8. Photos with errors that remain
are left out.

Examples:
  loc data check photos/
  loc data check annotations.csv --format json
  loc data check labels.csv --columns filename,xmin,ymin,xmax,ymax,class
  loc data check photos/ --fix repaired")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,

    /// A filename,split file: also report photos that have copies on the other side of this split
    #[arg(long, value_name = "FILE")]
    pub(crate) split_file: Option<PathBuf>,

    /// Write a repaired copy of the data set into this new folder; the data set stays as it is
    #[arg(long, value_name = "OUT")]
    pub(crate) fix: Option<PathBuf>,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loc data stats photos/\n  loc data stats photos/ --save plots\n  loc data stats photos/ --format json | jq .boxes"
)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) data: OpenArgs,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,

    /// Folder for plots as SVG: classes, photo sizes, box sizes, box shapes, box positions
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loc data show photos/\n  loc data show photos/ -n 25 --seed 3 -o samples.png"
)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) data: OpenArgs,

    /// Picture to write; the file ending, .png or .jpg, sets the format
    #[arg(short, long, value_name = "FILE", default_value = "mosaic.png")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// Number of samples
    #[arg(short, default_value_t = 20, value_name = "N")]
    pub(crate) n: usize,

    /// Seed of the random choice of samples, and of their augmentation
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// Show the photos as a training with this recipe sees them: resized and augmented
    #[arg(long, value_name = "NAME|FILE.toml")]
    pub(crate) augmented: Option<String>,

    /// Show only photos with findings of `loc data check`, with the kinds of the findings; their boxes are magenta, as
    /// written
    #[arg(long, conflicts_with = "augmented")]
    pub(crate) findings: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Heads are trained on the features of a frozen backbone, on all folds but one, and judge the photos of that \
one. It needs the pretrained weights of the recipe transfer, or a model.

Examples:
  loc data audit photos/ --save doubts               draw the doubtful photos, the worst first
  loc data audit photos/ --format json | jq -r '.photos[] | [.score, .reason, .path] | @tsv'"
)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    pub(crate) data: OpenArgs,

    /// Use the features of this model's backbone, a model file or a run folder [default: the pretrained backbone]
    #[arg(short, long, value_name = "MODEL|RUN", conflicts_with = "backbone_weights")]
    pub(crate) model: Option<PathBuf>,

    #[arg(long, value_name = "FILE|DIR", help = super::keys::help("backbone_weights"))]
    pub(crate) backbone_weights: Option<PathBuf>,

    /// Number of folds
    #[arg(long, default_value_t = 5, value_name = "K")]
    pub(crate) folds: usize,

    /// Epochs that the heads of each fold are trained for [default: 30]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) epochs: Option<u32>,

    /// Output format
    #[arg(long, value_enum, default_value_t = TextFormat::Text)]
    pub(crate) format: TextFormat,

    /// List all photos, not only those with a strong doubt
    #[arg(long)]
    pub(crate) all: bool,

    /// Folder for drawings of the listed photos: the annotated and the predicted box
    #[arg(long, value_name = "DIR")]
    pub(crate) save: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// Seed of the folds and the heads
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,

    /// Threads that compute [default: one per core]
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    pub(crate) threads: usize,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  loc data split photos/ -o split.csv\n  loc data split photos/ --val 0.3 --seed 7 -o split.csv"
)]
pub(crate) struct SplitArgs {
    #[command(flatten)]
    pub(crate) data: OpenArgs,

    /// CSV file to write, with the columns filename,split
    #[arg(short, long, value_name = "FILE", default_value = "split.csv")]
    pub(crate) output: PathBuf,

    #[command(flatten)]
    pub(crate) overwrite: OverwriteArgs,

    /// Draw the split even if the data set has the folders train, valid (or val), and test
    #[arg(long)]
    pub(crate) draw: bool,

    /// Fraction of each class used for validation, where the split is drawn
    #[arg(long, default_value_t = 0.2)]
    pub(crate) val: f64,

    /// Seed of the random split
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

#[derive(Debug, Args)]
#[command(after_help = "\
All objects of a photo are written, and photos without an object too; the order of the classes and the parts of a split
are kept. Photos lie in `images/` (voc: `JPEGImages/`), with a folder for each part of a split.

Examples:
  loc data convert photos/ --to yolo -o photos-yolo
  loc data convert instances.json --to voc -o photos-voc --photos copy")]
pub(crate) struct ConvertArgs {
    #[command(flatten)]
    pub(crate) data: OpenArgs,

    /// Format to write
    #[arg(long, value_enum)]
    pub(crate) to: TargetFormat,

    /// Folder to create; if it exists, it must be empty
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,

    /// How photos come into the folder
    #[arg(long, value_enum, default_value_t = PhotoChoice::Link)]
    pub(crate) photos: PhotoChoice,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TargetFormat {
    /// Pascal VOC: an XML file per photo
    Voc,
    /// COCO JSON: one file for each part of the split
    Coco,
    /// YOLO: a text file per photo, and `data.yaml`
    Yolo,
    /// CSV: a row per object
    Csv,
    /// Create ML JSON
    #[value(name = "createml")]
    CreateMl,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PhotoChoice {
    /// As hard links, or on another file system as symbolic links
    Link,
    /// As copies
    Copy,
    /// Not at all
    None,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  loc data sample shapes\n  loc data sample shapes --n 900 --seed 1")]
pub(crate) struct SampleArgs {
    /// Folder to create; if it exists, it must be empty
    #[arg(value_name = "OUT")]
    pub(crate) out: PathBuf,

    /// Number of photos
    #[arg(long, default_value_t = loc_data::shapes::DEFAULT_COUNT, value_name = "N")]
    pub(crate) n: usize,

    /// Seed of the generated photos
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
}

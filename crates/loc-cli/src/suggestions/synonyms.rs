//! The names that other tools use for commands and flags, and loc's names. One table for all commands.

/// The meaning of another tool's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// This flag with the value.
    Flag(&'static str),
    /// The value as a positional argument.
    Argument,
    /// Not needed, for this reason.
    Nothing(&'static str),
}

use Meaning::{Argument, Flag, Nothing};

const TRAINING: &[&str] = &["train", "lr-find"];
const OF_A_MODEL: &[&str] = &["val", "predict", "export"];
const OF_A_SET: &[&str] = &["data check", "data stats", "data show", "data split"];
const WITH_OUTPUT: &[&str] = &["data show", "data split", "lr-find", "export", "import"];

const THE_MODELS_SIZE: Meaning = Nothing("a model knows the size of its input");

/// Commands, the synonyms of others there (with `-` for `_`, without `-` in front), and ours.
const WORDS: &[(&[&str], &[&str], Meaning)] = &[
    (
        TRAINING,
        &[
            "dataset",
            "data-dir",
            "data-path",
            "dataset-dir",
            "root",
            "source",
            "train-data",
            "input",
            "images",
        ],
        Flag("--data"),
    ),
    (
        &["val"],
        &["dataset", "data-dir", "data-path", "dataset-dir", "root", "source", "input", "images"],
        Flag("--data"),
    ),
    (&["predict"], &["source", "input", "image", "images", "img-path", "data", "file", "path"], Argument),
    (OF_A_SET, &["data", "dataset", "data-dir", "data-path", "source", "input", "path"], Argument),
    (&["info"], &["model", "weights", "checkpoint", "run", "file", "path"], Argument),
    (&["import", "weights add"], &["model", "weights", "checkpoint", "input", "file", "path"], Argument),
    (TRAINING, &["model", "weights", "checkpoint", "ckpt", "pretrained", "init-weights"], Flag("--init")),
    (OF_A_MODEL, &["model", "weights", "checkpoint", "ckpt", "model-path", "load"], Flag("--model")),
    (
        TRAINING,
        &["img", "img-size", "image-size", "imagesize", "input-size", "size", "resolution", "imsize"],
        Flag("--imgsz"),
    ),
    (&["import"], &["img", "img-size", "image-size", "input-size", "size", "resolution"], Flag("--imgsz")),
    (
        OF_A_MODEL,
        &["img", "imgsz", "img-size", "image-size", "input-size", "size", "resolution"],
        THE_MODELS_SIZE,
    ),
    (TRAINING, &["batch-size", "batchsize", "bs", "train-batch-size"], Flag("--batch")),
    (
        OF_A_MODEL,
        &["batch", "batch-size", "batchsize", "bs"],
        Nothing("loc chooses how many photos it takes at once"),
    ),
    (TRAINING, &["epoch", "num-epochs", "n-epochs", "max-epochs", "num-train-epochs"], Flag("--epochs")),
    (TRAINING, &["lr0", "learning-rate", "base-lr", "initial-lr"], Flag("--lr")),
    (TRAINING, &["cfg", "config-file", "hyp", "hparams"], Flag("--config")),
    (TRAINING, &["gpu", "gpus", "gpu-id", "cuda", "accelerator"], Flag("--device")),
    (OF_A_MODEL, &["device", "gpu", "gpus", "cuda"], Nothing("this command computes on the CPU")),
    (TRAINING, &["num-workers", "n-workers", "dataloader-num-workers"], Flag("--workers")),
    (TRAINING, &["val-split", "validation-split", "test-size", "val-size", "valid"], Flag("--val")),
    (&["data split"], &["val-split", "validation-split", "test-size", "val-size"], Flag("--val")),
    (TRAINING, &["random-state", "random-seed", "rng"], Flag("--seed")),
    (&["data show", "data split", "data sample"], &["random-state", "random-seed"], Flag("--seed")),
    (TRAINING, &["early-stopping", "early-stop"], Flag("--patience")),
    (
        &["train"],
        &["output", "out", "o", "outdir", "out-dir", "output-dir", "save-dir", "run-dir", "logdir"],
        Flag("--project"),
    ),
    (&["train"], &["force", "overwrite"], Flag("--exist-ok")),
    (
        &["predict"],
        &["output", "out", "o", "outdir", "out-dir", "output-dir", "save-dir", "project"],
        Flag("--save"),
    ),
    (
        WITH_OUTPUT,
        &["out", "out-file", "output-file", "save", "save-path", "export-path", "dest"],
        Flag("--output"),
    ),
    (&["predict", "export", "import"], &["overwrite", "exist-ok"], Flag("--force")),
    (
        &["predict"],
        &["conf-thres", "conf-threshold", "confidence", "threshold", "score-thr", "min-conf"],
        Flag("--conf"),
    ),
    (&["predict"], &["save-txt", "labels"], Flag("--save-labels")),
    (&["export"], &["include"], Flag("--format")),
    (&["export"], &["opset-version"], Flag("--opset")),
    (
        &["train", "lr-find", "val", "import", "data check", "data stats", "data show", "data split"],
        &["names", "class-names", "labels", "class-list"],
        Flag("--classes"),
    ),
];

/// Other tools' names for the commands.
const COMMANDS: &[(&str, &[&str])] = &[
    ("detect", &["predict"]),
    ("inference", &["predict"]),
    ("localize", &["predict"]),
    ("test", &["val"]),
    ("evaluate", &["val"]),
    ("validate", &["val"]),
    ("validation", &["val"]),
    ("fit", &["train"]),
    ("finetune", &["train", "--recipe", "finetune"]),
    ("resume", &["train", "--resume"]),
    ("check", &["data", "check"]),
    ("stats", &["data", "stats"]),
    ("show", &["data", "show"]),
    ("split", &["data", "split"]),
    ("sample", &["data", "sample"]),
    ("lr", &["lr-find"]),
    ("lrfind", &["lr-find"]),
    ("summary", &["info"]),
    ("onnx", &["export"]),
];

/// The meaning of a word in a command.
pub(super) fn meaning(command: &str, word: &str) -> Option<Meaning> {
    let row = WORDS.iter().find(|(commands, words, _)| commands.contains(&command) && words.contains(&word));
    row.map(|(_, _, ours)| *ours)
}

/// The command and flags that a word stands for.
pub(super) fn command(word: &str) -> Option<&'static [&'static str]> {
    COMMANDS.iter().find(|(known, _)| *known == word).map(|(_, ours)| *ours)
}

/// All flags in the table with their commands.
#[cfg(test)]
pub(super) fn flags() -> Vec<(&'static str, &'static str)> {
    let of = |(commands, _, ours): &(&[&'static str], _, Meaning)| match ours {
        Flag(flag) => commands.iter().map(|command| (*command, *flag)).collect(),
        _ => Vec::new(),
    };
    WORDS.iter().flat_map(of).collect()
}

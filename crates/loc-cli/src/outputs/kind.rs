//! The kinds of outputs, and how an existing output is recognised: by its content, never by its name.

use loc_net::WeightFile;
use loc_train::ModelFile;

use super::signature;

/// What a command writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The picture of `loc data show`.
    Mosaic,
    /// A photo that `loc predict` draws on.
    Drawing,
    /// A doubtful photo that `loc data audit` draws on.
    Doubt,
    /// An annotation that `loc predict` writes.
    Label,
    /// A plot of `loc data stats`.
    StatsPlot,
    /// The plot of `loc lr-find`.
    Plot,
    /// The page of `loc report`.
    Report,
    /// The ONNX file of `loc export`.
    Onnx,
    /// The model of `loc import`.
    Model,
    /// The model of `loc calibrate`. It cannot be told from one that was trained and then calibrated.
    Calibrated,
    /// The split of `loc data split`. Later edits cannot be recognised.
    Split,
    /// The pretrained weights of `loc weights`. Likewise.
    Pretrained,
    /// A file of `loc train --plan`, whose folder is new.
    Plan,
}

impl Kind {
    /// The command that writes it.
    pub(super) fn by(self) -> &'static str {
        match self {
            Self::Mosaic => "loc data show",
            Self::Doubt => "loc data audit",
            Self::Drawing | Self::Label => "loc predict",
            Self::StatsPlot => "loc data stats",
            Self::Plot => "loc lr-find",
            Self::Report => "loc report",
            Self::Onnx => "loc export",
            Self::Model => "loc import",
            Self::Calibrated => "loc calibrate",
            Self::Split => "loc data split",
            Self::Pretrained => "loc weights",
            Self::Plan => "loc train --plan",
        }
    }

    /// The file or folder that its flag names.
    pub(super) fn place(self) -> &'static str {
        match self {
            Self::Doubt | Self::Drawing | Self::Label | Self::StatsPlot => "folder with `--save`",
            Self::Pretrained => "folder of weights with LOC_WEIGHTS",
            Self::Plan => "folder with `--plan`",
            _ => "file with `-o`",
        }
    }

    /// Whether a file is an unchanged output of this kind.
    pub(super) fn wrote(self, bytes: &[u8]) -> bool {
        match self {
            _ if self.has_signature() => signature::is_signed(bytes, self.by()),
            Self::Onnx => loc_model::export::summary(bytes).is_ok_and(|summary| {
                summary.producer == "loc"
                    && summary.metadata.iter().any(|(key, _)| key == loc_net::METADATA_KEY)
            }),
            // The metadata of a trained model holds its epoch and its recipe.
            Self::Model => {
                let file = WeightFile::parse(bytes).ok().and_then(|file| file.metadata);
                let file = file.and_then(|json| ModelFile::from_json(&json).ok());
                file.is_some_and(|file| file.epoch.is_none() && file.recipe.is_none())
            }
            _ => false,
        }
    }

    /// Whether an existing file is kept if it has the same bytes: for kinds that cannot be recognised.
    pub(super) fn may_be_same(self) -> bool {
        matches!(self, Self::Split | Self::Pretrained | Self::Calibrated)
    }

    /// Whether its folder is created: the cache, and the folder of `--save`.
    pub(super) fn makes_its_folder(self) -> bool {
        matches!(
            self,
            Self::Doubt | Self::Drawing | Self::Label | Self::StatsPlot | Self::Pretrained | Self::Plan
        )
    }

    /// Whether files of this kind are recognised by a signature.
    fn has_signature(self) -> bool {
        match self {
            Self::Mosaic
            | Self::Doubt
            | Self::Drawing
            | Self::Label
            | Self::StatsPlot
            | Self::Plot
            | Self::Report => true,
            Self::Onnx | Self::Model | Self::Calibrated | Self::Split | Self::Pretrained | Self::Plan => {
                false
            }
        }
    }

    /// The bytes as they go to disk.
    pub(super) fn signed(self, bytes: Vec<u8>) -> Vec<u8> {
        if self.has_signature() { signature::signed(bytes, self.by()) } else { bytes }
    }
}

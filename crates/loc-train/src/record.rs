//! `results.csv`: a row an epoch. The rows stand in the state too, which is what a resume goes by.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::TrainError;

/// One epoch in numbers: the columns of `results.csv` in their order. Losses and metrics are means over samples.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Seconds since the run began, time before a resume included.
    pub time: f64,
    /// Learning rate.
    pub lr: f64,
    /// Training loss: the weighted sum.
    #[serde(rename = "train/loss")]
    pub train_loss: f64,
    /// Training loss of the class.
    #[serde(rename = "train/cls_loss")]
    pub train_cls_loss: f64,
    /// Training loss of the box.
    #[serde(rename = "train/box_loss")]
    pub train_box_loss: f64,
    /// Validation loss: the weighted sum.
    #[serde(rename = "val/loss")]
    pub val_loss: f64,
    /// Validation loss of the class.
    #[serde(rename = "val/cls_loss")]
    pub val_cls_loss: f64,
    /// Validation loss of the box.
    #[serde(rename = "val/box_loss")]
    pub val_box_loss: f64,
    /// Share with the right class.
    #[serde(rename = "val/acc")]
    pub val_acc: f64,
    /// Mean IoU.
    #[serde(rename = "val/iou")]
    pub val_iou: f64,
    /// Share with the right class and an IoU of 0.5 or more: localization accuracy.
    #[serde(rename = "val/acc_iou50")]
    pub val_acc_iou50: f64,
    /// Share with the right class and an IoU of 0.75 or more.
    #[serde(rename = "val/acc_iou75")]
    pub val_acc_iou75: f64,
}

/// Reads `results.csv`; no file is no row.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, TrainError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file = fs_err::read(path)?;
    let rows: Result<Vec<Row>, csv::Error> = csv::Reader::from_reader(&file[..]).deserialize().collect();
    rows.map_err(|e| TrainError::Run { path: path.to_owned(), reason: e.to_string() })
}

/// The bytes of `results.csv`.
pub(crate) fn to_csv(path: &Path, rows: &[Row]) -> Result<Vec<u8>, TrainError> {
    let fail = |reason: String| TrainError::Run { path: path.to_owned(), reason };
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(|e| fail(e.to_string()))?;
    }
    writer.into_inner().map_err(|e| fail(e.to_string()))
}

/// SHA-256 as 64 hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Bytes as hex digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

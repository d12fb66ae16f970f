//! `results.csv`: one row for each epoch. The rows are in the state too, from which a resume reads them.

use std::path::Path;

use crate::error::{RunError, TrainError};
use crate::event::Row;
use crate::run::dir::Run;

/// Reads `results.csv`; no rows if it does not exist.
pub(crate) fn read(path: &Path) -> Result<Vec<Row>, TrainError> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let file = fs_err::read(path)?;
    let rows: Result<Vec<Row>, csv::Error> = csv::Reader::from_reader(&file[..]).deserialize().collect();
    rows.map_err(|e| TrainError::run(path, RunError::Csv(e)))
}

/// The bytes of `results.csv`.
pub(crate) fn to_csv(path: &Path, rows: &[Row]) -> Result<Vec<u8>, TrainError> {
    let fail = |error| TrainError::run(path, RunError::Csv(error));
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.serialize(row).map_err(fail)?;
    }
    writer.into_inner().map_err(|e| fail(e.into_error().into()))
}

impl Run {
    /// The rows of `results.csv`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] if the file is there and cannot be read.
    pub fn rows(&self) -> Result<Vec<Row>, TrainError> {
        read(&self.results())
    }
}

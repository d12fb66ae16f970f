//! The features of many photos, a row for each: in memory, or in a file.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use candle_core::{DType, Device, Tensor};
use half::f16;
use loc_data::PhotoCache;

use crate::config::Config;
use crate::error::{RunError, TrainError};
use crate::user_cache;

/// Rows of equal shape in f16: half the memory of f32, and precise enough for standardised features.
#[derive(Debug)]
pub(crate) struct FeatureRows {
    /// The shape of a row.
    dims: Vec<usize>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    Ram(Vec<f16>),
    /// A file without a name: it is gone when it is closed, also after a kill.
    Disk(Mutex<File>),
}

impl FeatureRows {
    /// No rows yet, with room for so many; none if there is no memory for them.
    ///
    /// # Errors
    ///
    /// A file for them cannot be made.
    pub(crate) fn new(dims: &[usize], rows: usize, on_disk: bool) -> Result<Option<Self>, TrainError> {
        let values = if on_disk {
            Values::Disk(Mutex::new(unnamed_file()?))
        } else {
            // Allocated at once and written in place, so that the features are never in memory twice.
            let mut values = Vec::new();
            if values.try_reserve_exact(rows * dims.iter().product::<usize>()).is_err() {
                return Ok(None);
            }
            Values::Ram(values)
        };
        Ok(Some(Self { dims: dims.to_vec(), values }))
    }

    /// Rows without content.
    pub(crate) fn zeros(dims: &[usize], rows: usize) -> Self {
        let values = vec![f16::ZERO; rows * dims.iter().product::<usize>()];
        Self { dims: dims.to_vec(), values: Values::Ram(values) }
    }

    /// Appends rows.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(crate) fn push(&mut self, rows: &[f16]) -> Result<(), TrainError> {
        match &mut self.values {
            Values::Ram(values) => values.extend_from_slice(rows),
            Values::Disk(file) => {
                let bytes: Vec<u8> = rows.iter().flat_map(|v| v.to_le_bytes()).collect();
                let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
                file.write_all(&bytes).map_err(failed)?;
            }
        }
        Ok(())
    }

    /// The rows with these indices, `[indices, …]` in f32.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub(crate) fn select(&self, indices: &[usize], device: &Device) -> Result<Tensor, TrainError> {
        let length: usize = self.dims.iter().product();
        let mut values: Vec<f16> = Vec::with_capacity(indices.len() * length);
        match &self.values {
            Values::Ram(all) => {
                indices.iter().for_each(|row| values.extend(&all[row * length..(row + 1) * length]));
            }
            Values::Disk(file) => {
                let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                let mut bytes = vec![0; 2 * length];
                for row in indices {
                    file.seek(SeekFrom::Start((row * bytes.len()) as u64)).map_err(failed)?;
                    file.read_exact(&mut bytes).map_err(failed)?;
                    values.extend(bytes.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]])));
                }
            }
        }
        let dims = [&[indices.len()][..], &self.dims].concat();
        Ok(Tensor::from_vec(values, dims, &Device::Cpu)?.to_dtype(DType::F32)?.to_device(device)?)
    }
}

/// Whether features of so many bytes are kept in a file: with `cache = "disk"`, or with `auto` if they take more than half of the
/// available memory and there is a folder for them.
pub(crate) fn are_on_disk(config: &Config, bytes: u64) -> bool {
    match config.cache.parse() {
        Ok(PhotoCache::Disk) => true,
        Ok(PhotoCache::Auto) => {
            let is_large = loc_data::available_memory().is_some_and(|available| bytes > available / 2);
            is_large && unnamed_file().is_ok()
        }
        _ => false,
    }
}

fn folder() -> PathBuf {
    user_cache::folder("features").unwrap_or_else(std::env::temp_dir)
}

fn unnamed_file() -> Result<File, TrainError> {
    let folder = folder();
    fs_err::create_dir_all(&folder).map_err(failed)?;
    tempfile::tempfile_in(&folder).map_err(failed)
}

/// The error of the file of features.
fn failed(error: io::Error) -> TrainError {
    TrainError::run(folder().join("features"), RunError::Write { error, folder: folder() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_file_are_those_of_memory() {
        let rows: Vec<f16> = (0..5 * 6).map(|i| f16::from_f32(i as f32 * 0.37 - 4.0)).collect();
        let selected = [false, true].map(|on_disk| {
            let mut all = FeatureRows::new(&[2, 3], 5, on_disk).unwrap().unwrap();
            all.push(&rows[..12]).unwrap();
            all.push(&rows[12..]).unwrap();
            let some = all.select(&[4, 0, 0, 2], &Device::Cpu).unwrap();
            assert_eq!(some.dims(), [4, 2, 3]);
            some.flatten_all().unwrap().to_vec1::<f32>().unwrap()
        });
        assert_eq!(selected[0], selected[1]);
        assert_eq!(selected[0][0], rows[24].to_f32());
    }
}

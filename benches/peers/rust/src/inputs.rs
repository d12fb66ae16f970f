//! The inputs of all peers, and the check of their outputs: a peer that computes something else must not be measured.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use fs_err as fs;
use serde::Deserialize;

/// The number of photos in `photos.u8`, and the batch size of `infer_32` and `train_step_32`.
pub const PHOTOS: usize = 32;
/// The shape of one photo as network input.
pub const SHAPE: [usize; 3] = [3, 256, 256];
const PHOTO: usize = SHAPE[0] * SHAPE[1] * SHAPE[2];

/// Tolerance for sums of some thousand f32 products in another order; a wrong layer differs by much more.
const TOLERANCE: f32 = 1e-3;

/// The folder of the comparison, and its photos.
pub struct Inputs {
    folder: PathBuf,
    photos: Vec<f32>,
    expected: Expected,
}

/// `expected.json`: the expected outputs for the first photos, one row each.
#[derive(Deserialize)]
struct Expected {
    cls: Vec<Vec<f32>>,
    loc: Vec<Vec<f32>>,
}

/// The outputs of a peer for a batch, row by row: class probabilities, and boxes in 0..1.
pub struct Outputs {
    pub cls: Vec<f32>,
    pub loc: Vec<f32>,
}

impl Inputs {
    /// Reads the photos and `expected.json`.
    pub fn load(folder: PathBuf) -> Result<Self> {
        let file = folder.join("photos.u8");
        let bytes = fs::read(&file)?;
        ensure!(bytes.len() == PHOTOS * PHOTO, "{}: {} bytes", file.display(), bytes.len());
        let file = folder.join("expected.json");
        let expected =
            serde_json::from_slice(&fs::read(&file)?).with_context(|| file.display().to_string())?;
        Ok(Self { folder, photos: planar(&bytes), expected })
    }

    /// The path of a file in the folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The first `n` photos, planar RGB in 0..1.
    pub fn batch(&self, n: usize) -> &[f32] {
        &self.photos[..n * PHOTO]
    }

    /// Compares the outputs for the first photos, at least one, with the expected ones.
    pub fn check(&self, outputs: &Outputs) -> Result<()> {
        for (output, rows, got) in
            [("cls", &self.expected.cls, &outputs.cls), ("loc", &self.expected.loc, &outputs.loc)]
        {
            let width = rows.first().map_or(0, Vec::len);
            ensure!(width > 0 && got.len() >= width && got.len() % width == 0, "{output} has a wrong shape");
            for (i, (want, got)) in rows.iter().flatten().zip(got).enumerate() {
                // Negated, so that a NaN fails.
                let close = (want - got).abs() <= TOLERANCE;
                ensure!(close, "{output} of photo {}: {got}, expected {want}", i / width);
            }
        }
        Ok(())
    }
}

/// HWC bytes to CHW in 0..1, photo by photo.
fn planar(bytes: &[u8]) -> Vec<f32> {
    let mut photos = Vec::with_capacity(bytes.len());
    for photo in bytes.chunks_exact(PHOTO) {
        for channel in 0..SHAPE[0] {
            photos.extend(photo.iter().skip(channel).step_by(SHAPE[0]).map(|&byte| f32::from(byte) / 255.0));
        }
    }
    photos
}

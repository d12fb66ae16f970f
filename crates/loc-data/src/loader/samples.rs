//! The samples of a loader: their boxes and classes, and where their pixels come from.

use std::borrow::Cow;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use image::RgbImage;
use loc_infer::preprocess::{Frame, decode_path, fit_window, prepare_path};
use loc_infer::{InputSpec, Limits, Window};
use ndarray::{Array2, Array4};
use rayon::prelude::*;

use super::{Batch, EpochAugment, NO_BOX};
use crate::augment::Transform;
use crate::photo_store::{Digest, DiskPhotos, PhotoStore};
use crate::{DataError, Dataset, Diagnostic, DiagnosticKind, ImageSize, NormBox};

/// A photo that is prepared when it is needed.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    size: ImageSize,
    digest: Digest,
    /// The part that is read; none for the whole photo.
    window: Option<Window>,
}

/// Where the pixels come from.
#[derive(Debug)]
enum Pixels {
    /// Memory.
    Ram(Vec<Arc<RgbImage>>),
    /// The photos themselves, or the file that keeps them prepared.
    Photos { root: PathBuf, sources: Vec<Source>, disk: Option<Arc<DiskPhotos>> },
}

/// The samples of a loader.
#[derive(Debug)]
pub(super) struct Samples {
    pub(super) input: InputSpec,
    pixels: Pixels,
    /// The boxes; none of negatives.
    boxes: Vec<Option<NormBox>>,
    labels: Vec<u32>,
    indices: Vec<usize>,
}

impl Samples {
    /// The samples with these indices; those that the store keeps and lacks are prepared now, on rayon's current pool.
    ///
    /// # Errors
    ///
    /// [`DataError::Changed`] with all photos that can no longer be decoded.
    pub(super) fn new(
        dataset: &Dataset,
        indices: &[usize],
        windows: &[Option<Window>],
        store: &PhotoStore,
    ) -> Result<Self, DataError> {
        let input = *store.input();
        let source = |(index, window): (&usize, &Option<Window>)| {
            let sample = &dataset.samples[*index];
            let (path, size, digest) = (sample.image.clone(), sample.size, sample.digest);
            Source { path, size, digest, window: *window }
        };
        let sources: Vec<Source> = indices.iter().zip(windows).map(source).collect();
        let bbox = |(index, source): (&usize, &Source)| {
            let frame = Frame { window: source.window, ..Frame::of(source.size, &input) };
            dataset.samples[*index].object.map(|object| frame.to_input(object.bbox))
        };
        let boxes = indices.iter().zip(&sources).map(bbox).collect();
        let label = |i: &usize| u32::try_from(dataset.samples[*i].class().unwrap_or(0)).unwrap_or(u32::MAX);
        let labels = indices.iter().map(label).collect();
        let pixels = prepare(dataset, sources, store)?;
        Ok(Self { input, pixels, boxes, labels, indices: indices.to_vec() })
    }

    pub(super) fn len(&self) -> usize {
        self.indices.len()
    }

    /// The sums over all photos, added by `add`, of what `of` returns for the pixels of one.
    pub(super) fn sum_of<T: Send + Default>(
        &self,
        of: impl Fn(&[u8]) -> T + Sync,
        add: impl Fn(T, T) -> T + Sync + Send,
    ) -> Result<T, DataError> {
        let each = (0..self.len()).into_par_iter().map(|position| Ok(of(&self.pixels(position)?)));
        each.try_reduce(T::default, |a, b| Ok(add(a, b)))
    }

    /// The pixels of a photo at the size of the input.
    fn pixels(&self, position: usize) -> Result<Cow<'_, [u8]>, DataError> {
        match &self.pixels {
            Pixels::Ram(images) => Ok(Cow::Borrowed(images[position].as_raw())),
            Pixels::Photos { root, sources, disk } => {
                let source = &sources[position];
                if let Some(disk) = disk.as_ref().filter(|_| source.window.is_none()) {
                    let mut out =
                        vec![0; 3 * self.input.size.width as usize * self.input.size.height as usize];
                    if disk.read(&source.digest, &mut out) {
                        return Ok(Cow::Owned(out));
                    }
                }
                let image = source.decode(&self.input).map_err(|diagnostic| DataError::Changed {
                    path: root.clone(),
                    diagnostics: vec![diagnostic],
                })?;
                Ok(Cow::Owned(image.into_raw()))
            }
        }
    }

    /// The batch of the samples at these positions; only the photos of `rows` are prepared.
    pub(super) fn batch(&self, positions: &[usize], rows: Range<usize>) -> Result<Batch, DataError> {
        let images = self.images(&positions[rows], |_, position, out| {
            out.copy_from_slice(&self.pixels(position)?);
            Ok(())
        })?;
        let boxes = positions.iter().map(|position| edges_of(self.boxes[*position])).collect();
        Ok(self.labelled(positions, images, boxes))
    }

    /// As [`Samples::batch`], each photo augmented with its box.
    pub(super) fn augmented(
        &self,
        positions: &[usize],
        rows: Range<usize>,
        augment: &EpochAugment,
    ) -> Result<Batch, DataError> {
        let (w, h) = (self.input.size.width as usize, self.input.size.height as usize);
        let draw = |position: &usize| {
            let EpochAugment { augment, seed, epoch } = augment;
            augment.draw(*seed, *epoch, self.indices[*position], self.boxes[*position])
        };
        let drawn: Vec<Transform> = positions.iter().map(draw).collect();
        let first = rows.start;
        let images = self.images(&positions[rows], |row, position, out| {
            let drawn = &drawn[first + row];
            drawn.apply(&self.pixels(position)?, w, h, out);
            if let Some(mix) = drawn.mix {
                mix.apply(&self.pixels(mix.other(position, self.len()))?, out);
            }
            Ok(())
        })?;
        let bbox = |(position, drawn): (&usize, &Transform)| {
            edges_of(self.boxes[*position].map(|bbox| drawn.bbox(bbox)))
        };
        let boxes = positions.iter().zip(&drawn).map(bbox).collect();
        Ok(self.labelled(positions, images, boxes))
    }

    /// Photos that `write` writes, each from its row and position, in parallel.
    fn images(
        &self,
        positions: &[usize],
        write: impl Fn(usize, usize, &mut [u8]) -> Result<(), DataError> + Sync,
    ) -> Result<Array4<u8>, DataError> {
        let (w, h) = (self.input.size.width as usize, self.input.size.height as usize);
        let mut images = Array4::zeros((positions.len(), h, w, 3));
        // A fresh array is contiguous.
        let pixels = images.as_slice_mut().unwrap_or_default();
        let places = pixels.par_chunks_exact_mut(3 * w * h).zip(positions).enumerate();
        places.try_for_each(|(row, (out, position))| write(row, *position, out))?;
        Ok(images)
    }

    fn labelled(&self, positions: &[usize], images: Array4<u8>, boxes: Vec<[f32; 4]>) -> Batch {
        let boxes = Array2::from_shape_fn((positions.len(), 4), |(i, edge)| boxes[i][edge]);
        let labels = positions.iter().map(|p| self.labels[*p]).collect();
        let indices = positions.iter().map(|p| self.indices[*p]).collect();
        let present = positions.iter().map(|p| self.boxes[*p].is_some()).collect();
        Batch { images, boxes, labels, present, indices }
    }
}

/// Prepares the photos that are kept, in parallel. Windows of photos are kept in memory only, where photos are.
fn prepare(dataset: &Dataset, sources: Vec<Source>, store: &PhotoStore) -> Result<Pixels, DataError> {
    let input = store.input();
    let changed = |diagnostics: Vec<Diagnostic>| match diagnostics.is_empty() {
        true => Ok(()),
        false => Err(DataError::Changed { path: dataset.root.clone(), diagnostics }),
    };
    if store.is_in_ram() {
        let get = |source: &Source| {
            let kept = store.in_ram(&source.digest).filter(|_| source.window.is_none());
            kept.map_or_else(|| source.decode(input).map(Arc::new), Ok)
        };
        let all: Vec<Result<Arc<RgbImage>, Diagnostic>> = sources.par_iter().map(get).collect();
        let (mut images, mut diagnostics) = (Vec::with_capacity(all.len()), Vec::new());
        for image in all {
            match image {
                Ok(image) => images.push(image),
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
        }
        changed(diagnostics)?;
        return Ok(Pixels::Ram(images));
    }
    let disk = store.on_disk();
    let lacking = |source: &&Source| source.window.is_none() && store.lacks(&source.digest);
    let fill = |source: &Source| match source.decode(input) {
        Ok(image) => {
            store.put(&source.digest, image);
            None
        }
        Err(diagnostic) => Some(diagnostic),
    };
    changed(sources.par_iter().filter(lacking).filter_map(fill).collect())?;
    Ok(Pixels::Photos { root: dataset.root.clone(), sources, disk })
}

impl Source {
    /// Decodes the photo and prepares it for the input.
    fn decode(&self, input: &InputSpec) -> Result<RgbImage, Diagnostic> {
        let wrong =
            |reason: String| Diagnostic::error(DiagnosticKind::PhotoDamaged, &self.path, None, reason);
        let (path, limits) = (&self.path, Limits::default());
        let read = || match self.window {
            None => prepare_path(path, &limits, input).map(|photo| (photo.input, photo.frame.original)),
            // A window has the photo's own pixels.
            Some(window) => decode_path(path, &limits)
                .map(|photo| (fit_window(&photo.rgb, window, input).0, photo.size())),
        };
        let (image, found) = read().map_err(|e| wrong(e.reason().to_string()))?;
        if found != self.size {
            return Err(wrong(format!("is {found}, was {} when the data set was read", self.size)));
        }
        Ok(image)
    }
}

/// The edges of a box, or what stands for it.
fn edges_of(bbox: Option<NormBox>) -> [f32; 4] {
    bbox.map_or(NO_BOX, |bbox| bbox.xyxy())
}

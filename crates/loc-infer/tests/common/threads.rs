//! Helpers of the tests about threads.

use std::path::PathBuf;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use image::{ImageFormat, RgbImage};
use loc_infer::{Answer, Error, ImageSize, LoadOptions, Localizer};

use super::model::Model;
use super::{encode, photo};

const SIZE: ImageSize = ImageSize { width: 96, height: 96 };
const PHOTOS: u32 = 6;

/// Fails if `f` does not end within five minutes.
pub(crate) fn must_end(f: impl FnOnce() + Send + 'static) {
    let (end, ended) = channel();
    let test = std::thread::spawn(move || {
        f();
        end.send(()).unwrap();
    });
    match ended.recv_timeout(Duration::from_secs(300)) {
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => test.join().unwrap(),
    }
}

/// A prediction as text with all bits of its numbers, or the text of the error.
pub(crate) fn exact(result: Result<Answer, Error>) -> String {
    match result {
        Ok(Answer::Absent(absent)) => format!("{absent:?}"),
        Ok(Answer::Found(found)) => {
            let numbers = found.bbox.xyxy().into_iter().chain(found.probs).chain([found.confidence]);
            let bits: Vec<u32> = numbers.map(f32::to_bits).collect();
            format!("{} {} {}×{} {bits:?}", found.name, found.class, found.width, found.height)
        }
        Err(error) => format!("error: {error}"),
    }
}

/// A model file, photos, and their predictions on a single thread.
pub(crate) struct Case {
    pub(crate) model: Vec<u8>,
    folder: tempfile::TempDir,
    pub(crate) photos: Vec<RgbImage>,
    pub(crate) encoded: Vec<Vec<u8>>,
    pub(crate) expected: Vec<String>,
}

impl Case {
    fn of(model: &Model) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let photos: Vec<RgbImage> = (0..PHOTOS).map(|i| photo(90 + i, 110, i)).collect();
        // Lossless, so that all inputs have the same pixels.
        let encoded: Vec<Vec<u8>> =
            photos.iter().map(|photo| encode(photo.clone(), ImageFormat::Png)).collect();
        let mut this = Self { model: model.file(), folder, photos, encoded, expected: Vec::new() };
        fs_err::write(this.path("model.safetensors"), &this.model).unwrap();
        fs_err::write(this.path("0.png"), &this.encoded[0]).unwrap();
        let localizer =
            Localizer::load_with(this.path("model.safetensors"), &LoadOptions::default().threads(1));
        let localizer = localizer.unwrap();
        this.expected = this.photos.iter().map(|photo| exact(localizer.predict(photo))).collect();
        this
    }

    /// A case with fused kernels, and one with the general kernels.
    pub(crate) fn both() -> [Self; 2] {
        let five_conv = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 4);
        [Self::of(&five_conv), Self::of(&Model::lite0(SIZE, &["cat", "dog"], 5))]
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Loads the model and checks all predict functions, on the calling thread's pool.
    pub(crate) fn check(&self) {
        self.check_with(&Localizer::load(self.path("model.safetensors")).unwrap());
    }

    pub(crate) fn check_with(&self, localizer: &Localizer) {
        assert_eq!(exact(localizer.predict_path(self.path("0.png"))), self.expected[0]);
        for ((photo, encoded), expected) in self.photos.iter().zip(&self.encoded).zip(&self.expected) {
            assert_eq!(&exact(localizer.predict(photo)), expected);
            assert_eq!(&exact(localizer.predict_encoded(encoded)), expected);
        }
        let batch: Vec<&Vec<u8>> = self.encoded.iter().cycle().take(40).collect();
        let batch: Vec<&[u8]> = batch.into_iter().map(Vec::as_slice).collect();
        for (result, expected) in
            localizer.predict_batch(&batch).into_iter().zip(self.expected.iter().cycle())
        {
            assert_eq!(&exact(result), expected);
        }
    }
}

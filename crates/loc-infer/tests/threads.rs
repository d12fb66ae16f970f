//! One localizer, many threads: what each is told is what one thread alone is told, bit for bit.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use common::model::Model;
use common::threads::told;
use common::{encode, jpeg_of, photo};
use image::ImageFormat;
use loc_infer::{ImageSize, Limits, Localizer};

const THREADS: usize = 8;
const PHOTOS: u32 = 500;

/// Small photos of all sizes; of each ten one is cut, one is a page, one is empty, one is too large.
fn photos() -> Vec<Vec<u8>> {
    let one = |i: u32| {
        let image = photo(17 + i % 23, 19 + i % 31, i);
        match i % 10 {
            3 => {
                let whole = jpeg_of(&image);
                whole[..whole.len() * 3 / 4].to_vec()
            }
            5 => b"<html><body>404</body></html>".to_vec(),
            7 => Vec::new(),
            8 => encode(photo(200, 8, i), ImageFormat::Png),
            9 => encode(image, ImageFormat::Png),
            _ => jpeg_of(&image),
        }
    };
    (0..PHOTOS).map(one).collect()
}

#[test]
fn eight_threads_are_told_what_one_is() {
    let model = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 4);
    let limits = Limits { max_width: 100, ..Limits::default() };
    let localizer = Localizer::from_bytes(&model.file()).unwrap().with_limits(limits);
    let photos = photos();
    let alone: Vec<String> = photos.iter().map(|bytes| told(localizer.predict_encoded(bytes))).collect();
    let failed = alone.iter().filter(|told| told.starts_with("error: ")).count();
    assert_eq!(failed, PHOTOS as usize * 4 / 10, "the bad ones and no others");

    std::thread::scope(|scope| {
        let together: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (localizer, photos, alone) = (&localizer, &photos, &alone);
                scope.spawn(move || {
                    // Each begins elsewhere, and every other one asks for batches.
                    let from = thread * photos.len() / THREADS;
                    let order: Vec<usize> = (0..photos.len()).map(|i| (from + i) % photos.len()).collect();
                    for chunk in order.chunks(if thread % 2 == 0 { 1 } else { 48 }) {
                        let batch: Vec<&[u8]> = chunk.iter().map(|i| &photos[*i][..]).collect();
                        let answers = match batch[..] {
                            [one] => vec![localizer.predict_encoded(one)],
                            _ => localizer.predict_batch(&batch),
                        };
                        for (i, answer) in chunk.iter().zip(answers) {
                            assert_eq!(told(answer), alone[*i], "thread {thread}, photo {i}");
                        }
                    }
                    order.len()
                })
            })
            .collect();
        for thread in together {
            assert_eq!(thread.join().unwrap(), photos.len());
        }
    });
}

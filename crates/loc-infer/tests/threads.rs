//! One localizer, many threads: each gets the same results as a single thread, bit for bit.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "native")]

mod common;

use common::model::Model;
use common::threads::exact;
use common::{encode, jpeg_of, photo};
use image::ImageFormat;
use loc_infer::{ImageSize, Limits, Localizer};

const THREADS: usize = 8;
const PHOTOS: u32 = 500;

/// Small photos of many sizes; of every ten one is truncated, one is a web page, one is empty, one is too large.
fn photos() -> Vec<Vec<u8>> {
    let one = |i: u32| {
        let image = photo(17 + i % 23, 19 + i % 31, i);
        match i % 10 {
            3 => {
                let complete = jpeg_of(&image);
                complete[..complete.len() * 3 / 4].to_vec()
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
fn eight_threads_get_the_same_results_as_one() {
    let model = Model::of(ImageSize { width: 188, height: 188 }, &["cat", "dog"], 4);
    let limits = Limits { max_width: 100, ..Limits::default() };
    let localizer = Localizer::from_bytes(&model.file()).unwrap().with_limits(limits);
    let photos = photos();
    let expected: Vec<String> = photos.iter().map(|bytes| exact(localizer.predict_encoded(bytes))).collect();
    let failed = expected.iter().filter(|exact| exact.starts_with("error: ")).count();
    assert_eq!(failed, PHOTOS as usize * 4 / 10, "only the invalid photos fail");

    std::thread::scope(|scope| {
        let together: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (localizer, photos, expected) = (&localizer, &photos, &expected);
                scope.spawn(move || {
                    // Each thread starts at another photo, and every second one predicts batches.
                    let from = thread * photos.len() / THREADS;
                    let order: Vec<usize> = (0..photos.len()).map(|i| (from + i) % photos.len()).collect();
                    for chunk in order.chunks(if thread % 2 == 0 { 1 } else { 48 }) {
                        let batch: Vec<&[u8]> = chunk.iter().map(|i| &photos[*i][..]).collect();
                        let results = match batch[..] {
                            [one] => vec![localizer.predict_encoded(one)],
                            _ => localizer.predict_batch(&batch),
                        };
                        for (i, result) in chunk.iter().zip(results) {
                            assert_eq!(exact(result), expected[*i], "thread {thread}, photo {i}");
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

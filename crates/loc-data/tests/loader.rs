//! Batches: what is in them, and that neither the number of workers nor the order of preparation changes a byte.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, encoded, jpeg_with_orientation, voc};
use image::ImageFormat;
use loc_data::{Augment, Batch, Dataset, Loader, PhotoCache, PhotoStore, ReadOptions};
use loc_infer::preprocess::{decode, fit, prepare};
use loc_infer::{Decode, Fit, ImageSize, InputSpec, Limits, Window};

/// `n` photos of different sizes, two of them turned by EXIF.
fn set(n: u32) -> (Folder, Dataset) {
    let folder = Folder::new();
    for i in 0..n {
        let (width, height) = (40 + i, 60 - i);
        let turned = i % 5 == 3;
        let bytes = if turned {
            jpeg_with_orientation(height, width, 6)
        } else {
            encoded(width, height, ImageFormat::Jpeg)
        };
        folder.write(&format!("images/{i:02}.jpg"), bytes);
        let class = ["cat", "dog", "fox"][i as usize % 3];
        let xml = voc(&format!("{i:02}.jpg"), (width, height), &[(class, [4.0, 6.0, 20.0, 30.0])]);
        folder.write(&format!("annotations/{i:02}.xml"), xml);
    }
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    (folder, set)
}

fn input(side: u32, fit: Fit) -> InputSpec {
    InputSpec { size: ImageSize { width: side, height: side }, fit, ..InputSpec::default() }
}

fn all(set: &Dataset) -> Vec<usize> {
    (0..set.samples.len()).collect()
}

fn collected(batches: loc_data::Batches) -> Vec<Batch> {
    batches.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_batch_is_what_prediction_would_see() {
    let (_folder, set) = set(7);
    for mode in [Fit::Stretch, Fit::Letterbox] {
        let spec = input(32, mode);
        let loader = Loader::new(&set, &all(&set), spec, 2).unwrap();
        let batches = collected(loader.in_order(3));
        assert_eq!(
            batches.iter().map(|b| b.labels.len()).collect::<Vec<_>>(),
            [3, 3, 1],
            "the last one is kept"
        );
        for batch in batches {
            assert_eq!(batch.images.dim(), (batch.labels.len(), 32, 32, 3));
            for (row, index) in batch.indices.iter().enumerate() {
                let sample = &set.samples[*index];
                let photo = decode(&fs_err::read(&sample.image).unwrap(), &Limits::default()).unwrap();
                let (image, frame) = fit(std::borrow::Cow::Owned(photo.rgb), &spec);
                let row_image = batch.images.index_axis(ndarray::Axis(0), row);
                assert!(row_image.iter().eq(image.as_raw()), "{}", sample.file);
                assert_eq!(batch.boxes.row(row).to_vec(), frame.to_input(sample.object.unwrap().bbox).xyxy());
                assert_eq!(batch.labels[row] as usize, sample.object.unwrap().class);
            }
        }
    }
}

#[test]
fn large_photos_are_what_prediction_would_see_wherever_they_are_kept() {
    let (folder, set) = set(6);
    let of = |decode, cache| {
        let (set, store) = stored(&folder, cache, InputSpec { decode, ..input(8, Fit::Letterbox) });
        let loader = Loader::from_store(&set, &all(&set), &store, 2).unwrap();
        collected(loader.in_order(6)).remove(0)
    };
    let batch = of(Decode::Reduced, PhotoCache::None);
    let spec = InputSpec { decode: Decode::Reduced, ..input(8, Fit::Letterbox) };
    for (row, sample) in set.samples.iter().enumerate() {
        let bytes = fs_err::read(&sample.image).unwrap();
        let expected = prepare(&bytes, &Limits::default(), &spec).unwrap();
        assert_eq!(expected.frame.original, sample.size);
        let image = batch.images.index_axis(ndarray::Axis(0), row);
        assert!(image.iter().eq(expected.input.as_raw()), "{}", sample.file);
        let bbox = expected.frame.to_input(sample.object.unwrap().bbox);
        assert_eq!(batch.boxes.row(row).to_vec(), bbox.xyxy());
    }
    for cache in [PhotoCache::Ram, PhotoCache::Disk, PhotoCache::Disk] {
        assert!(of(Decode::Reduced, cache) == batch, "{cache:?}");
    }
    // Photos decoded in full are other pixels, in a file of their own.
    let full = of(Decode::Full, PhotoCache::None);
    assert!(full.images != batch.images && full.boxes == batch.boxes);
    assert!(of(Decode::Full, PhotoCache::Disk) == full);
    assert_eq!(fs_err::read_dir(folder.path().join("cache")).unwrap().count(), 2);
}

#[test]
fn an_epoch_has_every_sample_once_in_an_order_of_its_own() {
    let (_folder, set) = set(20);
    let loader = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 1).unwrap();
    let order = |seed, epoch| -> Vec<usize> {
        collected(loader.epoch(seed, epoch, 8, &Augment::default()))
            .into_iter()
            .flat_map(|b| b.indices)
            .collect()
    };
    let first = order(1, 0);
    let mut sorted = first.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, all(&set));
    assert_eq!(first, order(1, 0));
    assert_ne!(first, order(1, 1));
    assert_ne!(first, order(2, 0));
    assert_ne!(order(1, 2), order(2, 1));
}

#[test]
fn bytes_do_not_depend_on_the_workers() {
    let (_folder, set) = set(12);
    let run = |workers| {
        let loader = Loader::new(&set, &all(&set), input(24, Fit::Stretch), workers).unwrap();
        (collected(loader.epoch(3, 5, 5, &Augment::default())), loader.mean_and_std().unwrap())
    };
    let one = run(1);
    for workers in [2, 3, 8, 0] {
        assert_eq!(one, run(workers), "{workers} workers");
    }
}

#[test]
fn rows_of_a_batch_are_those_of_the_whole_one() {
    let (_folder, set) = set(11);
    let loader = Loader::new(&set, &all(&set), input(32, Fit::Stretch), 2).unwrap();
    let moved = Augment { flip: 0.5, window: [0.5, 1.2], mix: 0.5, ..Augment::default() };
    for augment in [Augment::default(), moved] {
        let whole = collected(loader.epoch(1, 2, 4, &augment));
        let middle = collected(loader.with_rows(|n| n / 4..n / 2).epoch(1, 2, 4, &augment));
        assert_eq!(whole.len(), middle.len());
        for (whole, part) in whole.into_iter().zip(middle) {
            let n = whole.labels.len();
            let rows = whole.images.slice(ndarray::s![n / 4..n / 2, .., .., ..]).to_owned();
            assert_eq!(part, Batch { images: rows, ..whole }, "a batch of {n}");
        }
    }
}

#[test]
fn the_order_is_pinned() {
    // A change here changes every training run: it belongs in the changelog.
    let (_folder, set) = set(10);
    let loader = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 1).unwrap();
    let order: Vec<usize> =
        collected(loader.epoch(0, 0, 10, &Augment::default())).into_iter().flat_map(|b| b.indices).collect();
    assert_eq!(order, PINNED);
}
const PINNED: [usize; 10] = [0, 5, 9, 7, 3, 1, 2, 8, 6, 4];

#[test]
fn a_part_of_the_set_keeps_its_indices() {
    let (_folder, set) = set(6);
    let loader = Loader::new(&set, &[5, 1, 3], input(16, Fit::Stretch), 1).unwrap();
    assert_eq!((loader.len(), loader.is_empty()), (3, false));
    assert_eq!(collected(loader.in_order(9))[0].indices, [5, 1, 3]);
    let none = Loader::new(&set, &[], input(16, Fit::Stretch), 1).unwrap();
    assert!(none.is_empty());
    assert_eq!(none.epoch(0, 0, 4, &Augment::default()).count(), 0);
    assert_eq!(none.mean_and_std().unwrap(), ([0.0; 3], [1.0; 3]));
}

#[test]
fn leaving_an_epoch_early_ends_its_thread() {
    let (_folder, set) = set(12);
    let loader = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 1).unwrap();
    for taken in 0..4 {
        let mut batches = loader.epoch(0, taken, 1, &Augment::default());
        assert_eq!(batches.len(), 12);
        for _ in 0..taken {
            batches.next().unwrap().unwrap();
        }
        // Dropping joins the thread: this test would hang if it waited for a taker.
        drop(batches);
    }
}

#[test]
fn mean_and_deviation_are_those_of_the_pixels() {
    let (_folder, set) = set(5);
    let loader = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 2).unwrap();
    let (mean, std) = loader.mean_and_std().unwrap();
    for channel in 0..3 {
        let values: Vec<f64> = collected(loader.in_order(2))
            .iter()
            .flat_map(|b| {
                b.images
                    .index_axis(ndarray::Axis(3), channel)
                    .iter()
                    .map(|v| f64::from(*v) / 255.0)
                    .collect::<Vec<_>>()
            })
            .collect();
        let n = f64::from(u32::try_from(values.len()).unwrap());
        let m = values.iter().sum::<f64>() / n;
        let s = (values.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n).sqrt();
        assert!((f64::from(mean[channel]) - m).abs() < 1e-6);
        assert!((f64::from(std[channel]) - s).abs() < 1e-6);
    }
}

#[test]
fn errors_name_every_bad_photo() {
    let (folder, set) = set(6);
    let path = |i: u32| folder.path().join(format!("images/{i:02}.jpg"));
    let whole = fs_err::read(path(1)).unwrap();
    fs_err::write(path(1), &whole[..whole.len() / 2]).unwrap();
    fs_err::remove_file(path(4)).unwrap();
    fs_err::write(path(5), encoded(9, 9, ImageFormat::Jpeg)).unwrap();
    let message = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 2).unwrap_err().to_string();
    assert_eq!(message.lines().count(), 4, "{message}");
    for expected in ["01.jpg: JPEG cut short", "04.jpg: ", "05.jpg: is 9×9, was 45×55"] {
        assert!(message.contains(expected), "{message}\n{expected}");
    }
}

#[test]
fn arguments_out_of_range() {
    let (_folder, set) = set(2);
    let loader = Loader::new(&set, &all(&set), input(16, Fit::Stretch), 1).unwrap();
    let items: Vec<_> = loader.epoch(0, 0, 0, &Augment::default()).collect();
    assert_eq!(items.len(), 1);
    assert!(items[0].as_ref().unwrap_err().to_string().starts_with("batch is 0"));
    assert!(Loader::new(&set, &all(&set), input(0, Fit::Stretch), 1).is_err());
}

/// A data set that is read into a store; what its files are in.
fn stored(folder: &Folder, cache: PhotoCache, input: InputSpec) -> (Dataset, PhotoStore) {
    let store = PhotoStore::new(cache, input, Some(folder.path().join("cache")));
    let options = ReadOptions { store: Some(store.clone()), ..ReadOptions::default() };
    (Dataset::open(folder.path(), &options).unwrap(), store)
}

#[test]
fn batches_are_the_same_wherever_photos_are_kept() {
    let (folder, set) = set(11);
    let spec = input(24, Fit::Letterbox);
    let augment = Augment { flip: 0.5, window: [0.7, 1.1], mix: 0.5, cutout: 0.5, ..Augment::default() };
    let indices: Vec<usize> = (1..11).collect();
    let batches = |loader: &Loader| {
        let (mean, std) = loader.mean_and_std().unwrap();
        let ways =
            [loader.in_order(4), loader.epoch(3, 5, 4, &augment), loader.epoch(3, 6, 3, &Augment::default())];
        (ways.map(collected), mean, std)
    };
    let expected = batches(&Loader::new(&set, &indices, spec, 2).unwrap());
    // Twice on the disk: the second time the file is there.
    for (cache, workers) in [
        (PhotoCache::Ram, 2),
        (PhotoCache::Disk, 3),
        (PhotoCache::Disk, 1),
        (PhotoCache::None, 2),
        (PhotoCache::Auto, 1),
    ] {
        let (set, store) = stored(&folder, cache, spec);
        let loader = Loader::from_store(&set, &indices, &store, workers).unwrap();
        assert!(batches(&loader) == expected, "{cache:?}");
        assert_eq!(store.is_in_ram(), matches!(cache, PhotoCache::Ram | PhotoCache::Auto), "{cache:?}");
    }
    let files: Vec<_> = fs_err::read_dir(folder.path().join("cache")).unwrap().collect();
    assert_eq!(files.len(), 1, "one file");
    assert_eq!(
        fs_err::metadata(files[0].as_ref().unwrap().path()).unwrap().len(),
        256 + 11 * (36 + 3 * 24 * 24)
    );

    // Parts of photos.
    let windows: Vec<Window> =
        indices.iter().map(|i| Window::around(set.samples[*i].object.unwrap().bbox, 1.3)).collect();
    let of = |store: PhotoStore| {
        let loader = Loader::of_windows(&set, &indices, &windows, &store, 2).unwrap();
        collected(loader.epoch(1, 1, 4, &augment.flips_and_colours()))
    };
    assert!(of(PhotoStore::in_memory(spec)) == of(PhotoStore::on_demand(spec)));
}

#[test]
fn a_photo_that_is_not_kept_and_has_changed_ends_the_epoch_with_an_error() {
    let (folder, _) = set(6);
    let (set, store) = stored(&folder, PhotoCache::None, input(16, Fit::Stretch));
    let loader = Loader::from_store(&set, &all(&set), &store, 2).unwrap();
    fs_err::write(folder.path().join("images/04.jpg"), encoded(9, 9, ImageFormat::Jpeg)).unwrap();
    let batches: Vec<_> = loader.in_order(2).collect();
    assert_eq!(batches.len(), 3);
    let message = batches[2].as_ref().unwrap_err().to_string();
    assert!(batches[1].is_ok() && message.contains("04.jpg: is 9×9, was "), "{message}");

    // A photo that the file has is not needed any more.
    let (folder, _) = self::set(6);
    let (set, store) = stored(&folder, PhotoCache::Disk, input(16, Fit::Stretch));
    fs_err::remove_file(folder.path().join("images/02.jpg")).unwrap();
    let loader = Loader::from_store(&set, &all(&set), &store, 2).unwrap();
    assert!(loader.in_order(2).all(|batch| batch.is_ok()));
}

//! Statistics against numbers worked out by hand.

use loc_data::stats::{Stats, Summary, baseline};
use loc_data::{BBox, Dataset, ImageSize, LabelledObject, NormBox, Sample};

fn set(samples: &[(usize, (u32, u32), [f32; 4])]) -> Dataset {
    let samples = (0..).zip(samples).map(|(i, (class, (width, height), bbox))| Sample {
        image: format!("{i}.jpg").into(),
        file: format!("{i}.jpg"),
        size: ImageSize { width: *width, height: *height },
        object: Some(LabelledObject { class: *class, bbox: BBox::from(*bbox) }),
        subset: None,
        digest: [0; 32],
        group: None,
    });
    Dataset { root: ".".into(), classes: vec!["cat".into(), "dog".into()], samples: samples.collect() }
}

#[test]
fn of_three_photos() {
    let stats = Stats::of(&set(&[
        (0, (100, 100), [0.0, 0.0, 50.0, 50.0]),
        (1, (100, 100), [0.0, 0.0, 100.0, 100.0]),
        (1, (200, 100), [50.0, 25.0, 150.0, 75.0]),
    ]));
    assert_eq!(stats.samples, 3);
    assert_eq!(
        stats.classes.iter().map(|c| (c.name.as_str(), c.samples)).collect::<Vec<_>>(),
        [("cat", 1), ("dog", 2)]
    );
    assert_eq!((stats.width.min, stats.width.median, stats.width.max), (100.0, 100.0, 200.0));
    assert_eq!((stats.sizes[0].photos, stats.sizes[0].size.width), (2, 100));
    assert_eq!((stats.boxes.side.min, stats.boxes.side.median, stats.boxes.side.max), (0.5, 0.5, 1.0));
    assert_eq!((stats.boxes.centre_x.min, stats.boxes.centre_x.max), (0.25, 0.5));
    assert_eq!(stats.boxes.aspect.max, 2.0);
    // The median box is 0, 0, 0.75, 0.75; on the three: 4/9, 9/16, and (1/2 · 1/2) of 9/16 + 1/4 − 1/4.
    let baseline = stats.baseline.unwrap();
    assert_eq!(baseline.median_box.bbox, NormBox::new(0.0, 0.0, 0.75, 0.75));
    let expected = (4.0 / 9.0 + 9.0 / 16.0 + (0.25 / 0.5625)) / 3.0;
    assert!((baseline.median_box.mean_iou - expected).abs() < 1e-6, "{baseline:?}");
    assert_eq!((baseline.majority_class, baseline.majority_accuracy), (1, 2.0 / 3.0));
    assert_eq!((baseline.median_box.iou50, baseline.median_box.iou75), (1.0 / 3.0, 0.0));
    assert_eq!(baseline.localization_accuracy, 1.0 / 3.0);
}

#[test]
fn the_constant_answer_comes_from_one_part_and_is_judged_on_the_other() {
    let set = set(&[
        (0, (10, 10), [0.0, 0.0, 5.0, 5.0]),
        (0, (10, 10), [0.0, 0.0, 5.0, 5.0]),
        (1, (10, 10), [0.0, 0.0, 5.0, 5.0]),
        (1, (10, 10), [5.0, 5.0, 10.0, 10.0]),
    ]);
    let baseline = |from: &[usize], on: &[usize]| baseline(&set, from, on);
    let b = baseline(&[0, 1], &[2, 3]).unwrap();
    assert_eq!((b.majority_class, b.majority_accuracy), (0, 0.0));
    assert_eq!((b.median_box.mean_iou, b.median_box.iou75), (0.5, 0.5));
    assert_eq!(baseline(&[0, 2], &[0]).unwrap().majority_class, 0, "the first on a tie");
    assert!(baseline(&[], &[0]).is_none() && baseline(&[0], &[]).is_none());
}

#[test]
fn summaries_are_numpys() {
    // numpy.quantile([4, 1, 3, 2], [0, .25, .5, .75, 1])
    let s = Summary::of([4.0, 1.0, 3.0, 2.0].into_iter());
    assert_eq!((s.min, s.q1, s.median, s.q3, s.max, s.mean), (1.0, 1.75, 2.5, 3.25, 4.0, 2.5));
    assert!(Summary::of([].into_iter()).mean.is_nan());
    assert!(Stats::of(&set(&[])).baseline.is_none());
}

//! Drawing on photos of every size.

#![cfg(feature = "draw")]

mod common;

use common::photo;
use image::{Rgb, RgbImage};
use loc_infer::draw::{LabeledBox, color, draw, draw_outline};
use loc_infer::{BBox, Localization};
use proptest::prelude::*;

fn labeled(bbox: BBox, label: &str) -> LabeledBox {
    LabeledBox { bbox, label: label.into(), color: [230, 57, 70] }
}

/// The rectangle of pixels that drawing changed: left, top, right, bottom.
fn changed(before: &RgbImage, after: &RgbImage) -> Option<(u32, u32, u32, u32)> {
    before
        .enumerate_pixels()
        .filter(|(x, y, p)| after.get_pixel(*x, *y) != *p)
        .map(|(x, y, _)| (x, y, x + 1, y + 1))
        .reduce(|a, b| (a.0.min(b.0), a.1.min(b.1), a.2.max(b.2), a.3.max(b.3)))
}

#[test]
fn the_line_is_on_the_edges_of_the_box() {
    let before = RgbImage::from_pixel(400, 300, Rgb([90; 3]));
    let mut after = before.clone();
    draw(&mut after, &[labeled(BBox::new(100.0, 50.0, 300.0, 250.0), "")]);
    let red = Rgb([230, 57, 70]);
    for (x, y) in [(100, 150), (299, 150), (200, 50), (200, 249), (100, 50), (299, 249)] {
        assert_eq!(*after.get_pixel(x, y), red, "at {x}, {y}");
    }
    for (x, y) in [(90, 150), (110, 150), (200, 40), (200, 60), (200, 150), (0, 0), (399, 299)] {
        assert_eq!(after.get_pixel(x, y), before.get_pixel(x, y), "at {x}, {y}");
    }
    let (left, top, right, bottom) = changed(&before, &after).unwrap();
    assert!(left > 94 && top > 44 && right < 306 && bottom < 256, "{left} {top} {right} {bottom}");
}

#[test]
fn line_and_label_grow_with_the_photo() {
    let mut extents = Vec::new();
    for scale in [1, 2, 4, 8] {
        let before = RgbImage::from_pixel(250 * scale, 200 * scale, Rgb([90; 3]));
        let mut after = before.clone();
        let s = scale as f32;
        draw(&mut after, &[labeled(BBox::new(50.0 * s, 100.0 * s, 200.0 * s, 180.0 * s), "cat 0.93")]);
        let (_, top, _, _) = changed(&before, &after).unwrap();
        let line =
            (0..before.width()).filter(|x| *after.get_pixel(*x, 140 * scale) == Rgb([230, 57, 70])).count();
        extents.push((100 * scale - top, line));
    }
    assert!(
        extents.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1),
        "label heights, lines: {extents:?}"
    );
}

/// A label is as wide as its text and complete: near an edge it is moved, not cut.
#[test]
fn labels_stay_inside() {
    let size = (256.0, 256.0);
    let widths: Vec<u32> = [
        BBox::new(20.0, 100.0, 120.0, 200.0),
        BBox::new(0.0, 0.0, size.0, size.1),
        BBox::new(250.0, 2.0, 256.0, 10.0),
        BBox::new(250.0, 250.0, 256.0, 256.0),
        BBox::new(-500.0, -500.0, -400.0, -400.0),
        BBox::new(500.0, 500.0, 400.0, 400.0),
    ]
    .into_iter()
    .map(|bbox| {
        let mut image = RgbImage::from_pixel(256, 256, Rgb([90; 3]));
        let blue = LabeledBox { bbox, label: "dog 0.88".into(), color: [1, 2, 250] };
        draw(&mut image, &[blue]);
        // The row with the most pixels of the label's colour is in its padding.
        let row = |y: u32| (0..256).filter(|x| image.get_pixel(*x, y).0 == [1, 2, 250]).collect::<Vec<u32>>();
        let white = image.pixels().filter(|p| p.0.iter().all(|c| *c > 180)).count();
        assert!(white > 20, "{bbox:?}: there is text");
        (0..256).map(|y| row(y).len() as u32).max().unwrap()
    })
    .collect();
    assert!(widths[2..].iter().all(|w| *w >= 60), "{widths:?}");
}

#[test]
fn text_is_dark_on_light_colours_and_light_on_dark_ones() {
    for (colour, text) in
        [([246, 173, 34], [20; 3]), ([30, 121, 219], [255; 3]), ([255; 3], [20; 3]), ([0; 3], [255; 3])]
    {
        let mut image = RgbImage::from_pixel(512, 512, Rgb([90; 3]));
        draw(
            &mut image,
            &[LabeledBox {
                bbox: BBox::new(50.0, 200.0, 400.0, 400.0),
                label: "III 0.11".into(),
                color: colour,
            }],
        );
        assert!(image.pixels().any(|p| p.0 == text), "text colour on {colour:?}");
    }
}

#[test]
fn a_thin_outline_is_narrower_than_a_box() {
    let painted = |draw: &dyn Fn(&mut RgbImage)| {
        let mut image = RgbImage::from_pixel(400, 400, Rgb([128; 3]));
        draw(&mut image);
        image.pixels().filter(|p| p.0 != [128; 3]).count()
    };
    let bbox = BBox::new(50.0, 50.0, 300.0, 300.0);
    let thin = painted(&|image| draw_outline(image, bbox, color(0)));
    let thick = painted(&|image| {
        draw(image, &[LabeledBox { bbox, label: String::new(), color: color(0) }]);
    });
    assert!((4 * 250..=thick / 2).contains(&thin), "{thin} {thick}");
    let nan = BBox::new(f32::NAN, 0.0, 1.0, 1.0);
    assert_eq!(painted(&|image| draw_outline(image, nan, color(0))), 0);
}

#[test]
fn a_prediction_becomes_a_labelled_box() {
    let found = Localization {
        class: 1,
        name: "dog".into(),
        confidence: 0.876,
        presence: None,
        bbox: BBox::new(1.0, 2.0, 3.0, 4.0),
        expected_iou: None,
        outer: None,
        inner: None,
        novelty: None,
        probs: vec![0.124, 0.876],
        width: 10,
        height: 10,
    };
    assert_eq!(
        LabeledBox::of(&found),
        LabeledBox { bbox: found.bbox, label: "dog 0.88".into(), color: color(1) }
    );
    assert_ne!(color(0), color(1));
    assert_eq!(color(usize::MAX), color(usize::MAX % 10));
}

#[test]
fn nothing_to_draw_changes_nothing() {
    let before = photo(40, 30, 0);
    let mut after = before.clone();
    draw(&mut after, &[]);
    draw(&mut after, &[labeled(BBox::new(f32::NAN, 0.0, 10.0, 10.0), "cat")]);
    draw(&mut after, &[labeled(BBox::new(0.0, 0.0, f32::INFINITY, 10.0), "cat")]);
    assert_eq!(after, before);
    draw(&mut RgbImage::new(0, 0), &[labeled(BBox::new(0.0, 0.0, 1.0, 1.0), "cat")]);
}

#[test]
fn labels_in_any_script() {
    for label in [
        "貓 0.93",
        "кот 0.93",
        "🐱",
        "e\u{301}",
        "\u{202e}right to left",
        "a\nb\tc",
        "\0",
        "  ",
        "ﷺ",
        &"w".repeat(5000),
    ] {
        for side in [8, 64, 300] {
            let mut image = photo(side, side, 0);
            draw(&mut image, &[labeled(BBox::new(1.0, 1.0, 7.0, 7.0), label)]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn any_photo_any_box_any_label(
        (width, height) in prop_oneof![(1..=16u32, 1..=16u32), (1..=200u32, 1..=200u32), (1..=4u32, 1..=900u32)],
        edges in prop::array::uniform4(prop_oneof![-300.0..600.0f32, any::<f32>()]),
        label in prop_oneof!["[a-z]{0,12} 0\\.[0-9]{2}", any::<String>()],
    ) {
        let mut image = photo(width, height, 3);
        draw(&mut image, &[labeled(BBox::from(edges), &label)]);
        prop_assert_eq!(image.dimensions(), (width, height));
    }
}

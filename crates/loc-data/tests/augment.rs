//! Augmentation: the box of the moved photo is the moved box, drawn as a marker and found again.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use loc_data::augment::{Augment, ColourMap, Transform};
use loc_infer::NormBox;
use proptest::prelude::*;

const SIDE: usize = 96;

fn strong() -> Augment {
    Augment {
        flip: 0.5,
        window: [0.5, 1.6],
        aspect: 0.3,
        keep: 0.6,
        brightness: 0.2,
        contrast: 0.2,
        saturation: 0.3,
        tint: 0.1,
        grayscale: 0.2,
        cutout: 0.0,
        mix: 0.0,
    }
}

/// Black with a white rectangle.
fn detect(bbox: NormBox) -> Vec<u8> {
    let mut photo = vec![0; 3 * SIDE * SIDE];
    let [x1, y1, x2, y2] = bbox.xyxy().map(|v| (v * SIDE as f32).round() as usize);
    for y in y1..y2 {
        photo[3 * (y * SIDE + x1)..3 * (y * SIDE + x2)].fill(255);
    }
    photo
}

/// The smallest box around all pixels brighter than a threshold, in pixels.
fn found(photo: &[u8], threshold: u8) -> Option<[usize; 4]> {
    let bright = (0..SIDE * SIDE).filter(|i| photo[3 * i] > threshold);
    bright.fold(None, |found, i| {
        let (x, y) = (i % SIDE, i / SIDE);
        let [x1, y1, x2, y2] = found.unwrap_or([x, y, x, y]);
        Some([x1.min(x), y1.min(y), x2.max(x + 1), y2.max(y + 1)])
    })
}

/// The detect photo moved, its colours as they are.
fn moved(drawn: &Transform, bbox: NormBox) -> Vec<u8> {
    let mut out = vec![0; 3 * SIDE * SIDE];
    Transform { colour: None, ..*drawn }.apply(&detect(bbox), SIDE, SIDE, &mut out);
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn the_box_of_the_moved_photo_is_the_moved_box(
        seed in 0u64..1000, sample in 0usize..1000,
        x in 0usize..60, y in 0usize..60, w in 20usize..36, h in 20usize..36,
    ) {
        let side = SIDE as f32;
        let bbox = NormBox::new(x as f32 / side, y as f32 / side, (x + w) as f32 / side, (y + h) as f32 / side);
        let drawn = strong().draw(seed, 3, sample, Some(bbox));
        let expected = drawn.bbox(bbox).xyxy();
        // White is 255; the outside is 127, and so is half of an edge.
        let got = found(&moved(&drawn, bbox), 127).unwrap();
        for (edge, expected) in got.into_iter().zip(expected) {
            prop_assert!((edge as f32 - expected * side).abs() <= 1.3, "{got:?} where {expected} is right: {drawn:?}");
        }
        let [left, top, width, height] = drawn.window;
        let inside = |low: f32, high: f32, from: f32, size: f32| (high.min(from + size) - low.max(from)).max(0.0);
        let [x1, y1, x2, y2] = bbox.xyxy();
        let kept = inside(x1, x2, left, width) * inside(y1, y2, top, height) / ((x2 - x1) * (y2 - y1));
        prop_assert!(kept >= 0.599, "{kept} of the object is kept");
    }

    #[test]
    fn the_box_is_still_there_where_another_photo_shines_through(
        seed in 0u64..1000, sample in 0usize..1000, x in 0usize..60, y in 0usize..60,
    ) {
        let side = SIDE as f32;
        let bbox = NormBox::new(x as f32 / side, y as f32 / side, (x + 30) as f32 / side, (y + 30) as f32 / side);
        // Windows that stay within the photo, so that there is no grey beside black and white.
        let drawn = Augment { mix: 1.0, window: [0.5, 0.7], ..strong() }.draw(seed, 0, sample, Some(bbox));
        let mut photo = moved(&drawn, bbox);
        let noise: Vec<u8> = (0..photo.len()).map(|i| (i * 31 % 256) as u8).collect();
        let mix = drawn.mix.unwrap();
        mix.apply(&noise, &mut photo);
        let expected = drawn.bbox(bbox).xyxy();
        for (edge, expected) in found(&photo, 127).unwrap().into_iter().zip(expected) {
            prop_assert!((edge as f32 - expected * side).abs() <= 1.5, "{edge} where {expected} is right");
        }
        prop_assert!(photo.iter().any(|v| (1..90).contains(v)), "nothing shines through");
        for n in 2..5 {
            prop_assert!((0..n).all(|own| mix.other(own, n) < n && mix.other(own, n) != own));
        }
        prop_assert_eq!(mix.other(0, 1), 0);
    }

    #[test]
    fn a_cutout_leaves_half_of_the_object(seed in 0u64..1000, x in 0usize..60, y in 0usize..60) {
        let side = SIDE as f32;
        let bbox = NormBox::new(x as f32 / side, y as f32 / side, (x + 30) as f32 / side, (y + 30) as f32 / side);
        let drawn = Augment { cutout: 1.0, ..Augment::default() }.draw(seed, 0, 0, Some(bbox));
        prop_assert!(drawn.cutout.is_some());
        let white = moved(&drawn, bbox).chunks(3).filter(|p| p[0] == 255).count();
        prop_assert!((420..=900).contains(&white), "{white} of 900 pixels");
    }
}

#[test]
fn what_is_drawn_is_a_function_of_seed_epoch_and_sample() {
    let bbox = NormBox::new(0.2, 0.2, 0.8, 0.8);
    let draw = |seed, epoch, sample| strong().draw(seed, epoch, sample, Some(bbox));
    assert_eq!(draw(1, 2, 3), draw(1, 2, 3));
    for other in [draw(2, 2, 3), draw(1, 3, 3), draw(1, 2, 4)] {
        assert_ne!(draw(1, 2, 3), other);
    }
}

#[test]
fn nothing_changes_where_nothing_is_asked_for() {
    let augment = Augment::default();
    assert!(augment.is_off() && !strong().is_off());
    let bbox = NormBox::new(0.1, 0.2, 0.7, 0.9);
    let drawn = augment.draw(1, 2, 3, Some(bbox));
    let photo: Vec<u8> = (0..3 * SIDE * SIDE).map(|i| (i * 31 % 251) as u8).collect();
    let mut out = vec![0; photo.len()];
    drawn.apply(&photo, SIDE, SIDE, &mut out);
    assert_eq!((out, drawn.bbox(bbox)), (photo.clone(), bbox));
    // A mirror twice is none.
    let mirror = Transform { mirrored: true, ..drawn };
    let (mut once, mut twice) = (vec![0; photo.len()], vec![0; photo.len()]);
    mirror.apply(&photo, SIDE, SIDE, &mut once);
    mirror.apply(&once, SIDE, SIDE, &mut twice);
    assert_eq!(twice, photo);
    assert_ne!(once, photo);
}

#[test]
fn colours_change_as_asked() {
    let photo = [200, 100, 50].repeat(SIDE * SIDE);
    let of = |augment: Augment| {
        let mut out = vec![0; photo.len()];
        augment.draw(5, 0, 0, None).apply(&photo, SIDE, SIDE, &mut out);
        [out[0], out[1], out[2]]
    };
    let grey = of(Augment { grayscale: 1.0, ..Augment::default() });
    // 0.299 · 200 + 0.587 · 100 + 0.114 · 50
    assert_eq!(grey, [124; 3]);
    let [r, g, b] = of(Augment { brightness: 0.5, ..Augment::default() });
    assert!(
        r != 200 && (f32::from(r) / f32::from(g) - 2.0).abs() < 0.05 && g.abs_diff(2 * b) <= 1,
        "{r} {g} {b}"
    );
    let [r, g, b] = of(Augment { contrast: 0.5, ..Augment::default() });
    assert!((f32::from(r) - 127.5) / (f32::from(g) - 127.5) < -2.0 && b != 50, "{r} {g} {b}");
}

#[test]
fn what_surrounds_a_photo_stays_grey() {
    let photo = [200, 100, 50].repeat(SIDE * SIDE);
    let colour = Some(ColourMap { matrix: [[0.5; 3]; 3], offset: [30.0; 3] });
    let whole =
        Transform { window: [-0.5, -0.5, 2.0, 2.0], mirrored: false, colour, cutout: None, mix: None };
    let mut out = vec![0; photo.len()];
    whole.apply(&photo, SIDE, SIDE, &mut out);
    for (i, pixel) in out.as_chunks::<3>().0.iter().enumerate() {
        let (x, y) = (i % SIDE, i / SIDE);
        let inside = [x, y].iter().all(|v| (SIDE / 4..3 * SIDE / 4).contains(v));
        assert_eq!(*pixel, if inside { [205; 3] } else { [127; 3] }, "{x}, {y}");
    }
}

#[test]
fn values_out_of_range_are_named() {
    let wrong = |augment: Augment| augment.check().unwrap_err().key;
    assert_eq!(wrong(Augment { flip: 1.5, ..Augment::default() }), "flip");
    assert_eq!(wrong(Augment { cutout: f32::NAN, ..Augment::default() }), "cutout");
    assert_eq!(wrong(Augment { window: [0.0, 1.0], ..Augment::default() }), "window");
    assert_eq!(wrong(Augment { window: [1.2, 0.8], ..Augment::default() }), "window");
    strong().check().unwrap();
}

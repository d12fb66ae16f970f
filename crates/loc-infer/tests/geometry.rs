//! Properties of the geometry, for any size and any box.

mod common;

use loc_infer::{BBox, Fit, Frame, ImageSize, InputSpec, NormBox};
use proptest::prelude::*;

fn size(limit: u32) -> impl Strategy<Value = ImageSize> {
    // Small and large sizes, and very long shapes.
    let side = move || prop_oneof![1..=16u32, 1..=600u32, 1..=limit];
    (side(), side()).prop_map(|(width, height)| ImageSize { width, height })
}

fn frame() -> impl Strategy<Value = Frame> {
    (size(20_000), size(1_024), prop_oneof![Just(Fit::Stretch), Just(Fit::Letterbox)]).prop_map(
        |(original, size, fit)| Frame::of(original, &InputSpec { size, fit, ..InputSpec::default() }),
    )
}

/// Four fractions; some of them are 0 or 1.
fn fractions() -> impl Strategy<Value = [f32; 4]> {
    let fraction = || prop_oneof![4 => 0.0..=1.0f32, 1 => Just(0.0), 1 => Just(1.0)];
    [fraction(), fraction(), fraction(), fraction()]
}

fn any_box() -> impl Strategy<Value = BBox> {
    let edge = || prop_oneof![-50.0..400.0f32, Just(0.0), Just(100.0), -1e9..1e9f32];
    [edge(), edge(), edge(), edge()].prop_map(BBox::from)
}

fn distance(a: BBox, b: BBox) -> f32 {
    a.xyxy().iter().zip(b.xyxy()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// A thousandth of a pixel. A letterboxed photo of another shape covers only a part of 0..1, where one step of f32 is
/// more pixels.
fn tolerance(frame: &Frame) -> f32 {
    let (w, h) = (frame.input.width as f32, frame.input.height as f32);
    if frame.fit == Fit::Letterbox { 1e-3 * (w / h).max(h / w) } else { 1e-3 }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, ..ProptestConfig::default() })]

    #[test]
    fn mapping_to_the_input_and_back_returns_the_same_box(frame in frame(), fractions in fractions()) {
        let bbox = NormBox::from(fractions).to_pixels(frame.original);
        let input = frame.to_input(bbox);
        let back = frame.to_original(input);
        prop_assert!(distance(back, bbox) <= tolerance(&frame), "{bbox:?} became {input:?}, then {back:?}");
    }

    #[test]
    fn the_photo_is_inside_the_input(frame in frame()) {
        let ImageSize { width, height } = frame.original;
        let whole = BBox::new(0.0, 0.0, width as f32, height as f32);
        let inside = frame.to_input(whole);
        prop_assert_eq!(inside.clip(), inside);
        prop_assert!(inside.area() > 0.0);
        let (content, (left, top)) = frame.content();
        prop_assert!(left + content.width <= frame.input.width && top + content.height <= frame.input.height);
        if frame.fit == Fit::Letterbox {
            // One side is filled; the other keeps the aspect ratio to the nearest pixel.
            prop_assert!(content.width == frame.input.width || content.height == frame.input.height);
            let scale = (f64::from(frame.input.width) / f64::from(width)).min(f64::from(frame.input.height) / f64::from(height));
            for (got, side) in [(content.width, width), (content.height, height)] {
                prop_assert!((f64::from(got) - (f64::from(side) * scale).max(1.0)).abs() <= 0.5 + 1e-9);
            }
        } else {
            prop_assert_eq!(inside, NormBox::new(0.0, 0.0, 1.0, 1.0));
        }
    }

    #[test]
    fn fractions_and_pixels_are_inverse(size in size(20_000), fractions in fractions()) {
        let bbox = NormBox::from(fractions).to_pixels(size);
        prop_assert!(distance(bbox.to_norm(size).to_pixels(size), bbox) <= 1e-3);
    }

    #[test]
    fn order_and_clip_are_idempotent(bbox in any_box(), size in size(500)) {
        let ordered = bbox.ordered();
        prop_assert!(ordered.x1 <= ordered.x2 && ordered.y1 <= ordered.y2);
        prop_assert_eq!(ordered.ordered(), ordered);
        let clipped = ordered.clip(size);
        prop_assert_eq!(clipped.clip(size), clipped);
        prop_assert_eq!(clipped.ordered(), clipped);
        prop_assert!(clipped.x1 >= 0.0 && clipped.x2 <= size.width as f32);
        prop_assert!(clipped.y1 >= 0.0 && clipped.y2 <= size.height as f32);
        prop_assert!(clipped.area() <= ordered.area() * 1.000_001);
    }

    #[test]
    fn iou_is_symmetric_and_a_fraction(a in any_box(), b in any_box()) {
        let (a, b) = (a.ordered(), b.ordered());
        let iou = a.iou(&b);
        prop_assert!((0.0..=1.0).contains(&iou), "{iou}");
        prop_assert_eq!(iou, b.iou(&a));
        prop_assert_eq!(a.iou(&a), if a.area() > 0.0 { 1.0 } else { 0.0 });
        if iou > 0.0 {
            prop_assert!(a.x1 < b.x2 && b.x1 < a.x2 && a.y1 < b.y2 && b.y1 < a.y2);
        }
    }

    #[test]
    fn iou_does_not_depend_on_the_unit(a in fractions(), b in fractions(), size in size(2_000)) {
        let (a, b) = (NormBox::from(a).ordered(), NormBox::from(b).ordered());
        let in_pixels = a.to_pixels(size).iou(&b.to_pixels(size));
        // Tiny boxes lose precision in the conversion.
        let tolerance = if a.area().min(b.area()) > 1e-4 { 1e-2 } else { 1.0 };
        prop_assert!((in_pixels - a.iou(&b)).abs() <= tolerance, "{in_pixels} and {}", a.iou(&b));
    }
}

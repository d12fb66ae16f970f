//! The mosaic: as large as promised, every cell painted, its box in it.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "draw")]

mod common;

use common::{Folder, voc};
use loc_data::mosaic::{FINDING, Grid, augmented, findings, mosaic};
use loc_data::{Augment, Dataset, DiagnosticKind, ReadOptions};
use loc_infer::{ImageSize, InputSpec};

fn set(n: usize) -> (Folder, Dataset) {
    let folder = Folder::new();
    for i in 0..n {
        folder.annotated(&format!("images/{i}.jpg"), &format!("annotations/{i}.xml"));
    }
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    (folder, set)
}

#[test]
fn has_a_cell_for_each_sample() {
    let (_folder, set) = set(5);
    for (count, columns, expected) in [(5, 3, (3, 2)), (5, 9, (5, 1)), (1, 1, (1, 1)), (4, 2, (2, 2))] {
        let indices: Vec<usize> = (0..count).collect();
        let picture = mosaic(&set, &indices, Grid { columns, tile: 96 }).unwrap();
        assert_eq!(picture.dimensions(), (expected.0 * 100 + 4, expected.1 * 100 + 4));
    }
}

#[test]
fn draws_the_box_where_it_is() {
    let (_folder, set) = set(1);
    let picture = mosaic(&set, &[0], Grid { columns: 1, tile: 128 }).unwrap();
    // The photo of 64×48 is 128×96 in its cell, 4 + 16 from the top; the box's left edge lies at 2 · 10.
    let color = loc_infer::draw::color(0);
    let on_edge = (18..=28).any(|x| picture.get_pixel(x, 4 + 16 + 50).0 == color);
    assert!(on_edge, "no line of the colour {color:?} at the box's left edge");
}

#[test]
fn what_cannot_be_shown() {
    let (_folder, set) = set(1);
    for (indices, columns, cell) in
        [(&[][..], 1, 64), (&[0], 0, 64), (&[0], 1, 8), (&[0], 1, 30_000), (&[0], 1, u32::MAX)]
    {
        assert!(mosaic(&set, indices, Grid { columns, tile: cell }).is_err(), "{columns} {cell}");
    }
    fs_err::remove_file(&set.samples[0].image).unwrap();
    let message = mosaic(&set, &[0], Grid { columns: 1, tile: 64 }).unwrap_err().to_string();
    assert!(message.contains("0.jpg"), "{message}");
}

#[test]
fn augmented_samples_are_those_of_a_training() {
    let (_folder, set) = set(1);
    let size = ImageSize { width: 64, height: 64 };
    let (input, grid) = (InputSpec { size, ..InputSpec::default() }, Grid { columns: 1, tile: 64 });
    let color = loc_infer::draw::color(0);
    let columns_of_the_left_edge = |augment: &Augment| {
        let picture = augmented(&set, &[0], input, augment, 0, grid).unwrap();
        assert_eq!(picture.dimensions(), (72, 72));
        (0..72).filter(|x| picture.get_pixel(*x, 36).0 == color).collect::<Vec<u32>>()
    };
    // A photo of 64×48 with the box 10 to 40; flipped, the box is at 24 to 54.
    let plain = columns_of_the_left_edge(&Augment::default());
    let flipped = columns_of_the_left_edge(&Augment { flip: 1.0, ..Augment::default() });
    assert!(plain.iter().any(|x| (12..=16).contains(x)), "{plain:?}");
    assert!(flipped.iter().any(|x| (26..=30).contains(x)), "{flipped:?}");
}

#[test]
fn findings_are_photos_with_their_boxes_as_written() {
    let (folder, _) = set(2);
    for (name, bbox) in [("outside", [10.0, 8.0, 90.0, 40.0]), ("turned", [40.0, 8.0, 10.0, 40.0])] {
        folder.photo(&format!("images/{name}.jpg"), 64, 48);
        let xml = voc(&format!("{name}.jpg"), (64, 48), &[("cat", bbox)]);
        folder.write(&format!("annotations/{name}.xml"), xml);
    }
    folder.write("images/broken.jpg", b"\xff\xd8\xff\xe0 not a photo");
    folder.write("annotations/broken.xml", voc("broken.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    let found = loc_data::findings(folder.path(), &ReadOptions::default()).unwrap();
    let of = |name: &str| found.iter().find(|photo| photo.image.ends_with(name)).unwrap();
    assert!(of("broken.jpg").kinds.contains(&DiagnosticKind::PhotoDamaged), "{found:?}");
    assert!(of("outside.jpg").kinds.contains(&DiagnosticKind::BoxOutside), "{found:?}");
    assert_eq!(of("turned.jpg").boxes[0].1.xyxy(), [10.0, 8.0, 40.0, 40.0]);
    assert!(found.iter().all(|photo| !photo.kinds.is_empty()));
    let picture = findings(&found, Grid { columns: 5, tile: 128 }).unwrap();
    assert!(picture.pixels().filter(|pixel| pixel.0 == FINDING).count() > 100);
}

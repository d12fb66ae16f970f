//! The mosaic: as large as promised, every cell painted, its box in it.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]
#![cfg(feature = "draw")]

mod common;

use common::Folder;
use loc_data::mosaic::mosaic;
use loc_data::{Dataset, ReadOptions};

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
        let picture = mosaic(&set, &indices, columns, 96).unwrap();
        assert_eq!(picture.dimensions(), (expected.0 * 100 + 4, expected.1 * 100 + 4));
    }
}

#[test]
fn draws_the_box_where_it_is() {
    let (_folder, set) = set(1);
    let picture = mosaic(&set, &[0], 1, 128).unwrap();
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
        assert!(mosaic(&set, indices, columns, cell).is_err(), "{columns} {cell}");
    }
    fs_err::remove_file(&set.samples[0].image).unwrap();
    let message = mosaic(&set, &[0], 1, 64).unwrap_err().to_string();
    assert!(message.contains("0.jpg"), "{message}");
}

//! Valid annotations, spoilt at random: whatever comes of them, no panic, and every box of a sample is a box.

mod common;

use common::{Folder, object, voc};
use loc_data::check::check;
use loc_data::{Dataset, ReadOptions};
use proptest::prelude::*;
use proptest::sample::Index;

/// One change of a file's bytes.
#[derive(Debug, Clone)]
enum Change {
    Cut(Index),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, Index),
}

fn change() -> impl Strategy<Value = Change> {
    let piece = prop_oneof![
        Just(b"<".to_vec()),
        Just(b"NaN".to_vec()),
        Just(b"1e999".to_vec()),
        Just(b"-".to_vec()),
        Just(b",".to_vec()),
        Just(b"\"".to_vec()),
        Just(b"\n".to_vec()),
        Just(b"</object>".to_vec()),
        Just(b"<object>".to_vec()),
        Just(b"<!DOCTYPE a>".to_vec()),
        Just(b"&#0;".to_vec()),
        Just("\u{feff}".as_bytes().to_vec()),
        prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop_oneof![
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), any::<u8>()).prop_map(|(at, by)| Change::Flip(at, by)),
        (any::<Index>(), piece).prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Change::Repeat(a, b)),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let at = |index: &Index, len: usize| index.index(len + 1);
    match change {
        Change::Cut(i) => bytes.truncate(at(i, bytes.len())),
        Change::Flip(i, by) => {
            let place = at(i, bytes.len());
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= by;
            }
        }
        Change::Insert(i, piece) => {
            let place = at(i, bytes.len());
            bytes.splice(place..place, piece.iter().copied());
        }
        Change::Repeat(a, b) => {
            let (a, b) = (at(a, bytes.len()), at(b, bytes.len()));
            let piece = bytes[a.min(b)..a.max(b)].to_vec();
            bytes.extend(piece);
        }
    }
}

/// Reads the folder with both entry points; a sample that comes out is sound.
fn sound(folder: &Folder) {
    let options = ReadOptions::default();
    let report = check(folder.path(), &options, None);
    let opened = Dataset::open(folder.path(), &options);
    if let Ok(report) = &report {
        let has_any = report.samples > report.negatives;
        assert_eq!(report.errors() == 0 && has_any, opened.is_ok(), "{:?}", report.diagnostics);
        for diagnostic in &report.diagnostics {
            assert!(diagnostic.to_string().len() < 2_000, "{diagnostic}");
        }
    }
    for object in opened.iter().flat_map(|set| &set.samples).filter_map(|sample| sample.object) {
        let b = object.bbox;
        let inside = |v: f32| (0.0..=64.0).contains(&v);
        assert!(b.xyxy().into_iter().all(inside) && b.x1 < b.x2 && b.y1 < b.y2, "{b:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn xml(changes in prop::collection::vec(change(), 1..4)) {
        let second = object("dog", ["1", "2.5", "3e1", " 40 "].map(str::to_owned));
        let whole = voc("a.jpg", (64, 64), &[("cat", [1.0, 2.0, 30.0, 40.0])]);
        let mut bytes = whole.replace("</annotation>", &format!("{second}</annotation>")).into_bytes();
        changes.iter().for_each(|c| apply(&mut bytes, c));
        let folder = Folder::new();
        folder.photo("a.jpg", 64, 64);
        folder.write("a.xml", bytes);
        sound(&folder);
    }

    #[test]
    fn csv(changes in prop::collection::vec(change(), 1..4)) {
        let mut bytes = b"filename,width,height,class,xmin,ymin,xmax,ymax\na.jpg,64,64,cat,1,2,30,40\n\
            \"a.jpg\",64,64,\"dog\",1.5,2,3e1,40\n".to_vec();
        changes.iter().for_each(|c| apply(&mut bytes, c));
        let folder = Folder::new();
        folder.photo("a.jpg", 64, 64);
        folder.write("labels.csv", bytes);
        sound(&folder);
    }
}

#[test]
fn xml_cut_at_every_byte() {
    let whole = voc("a.jpg", (64, 64), &[("cat", [1.0, 2.0, 30.0, 40.0])]);
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 64);
    let end = whole.trim_end().len();
    for length in 0..end {
        folder.write("a.xml", &whole.as_bytes()[..length]);
        assert!(Dataset::open(folder.path(), &ReadOptions::default()).is_err(), "{length}");
    }
    folder.write("a.xml", &whole.as_bytes()[..end]);
    Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
}

//! What can be read in two ways: boxes in other units, EXIF, sizes that say nothing. It is refused, or asked about, never
//! read in silence.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, jpeg_with_orientation, turned_jpeg, voc};
use image::{Rgb, RgbImage};
use loc_data::check::{Report, check};
use loc_data::{BBox, DataError, Dataset, DiagnosticKind, Exif, OpenedDataset, ReadOptions, Severity};

const HEADER: &str = "filename,width,height,class,xmin,ymin,xmax,ymax";

/// Photos `0.jpg`, `1.jpg`, … of 64×48 with a box each, annotated by VOC and by CSV.
fn both(boxes: &[[f32; 4]]) -> [Folder; 2] {
    let [xmls, table] = [Folder::new(), Folder::new()];
    let mut csv = format!("{HEADER}\n");
    for (i, bbox) in boxes.iter().enumerate() {
        let name = format!("{i}.jpg");
        xmls.photo(&name, 64, 48);
        table.photo(&name, 64, 48);
        xmls.write(&format!("{i}.xml"), voc(&name, (64, 48), &[("cat", *bbox)]));
        let [x1, y1, x2, y2] = bbox;
        csv += &format!("{name},64,48,cat,{x1},{y1},{x2},{y2}\n");
    }
    table.write("labels.csv", csv);
    [xmls, table]
}

fn checked(folder: &Folder) -> Report {
    check(folder.path(), &ReadOptions::default(), None).unwrap()
}

/// Of a kind how many, and the first without the folder's name.
fn of_kind(report: &Report, kind: DiagnosticKind, folder: &Folder) -> (usize, String) {
    let found: Vec<_> = report.diagnostics.iter().filter(|f| f.kind == kind).collect();
    let prefix = format!("{}/", folder.path().display());
    (found.len(), found.first().map(|f| f.to_string().replace(&prefix, "")).unwrap_or_default())
}

#[test]
fn fractions_are_refused_by_file() {
    let folders = both(&[[0.1, 0.2, 0.5, 0.75], [0.0, 0.0, 1.0, 1.0], [0.25, 0.5, 0.75, 0.9]]);
    for (folder, count, expected) in [
        (
            &folders[0],
            3,
            "0.xml:12: the box: these look like fractions of the photo's size (0..1), pixels are needed (hint: ",
        ),
        (
            &folders[1],
            1,
            "labels.csv:2: all 3 boxes: these look like fractions of the photo's size (0..1), pixels are needed (hint: ",
        ),
    ] {
        let report = checked(folder);
        let (found, first) = of_kind(&report, DiagnosticKind::BoxUnits, folder);
        assert_eq!((found, report.errors(), report.samples), (count, count, 0), "{:#?}", report.diagnostics);
        assert!(first.starts_with(expected), "{first}");
        let error = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err();
        assert!(matches!(error, DataError::Defects { .. }), "{error}");
    }
}

#[test]
fn a_small_box_among_others_is_a_small_box() {
    for folder in &both(&[[0.0, 0.0, 1.0, 1.0], [1.0, 2.0, 30.0, 40.0], [0.0, 0.0, 64.0, 48.0]]) {
        let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
        assert_eq!(set.samples[0].object.unwrap().bbox, BBox::new(0.0, 0.0, 1.0, 1.0));
        assert_eq!(set.samples.len(), 3);
    }
}

#[test]
fn width_and_height_in_the_place_of_a_corner() {
    let folders = both(&[[10.0, 20.0, 40.0, 24.0], [40.0, 30.0, 20.0, 10.0], [30.0, 10.0, 25.0, 30.0]]);
    for (folder, count, expected) in [
        (&folders[0], 3, "0.xml:12: in 2 of 3 boxes xmax is below xmin or ymax below ymin"),
        (&folders[1], 1, "labels.csv:2: in 2 of 3 boxes xmax is below xmin or ymax below ymin"),
    ] {
        let report = checked(folder);
        let (found, first) = of_kind(&report, DiagnosticKind::BoxUnits, folder);
        assert_eq!((found, report.errors(), report.samples), (count, count, 0), "{:#?}", report.diagnostics);
        assert!(first.starts_with(expected) && first.contains("are these x, y, width, height?"), "{first}");
    }
    let one = both(&[[10.0, 20.0, 40.0, 24.0], [40.0, 30.0, 20.0, 40.0], [1.0, 2.0, 64.0, 48.0]]);
    for folder in &one {
        let report = checked(folder);
        assert_eq!(of_kind(&report, DiagnosticKind::BoxUnits, folder).0, 0, "one is a slip");
        assert_eq!((of_kind(&report, DiagnosticKind::BoxEmpty, folder).0, report.samples), (1, 2));
    }
}

/// A red corner, annotated on the stored pixels of each orientation, is the red corner of the upright photo.
#[test]
fn boxes_of_stored_pixels_are_turned_with_them() {
    let upright = RgbImage::from_fn(64, 48, |x, y| {
        if (8..24).contains(&x) && y < 16 { Rgb([250, 5, 5]) } else { Rgb([10, 60, 200]) }
    });
    for orientation in 1..=8 {
        let (bytes, stored) = turned_jpeg(&upright, orientation);
        let red: Vec<(u32, u32)> =
            stored.enumerate_pixels().filter(|(.., p)| p.0[0] > 128).map(|(x, y, _)| (x, y)).collect();
        let ((x1, y1), (x2, y2)) = (red[0], red[red.len() - 1]);
        let (w, h) = stored.dimensions();
        let edges = [x1, y1, x2 + 1, y2 + 1];
        let folder = Folder::new();
        folder.write("a.jpg", &bytes);
        for declared in [Some((w, h)), None, Some((0, 0))] {
            let bbox = edges.map(|v| f32::from(u16::try_from(v).unwrap()));
            let xml = voc("a.jpg", declared.unwrap_or((1, 1)), &[("cat", bbox)]);
            let xml = if declared.is_some() { xml } else { xml.replace("size>", "was>") };
            folder.write("a.xml", xml);
            let [x1, y1, x2, y2] = edges;
            let size = declared.map_or(",".into(), |(w, h)| format!("{w},{h}"));
            folder.write("labels.csv", format!("{HEADER}\na.jpg,{size},cat,{x1},{y1},{x2},{y2}\n"));
            for format in [loc_data::Format::Voc, loc_data::Format::Csv] {
                let options =
                    ReadOptions { exif: Exif::AsStored, format: Some(format), ..ReadOptions::default() };
                let OpenedDataset { dataset, warnings, .. } =
                    Dataset::open_with_report(folder.path(), &options).unwrap();
                let sample = &dataset.samples[0];
                assert_eq!((sample.size.width, sample.size.height), (64, 48), "{orientation}");
                assert_eq!(
                    sample.object.unwrap().bbox,
                    BBox::new(8.0, 0.0, 24.0, 16.0),
                    "{orientation} {format}"
                );
                assert!(warnings.iter().all(|f| f.kind != DiagnosticKind::Orientation), "{warnings:?}");
            }
        }
        // Sizes are compared as stored.
        folder.write("a.xml", voc("a.jpg", (64, 48), &[("cat", [0.0, 0.0, 9.0, 9.0])]));
        let options = ReadOptions { exif: Exif::AsStored, ..ReadOptions::default() };
        let opened = Dataset::open(folder.path(), &options);
        assert_eq!(opened.is_ok(), orientation < 5, "{orientation}");
        if let Err(error) = opened {
            assert!(
                error.to_string().contains(
                    "(hint: that is the size of the upright photo (`ReadOptions::exif`: `Upright`))"
                ),
                "{error}"
            );
        }
    }
}

#[test]
fn where_exif_turns_a_photo_and_nothing_says_of_what_the_boxes_are() {
    // Orientation, stored size, declared size; whether nobody knows.
    let cases = [
        (1, (64, 48), Some((64, 48)), false),
        (1, (64, 48), None, false),
        (2, (64, 48), Some((64, 48)), true),
        (3, (64, 48), Some((64, 48)), true),
        (4, (64, 48), Some((64, 48)), true),
        (6, (64, 48), Some((48, 64)), false),
        (6, (64, 48), None, true),
        (6, (64, 48), Some((0, 0)), true),
        (5, (48, 48), Some((48, 48)), true),
        (8, (48, 48), Some((48, 48)), true),
    ];
    for (orientation, (w, h), declared, doubtful) in cases {
        let folder = Folder::new();
        folder.write("a.jpg", jpeg_with_orientation(w, h, orientation));
        let xml = voc("a.jpg", declared.unwrap_or((1, 1)), &[("cat", [1.0, 2.0, 30.0, 40.0])]);
        folder.write("a.xml", if declared.is_some() { xml } else { xml.replace("size>", "was>") });
        for (exif, asked) in [(Exif::Undecided, doubtful), (Exif::Upright, false)] {
            let options = ReadOptions { exif, ..ReadOptions::default() };
            let OpenedDataset { dataset, warnings, .. } =
                Dataset::open_with_report(folder.path(), &options).unwrap();
            assert_eq!(dataset.samples[0].object.unwrap().bbox, BBox::new(1.0, 2.0, 30.0, 40.0));
            let found = warnings.iter().filter(|f| f.kind == DiagnosticKind::Orientation).count();
            assert_eq!(found, usize::from(asked), "{orientation} {declared:?} {exif:?}: {warnings:?}");
        }
    }
}

#[test]
fn an_exchanged_size_is_called_that_and_exif_only_where_there_is_some() {
    for (orientation, exif, expected) in [
        (1, Exif::Undecided, "width and height are swapped: given as 48×64, the photo `a.jpg` is 64×48"),
        (3, Exif::Undecided, "width and height are swapped"),
        (3, Exif::AsStored, "width and height are swapped"),
        (
            6,
            Exif::Undecided,
            "the size is given as 64×48, the photo `a.jpg` is 48×64 (hint: EXIF rotates the photo",
        ),
        (6, Exif::Upright, "it was probably annotated as stored (`ReadOptions::exif`: `AsStored`)"),
    ] {
        let folder = Folder::new();
        folder.write("a.jpg", jpeg_with_orientation(64, 48, orientation));
        let declared = if orientation < 5 { (48, 64) } else { (64, 48) };
        folder.write("a.xml", voc("a.jpg", declared, &[("cat", [1.0, 2.0, 30.0, 40.0])]));
        let options = ReadOptions { exif, ..ReadOptions::default() };
        let message = Dataset::open(folder.path(), &options).unwrap_err().to_string();
        assert!(message.contains(expected), "{orientation}: {message}");
        assert_eq!(message.contains("EXIF"), orientation >= 5, "{message}");
    }
}

#[test]
fn a_size_of_zero_is_none() {
    let bbox = [1.0, 2.0, 30.0, 40.0];
    for size in [(0, 0), (64, 0), (0, 48)] {
        let [xmls, table] = [Folder::new(), Folder::new()];
        for folder in [&xmls, &table] {
            folder.photo("a.jpg", 64, 48);
        }
        xmls.write("a.xml", voc("a.jpg", size, &[("cat", bbox)]));
        let row = |(w, h): (u32, u32), x2| format!("a.jpg,{w},{h},cat,1,2,{x2},40\n");
        table.write("a.csv", format!("{HEADER}\n{}{}", row(size, 30), row(size, 20)));
        for folder in [&xmls, &table] {
            let OpenedDataset { dataset, warnings, .. } =
                Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
            assert_eq!(dataset.samples[0].object.unwrap().bbox, BBox::from(bbox));
            let said: Vec<&str> = warnings
                .iter()
                .filter(|f| f.kind == DiagnosticKind::SizeUnknown)
                .map(|f| f.message.as_str())
                .collect();
            let (w, h) = size;
            assert_eq!(said, [format!("the size is given as {w}×{h} and ignored")]);
        }
        // Another row of the photo knows its size, before or after.
        for rows in [[size, (64, 48)], [(64, 48), size]] {
            table.write("a.csv", format!("{HEADER}\n{}{}", row(rows[0], 30), row(rows[1], 20)));
            let opened = Dataset::open_with_report(table.path(), &ReadOptions::default()).unwrap();
            assert!(
                opened.warnings.iter().all(|f| f.kind == DiagnosticKind::ObjectsSeveral),
                "{:?}",
                opened.warnings
            );
        }
    }
}

#[test]
fn findings_of_a_file_are_bounded() {
    const ROWS: usize = 50_000;
    let all_wrong = |row: &str| {
        let folder = Folder::new();
        folder.photo("a.jpg", 64, 48);
        folder.write("labels.csv", format!("filename,class,xmin,ymin,xmax,ymax\n{}", row.repeat(ROWS)));
        check(&folder.path().join("labels.csv"), &ReadOptions::default(), None).unwrap()
    };
    // Rows that cannot be read: the file is left where a thousand were wrong.
    for row in ["a.jpg,c,1,1,x,y\n", "a,b\n", "a.jpg,c,,,,\n"] {
        let report = all_wrong(row);
        let errors = report.diagnostics.iter().filter(|f| f.severity == Severity::Error);
        assert!(errors.count() < 1_020, "{row}");
        let last = report.diagnostics.iter().find(|f| f.kind == DiagnosticKind::TooMany).unwrap();
        assert!(last.message.ends_with("more rows are not read"), "{last}");
        let left: usize = last.message.split(' ').rev().nth(5).unwrap().parse().unwrap();
        assert!((ROWS - 1_000..ROWS).contains(&left), "{last}");
        assert!(last.line.is_some_and(|line| line as usize == ROWS + 1 - left), "{last}");
    }
    // Rows that can be read, and are wrong.
    for row in ["a.jpg,c,1,1,0,0\n", "gone.jpg,c,1,1,2,2\n", "a.jpg,c,99,99,999,999\n"] {
        let report = all_wrong(row);
        assert!(report.diagnostics.len() < 2_010, "{row}: {}", report.diagnostics.len());
        assert_eq!(report.samples, 0);
    }
    let mut rows = String::from("filename,class,xmin,ymin,xmax,ymax\n");
    for i in 0..ROWS {
        rows += &format!("{i}.jpg,c,1,1,2,2\n");
    }
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    let csv = folder.write("labels.csv", rows);
    let report = check(&csv, &ReadOptions::default(), None).unwrap();
    assert!(report.diagnostics.len() < 1_010, "{}", report.diagnostics.len());
    let more = report.diagnostics.iter().find(|f| f.kind == DiagnosticKind::TooMany).unwrap();
    let count: usize = more.message.split(' ').next().unwrap().parse().unwrap();
    assert!((ROWS - 1_000..ROWS).contains(&count), "{more}");
}

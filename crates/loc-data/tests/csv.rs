//! CSV: headers, encodings, where the photos may lie, and what each defect is called.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::Folder;
use loc_data::check::check;
use loc_data::{BBox, Dataset, DiagnosticKind, Format, ReadOptions};

const TUTORIAL: &str = "filename,width,height,class_num,xmin,ymin,xmax,ymax";
const ROBOFLOW: &str = "filename,width,height,class,xmin,ymin,xmax,ymax";

/// Photos `a.jpg` and `b.jpg` in `images`, and `labels.csv` beside.
fn folder(csv: impl AsRef<[u8]>) -> Folder {
    let folder = Folder::new();
    folder.photo("images/a.jpg", 64, 48);
    folder.photo("images/b.jpg", 64, 48);
    folder.write("labels.csv", csv);
    folder
}

/// All diagnostics, without the folder's name.
fn diagnostics(csv: impl AsRef<[u8]>) -> Vec<String> {
    let folder = folder(csv);
    let prefix = format!("{}/", folder.path().display());
    let report = check(&folder.path().join("labels.csv"), &ReadOptions::default(), None).unwrap();
    report.diagnostics.iter().map(|f| f.to_string().replace(&prefix, "")).collect()
}

#[test]
fn headers_and_encodings() {
    let rows = "a.jpg,64,48,0,1.5,2,30,40\nb.jpg,64,48,1,5,6,64,48.0\n";
    let named = rows.replace(",0,", ",cat,").replace(",1,", ",dog,");
    let cases = [
        (format!("{TUTORIAL}\n{rows}"), ["0", "1"]),
        (format!("{ROBOFLOW}\n{named}"), ["cat", "dog"]),
        (format!("{ROBOFLOW}\n{rows}"), ["0", "1"]),
        (format!("\u{feff}{ROBOFLOW}\r\n{}", named.replace('\n', "\r\n")), ["cat", "dog"]),
        (format!("{ROBOFLOW}\n\n{}", named.trim_end()), ["cat", "dog"]),
        (
            "class,ymax,xmax,ymin,xmin,confidence,filename\ncat,40,30,2,1.5,0.9,a.jpg\n\"dog\",48,64,6,5,,\"b.jpg\"\n".into(),
            ["cat", "dog"],
        ),
        (format!("{ROBOFLOW}\n{named}").replace("64,48,cat", ",,cat"), ["cat", "dog"]),
        (format!("{ROBOFLOW}\n{named}").replace(',', ", ").replace(", cat", ",cat").replace(", dog", ",dog"), ["cat", "dog"]),
    ];
    let semicolons = format!("{ROBOFLOW}\n{named}").replace(',', ";");
    let dialects = [
        semicolons.clone(),
        semicolons.replace(';', "\t"),
        format!("sep=;\r\n{semicolons}"),
        format!("\u{feff}sep=;\n{semicolons}"),
        format!("sep=\t\n{}", semicolons.replace(';', "\t")),
        format!("sep=|\n{}", semicolons.replace(';', "|")),
        // As an old Mac wrote lines.
        semicolons.replace('\n', "\r"),
        format!("Filename,Width,HEIGHT,Class,XMin,yMin,XMAX,ymax\n{named}"),
        // Rows of blanks and of nothing but separators, as spreadsheets leave them.
        format!("{ROBOFLOW}\n\n{}   \n,,,,,,,\n\n", named.replace('\n', "\n,,,,,,,\n")),
        // A separator behind the last field.
        format!("{ROBOFLOW}\n{}", named.replace('\n', ",\n")),
        format!("{ROBOFLOW},\n{named}"),
        format!("{ROBOFLOW},,\n{}", named.replace('\n', ",,7\n")),
        format!(",{ROBOFLOW}\n0,{}", named.replace("\nb", "\n1,b")),
        // The columns of a row number and of a note are none of ours, and may stand twice.
        format!("note,note,{ROBOFLOW}\nx,y,{}", named.replace("\nb", "\n,,b")),
    ];
    let cases = cases.into_iter().chain(dialects.map(|csv| (csv, ["cat", "dog"])));
    for (csv, classes) in cases {
        let folder = folder(&csv);
        let set =
            Dataset::open(folder.path(), &ReadOptions::default()).unwrap_or_else(|e| panic!("{csv}: {e}"));
        assert_eq!(set.classes, classes, "{csv}");
        assert_eq!(set.samples[0].object.unwrap().bbox, BBox::new(1.5, 2.0, 30.0, 40.0), "{csv}");
        assert_eq!(set.samples[1].object.unwrap().class, 1, "{csv}");
    }
}

#[test]
fn numbers_are_named_by_the_list() {
    let folder = folder(format!("{TUTORIAL}\na.jpg,64,48,1,1,2,3,4\nb.jpg,64,48,0,1,2,3,4\n"));
    let classes = |list: &[&str]| Some(list.iter().map(|c| (*c).to_owned()).collect());
    let options = ReadOptions { classes: classes(&["cat", "dog"]), ..ReadOptions::default() };
    let set = Dataset::open(folder.path(), &options).unwrap();
    assert_eq!(
        (set.classes.as_slice(), set.samples[0].object.unwrap().class),
        (&["cat".to_owned(), "dog".to_owned()][..], 1)
    );
    let options = ReadOptions { classes: classes(&["cat"]), ..ReadOptions::default() };
    let message = Dataset::open(folder.path(), &options).unwrap_err().to_string();
    assert!(message.contains("labels.csv:2: class number 1, but 1 classes are named"), "{message}");
}

#[test]
fn finds_photos_beside_and_in_the_tree() {
    let header = "filename,class,xmin,ymin,xmax,ymax";
    for (csv, photo, name) in [
        ("labels.csv", "a.jpg", "a.jpg"),
        ("labels.csv", "images/a.jpg", "a.jpg"),
        ("labels.csv", "JPEGImages/a.jpg", "a.jpg"),
        ("labels.csv", "images/train/a.jpg", "a.jpg"),
        ("labels.csv", "images/a.jpg", "images/a.jpg"),
        ("labels.csv", "images/a.jpg", "images\\a.jpg"),
        ("labels.csv", "images/a.jpg", "./images/a.jpg"),
        ("labels.csv", "images/a.jpg", "/home/somebody/photos/a.jpg"),
        ("data/labels.csv", "images/a.jpg", "a.jpg"),
        ("data/labels.csv", "images/a.jpg", "../images/a.jpg"),
        ("set/dataset.csv", "set/dataset/images/a.jpg", "a.jpg"),
    ] {
        let folder = Folder::new();
        folder.photo(photo, 64, 48);
        let csv = folder.write(csv, format!("{header}\n{name},cat,1,2,3,4\n"));
        for path in [folder.path(), &csv] {
            let set = Dataset::open(path, &ReadOptions::default())
                .unwrap_or_else(|e| panic!("{photo} as {name}: {e}"));
            let real = fs_err::canonicalize(&set.samples[0].image).unwrap();
            assert_eq!(real, fs_err::canonicalize(folder.path().join(photo)).unwrap());
            assert_eq!(set.samples[0].file, "a.jpg");
        }
    }
}

#[test]
fn rows_of_one_photo_are_its_objects() {
    let folder = folder(format!(
        "{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\nb.jpg,64,48,cat,1,2,3,4\na.jpg,64,48,dog,1,2,60,40\n"
    ));
    let loc_data::OpenedDataset { dataset: set, warnings, .. } =
        Dataset::open_with_report(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 2);
    assert_eq!(set.samples[0].object.unwrap().class, 1);
    assert_eq!(warnings[0].message, "`a.jpg` has 2 objects: the largest is used");
}

#[test]
fn defects_name_record_and_line() {
    let good = "b.jpg,64,48,cat,1,2,3,4\n";
    let cases = [
        ("a.jpg,64,48,cat,NaN,2,3,4\n", "labels.csv:2: record 1: xmin `NaN` is not a number"),
        ("a.jpg,64,48,cat,1,inf,3,4\n", "labels.csv:2: record 1: ymin `inf` is not a number"),
        ("a.jpg,64,48,cat,1,2,1e999,4\n", "labels.csv:2: record 1: xmax `1e999` is too large"),
        ("a.jpg,64,48,cat,1,2,3,\n", "labels.csv:2: record 1: ymax is empty"),
        ("a.jpg,64,48,cat,\"1,5\",2,3,4\n", "labels.csv:2: record 1: xmin `1,5` has a comma"),
        ("a.jpg,64,48,cat,٣,2,3,4\n", "labels.csv:2: record 1: xmin `٣` is not a number"),
        ("a.jpg,6x,48,cat,1,2,3,4\n", "labels.csv:2: record 1: width `6x` is not a whole number from 0"),
        ("a.jpg,64,48, ,1,2,3,4\n", "labels.csv:2: record 1: class is empty"),
        (",64,48,cat,1,2,3,4\n", "labels.csv:2: record 1: filename is empty"),
        ("a.jpg,64,48,cat,1,2,3\n", "labels.csv:2: record 1: 7 fields where the header has 8"),
        ("a.jpg,64,48,cat,1,2,3,4,5\n", "labels.csv:2: record 1: 9 fields where the header has 8"),
        ("a.jpg,64,48,cat,3,2,1,4\n", "labels.csv:2: xmax 1 is less than xmin 3"),
        ("a.jpg,64,48,cat,1,2,99,4\n", "labels.csv:2: xmax 99 lies outside the photo, which is 64 wide"),
        ("a.jpg,65,48,cat,1,2,3,4\n", "labels.csv:2: the size is given as 65×48"),
        ("a.jpg,64,48,Cat,1,2,3,4\n", "labels.csv:3: class `cat`, but 1 object of `Cat`"),
        ("a.jpg,64,48,cat ,1,2,3,4\n", "labels.csv:2: class `cat ` begins or ends with a blank"),
        ("a.jpg,64,48,\"c\nat\",1,2,3,4\n", "labels.csv:2: record 1: class `c\\nat` holds a line break"),
        ("a.jpg,64,48,cat,\"1,234\",2,3,4\n", "labels.csv:2: record 1: xmin `1,234` has a comma"),
        ("a.jpg,64,48,cat,1,2,16777217,4\n", "labels.csv:2: xmax 16777216 lies outside the photo"),
        ("gone.jpg,64,48,cat,1,2,3,4\n", "labels.csv:2: the photo `gone.jpg` does not exist"),
        ("\"a\n.jpg\",64,48,cat,1,2,3,4\n", "labels.csv:2: the photo `a\\n.jpg` does not exist"),
    ];
    for (row, expected) in cases {
        let found = diagnostics(format!("{ROBOFLOW}\n{row}{good}"));
        let errors: Vec<&String> = found.iter().filter(|f| !f.contains("has no annotation")).collect();
        assert_eq!(errors.len(), 1, "{row}: {found:?}");
        assert!(errors[0].starts_with(expected), "{row}: {found:?}");
    }
}

#[test]
fn a_quote_that_is_not_closed_is_said() {
    let folder = folder(format!(
        "{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\n\"b.jpg,64,48,cat,1,2,3,4\nb.jpg,64,48,cat,1,2,3,4\n"
    ));
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    let expected =
        "labels.csv:3: record 2: 1 field where the header has 8, over 3 lines (hint: is a quote not closed?";
    assert!(message.contains(expected), "{message}");
}

#[test]
fn a_row_that_stands_twice_counts_once() {
    let row = "a.jpg,64,48,cat,1,2,30,40\n";
    let folder = folder(format!("{ROBOFLOW}\n{row}b.jpg,64,48,cat,1,2,3,4\n{row}{row}"));
    let options = ReadOptions { objects: loc_data::MultiObjectPolicy::Error, ..ReadOptions::default() };
    let opened = Dataset::open_with_report(folder.path(), &options).unwrap();
    assert_eq!(opened.dataset.samples.len(), 2);
    let said: Vec<String> = opened.warnings.iter().map(|f| f.message.clone()).collect();
    assert_eq!(said, ["`a.jpg` has the same object again, 2 times: it is used once"]);
}

#[test]
fn reading_goes_on_after_a_bad_row() {
    let mut csv = format!("{ROBOFLOW}\n").into_bytes();
    csv.extend(b"a.jpg,64,48,c\xe4t,1,2,3,4\n");
    csv.extend(b"short\n");
    csv.extend(b"\"quoted\nname\",64,48,cat,x,2,3,4\n");
    csv.extend(b"b.jpg,64,48,cat,1,2,3,y\n");
    let found = diagnostics(csv);
    let expected = [
        "labels.csv:2: record 1: is not UTF-8 in field 4 (hint: save the file as UTF-8, or give its encoding (`ReadOptions::encoding`, for example `gbk`))",
        "labels.csv:3: record 2: 1 field where",
        "labels.csv:4: record 3: xmin `x` is not a number",
        "labels.csv:6: record 4: ymax `y` is not a number",
    ];
    for expected in expected {
        assert!(found.iter().any(|f| f.starts_with(expected)), "{expected}: {found:#?}");
    }
}

#[test]
fn a_wrong_header_says_what_a_right_one_is() {
    let cases = [
        (
            "a,b\n1,2\n",
            "labels.csv:1: the header `a,b` has no column filename, xmin, ymin, xmax, ymax, class (hint: a header is filename,",
        ),
        (
            "filename|class|xmin|ymin|xmax|ymax\n",
            "the header `filename|class|xmin|ymin|xmax|ymax` has no column filename",
        ),
        (
            "filename;class;xmin;ymin;xmax\n",
            "the header `filename;class;xmin;ymin;xmax` has no column ymax (hint",
        ),
        (
            "image,photo,label,x1,y1,x2,y2\n",
            "has no column filename (hint: rename the columns: `image` to `filename`)",
        ),
        (
            "filename,class,x,y,w,h\n",
            "(hint: boxes as x, y, width, height are not read: write xmax = x + width, ymax = y + height)",
        ),
        ("filename,class,xmin,ymin,width,height\n", "(hint: boxes as x, y, width, height are not read"),
        (
            "a.jpg,64,48,cat,1,2,3,4\n",
            "(hint: the file seems to have no header: give its columns (`ReadOptions::columns`, for example \
             `filename,width,height,class,xmin,ymin,xmax,ymax`))",
        ),
        ("a.jpg,1,2,3,4,cat\n", "for example `filename,xmin,ymin,xmax,ymax,class`))"),
        ("a.jpg,1,2,3,4\n", "for example `filename,xmin,ymin,xmax,ymax`))"),
        ("filename,region_shape_attributes,region_attributes\n", "export it from VIA as COCO"),
        (
            "filename,class,xmin,ymin,xmax,ymax,xmin\n",
            "labels.csv:1: the header `filename,class,xmin,ymin,xmax,ymax,xmin` has the column xmin twice (hint: remove the one that is wrong)",
        ),
        ("filename,class,xmin,ymin,xmax,ymax, Class\n", "has the column class twice"),
        ("Filename,class,xmin,ymin,xmax,ymax,filename\n", "has the column filename twice"),
        ("filename;class;xmin;ymin;xmax;ymax;YMAX \n", "has the column ymax twice"),
        (
            "filename,xmin,ymin,xmax,ymax\n",
            "has no column class (hint: add the column; or, if all objects have one class, give it (`ReadOptions::class`))",
        ),
        ("", "labels.csv: is empty"),
        (" \n\n", "labels.csv: is empty"),
        (
            "# made by hand\nfilename,class,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,3,4\n",
            "(hint: line 2 looks like the header: remove the lines above it)",
        ),
    ];
    for (csv, expected) in cases {
        let found = diagnostics(csv);
        assert!(found[0].contains(expected), "{found:?}");
    }
    let wide = diagnostics(",".repeat(5_000_000));
    assert!(wide[0].contains("the first line has 5000001 fields, more than 1000 (hint: "), "{wide:?}");
    assert_eq!(diagnostics(format!("{ROBOFLOW}\n")), ["labels.csv: has a header but no rows"]);

    // In a folder it is not passed over.
    let folder = folder(format!("{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\n"));
    folder.write("more.csv", format!("{ROBOFLOW},XMIN\nb.jpg,64,48,cat,1,2,3,4,5\n"));
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("more.csv:1: the header"), "{message}");
}

#[test]
fn several_files_are_one_set_unless_they_overlap() {
    let folder = folder("filename,split\na.jpg,train\nb.jpg,val\n");
    folder.write("train.csv", format!("{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\n"));
    folder.write("test.csv", format!("{ROBOFLOW}\nb.jpg,64,48,dog,1,2,3,4\n"));
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 2);

    folder.write("all.csv", format!("{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\nb.jpg,64,48,dog,1,2,3,4\n"));
    let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("(hint: give the CSV file to use as the data set)"), "{message}");
    let set = Dataset::open(&folder.path().join("all.csv"), &ReadOptions::default()).unwrap();
    assert_eq!(set.samples.len(), 2);
}

#[test]
fn photos_without_a_row_are_named_for_a_folder_not_for_a_file() {
    let folder = folder(format!("{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\n"));
    let file = folder.path().join("labels.csv");
    for (path, expected) in [(folder.path(), vec!["b.jpg"]), (&file, vec![])] {
        let opened = Dataset::open_with_report(path, &ReadOptions::default()).unwrap();
        assert_eq!(opened.dataset.samples.len(), 1);
        let unannotated = opened.warnings.iter().filter(|f| f.kind == DiagnosticKind::PhotoUnannotated);
        let names: Vec<&str> = unannotated.map(|f| f.file.rsplit('/').next().unwrap()).collect();
        assert_eq!(names, expected);
    }
    let voc = ReadOptions { format: Some(Format::Voc), ..ReadOptions::default() };
    assert!(Dataset::open(&file, &voc).unwrap_err().to_string().contains("is a file"));
}

#[test]
fn sizes_of_one_photo_must_agree() {
    let found = diagnostics(format!(
        "{ROBOFLOW}\na.jpg,64,48,cat,1,2,3,4\na.jpg,32,48,cat,1,2,3,4\nb.jpg,64,48,cat,1,2,3,4\n"
    ));
    assert!(
        found.contains(&"labels.csv:3: `a.jpg` is 32×48 here and 64×48 in an earlier row (hint: a photo has one size; correct the row that is wrong)".to_owned()),
        "{found:?}"
    );
}

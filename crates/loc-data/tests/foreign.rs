//! Files that are something else than they were given as: each is named as what it is, with the way out.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, encoded, voc};
use image::ImageFormat;
use loc_data::{Dataset, Format, ReadOptions, split};

/// What people hand over, and how it is called.
fn foreign() -> Vec<(Vec<u8>, &'static str)> {
    let zip = |name: &str| {
        [b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", name.as_bytes()].concat()
    };
    vec![
        (encoded(8, 8, ImageFormat::Jpeg), "a JPEG photo"),
        (encoded(8, 8, ImageFormat::Png), "a PNG photo"),
        (zip("images/a.jpg"), "a ZIP archive"),
        (zip("xl/workbook.xml"), "an Excel workbook"),
        (zip("archive/data.pkl"), "a PyTorch file (.pth)"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n".to_vec(),
            "a Git LFS pointer",
        ),
        (b"{\"a\": [], \"b\": []}".to_vec(), "JSON"),
        (b"[{\"filename\": \"a.jpg\"}]".to_vec(), "JSON"),
        (b"<!DOCTYPE html><html>".to_vec(), "a web page (HTML)"),
        (b"<?xml version='1.0'?><rss/>".to_vec(), "XML"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3".to_vec(), "a PDF document"),
        (b"\x10\0\0\0\0\0\0\0{\"a\": 1}       ".to_vec(), "a model (safetensors)"),
    ]
}

#[test]
fn given_as_a_data_set() {
    for (bytes, name) in foreign() {
        let folder = Folder::new();
        folder.photo("a.jpg", 64, 48);
        let path = folder.write("data.csv", bytes);
        let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
        let expected = match name {
            "XML" => "data.csv: its root element is <rss>, not <annotation>".to_owned(),
            "JSON" => "of no known annotation format".to_owned(),
            _ => format!("data.csv: is {name}, not a data set (hint: "),
        };
        assert!(message.contains(&expected), "{message}");
        // In a folder without other annotations, likewise.
        let message = Dataset::open(folder.path(), &ReadOptions::default()).unwrap_err().to_string();
        assert!(message.contains(&format!("data.csv is {name} (hint: ")), "{message}");
        // Beside annotations it is none of ours.
        folder.write("labels.csv", "filename,class,xmin,ymin,xmax,ymax\na.jpg,cat,1,2,30,40\n");
        assert_eq!(Dataset::open(folder.path(), &ReadOptions::default()).unwrap().samples.len(), 1);
    }
}

#[test]
fn given_as_a_split_file() {
    let folder = Folder::new();
    folder.annotated("a.jpg", "a.xml");
    folder.annotated("b.jpg", "b.xml");
    let set = Dataset::open(folder.path(), &ReadOptions::default()).unwrap();
    for (bytes, name) in foreign() {
        let path = folder.write("split.csv", bytes);
        let message = split::read_csv(&path, &set).unwrap_err().to_string();
        assert!(message.contains(&format!("is {name}, not a split file (hint: ")), "{message}");
    }
    let text = "filename,split\na.jpg,train\nb.jpg,val\n";
    let wide: Vec<u8> = format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let path = folder.write("split.csv", wide);
    assert_eq!(split::read_csv(&path, &set).unwrap().val.len(), 1, "a mark says the encoding");
    let path = folder.write("split.csv", b"filename,split\na.jpg,train\nb.jpg,v\xe4l\n");
    let message = split::read_csv(&path, &set).unwrap_err().to_string();
    assert!(message.contains("record 2: is not UTF-8 (hint: save the file as UTF-8)"), "{message}");
    let path = folder.write("split.csv", format!("\u{feff}{text}"));
    assert_eq!(
        split::read_csv(&path, &set).unwrap().val.len(),
        1,
        "a mark of UTF-8 is no part of the header"
    );
    let path = folder.write("split.csv", format!("filename,split\n{}", "gone.jpg,val\n".repeat(50_000)));
    let message = split::read_csv(&path, &set).unwrap_err().to_string();
    assert!(message.contains("1001 problems") && message.contains("… and 981 more"), "{message}");
}

#[test]
fn given_by_an_ending_that_is_no_promise() {
    // XML of another kind, one annotation, and a table under a strange name.
    let folder = Folder::new();
    folder.annotated("images/a.jpg", "annotations/a.xml");
    let path = folder.path().join("annotations/a.xml");
    let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("is one annotation of many (hint: name the folder it lies in)"), "{message}");
    let path = folder.write("a.txt", voc("a.jpg", (64, 48), &[]));
    let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("a.txt: is one annotation of many (hint: "), "{message}");
    for ending in ["xml", "csv"] {
        let xml = "<?xml version='1.0'?>\n<annotations><version>1.1</version></annotations>";
        let path = folder.write(&format!("cvat.{ending}"), xml);
        let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
        let expected = "it is XML of CVAT (<annotations>), which is not read (hint: export it";
        assert!(message.contains(expected), "{message}");
    }
    let path = folder.write("page.xml", "<!DOCTYPE html><html>");
    let message = Dataset::open(&path, &ReadOptions::default()).unwrap_err().to_string();
    assert!(message.contains("page.xml: is a web page (HTML), not a data set (hint: "), "{message}");
    let path =
        folder.write("labels.tsv", "filename\tclass\txmin\tymin\txmax\tymax\na.jpg\tcat\t1\t2\t30\t40\n");
    let options = ReadOptions { format: Some(Format::Csv), ..ReadOptions::default() };
    assert_eq!(Dataset::open(&path, &options).unwrap().samples.len(), 1);
}

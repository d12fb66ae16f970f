//! Pascal VOC that is broken: what each defect of one annotation is called, and where it stands.

#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod common;

use common::{Folder, object, voc};
use loc_data::check::check;
use loc_data::{ReadOptions, Severity};

/// One photo `a.jpg` of 64×48 with this XML beside it; the errors, without the folder's name.
fn errors_of(xml: impl AsRef<[u8]>) -> Vec<String> {
    let folder = Folder::new();
    folder.photo("a.jpg", 64, 48);
    folder.write("a.xml", xml);
    let prefix = format!("{}/", folder.path().display());
    let diagnostics = check(folder.path(), &ReadOptions::default(), None).unwrap().diagnostics;
    let errors = diagnostics.iter().filter(|f| f.severity == Severity::Error);
    errors.map(|f| f.to_string().replace(&prefix, "")).collect()
}

#[test]
fn bad_numbers_name_line_field_and_value() {
    let cases = [
        ("NaN", "`NaN` is not a number"),
        ("inf", "`inf` is not a number"),
        ("1e999", "`1e999` is too large"),
        ("12,5", "`12,5` has a comma, decimals are written with a point"),
        ("", "is empty"),
        ("١٢", "`١٢` is not a number"),
        ("ten", "`ten` is not a number"),
    ];
    for (value, why) in cases {
        let edges = ["10".to_owned(), "12".to_owned(), value.to_owned(), "36".to_owned()];
        let xml = format!("<annotation>\n<filename>a.jpg</filename>\n{}</annotation>", object("cat", edges));
        let hint = "write it with ASCII digits and a point, such as 12.5";
        assert_eq!(errors_of(xml), [format!("a.xml:8: <xmax> {why} (hint: {hint})")]);
    }
    let all = object("cat", ["x", "NaN", "", "inf"].map(str::to_owned));
    let xml = format!("<annotation><filename>a.jpg</filename>{all}</annotation>");
    assert_eq!(errors_of(xml).len(), 4, "all at once");
}

#[test]
fn bad_boxes() {
    let cases = [
        ([40.0, 12.0, 10.0, 36.0], Some("xmax 10 is less than xmin 40")),
        ([10.0, 36.0, 40.0, 12.0], Some("ymax 12 is less than ymin 36")),
        ([10.0, 12.0, 10.0, 36.0], Some("the box has no width: xmin and xmax are 10")),
        ([10.0, 12.0, 40.0, 12.0], Some("the box has no height: ymin and ymax are 12")),
        ([-5.0, 12.0, 40.0, 36.0], Some("xmin -5 lies outside the photo, which is 64 wide")),
        ([10.0, -1.0, 40.0, 36.0], Some("ymin -1 lies outside the photo, which is 48 high")),
        ([10.0, 12.0, 65.0, 36.0], Some("xmax 65 lies outside the photo, which is 64 wide")),
        ([10.0, 12.0, 40.0, 1e6], Some("ymax 1000000 lies outside the photo, which is 48 high")),
        ([64.2, 12.0, 64.4, 36.0], Some("the box has no area inside the photo")),
        ([0.0, 0.0, 64.0, 48.0], None),
        ([-0.4, 0.0, 64.3, 48.0], None),
    ];
    for (bbox, expected) in cases {
        let errors = errors_of(voc("a.jpg", (64, 48), &[("cat", bbox)]));
        let expected: Vec<String> = expected
            .map(|e| format!("a.xml:12: {e} (hint: correct the box with the annotation tool)"))
            .into_iter()
            .collect();
        assert_eq!(errors, expected, "{bbox:?}");
    }
}

#[test]
fn missing_elements() {
    let boxed = object("cat", ["1", "2", "30", "40"].map(str::to_owned));
    let whole = format!("<annotation>\n<filename>a.jpg</filename>\n{boxed}</annotation>\n");
    let cases = [
        ("<name>cat</name>", "", "a.xml:3: <object> has no <name> (hint: it names the class)"),
        ("<name>cat</name>", "<name> </name>", "a.xml:4: <name> is empty (hint: it names the class)"),
        (
            "bndbox",
            "polygon",
            "a.xml:3: <object> has no <bndbox> (hint: only boxes are read, no polygons or masks)",
        ),
        (
            "<xmin>1</xmin>",
            "",
            "a.xml:5: <bndbox> has no <xmin> (hint: write it again with the annotation tool)",
        ),
        (
            "<ymax>40</ymax>",
            "<ymax/>",
            "a.xml:9: <ymax> is empty (hint: write it with ASCII digits and a point, such as 12.5)",
        ),
    ];
    for (from, to, expected) in cases {
        assert_eq!(errors_of(whole.replace(from, to)), [expected]);
    }
    let errors = errors_of(whole.replace("<filename>a.jpg</filename>", ""));
    assert_eq!(errors, ["a.xml:1: has no <filename> (hint: it names the photo)"]);
}

#[test]
fn what_must_stand_once_and_stands_twice() {
    let whole = voc("a.jpg", (64, 48), &[("cat", [1.0, 2.0, 30.0, 40.0])]);
    let bndbox = &whole[whole.find("<bndbox>").unwrap()..whole.find("</object>").unwrap()];
    let size = &whole[whole.find("<size>").unwrap()..whole.find("<object>").unwrap()];
    let cases = [
        ("<filename>a.jpg</filename>", "<filename> in <annotation>"),
        ("<width>64</width>", "<width> in <size>"),
        ("<height>48</height>", "<height> in <size>"),
        (size, "<size> in <annotation>"),
        ("<name>cat</name>", "<name> in <object>"),
        (bndbox, "<bndbox> in <object>"),
        ("<xmin>1</xmin>", "<xmin> in <bndbox>"),
        ("<ymin>2</ymin>", "<ymin> in <bndbox>"),
        ("<xmax>30</xmax>", "<xmax> in <bndbox>"),
        ("<ymax>40</ymax>", "<ymax> in <bndbox>"),
    ];
    for (element, expected) in cases {
        let (name, parent) = expected.split_once(" in ").unwrap();
        let errors = errors_of(whole.replacen(element, &format!("{element}\n{element}"), 1));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].contains(&format!("{name} occurs twice in {parent} (hint: ")), "{errors:?}");
    }
    // What is not read may stand as often as it likes, and parts of an object have names and boxes of their own.
    let part = format!("<part><name>ear</name>{bndbox}</part>");
    let more = whole.replace("</object>", &format!("{part}{part}<pose/><pose/></object><source/><source/>"));
    assert_eq!(errors_of(more), Vec::<String>::new());
}

#[test]
fn values_that_hold_elements() {
    let whole = voc("a.jpg", (64, 48), &[("cat", [1.0, 2.0, 30.0, 40.0])]);
    for (from, to, field) in [
        (">cat<", "><b>cat</b><", "<name>"),
        (">cat<", ">cat<b>dog</b><", "<name>"),
        (">1<", ">1<b>5</b><", "<xmin>"),
        (">a.jpg<", ">a.jpg<b/><", "<filename>"),
    ] {
        let errors = errors_of(whole.replace(from, to));
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(
            errors[0].contains(&format!("{field} holds an element, and should hold text alone")),
            "{errors:?}"
        );
    }
    let errors = errors_of(whole.replace(">cat<", ">c\na\tt<"));
    assert!(errors[0].contains("<name> `c\\na\\tt` holds a line break"), "{errors:?}");
    let errors = errors_of(whole.replace(">cat<", &format!(">{}<", "x".repeat(201))));
    assert!(errors[0].contains("is longer than 200 characters"), "{errors:?}");
}

#[test]
fn files_that_are_not_well_formed() {
    let whole = voc("a.jpg", (64, 48), &[("cat", [1.0, 2.0, 3.0, 4.0])]);
    let cut = "the file may be cut off; write it again with the annotation tool";
    let cases: Vec<(Vec<u8>, String)> = vec![
        (vec![], format!("a.xml: is empty (hint: {cut})")),
        (
            whole.as_bytes()[..whole.len() / 2].to_vec(),
            format!("a.xml:8:14: is not well-formed: the file ends inside an element (hint: {cut})"),
        ),
        (format!("{whole}{whole}").into_bytes(), "a.xml:20:1: is not well-formed: ".into()),
        (
            whole.replace("</name>", "</nam>").into_bytes(),
            "a.xml:11:12: is not well-formed: expected 'name' tag".into(),
        ),
        (whole.replace("cat", "&cat;").into_bytes(), "a.xml:11:9: is not well-formed: unknown entity".into()),
        (
            whole.replace("cat", "c\u{e4}t").chars().map(|c| c as u8).collect(),
            "a.xml:11:10: is not UTF-8 at byte".into(),
        ),
        (b"not: xml".to_vec(), "a.xml:1:1: is not well-formed: unknown token".into()),
        (b"{\"not\": \"xml\"}".to_vec(), "a.xml: is JSON, not an annotation in XML".into()),
        (b"\xff\xd8\xff\xe0\0\x10JFIF".to_vec(), "a.xml: is a JPEG photo, not an annotation in XML".into()),
        (b"<!doctype HTML><p>404".to_vec(), "a.xml: is a web page (HTML), not an annotation in XML".into()),
    ];
    for (bytes, expected) in cases {
        let errors = errors_of(&bytes);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(&expected), "{errors:?} {expected}");
    }
}

#[test]
fn hostile_files_are_refused_at_once() {
    let boxed = object("cat", ["1", "2", "30", "40"].map(str::to_owned));
    let body = format!("<annotation><filename>a.jpg</filename>{boxed}</annotation>");
    let laughs: String =
        (1..20).map(|i| format!("<!ENTITY l{i} \"{}\">", format!("&l{};", i - 1).repeat(10))).collect();
    let attributes: String = (0..80_000).map(|i| format!(" a{i}='1'")).collect();
    let cases = [
        (
            format!("<!DOCTYPE a [<!ENTITY l0 \"ha\">{laughs}]>{body}"),
            "a.xml:1: has a DOCTYPE, which is refused",
        ),
        (
            format!("<?xml version='1.0'?>\n<!DOCTYPE a SYSTEM \"file:///etc/passwd\">{body}"),
            "a.xml:2: has a DOCTYPE, which is refused",
        ),
        (format!("<!DOCTYPE annotation>{body}"), "a.xml:1: has a DOCTYPE, which is refused"),
        (format!("<annotation{attributes}></annotation>"), "a.xml: has more attributes"),
        (
            format!("<annotation>{}{}</annotation>", "<a>".repeat(20_000), "</a>".repeat(20_000)),
            "a.xml: has more than 10000 nodes",
        ),
        (format!("<annotation>{}</annotation>", "<a/>".repeat(20_000)), "a.xml: has more than 10000 nodes"),
        (format!("{body}<!--{}-->", " ".repeat(1 << 20)), "a.xml: is longer than 1 MiB"),
        (format!("<annotation>{}</annotation>", "<a/>".repeat(2_000_000)), "a.xml: is longer than 1 MiB"),
    ];
    for (xml, expected) in cases {
        let start = std::time::Instant::now();
        let errors = errors_of(&xml);
        assert_eq!(errors.len(), 1, "{errors:?}");
        assert!(errors[0].starts_with(expected), "{errors:?}");
        assert!(start.elapsed().as_secs() < 2, "{expected}: {:?}", start.elapsed());
    }
}

#[test]
fn deep_nesting_within_the_limit_does_not_overflow() {
    let nested = format!("{}{}", "<a>".repeat(9_000), "</a>".repeat(9_000));
    let errors = errors_of(format!("<annotation><filename>a.jpg</filename>{nested}</annotation>"));
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn the_photos_size_must_be_the_annotations() {
    let errors = errors_of(voc("a.jpg", (128, 96), &[("cat", [1.0, 2.0, 3.0, 4.0])]));
    assert_eq!(
        errors,
        [
            "a.xml:5: the size is given as 128×96, the photo `a.jpg` is 64×48 (hint: the photo was resized after it was \
          annotated, or is another one)"
        ]
    );
}

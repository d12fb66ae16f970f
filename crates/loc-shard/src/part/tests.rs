//! Tests of the files: what is written is read, the bytes are the same each time, and no change goes unseen.

use std::fs::File;
use std::io::{Read, Seek, Write};

use super::{GROUP, Label, PartLabel, Reader, Writer};
use crate::Row;

fn label() -> Label {
    let part = Some(PartLabel { plan: "p".repeat(64), shard: 3 });
    Label {
        schema: "loc.part/1".into(),
        model: "m".repeat(64),
        manifest: "l".into(),
        part,
        rows: 0,
        errors: 0,
    }
}

fn rows() -> Vec<Row> {
    let found = |i: u16| Row {
        path: format!("photos/größe {i}.jpg"),
        width: Some(640),
        height: Some(480),
        class: Some(1),
        name: Some("dog".into()),
        confidence: Some(0.1 + f32::from(i) / 100.0),
        x1: Some(-0.0),
        y1: Some(1.5),
        x2: Some(f32::MIN_POSITIVE),
        y2: Some(480.0),
        ..Row::default()
    };
    let absent = Row { path: "none.jpg".into(), presence: Some(0.25), width: Some(1), ..Row::default() };
    let failed = Row { path: "bad.jpg".into(), error: Some("is empty".into()), ..Row::default() };
    (0..20).map(found).chain([absent, failed]).collect()
}

fn written(rows: &[Row]) -> Vec<u8> {
    let mut file = tempfile::tempfile().unwrap();
    let mut writer = Writer::new(&file, label()).unwrap();
    rows.iter().for_each(|row| writer.push(row.clone()).unwrap());
    writer.finish().unwrap();
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn file(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn read(bytes: &[u8]) -> Option<(Vec<Row>, Label)> {
    let reader = Reader::open(file(bytes)).unwrap()?;
    Some((reader.groups().flat_map(Result::unwrap).collect(), reader.label))
}

#[test]
fn rows_are_read_as_they_were_written_and_the_bytes_are_the_same_each_time() {
    let bytes = written(&rows());
    assert_eq!(read(&bytes).unwrap(), (rows(), Label { rows: 22, errors: 1, ..label() }));
    assert!(bytes == written(&rows()));
    assert_eq!(read(&written(&[])).unwrap(), (vec![], label()));
}

#[test]
fn a_file_of_several_row_groups_is_read_in_order() {
    let all: Vec<Row> = (0..GROUP + 7).map(|i| Row { path: i.to_string(), ..Row::default() }).collect();
    assert!(read(&written(&all)).unwrap().0 == all);
}

#[test]
fn every_changed_byte_and_every_shorter_or_longer_file_is_seen() {
    let bytes = written(&rows());
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 1 << (at % 8);
        assert!(read(&changed).is_none(), "byte {at} of {}", bytes.len());
        assert!(at % 16 != 0 || read(&bytes[..at]).is_none(), "{at} bytes");
    }
    assert!(read(&[&bytes[..], b"x"].concat()).is_none());
    assert!(read(b"").is_none() && read(b"PAR1").is_none() && read(b"PAR1\xff\xff\xff\xffPAR1").is_none());
}

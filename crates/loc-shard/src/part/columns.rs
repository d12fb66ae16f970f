//! The columns, in their order: the only place that lists them.

use std::fmt::Write;

use crate::Row;

/// How a column is taken from a row, and put into one.
pub(super) enum Column {
    Text(fn(&Row) -> Option<&str>, fn(&mut Row, String)),
    Int(fn(&Row) -> Option<i32>, fn(&mut Row, i32)),
    Float(fn(&Row) -> Option<f32>, fn(&mut Row, f32)),
}

macro_rules! text {
    ($name:ident) => {
        (stringify!($name), Column::Text(|row| row.$name.as_deref(), |row, value| row.$name = Some(value)))
    };
}
macro_rules! number {
    ($kind:ident $name:ident) => {
        (stringify!($name), Column::$kind(|row| row.$name, |row, value| row.$name = Some(value)))
    };
}

/// The columns with an optional value. Before them stands `path`, after them `model`, the digest of the model.
pub(super) const OPTIONAL: [(&str, Column); 12] = [
    number!(Int width),
    number!(Int height),
    number!(Int class),
    text!(name),
    number!(Float confidence),
    number!(Float presence),
    number!(Float x1),
    number!(Float y1),
    number!(Float x2),
    number!(Float y2),
    number!(Float expected_iou),
    text!(error),
];

/// The schema, as Parquet writes it.
pub(super) fn schema() -> String {
    let mut text = String::from("message prediction {\n required binary path (STRING);\n");
    for (name, column) in &OPTIONAL {
        let kind = match column {
            Column::Text(..) => "binary",
            Column::Int(..) => "int32",
            Column::Float(..) => "float",
        };
        let logical = if matches!(column, Column::Text(..)) { " (STRING)" } else { "" };
        // Writing to a string cannot fail.
        let _ = writeln!(text, " optional {kind} {name}{logical};");
    }
    text + " required binary model (STRING);\n}"
}

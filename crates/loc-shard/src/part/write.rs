//! Writes rows. The bytes depend on the rows and the label only.

use std::fs::File;
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, FloatType, Int32Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;

use super::columns::{Column, OPTIONAL, schema};
use super::{GROUP, LABEL_KEY, Label, seal};
use crate::Row;

/// Writes one file of rows.
pub(crate) struct Writer {
    file: File,
    parquet: SerializedFileWriter<File>,
    /// The rows of the next row group.
    pending: Vec<Row>,
    label: Label,
}

impl Writer {
    /// Writes to an empty file; the label's numbers of rows and errors are counted here.
    pub(crate) fn new(file: &File, label: Label) -> Result<Self> {
        let properties = WriterProperties::builder()
            .set_created_by(format!("loc {}", env!("CARGO_PKG_VERSION")))
            .set_compression(Compression::SNAPPY);
        let schema = Arc::new(parse_message_type(&schema())?);
        let parquet = SerializedFileWriter::new(file.try_clone()?, schema, Arc::new(properties.build()))?;
        Ok(Self {
            file: file.try_clone()?,
            parquet,
            pending: Vec::new(),
            label: Label { rows: 0, errors: 0, ..label },
        })
    }

    /// Adds a row.
    pub(crate) fn push(&mut self, row: Row) -> Result<()> {
        self.label.rows += 1;
        self.label.errors += u64::from(row.error.is_some());
        self.pending.push(row);
        if self.pending.len() == GROUP { self.write_group() } else { Ok(()) }
    }

    /// Completes the file, and returns its label.
    pub(crate) fn finish(mut self) -> Result<Label> {
        self.write_group()?;
        let json = serde_json::to_string(&self.label).map_err(|e| ParquetError::External(Box::new(e)))?;
        for (key, value) in [(LABEL_KEY, json), (seal::KEY, seal::ZEROS.to_owned())] {
            self.parquet.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        self.parquet.close()?;
        seal::close(&mut self.file)?;
        Ok(self.label)
    }

    fn write_group(&mut self) -> Result<()> {
        let rows = std::mem::take(&mut self.pending);
        if rows.is_empty() {
            return Ok(());
        }
        let mut group = self.parquet.next_row_group()?;
        let paths: Vec<ByteArray> = rows.iter().map(|row| ByteArray::from(row.path.as_str())).collect();
        write::<ByteArrayType>(next(&mut group)?, &paths, None)?;
        for (_, column) in &OPTIONAL {
            match column {
                Column::Text(get, _) => optional::<ByteArrayType>(
                    next(&mut group)?,
                    rows.iter().map(|row| get(row).map(ByteArray::from)),
                ),
                Column::Int(get, _) => optional::<Int32Type>(next(&mut group)?, rows.iter().map(get)),
                Column::Float(get, _) => optional::<FloatType>(next(&mut group)?, rows.iter().map(get)),
            }?;
        }
        let model = ByteArray::from(self.label.model.as_str());
        write::<ByteArrayType>(next(&mut group)?, &vec![model; rows.len()], None)?;
        group.close().map(drop)
    }
}

/// The writer of the next column.
fn next<'a>(group: &'a mut SerializedRowGroupWriter<'_, File>) -> Result<SerializedColumnWriter<'a>> {
    group.next_column()?.ok_or_else(|| ParquetError::General("the schema has fewer columns".into()))
}

fn optional<T: DataType>(
    column: SerializedColumnWriter<'_>,
    values: impl Iterator<Item = Option<T::T>>,
) -> Result<()> {
    let (mut present, mut levels) = (Vec::new(), Vec::new());
    for value in values {
        levels.push(i16::from(value.is_some()));
        present.extend(value);
    }
    write::<T>(column, &present, Some(&levels))
}

fn write<T: DataType>(
    mut column: SerializedColumnWriter<'_>,
    values: &[T::T],
    levels: Option<&[i16]>,
) -> Result<()> {
    column.typed::<T>().write_batch(values, levels, None)?;
    column.close()
}

//! Reads files of rows, a row group at a time, after their digest was checked.

use std::fs::File;
use std::io;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::schema::parser::parse_message_type;

use super::columns::{Column, OPTIONAL, schema};
use super::{LABEL_KEY, Label, seal};
use crate::Row;

/// A file of rows whose bytes are those that were written.
pub struct Reader {
    parquet: SerializedFileReader<File>,
    pub(crate) label: Label,
}

impl Reader {
    /// Opens a file; `None` if it is incomplete, has changed, or is not a file of rows.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn open(mut file: File) -> io::Result<Option<Self>> {
        if !seal::is_intact(&mut file)? {
            return Ok(None);
        }
        Ok(Self::parse(file).ok().flatten())
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.label.rows
    }

    /// The rows, in order, a row group at a time.
    ///
    /// # Errors
    ///
    /// Of each group: it cannot be read.
    pub fn groups(&self) -> impl Iterator<Item = io::Result<Vec<Row>>> + '_ {
        (0..self.parquet.num_row_groups()).map(|group| self.group(group).map_err(io::Error::other))
    }

    fn parse(file: File) -> Result<Option<Self>> {
        let parquet = SerializedFileReader::new(file)?;
        let metadata = parquet.metadata().file_metadata();
        let pairs = metadata.key_value_metadata().into_iter().flatten();
        let json = pairs.filter(|pair| pair.key == LABEL_KEY).find_map(|pair| pair.value.clone());
        let label: Option<Label> = json.and_then(|json| serde_json::from_str(&json).ok());
        let same = *metadata.schema() == parse_message_type(&schema())?;
        Ok(label.filter(|_| same).map(|label| Self { parquet, label }))
    }

    fn group(&self, group: usize) -> Result<Vec<Row>> {
        let group = self.parquet.get_row_group(group)?;
        let count = usize::try_from(group.metadata().num_rows()).unwrap_or_default();
        let mut rows = vec![Row::default(); count];
        let ColumnReader::ByteArrayColumnReader(paths) = group.get_column_reader(0)? else {
            return Err(other());
        };
        fill(paths, &mut rows, |row, value| text(&value).map(|path| row.path = path))?;
        for (at, (_, column)) in OPTIONAL.iter().enumerate() {
            match (group.get_column_reader(at + 1)?, column) {
                (ColumnReader::ByteArrayColumnReader(column), Column::Text(_, set)) => {
                    fill(column, &mut rows, |row, value| text(&value).map(|value| set(row, value)))
                }
                (ColumnReader::Int32ColumnReader(column), Column::Int(_, set)) => {
                    fill(column, &mut rows, |row, value| {
                        set(row, value);
                        Ok(())
                    })
                }
                (ColumnReader::FloatColumnReader(column), Column::Float(_, set)) => {
                    fill(column, &mut rows, |row, value| {
                        set(row, value);
                        Ok(())
                    })
                }
                _ => Err(other()),
            }?;
        }
        Ok(rows)
    }
}

/// Puts the values of a column into the rows.
fn fill<T: DataType>(
    mut column: ColumnReaderImpl<T>,
    rows: &mut [Row],
    mut set: impl FnMut(&mut Row, T::T) -> Result<()>,
) -> Result<()> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut done = 0;
    while done < rows.len() {
        let (read, _, _) = column.read_records(rows.len() - done, Some(&mut levels), None, &mut values)?;
        if read == 0 {
            return Err(other());
        }
        done += read;
    }
    // A required column has no levels.
    let mut values = values.into_iter();
    for (at, row) in rows.iter_mut().enumerate() {
        if levels.get(at).is_none_or(|level| *level > 0) {
            set(row, values.next().ok_or_else(other)?)?;
        }
    }
    Ok(())
}

fn text(bytes: &ByteArray) -> Result<String> {
    bytes.as_utf8().map(str::to_owned)
}

fn other() -> ParquetError {
    ParquetError::General("not a file of rows".into())
}

//! The Parquet files: a part for each shard, and the file of all rows. Each carries what it belongs to, and its own digest.

mod columns;
mod read;
mod seal;
#[cfg(test)]
mod tests;
mod write;

use serde::{Deserialize, Serialize};

pub use self::read::Reader;
pub(crate) use self::write::Writer;

/// Rows of a row group: readers and writers hold one in memory.
const GROUP: usize = 1 << 16;
/// The key of the metadata under which [`Label`] lies, as JSON.
const LABEL_KEY: &str = "loc";

/// What a file belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Label {
    pub(crate) schema: String,
    /// SHA-256 of the model.
    pub(crate) model: String,
    /// SHA-256 of the manifest.
    pub(crate) manifest: String,
    /// Of a part; the file of all rows does not depend on the number of shards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) part: Option<PartLabel>,
    pub(crate) rows: u64,
    /// Rows with an error.
    pub(crate) errors: u64,
}

/// Which part it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PartLabel {
    /// SHA-256 of the plan.
    pub(crate) plan: String,
    pub(crate) shard: u64,
}

/// What is known about the part of a shard.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// There is none.
    Missing,
    /// It is not complete, or its bytes have changed.
    Damaged,
    /// It is intact, but belongs to another plan or shard.
    Other,
    /// It is intact.
    Valid {
        /// Its rows.
        rows: u64,
        /// Its rows with an error.
        errors: u64,
    },
}

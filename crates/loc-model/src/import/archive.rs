//! The zip archive of a PyTorch file: detects its kind and reads its entries. The pickle in it is parsed in `pickle`.

use std::io::{Cursor, Read};

use zip::{CompressionMethod, ZipArchive};

use super::ImportError;
use super::tensor::Storages;

/// The largest accepted pickle: 32 MiB describe about 200,000 tensors.
const MAX_PICKLE: u64 = 32 << 20;

/// A PyTorch archive: all entries are in one folder.
pub(super) struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    /// The folder, with its trailing slash.
    root: String,
    /// Size of the file in bytes.
    size: usize,
}

impl<'a> Archive<'a> {
    /// Finds the pickle and detects the kind of archive.
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, ImportError> {
        let zip = ZipArchive::new(Cursor::new(bytes)).map_err(damaged)?;
        let names: Vec<String> = zip.file_names().filter_map(|n| Some(n.ok()?.into_owned())).collect();
        let mut roots = names.iter().filter_map(|name| name.strip_suffix("data.pkl"));
        // The archive's own pickle is one folder deep.
        let root = roots.find(|root| root.len() > 1 && root.find('/') == Some(root.len() - 1));
        let root = root.ok_or(ImportError::NoPickle)?.to_owned();
        let has_entry =
            |name: &str| names.iter().any(|n| n.strip_prefix(&root).is_some_and(|n| n.starts_with(name)));
        if has_entry("constants.pkl") || has_entry("code/") {
            return Err(ImportError::TorchScript);
        }
        let has_byte_order = has_entry("byteorder");
        let mut archive = Self { zip, root, size: bytes.len() };
        if has_byte_order && archive.entry("byteorder", MAX_PICKLE)? == b"big" {
            return Err(ImportError::BigEndian);
        }
        Ok(archive)
    }

    /// Returns the bytes of the pickle.
    pub(super) fn pickle(&mut self) -> Result<Vec<u8>, ImportError> {
        self.entry("data.pkl", MAX_PICKLE)
    }

    fn entry(&mut self, name: &str, limit: u64) -> Result<Vec<u8>, ImportError> {
        let name = format!("{}{name}", self.root);
        let fail = |reason: String| ImportError::Archive(format!("entry `{name}`: {reason}"));
        let file = self.zip.by_name(&name).map_err(|e| fail(e.to_string()))?;
        // PyTorch stores entries uncompressed. So the content of an entry never exceeds the size of the file.
        if file.compression() != CompressionMethod::Stored {
            return Err(fail("it is compressed, but PyTorch stores entries uncompressed".into()));
        }
        let size = file.size();
        if size > limit {
            return Err(fail(format!("{size} bytes, but at most {limit} are accepted")));
        }
        // One byte more than allowed, since the checksum is compared at the end of the entry.
        let mut bytes = Vec::new();
        file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| fail(e.to_string()))?;
        if bytes.len() as u64 != size {
            return Err(fail(format!("{} bytes, but the archive's directory has {size}", bytes.len())));
        }
        Ok(bytes)
    }
}

impl Storages for Archive<'_> {
    fn size(&self) -> usize {
        self.size
    }

    fn storage(&mut self, key: &str) -> Result<Vec<u8>, ImportError> {
        self.entry(&format!("data/{key}"), self.size as u64)
    }
}

fn damaged(error: zip::result::ZipError) -> ImportError {
    ImportError::Archive(error.to_string())
}

//! SHA-256 digests as text.

use sha2::{Digest, Sha256};

/// SHA-256 as 64 hex digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

//! Object stores, behind the feature `s3`. Without it the same functions return an error.

#[cfg(not(feature = "s3"))]
mod none;
#[cfg(feature = "s3")]
mod s3;

#[cfg(not(feature = "s3"))]
pub(crate) use none::{Client, Fetching};
#[cfg(feature = "s3")]
pub(crate) use s3::{Client, Fetching};

/// How the address of an object begins.
pub(crate) const SCHEME: &str = "s3://";

/// An object, or what the names of several begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Url {
    pub(crate) bucket: String,
    pub(crate) key: String,
}

impl Url {
    /// `s3://BUCKET/KEY`; `None` if the text is not an address of a store, but a path.
    pub(crate) fn parse(text: &str) -> Option<Result<Self, String>> {
        let rest = text.strip_prefix(SCHEME)?;
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        let named = !bucket.is_empty() && !bucket.contains(|c: char| c.is_whitespace() || c.is_control());
        Some(match named {
            true => Ok(Self { bucket: bucket.into(), key: key.trim_end_matches('/').into() }),
            false => Err(format!("is not {SCHEME}BUCKET/KEY")),
        })
    }

    /// An object below this one.
    pub(crate) fn join(&self, name: &str) -> Self {
        let key = if self.key.is_empty() { name.into() } else { format!("{}/{name}", self.key) };
        Self { bucket: self.bucket.clone(), key }
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{SCHEME}{}/{}", self.bucket, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_told_from_paths() {
        let url = |text: &str| Url::parse(text).map(|url| url.map(|url| url.to_string()));
        assert_eq!(url("photos/a.jpg"), None);
        assert_eq!(url("/s3://a"), None);
        assert_eq!(url("s3://b/a b/ü.jpg"), Some(Ok("s3://b/a b/ü.jpg".into())));
        assert_eq!(url("s3://b/out/"), Some(Ok("s3://b/out".into())));
        assert!(url("s3:///a.jpg").is_some_and(|url| url.is_err()));
        let base = Url::parse("s3://b").unwrap().unwrap();
        assert_eq!(base.join("x").to_string(), "s3://b/x");
    }
}

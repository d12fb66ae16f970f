//! The names of a configuration's keys, asked of the structs themselves: a key that is added is known everywhere.

use loc_data::Augment;
use serde::de::value::Error;
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::forward_to_deserialize_any;

use crate::config::keys::Config;

/// All keys; those of the table `[augment]` as `augment.flip`. Not those of `[expect]`, which no training reads.
pub(crate) fn all() -> Vec<String> {
    let own = names::<Config>().iter().filter(|key| **key != "expect").map(|key| (*key).to_owned());
    own.chain(names::<Augment>().iter().map(|key| format!("augment.{key}"))).collect()
}

/// The fields of a struct, as its derived `Deserialize` names them to a format.
fn names<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    let mut names = Names(&[]);
    // It ends with an error once it has said what is wanted.
    let _ = T::deserialize(&mut names);
    names.0
}

struct Names(&'static [&'static str]);

impl<'de> Deserializer<'de> for &mut Names {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.0 = fields;
        Err(de::Error::custom("names alone are asked for"))
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("names alone are asked for"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

impl Config {
    /// The names of all keys, in their order; those of the table `[augment]` as `augment.flip`.
    #[must_use]
    pub fn keys() -> Vec<String> {
        all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_is_a_key() {
        let keys = all();
        // Written, but for those that are absent by default.
        let written = toml::Table::try_from(Config::default()).unwrap();
        assert!(written.keys().all(|key| keys.contains(key)), "{keys:?}");
        for key in ["begin", "data", "fold", "restarts", "augment", "augment.mix"] {
            assert!(keys.iter().any(|k| k == key), "{key}");
        }
        assert!(!keys.iter().any(|key| key == "expect"));
    }
}

//! The kind of a type's values, found out by asking its `Deserialize` for one.

use std::fmt;

use serde::de::value::Error;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, SeqAccess, Visitor};

/// What kind of values a type takes.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A whole number, 0 or more.
    Whole,
    /// A number.
    Number,
    /// A text.
    Text,
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of values of one kind.
    List(Box<Self>),
    /// A table.
    Table,
    /// Several of these.
    Any,
}

impl Kind {
    /// The kind of a type. It asks for a value, and notes for what; no value is ever made.
    #[must_use]
    pub fn of<T: Deserialize<'static>>() -> Self {
        let mut kind = Self::Any;
        let _ = T::deserialize(Probe(&mut kind));
        kind
    }

    /// The texts, where there are few.
    #[must_use]
    pub fn variants(&self) -> &'static [&'static str] {
        match self {
            Self::OneOf(texts) => texts,
            _ => &[],
        }
    }

    /// Whether a value is a number, or a list of some.
    #[must_use]
    pub fn is_numeric(&self) -> bool {
        match self {
            Self::Whole | Self::Number => true,
            Self::List(each) => each.is_numeric(),
            _ => false,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::Bool => "`true`, `false`",
            Self::Whole => "a whole number",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::OneOf(_) => "one of a few texts",
            Self::Table => "a table",
            Self::Any => "several kinds",
            Self::List(each) => match **each {
                Self::Whole => "a list of whole numbers",
                Self::Number => "a list of numbers",
                _ => "a list of texts",
            },
        })
    }
}

struct Probe<'a>(&'a mut Kind);

impl Probe<'_> {
    /// Notes the kind, and ends the request.
    fn note<T>(self, kind: Kind) -> Result<T, Error> {
        *self.0 = kind;
        Err(de::Error::custom("only the kind was asked for"))
    }
}

macro_rules! note {
    ($($method:ident => $kind:expr),+ $(,)?) => {$(
        fn $method<V: Visitor<'static>>(self, _: V) -> Result<V::Value, Error> {
            self.note($kind)
        }
    )+};
}

impl Deserializer<'static> for Probe<'_> {
    type Error = Error;

    note! {
        deserialize_bool => Kind::Bool,
        deserialize_u8 => Kind::Whole, deserialize_u16 => Kind::Whole,
        deserialize_u32 => Kind::Whole, deserialize_u64 => Kind::Whole, deserialize_u128 => Kind::Whole,
        deserialize_i8 => Kind::Number, deserialize_i16 => Kind::Number,
        deserialize_i32 => Kind::Number, deserialize_i64 => Kind::Number, deserialize_i128 => Kind::Number,
        deserialize_f32 => Kind::Number, deserialize_f64 => Kind::Number,
        deserialize_char => Kind::Text, deserialize_str => Kind::Text, deserialize_string => Kind::Text,
        deserialize_bytes => Kind::Any, deserialize_byte_buf => Kind::Any,
        deserialize_map => Kind::Table, deserialize_unit => Kind::Any,
        deserialize_any => Kind::Any, deserialize_identifier => Kind::Text, deserialize_ignored_any => Kind::Any,
    }

    fn deserialize_option<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'static>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'static>>(self, visitor: V) -> Result<V::Value, Error> {
        let mut each = Kind::Any;
        let result = visitor.visit_seq(Each(&mut each));
        *self.0 = Kind::List(Box::new(each));
        result
    }

    fn deserialize_tuple<V: Visitor<'static>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'static>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'static>>(self, _: &'static str, _: V) -> Result<V::Value, Error> {
        self.note(Kind::Any)
    }

    fn deserialize_struct<V: Visitor<'static>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(Kind::Table)
    }

    fn deserialize_enum<V: Visitor<'static>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        self.note(Kind::OneOf(variants))
    }
}

/// A list that asks what its items are.
struct Each<'a>(&'a mut Kind);

impl SeqAccess<'static> for Each<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'static>>(&mut self, seed: T) -> Result<Option<T::Value>, Error> {
        seed.deserialize(Probe(self.0)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::Kind;

    #[test]
    fn types_say_what_they_take() {
        assert_eq!(Kind::of::<Option<bool>>(), Kind::Bool);
        assert_eq!((Kind::of::<usize>(), Kind::of::<f32>()), (Kind::Whole, Kind::Number));
        assert_eq!((Kind::of::<String>(), Kind::of::<Option<PathBuf>>()), (Kind::Text, Kind::Text));
        assert_eq!(Kind::of::<[f32; 2]>(), Kind::List(Box::new(Kind::Number)));
        assert_eq!(Kind::of::<Option<Vec<String>>>(), Kind::List(Box::new(Kind::Text)));
        assert_eq!(Kind::of::<loc_infer::Fit>().variants(), ["stretch", "letterbox"]);
        assert_eq!(Kind::of::<crate::Augment>(), Kind::Table);
    }
}

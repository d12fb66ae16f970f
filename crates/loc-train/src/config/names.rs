//! What losses are called in TOML: loc-model knows no file format.

/// A module for `#[serde(with)]` that maps values to names, one to one.
macro_rules! named {
    ($(#[$doc:meta])* $module:ident: $type:ty { $($name:literal => $value:expr),+ $(,)? }) => {
        $(#[$doc])*
        pub(crate) mod $module {
            use loc_model::loss::*;
            use serde::{Deserialize, Deserializer, Serializer, de, ser};

            const ALL: &[(&str, $type)] = &[$(($name, $value)),+];

            pub(crate) fn serialize<S: Serializer>(value: &$type, serializer: S) -> Result<S::Ok, S::Error> {
                match ALL.iter().find(|(_, known)| known == value) {
                    Some((name, _)) => serializer.serialize_str(name),
                    None => Err(ser::Error::custom(format!("{value:?} has no name"))),
                }
            }

            pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<$type, D::Error> {
                let name = String::deserialize(deserializer)?;
                match ALL.iter().find(|(known, _)| *known == name) {
                    Some((_, value)) => Ok(*value),
                    None => Err(de::Error::unknown_variant(&name, &[$($name),+])),
                }
            }
        }
    };
}

named!(
    /// Of the class.
    class_loss: ClassLoss {
        "cross_entropy" => ClassLoss::CrossEntropy,
        "cross_entropy_on_probabilities" => ClassLoss::CrossEntropyOnProbabilities,
    }
);
named!(
    /// Of the box's coordinates.
    box_loss: BoxLoss {
        "mse" => BoxLoss::Mse,
        "smooth_l1" => BoxLoss::SmoothL1,
        "none" => BoxLoss::None,
    }
);
named!(
    /// Of the box's overlap.
    overlap: Option<Overlap> {
        "none" => None,
        "giou" => Some(Overlap::Giou),
        "diou" => Some(Overlap::Diou),
        "ciou" => Some(Overlap::Ciou),
    }
);

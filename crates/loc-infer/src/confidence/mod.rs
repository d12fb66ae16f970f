//! How far an answer can be trusted, by what `loc calibrate` stored in its model: margins around the box, its expected IoU, and
//! whether the photo is of a kind that the model knows. Fitting them is not done here but in loc-train.

mod edges;
mod expected_iou;
mod margins;
mod novelty;

pub use self::edges::EdgeSpread;
pub use self::expected_iou::ExpectedIou;
pub use self::margins::{Bounds, MarginUnit, Margins};
pub use self::novelty::Novelty;

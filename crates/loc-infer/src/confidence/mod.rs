//! How far an answer can be trusted, by what `loc calibrate` stored in its model: margins around the box, its expected IoU, and
//! whether the photo is of a kind that the model knows. Fitting them is not done here but in loc-train.

mod edges;
mod expected_iou;
mod margins;
mod novelty;
mod two_looks;

pub use self::edges::EdgeSpread;
pub use self::expected_iou::ExpectedIou;
pub use self::margins::{Bounds, MarginUnit, Margins};
pub use self::novelty::Novelty;
pub use self::two_looks::LookBox;

//! How far a box can be trusted, by what `loc calibrate` stored in its model: margins around it, and its expected IoU. Fitting
//! them is not done here but in loc-train.

mod edges;
mod expected_iou;
mod margins;
mod two_looks;

pub use self::edges::EdgeSpread;
pub use self::expected_iou::ExpectedIou;
pub use self::margins::{Bounds, MarginUnit, Margins};
pub use self::two_looks::LookBox;

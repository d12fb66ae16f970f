//! In-place updates of variables, for optimizers and moving averages.

mod adam;
mod scale_add;

pub use adam::{AdamUpdate, adam_update};
pub use scale_add::scale_add;
pub(crate) use scale_add::{scale_add_slice, scale_add_square_slice};

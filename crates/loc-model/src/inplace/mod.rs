//! Updates of variables in place, of which optimizers and averages are made.

mod adam;
mod scale_add;

pub use adam::{AdamMove, adam_move};
pub use scale_add::scale_add;
pub(crate) use scale_add::{scale_add_slice, scale_add_square_slice};

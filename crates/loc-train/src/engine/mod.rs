//! The training itself: setup, head warm-up, steps, epochs, resume, and the learning-rate range test.

mod head_warmup;
mod init_weights;
mod lr_find;
mod memory;
mod resume;
mod setup;
mod step;
mod train;

pub use self::lr_find::{LrFind, LrRange, Tried, lr_find};
pub use self::resume::resume;
pub use self::train::{Outcome, train};

//! The training itself: setup, head warm-up, steps, epochs, resume, and the learning-rate range test.

mod budget;
mod head_warmup;
mod init_weights;
mod lr_find;
mod memory;
mod resume;
mod setup;
mod start;
mod step;
mod time_left;
mod train;

pub use self::lr_find::{LrFind, LrRange, Tried, lr_find};
pub use self::resume::resume;
pub use self::start::{TrainOptions, train, train_with};
pub use self::train::Outcome;

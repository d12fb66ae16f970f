//! Runs a network on the CPU: [`Forward`] predicts, [`Training`] gives outputs and gradients.
//!
//! Both execute the same plan, made once from the list of layers: the first layers as one where fused blocks take them
//! (`fused`), every other layer by its kernel (`table`), a convolution together with the activation behind it.

mod forward;
#[cfg(target_arch = "x86_64")]
pub mod fused;
mod plan;
mod segment;
pub mod table;
mod training;

pub use forward::{Forward, Output};
pub use training::{DropoutMask, Images, Training, TrainingSetup};

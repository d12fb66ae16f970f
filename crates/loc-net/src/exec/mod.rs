//! Runs a network on the CPU: [`Forward`] predicts, [`Training`] gives outputs and gradients.
//!
//! Both execute the same plan, made once from the list of layers: the first layers as one where fused blocks take them
//! (`fused`), every other layer by its kernel (`table`), a convolution together with the activation behind it.

mod forward;
#[cfg(all(target_arch = "x86_64", feature = "internals"))]
pub mod fused;
#[cfg(all(target_arch = "x86_64", not(feature = "internals")))]
#[allow(dead_code, unreachable_pub, reason = "benches use more of it, behind the feature `internals`")]
mod fused;
mod plan;
mod segment;
#[cfg(feature = "internals")]
pub mod table;
#[cfg(not(feature = "internals"))]
#[allow(unreachable_pub, reason = "public with the feature `internals`")]
mod table;
mod training;

pub use forward::{Forward, Output};
pub use training::{DropoutMask, Images, Training, TrainingSetup};

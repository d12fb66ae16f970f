//! Runs a network on the CPU: [`Forward`] predicts, [`Training`] computes outputs and gradients.
//!
//! Both execute the same plan, made once from the list of layers. The first layers run as one segment (`fused`) if the
//! fused blocks can compute them; every other layer runs with its own kernel (`table`). A convolution and the activation
//! after it run as one step.

mod forward;
#[cfg(feature = "internals")]
pub mod fused;
#[cfg(not(feature = "internals"))]
#[allow(dead_code, unreachable_pub, reason = "benches use more of it, behind the feature `internals`")]
mod fused;
mod layout;
mod output;
mod plan;
mod segment;
#[cfg(feature = "internals")]
pub mod table;
#[cfg(not(feature = "internals"))]
#[allow(unreachable_pub, reason = "public with the feature `internals`")]
mod table;
mod training;

pub use forward::Forward;
pub use output::Output;
pub use training::{Conditions, DropoutMask, Images, Training, TrainingSetup};

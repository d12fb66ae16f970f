//! Measures the fused convolutions on the tutorial's shapes: one photo, one thread, all data in the cache.
//!
//! "elem/s" are floating-point operations per second of a direct convolution; a multiply-add counts as two. For the
//! sparse gradients, the operations of the argmax cells are counted, as if relu were active everywhere. Winograd needs
//! fewer operations, so a figure above the machine's peak is not an error.

#[cfg(target_arch = "x86_64")]
#[path = "fused/convolutions.rs"]
mod convolutions;
#[cfg(target_arch = "x86_64")]
mod numbers;

fn main() {
    // The fused kernels exist on x86-64 only.
    #[cfg(target_arch = "x86_64")]
    convolutions::benches();
    criterion::Criterion::default().configure_from_args().final_summary();
}

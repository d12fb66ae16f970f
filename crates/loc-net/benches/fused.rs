//! Measures the fused convolutions on the tutorial's shapes: one photo, one thread, all data in the cache.
//!
//! "elem/s" are floating-point operations per second of the direct sum; a multiply-add counts as two. For the sparse
//! gradients, the operations of the argmax cells are counted, as if relu were active in all of them. Winograd needs fewer
//! operations, so a figure above the machine's peak is not an error.

#[cfg(target_arch = "x86_64")]
#[path = "fused/forms.rs"]
mod forms;
#[cfg(target_arch = "x86_64")]
mod numbers;

fn main() {
    // The fused forms exist on x86-64 only.
    #[cfg(target_arch = "x86_64")]
    forms::benches();
    criterion::Criterion::default().configure_from_args().final_summary();
}

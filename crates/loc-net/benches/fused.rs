//! Time of the fused convolutions on the tutorial's shapes: one photo, one thread, all in the cache.
//!
//! "elem/s" are floating-point operations a second of the direct sum, a multiply-add counted as two (of the sparse
//! gradients: of the cells that won, as if all were active). Winograd does fewer, so a figure beyond the machine's peak is no mistake.

#[cfg(target_arch = "x86_64")]
#[path = "fused/forms.rs"]
mod forms;
#[cfg(target_arch = "x86_64")]
mod numbers;

fn main() {
    // Elsewhere there are no fused forms to time.
    #[cfg(target_arch = "x86_64")]
    forms::benches();
    criterion::Criterion::default().configure_from_args().final_summary();
}

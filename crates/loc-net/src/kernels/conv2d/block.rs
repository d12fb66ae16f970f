//! The inner loops of the direct kernel: sums of shifted input rows, and dot products with shifted input rows. They use
//! AVX2 and FMA if available, else portable code.

/// Output columns of a block; a narrower map has fewer.
pub(super) const COLS: usize = 16;
/// Output channels of a block.
pub(super) const CHANNELS: usize = 6;

/// Some rows of a group's output gradient and the input rows they depend on.
pub(super) struct GradientTile<'a> {
    pub(super) x: &'a [f32],
    pub(super) x_row: usize,
    pub(super) offsets: &'a [usize],
    pub(super) gy: &'a [f32],
    pub(super) gy_row: usize,
    pub(super) gy_plane: usize,
    pub(super) rows: usize,
}

/// `sums[c][j] = Σ_k weights[k][c] · x[offsets[k] + j]` for `channels` of the block (1 to 6) and 16 columns.
pub(super) fn weighted_sums(
    channels: usize,
    weights: &[f32],
    offsets: &[usize],
    x: &[f32],
    sums: &mut [[f32; COLS]; CHANNELS],
) {
    assert!(
        (1..=CHANNELS).contains(&channels) && weights.len() == channels * offsets.len(),
        "a block's weights"
    );
    let needed = offsets.last().copied().unwrap_or(0) + COLS;
    assert!(x.len() >= needed, "the input is too short for the last kernel position");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
        // SAFETY: AVX2 and FMA are available; offsets ascend, so all reads are below `needed`, which was checked above.
        unsafe {
            match channels {
                1 => avx2::weighted_sums::<1>(weights, offsets, x, sums),
                2 => avx2::weighted_sums::<2>(weights, offsets, x, sums),
                3 => avx2::weighted_sums::<3>(weights, offsets, x, sums),
                4 => avx2::weighted_sums::<4>(weights, offsets, x, sums),
                5 => avx2::weighted_sums::<5>(weights, offsets, x, sums),
                _ => avx2::weighted_sums::<CHANNELS>(weights, offsets, x, sums),
            }
        }
        return;
    }
    for (weights, offset) in weights.chunks_exact(channels).zip(offsets) {
        for (sums, weight) in sums.iter_mut().zip(weights) {
            sums.iter_mut().zip(&x[*offset..]).for_each(|(s, x)| *s += weight * x);
        }
    }
}

/// `gw[o][k] += Σ_{rows, columns} gy[o][row][column] · x[offsets[k] + row · x_row + column]`, for `channels` values of
/// o.
pub(super) fn add_dot_products(tile: &GradientTile, channels: usize, gw: &mut [f32]) {
    let fan_in = tile.offsets.len();
    let needed = tile.offsets.last().copied().unwrap_or(0) + (tile.rows - 1) * tile.x_row + tile.gy_row;
    assert!(tile.x.len() >= needed, "the input is too short for the last kernel position");
    let needed = (channels - 1) * tile.gy_plane + tile.rows * tile.gy_row;
    assert!(tile.gy.len() >= needed && gw.len() == channels * fan_in, "gradients hold all channels");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        #[expect(unsafe_code, reason = "calls the AVX2 kernel after checking for AVX2")]
        // SAFETY: AVX2 and FMA are available; offsets ascend, so all reads are inside, which was checked above.
        unsafe {
            avx2::add_dot_products(tile, channels, gw);
        }
        return;
    }
    for (o, gw) in gw.chunks_exact_mut(fan_in).enumerate() {
        for (gw, offset) in gw.iter_mut().zip(tile.offsets) {
            for row in 0..tile.rows {
                let gy = &tile.gy[o * tile.gy_plane + row * tile.gy_row..][..tile.gy_row];
                let x = &tile.x[offset + row * tile.x_row..];
                *gw += gy.iter().zip(x).map(|(g, x)| g * x).sum::<f32>();
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    #![expect(
        unsafe_code,
        reason = "vector loads and stores through pointers whose ranges the callers checked"
    )]

    use std::arch::x86_64::{
        __m256, _mm256_broadcast_ss, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_maskload_ps, _mm256_setzero_ps,
        _mm256_storeu_ps,
    };

    use super::{CHANNELS, COLS, GradientTile};
    use crate::kernels::gemm::avx2::{horizontal_sum, lanes};

    /// # Safety
    ///
    /// AVX2 and FMA are available; `weights` holds R values for each offset; `x` holds 16 values from each offset on.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn weighted_sums<const R: usize>(
        weights: &[f32],
        offsets: &[usize],
        x: &[f32],
        sums: &mut [[f32; COLS]; CHANNELS],
    ) {
        let mut acc = [[_mm256_setzero_ps(); 2]; R];
        let (x, mut w) = (x.as_ptr(), weights.as_ptr());
        // SAFETY: reads of x and of the weights are guaranteed by the caller; writes fill whole rows of `sums`.
        unsafe {
            for offset in offsets {
                let at = x.add(*offset);
                let (x0, x1) = (_mm256_loadu_ps(at), _mm256_loadu_ps(at.add(8)));
                for (r, acc) in acc.iter_mut().enumerate() {
                    let weight = _mm256_broadcast_ss(&*w.add(r));
                    acc[0] = _mm256_fmadd_ps(weight, x0, acc[0]);
                    acc[1] = _mm256_fmadd_ps(weight, x1, acc[1]);
                }
                w = w.add(R);
            }
            for (acc, sums) in acc.iter().zip(sums) {
                _mm256_storeu_ps(sums.as_mut_ptr(), acc[0]);
                _mm256_storeu_ps(sums.as_mut_ptr().add(8), acc[1]);
            }
        }
    }

    /// # Safety
    ///
    /// AVX2 and FMA are available; the tile's slices hold what its rows, channels and offsets read.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn add_dot_products(tile: &GradientTile, channels: usize, gw: &mut [f32]) {
        let fan_in = tile.offsets.len();
        for o in (0..channels).step_by(3) {
            for k in (0..fan_in).step_by(4) {
                // SAFETY: guaranteed by the caller.
                unsafe {
                    match (channels - o, fan_in - k) {
                        (1, 1..4) => dot_block::<1, 1>(tile, o, k, 3.min(fan_in - k), gw),
                        (1, _) => dot_block::<1, 4>(tile, o, k, 1, gw),
                        (2, 1..4) => dot_block::<2, 1>(tile, o, k, 3.min(fan_in - k), gw),
                        (2, _) => dot_block::<2, 4>(tile, o, k, 1, gw),
                        (_, 1..4) => dot_block::<3, 1>(tile, o, k, 3.min(fan_in - k), gw),
                        (_, _) => dot_block::<3, 4>(tile, o, k, 1, gw),
                    }
                }
            }
        }
    }

    /// Computes `times` blocks of R channels and S kernel positions, starting at channel `o` and position `k`.
    ///
    /// # Safety
    ///
    /// As for [`add_dot_products`]; R channels from `o` and S · `times` positions from `k` exist.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn dot_block<const R: usize, const S: usize>(
        tile: &GradientTile,
        o: usize,
        k: usize,
        times: usize,
        gw: &mut [f32],
    ) {
        let fan_in = tile.offsets.len();
        let vector_end = tile.gy_row / 8 * 8;
        let mask = lanes(tile.gy_row - vector_end);
        for k in (k..k + S * times).step_by(S) {
            let mut sums = [[_mm256_setzero_ps(); S]; R];
            // SAFETY: whole vectors inside each row, the rest with a mask.
            unsafe {
                let gy = tile.gy.as_ptr().add(o * tile.gy_plane);
                let x: [*const f32; S] = std::array::from_fn(|s| tile.x.as_ptr().add(tile.offsets[k + s]));
                for row in 0..tile.rows {
                    let (gy, x_row) = (gy.add(row * tile.gy_row), row * tile.x_row);
                    for j in (0..vector_end).step_by(8) {
                        let x: [__m256; S] = std::array::from_fn(|s| _mm256_loadu_ps(x[s].add(x_row + j)));
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let g = _mm256_loadu_ps(gy.add(r * tile.gy_plane + j));
                            for s in 0..S {
                                sums[s] = _mm256_fmadd_ps(g, x[s], sums[s]);
                            }
                        }
                    }
                    if vector_end < tile.gy_row {
                        let x: [__m256; S] =
                            std::array::from_fn(|s| _mm256_maskload_ps(x[s].add(x_row + vector_end), mask));
                        for (r, sums) in sums.iter_mut().enumerate() {
                            let g = _mm256_maskload_ps(gy.add(r * tile.gy_plane + vector_end), mask);
                            for s in 0..S {
                                sums[s] = _mm256_fmadd_ps(g, x[s], sums[s]);
                            }
                        }
                    }
                }
            }
            for (r, sums) in sums.iter().enumerate() {
                for (s, sum) in sums.iter().enumerate() {
                    gw[(o + r) * fan_in + k + s] += horizontal_sum(*sum);
                }
            }
        }
    }
}

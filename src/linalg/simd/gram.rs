//! The Gram matrix of gathered rows and its right-hand side, computed in register tiles.

use super::operands::RowList;
use super::sizes::BLOCK;
use super::vector::Vector;

/// Rows gathered per pass: 64 rows of rank 64 are 16 KiB, half of a first-level cache.
const PANEL: usize = 64;

/// Computes one tile of `out += Σₚ wₚ yₚ[i..]ᵀ yₚ[j..]`, of `R` rows by `C` vectors.
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const C: usize, const WEIGHTED: bool>(
    row: impl Fn(usize) -> *const f32,
    ahead: impl Fn(usize),
    depth: usize,
    weights: *const f32,
    (i, j): (usize, usize),
    (out, ld, fresh): (*mut f32, usize, bool),
) {
    // If the compiler sees that a tile lies on the diagonal, it shuffles instead of loading.
    // Without hardware for that, the loop takes three times as long.
    let j = if V::N == 4 { std::hint::black_box(j) } else { j };
    // SAFETY: the caller guarantees `depth` rows and weights, and a tile within `out`.
    unsafe {
        let mut acc = [[V::zero(); C]; R];
        if !fresh {
            for r in 0..R {
                for c in 0..C {
                    acc[r][c] = V::load(out.add((i + r) * ld + j + c * V::N));
                }
            }
        }
        for p in 0..depth {
            ahead(p);
            let y = row(p);
            let mut cols = [V::zero(); C];
            for c in 0..C {
                cols[c] = V::load(y.add(j + c * V::N));
                if WEIGHTED {
                    cols[c] = cols[c].mul(V::splat(*weights.add(p)));
                }
            }
            for r in 0..R {
                let x = V::splat(*y.add(i + r));
                for c in 0..C {
                    acc[r][c] = x.mul_add(cols[c], acc[r][c]);
                }
            }
        }
        for r in 0..R {
            for c in 0..C {
                acc[r][c].store(out.add((i + r) * ld + j + c * V::N));
            }
        }
    }
}

/// Computes the 8 rows from `i` of the upper triangle, columns `i..n`, in tiles that fit the
/// registers.
///
/// A tile has 8 rows by up to 3 vectors if there are 32 registers. Otherwise it has 4 rows by 2
/// vectors, or 8 rows by 1. The first tile calls `ahead` for each row it reads, to prefetch other
/// rows meanwhile.
#[inline(always)]
unsafe fn block_row<V: Vector, const WEIGHTED: bool>(
    row: impl Fn(usize) -> *const f32 + Copy,
    ahead: impl Fn(usize) + Copy,
    depth: usize,
    weights: *const f32,
    (i, n): (usize, usize),
    (out, fresh): (*mut f32, bool),
) {
    let nothing = |_: usize| {};
    macro_rules! tiles {
        ($c:literal, $j:expr, $ahead:expr) => {
            if V::REGISTERS >= 32 || $c == 1 {
                tile::<V, 8, $c, WEIGHTED>(row, $ahead, depth, weights, (i, $j), (out, n, fresh));
            } else {
                tile::<V, 4, $c, WEIGHTED>(row, $ahead, depth, weights, (i, $j), (out, n, fresh));
                tile::<V, 4, $c, WEIGHTED>(
                    row,
                    nothing,
                    depth,
                    weights,
                    (i + 4, $j),
                    (out, n, fresh),
                );
            }
        };
    }
    // SAFETY: as for `tile`; every column up to `n`, a multiple of 8, is covered once.
    unsafe {
        let widest = if V::REGISTERS >= 32 { 3 } else { 2 };
        let first = ((n - i) / V::N).min(widest);
        let mut j = i + first * V::N;
        match first {
            0 => {
                tile::<V::Half, 8, 1, WEIGHTED>(
                    row,
                    ahead,
                    depth,
                    weights,
                    (i, i),
                    (out, n, fresh),
                );
                return;
            }
            1 => tiles!(1, i, ahead),
            2 => tiles!(2, i, ahead),
            _ => tiles!(3, i, ahead),
        }
        while V::REGISTERS >= 32 && j + 3 * V::N <= n {
            tiles!(3, j, nothing);
            j += 3 * V::N;
        }
        while j + 2 * V::N <= n {
            tiles!(2, j, nothing);
            j += 2 * V::N;
        }
        if j + V::N <= n {
            tiles!(1, j, nothing);
            j += V::N;
        }
        if j < n {
            tile::<V::Half, 8, 1, WEIGHTED>(row, nothing, depth, weights, (i, j), (out, n, fresh));
        }
    }
}

/// See [`super::Kernels::accumulate`]. `weights` is read only with `WEIGHTED`.
///
/// # Safety
/// All `indices` are rows of `base`: rows start `stride >= n` numbers apart, and `n` numbers can be
/// read from each start. `weights` and `targets` are as long as `indices`. `gram` holds `n * n`
/// numbers, and `rhs` and `sums` hold `n`. `n` is a multiple of 8.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one row's operands and its three results")]
pub(super) unsafe fn accumulate<V: Vector, const WEIGHTED: bool>(
    base: &[f32],
    stride: usize,
    n: usize,
    rows: RowList<'_>,
    weights: &[f32],
    targets: &[f32],
    gram: &mut [f32],
    rhs: &mut [f32],
    sums: &mut [f32],
    overwrite: bool,
) {
    let RowList { indices, following } = rows;
    if overwrite && indices.is_empty() {
        gram.fill(0.0);
    }
    if overwrite {
        rhs.fill(0.0);
        sums.fill(0.0);
    }
    let base = base.as_ptr();
    let gram = gram.as_mut_ptr();
    // The panels have nearly equal lengths, because a short one at the end would cost as many tiles
    // as a long one.
    let panels = indices.len().div_ceil(PANEL);
    let length = indices.len().div_ceil(panels.max(1)).max(1);
    for (panel, chunk) in indices.chunks(length).enumerate() {
        let start = panel * length;
        let fresh = overwrite && panel == 0;
        // SAFETY: indices are rows of `base`; there is one weight and one target per index.
        unsafe {
            let mut rows = [base; PANEL];
            for (slot, &index) in rows.iter_mut().zip(chunk) {
                *slot = base.add(index as usize * stride);
            }
            // Rows to prefetch: those of the next panel or, after the last panel, the first rows of
            // the next call.
            let next = match &indices[(start + length).min(indices.len())..] {
                [] => following,
                rest => rest,
            };
            let next = &next[..next.len().min(PANEL)];
            let share = next.len().div_ceil(chunk.len());
            let fetch = |p: usize, offset: usize| {
                let share = (p * share).min(next.len())..((p + 1) * share).min(next.len());
                for &index in next.get_unchecked(share) {
                    V::prefetch(base.wrapping_add(index as usize * stride + offset));
                }
            };
            let row = |p: usize| *rows.get_unchecked(p);
            let weights = weights.as_ptr().add(start);
            let mut i = 0;
            while i < n {
                // Each block of 8 rows of the triangle prefetches one cache line (16 numbers) of
                // each upcoming row, because the processor cannot keep all lines in flight at once.
                let ahead = |p: usize| {
                    if i * 2 < n {
                        fetch(p, i * 2);
                    }
                };
                block_row::<V, WEIGHTED>(row, ahead, chunk.len(), weights, (i, n), (gram, fresh));
                i += BLOCK;
            }
            let targets = targets.as_ptr().add(start);
            vectors::<V, WEIGHTED>(
                row,
                chunk.len(),
                n,
                weights,
                targets,
                rhs.as_mut_ptr(),
                sums.as_mut_ptr(),
            );
        }
    }
}

/// Adds `Σ tₚ yₚ` to `rhs` and `Σ wₚ yₚ` to `sums` over one panel.
#[inline(always)]
unsafe fn vectors<V: Vector, const WEIGHTED: bool>(
    row: impl Fn(usize) -> *const f32 + Copy,
    depth: usize,
    n: usize,
    weights: *const f32,
    targets: *const f32,
    rhs: *mut f32,
    sums: *mut f32,
) {
    #[inline(always)]
    unsafe fn strip<V: Vector, const C: usize, const WEIGHTED: bool>(
        row: impl Fn(usize) -> *const f32,
        depth: usize,
        j: usize,
        weights: *const f32,
        targets: *const f32,
        rhs: *mut f32,
        sums: *mut f32,
    ) {
        // SAFETY: as for `tile`.
        unsafe {
            let mut t_acc = [V::zero(); C];
            let mut w_acc = [V::zero(); C];
            for c in 0..C {
                t_acc[c] = V::load(rhs.add(j + c * V::N));
                w_acc[c] = V::load(sums.add(j + c * V::N));
            }
            for p in 0..depth {
                let y = row(p).add(j);
                let t = V::splat(*targets.add(p));
                for c in 0..C {
                    let v = V::load(y.add(c * V::N));
                    t_acc[c] = t.mul_add(v, t_acc[c]);
                    w_acc[c] = if WEIGHTED {
                        V::splat(*weights.add(p)).mul_add(v, w_acc[c])
                    } else {
                        w_acc[c].add(v)
                    };
                }
            }
            for c in 0..C {
                t_acc[c].store(rhs.add(j + c * V::N));
                w_acc[c].store(sums.add(j + c * V::N));
            }
        }
    }
    // SAFETY: as for `strip`; every column up to `n`, a multiple of 8, is covered once.
    unsafe {
        let mut j = 0;
        while j + 4 * V::N <= n {
            strip::<V, 4, WEIGHTED>(row, depth, j, weights, targets, rhs, sums);
            j += 4 * V::N;
        }
        while j + V::N <= n {
            strip::<V, 1, WEIGHTED>(row, depth, j, weights, targets, rhs, sums);
            j += V::N;
        }
        if j < n {
            strip::<V::Half, 1, WEIGHTED>(row, depth, j, weights, targets, rhs, sums);
        }
    }
}

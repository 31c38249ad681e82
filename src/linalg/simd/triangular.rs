//! Cholesky factorisation and triangular solves, left-looking by blocks of 8 rows.

use super::BLOCK;
use super::gram::{SUBTRACT, block_row};
use super::vector::Vector;

/// See [`super::Kernels::cholesky`]; the failing pivot, if any.
///
/// # Safety
/// `a` holds `n * n` numbers, `n` is a multiple of 8, `order <= n`.
#[inline(always)]
pub(super) unsafe fn cholesky<V: Vector>(a: &mut [f32], n: usize, order: usize) -> Option<usize> {
    let a = a.as_mut_ptr();
    let mut i = 0;
    while i < order {
        let rows = BLOCK.min(order - i);
        // SAFETY: rows `0..i + 8` and columns `i..n` lie inside `a`.
        unsafe {
            let above = a.cast_const();
            block_row::<V, SUBTRACT>(|p| above.add(p * n), |_| {}, i, above, (i, n), a, n);
            for r in 0..rows {
                let pivot_row = a.add((i + r) * n);
                let pivot = *pivot_row.add(i + r);
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return Some(i + r);
                }
                let scale = 1.0 / pivot.sqrt();
                axpy_rows::<V>(pivot_row, n, i, r, rows, scale);
                // The solves multiply by the reciprocal.
                *pivot_row.add(i + r) = scale;
            }
        }
        i += BLOCK;
    }
    None
}

/// Scales row `r` of the 8-row block that starts at row and column `i`, and takes it off the rows
/// of the block below it.
#[inline(always)]
unsafe fn axpy_rows<V: Vector>(
    pivot_row: *mut f32,
    n: usize,
    i: usize,
    r: usize,
    rows: usize,
    scale: f32,
) {
    #[inline(always)]
    unsafe fn strip<W: Vector>(
        pivot_row: *mut f32,
        n: usize,
        j: usize,
        factors: &[f32],
        scale: f32,
    ) {
        // SAFETY: the strip and the rows below it lie inside the matrix.
        unsafe {
            let u = W::load(pivot_row.add(j)).mul(W::splat(scale));
            u.store(pivot_row.add(j));
            for (s, &factor) in factors.iter().enumerate() {
                let target = pivot_row.add((s + 1) * n + j);
                W::splat(factor).neg_mul_add(u, W::load(target)).store(target);
            }
        }
    }
    // SAFETY: columns `i..n` of rows `i + r ..= i + rows - 1` lie inside the matrix.
    unsafe {
        let mut factors = [0.0; BLOCK];
        let below = rows - r - 1;
        for (s, factor) in factors[..below].iter_mut().enumerate() {
            *factor = *pivot_row.add(i + r + 1 + s) * scale;
        }
        let mut j = i;
        while j + V::N <= n {
            strip::<V>(pivot_row, n, j, &factors[..below], scale);
            j += V::N;
        }
        if j < n {
            strip::<V::Half>(pivot_row, n, j, &factors[..below], scale);
        }
    }
}

/// See [`super::Kernels::solve_transposed`].
///
/// # Safety
/// `u` holds `n * n` numbers and every `b` holds `n`; `n` is a multiple of 8, `order <= n`.
#[inline(always)]
pub(super) unsafe fn solve_transposed<V: Vector, const B: usize>(
    u: &[f32],
    n: usize,
    order: usize,
    b: [&mut [f32]; B],
) {
    let (u, b) = (u.as_ptr(), b.map(<[f32]>::as_mut_ptr));
    let mut i = 0;
    while i < order {
        let rows = BLOCK.min(order - i);
        // SAFETY: rows `i..i + rows` and columns `i..n` lie inside `u` and each `b`.
        unsafe {
            // The block's own triangle in registers, the right-hand sides side by side.
            let mut x = [[0.0; BLOCK]; B];
            for (x, &b) in x.iter_mut().zip(&b) {
                for r in 0..rows {
                    x[r] = *b.add(i + r);
                }
            }
            for r in 0..rows {
                let row = u.add((i + r) * n + i);
                for x in &mut x {
                    x[r] *= *row.add(r);
                    for s in r + 1..rows {
                        x[s] -= x[r] * *row.add(s);
                    }
                }
            }
            for (x, &b) in x.iter().zip(&b) {
                for r in 0..rows {
                    *b.add(i + r) = x[r];
                }
            }
            let mut j = i + BLOCK;
            while j + V::N <= n {
                take_off::<V, B>(u, n, i, rows, j, &x, &b);
                j += V::N;
            }
            if j < n {
                take_off::<V::Half, B>(u, n, i, rows, j, &x, &b);
            }
        }
        i += BLOCK;
    }
}

/// `b[j..] -= Σᵣ xᵣ u[i + r][j..]` for one vector of columns.
#[inline(always)]
unsafe fn take_off<V: Vector, const B: usize>(
    u: *const f32,
    n: usize,
    i: usize,
    rows: usize,
    j: usize,
    x: &[[f32; BLOCK]; B],
    b: &[*mut f32; B],
) {
    // SAFETY: the caller vouches for the columns and rows.
    unsafe {
        let mut acc = [V::zero(); B];
        for (acc, &b) in acc.iter_mut().zip(b) {
            *acc = V::load(b.add(j));
        }
        for r in 0..rows {
            let row = V::load(u.add((i + r) * n + j));
            for (acc, x) in acc.iter_mut().zip(x) {
                *acc = V::splat(x[r]).neg_mul_add(row, *acc);
            }
        }
        for (acc, &b) in acc.iter().zip(b) {
            acc.store(b.add(j));
        }
    }
}

/// See [`super::Kernels::solve`].
///
/// # Safety
/// `u` holds `n * n` numbers and `b` holds `n`; `n` is a multiple of 8, `order <= n`.
#[inline(always)]
pub(super) unsafe fn solve<V: Vector>(u: &[f32], n: usize, order: usize, b: &mut [f32]) {
    let (u, b) = (u.as_ptr(), b.as_mut_ptr());
    // SAFETY: all rows and columns lie inside `u` and `b`; what lies behind `order` is set to zero,
    // so that whole vectors can be read.
    unsafe {
        for j in order..n {
            *b.add(j) = 0.0;
        }
        let mut i = order.next_multiple_of(BLOCK);
        while i > 0 {
            i -= BLOCK;
            let rows = BLOCK.min(order - i);
            let mut acc = [V::zero(); BLOCK];
            let mut tail = [0.0; BLOCK];
            let mut j = i + BLOCK;
            while j + V::N <= n {
                let x = V::load(b.add(j));
                for r in 0..BLOCK {
                    acc[r] = x.mul_add(V::load(u.add((i + r) * n + j)), acc[r]);
                }
                j += V::N;
            }
            if j < n {
                let x = V::Half::load(b.add(j));
                for (r, tail) in tail.iter_mut().enumerate() {
                    *tail = x.mul(V::Half::load(u.add((i + r) * n + j))).sum();
                }
            }
            for r in (0..rows).rev() {
                let row = u.add((i + r) * n + i);
                let mut value = *b.add(i + r) - acc[r].sum() - tail[r];
                for s in r + 1..rows {
                    value -= *b.add(i + s) * *row.add(s);
                }
                *b.add(i + r) = value * *row.add(r);
            }
        }
    }
}

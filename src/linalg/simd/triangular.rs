//! Cholesky factorisation and triangular solves, left-looking by blocks of 8 rows.

use super::sizes::BLOCK;
use super::vector::Vector;

/// The factor of one 8 x 8 diagonal block, in the form that its block row needs.
struct Corner {
    /// `u[r][s] / u[r][r]` for `s > r`.
    factors: [[f32; BLOCK]; BLOCK],
    /// `1 / u[r][r]`; 0 for rows beyond the order of the matrix.
    reciprocals: [f32; BLOCK],
}

/// See [`super::Kernels::cholesky`]. Returns the failing pivot, if any.
///
/// # Safety
/// `a` holds `n * n` numbers and every `b` holds `n`; `n` is a multiple of 8, `order <= n`.
#[inline(always)]
pub(super) unsafe fn cholesky<V: Vector, const B: usize>(
    a: &mut [f32],
    n: usize,
    order: usize,
    b: [&mut [f32]; B],
) -> Option<usize> {
    let (a, b) = (a.as_mut_ptr(), b.map(<[f32]>::as_mut_ptr));
    let mut i = 0;
    while i < order {
        let rows = BLOCK.min(order - i);
        // SAFETY: rows `0..i + 8` and columns `i..n` lie inside `a`.
        unsafe {
            let corner = if V::Half::N == BLOCK {
                corner::<V::Half, 1, B>(a, n, i, rows, &b)
            } else {
                corner::<V::Half, 2, B>(a, n, i, rows, &b)
            };
            match corner {
                Err(r) => return Some(i + r),
                Ok(corner) => block_row::<V>(a, n, i, &corner),
            }
        }
        i += BLOCK;
    }
    None
}

/// Subtracts the rows above from the diagonal block and factorises it in registers, `C` vectors a
/// row.
///
/// Elimination divides only by the pivots. Their square roots are needed only at the end, so they
/// are computed all at once instead of one after the other. The right-hand sides are treated in the
/// same way. The error is the position in the block of the first pivot that is not positive and
/// finite.
#[inline(always)]
unsafe fn corner<W: Vector, const C: usize, const B: usize>(
    a: *mut f32,
    n: usize,
    i: usize,
    rows: usize,
    b: &[*mut f32; B],
) -> Result<Corner, usize> {
    // SAFETY: the block and the rows above it lie inside the matrix and the right-hand sides.
    unsafe {
        let mut acc = [[W::zero(); C]; BLOCK];
        let mut right = [[W::zero(); C]; B];
        for (right, b) in right.iter_mut().zip(b) {
            for c in 0..C {
                right[c] = W::load(b.add(i + c * W::N));
            }
        }
        for r in 0..BLOCK {
            for c in 0..C {
                acc[r][c] = W::load(a.add((i + r) * n + i + c * W::N));
            }
        }
        for p in 0..i {
            let u = a.add(p * n + i).cast_const();
            let cols: [W; C] = std::array::from_fn(|c| W::load(u.add(c * W::N)));
            for r in 0..BLOCK {
                let x = W::splat(*u.add(r));
                for c in 0..C {
                    acc[r][c] = x.neg_mul_add(cols[c], acc[r][c]);
                }
            }
            for (right, b) in right.iter_mut().zip(b) {
                let x = W::splat(*b.add(p));
                for c in 0..C {
                    right[c] = x.neg_mul_add(cols[c], right[c]);
                }
            }
        }
        let mut corner = Corner { factors: [[0.0; BLOCK]; BLOCK], reciprocals: [1.0; BLOCK] };
        let mut pivots = [1.0_f32; BLOCK];
        for r in 0..BLOCK {
            if r < rows {
                let row = &mut corner.factors[r];
                for c in 0..C {
                    acc[r][c].store(row.as_mut_ptr().add(c * W::N));
                }
                let pivot = row[r];
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return Err(r);
                }
                pivots[r] = pivot;
                let reciprocal = 1.0 / pivot;
                for s in r + 1..BLOCK {
                    row[s] *= reciprocal;
                    let factor = W::splat(row[s]);
                    for c in 0..C {
                        acc[s][c] = factor.neg_mul_add(acc[r][c], acc[s][c]);
                    }
                }
            }
        }
        for (reciprocal, pivot) in corner.reciprocals.iter_mut().zip(pivots) {
            *reciprocal = 1.0 / pivot.sqrt();
        }
        for r in 0..rows {
            let row = a.add((i + r) * n + i);
            for c in 0..C {
                acc[r][c].mul(W::splat(corner.reciprocals[r])).store(row.add(c * W::N));
            }
            // The diagonal stores the reciprocal, because the solves multiply by it.
            *row.add(r) = corner.reciprocals[r];
        }
        for r in rows..BLOCK {
            corner.reciprocals[r] = 0.0;
        }
        let mut values = [[0.0; BLOCK]; B];
        for (values, right) in values.iter_mut().zip(right) {
            for c in 0..C {
                right[c].store(values.as_mut_ptr().add(c * W::N));
            }
        }
        for r in 0..BLOCK {
            for values in &mut values {
                for s in r + 1..BLOCK {
                    values[s] -= corner.factors[r][s] * values[r];
                }
            }
        }
        for (values, b) in values.iter().zip(b) {
            for r in 0..BLOCK {
                *b.add(i + r) = values[r] * corner.reciprocals[r];
            }
        }
        Ok(corner)
    }
}

/// Computes the columns to the right of a diagonal block, in registers.
///
/// It subtracts the rows above and then applies the block's own factor. A tile has 8 rows by up to
/// 3 vectors if there are 32 registers, otherwise 4 rows by up to 2.
#[inline(always)]
unsafe fn block_row<V: Vector>(a: *mut f32, n: usize, i: usize, corner: &Corner) {
    macro_rules! tiles {
        ($v:ty, $c:literal, $j:expr) => {
            if V::REGISTERS >= 32 {
                panel::<$v, 8, $c>(a, n, (i, $j), corner, 0);
            } else {
                panel::<$v, 4, $c>(a, n, (i, $j), corner, 0);
                panel::<$v, 4, $c>(a, n, (i + 4, $j), corner, 4);
            }
        };
    }
    // SAFETY: every column from `i + 8` to `n` (both multiples of 8) is covered once.
    unsafe {
        let mut j = i + BLOCK;
        if j < n && !j.is_multiple_of(V::N) {
            tiles!(V::Half, 1, j);
            j += V::Half::N;
        }
        while V::REGISTERS >= 32 && j + 3 * V::N <= n {
            tiles!(V, 3, j);
            j += 3 * V::N;
        }
        while j + 2 * V::N <= n {
            tiles!(V, 2, j);
            j += 2 * V::N;
        }
        if j + V::N <= n {
            tiles!(V, 1, j);
            j += V::N;
        }
        if j < n {
            tiles!(V::Half, 1, j);
        }
    }
}

/// Computes one tile of a block row: `R` rows from row `i`, by `C` vectors from column `j`.
///
/// Row `i` is row `first` of the block.
#[inline(always)]
unsafe fn panel<V: Vector, const R: usize, const C: usize>(
    a: *mut f32,
    n: usize,
    (i, j): (usize, usize),
    corner: &Corner,
    first: usize,
) {
    // SAFETY: the tile and the rows above it lie inside the matrix; `first + R <= 8`.
    unsafe {
        let mut acc = [[V::zero(); C]; R];
        for r in 0..R {
            for c in 0..C {
                acc[r][c] = V::load(a.add((i + r) * n + j + c * V::N));
            }
        }
        for p in 0..i {
            let u = a.add(p * n).cast_const();
            let cols: [V; C] = std::array::from_fn(|c| V::load(u.add(j + c * V::N)));
            for r in 0..R {
                let x = V::splat(*u.add(i + r));
                for c in 0..C {
                    acc[r][c] = x.neg_mul_add(cols[c], acc[r][c]);
                }
            }
        }
        for r in 0..R {
            for s in r + 1..R {
                let factor = V::splat(corner.factors[first + r][first + s]);
                for c in 0..C {
                    acc[s][c] = factor.neg_mul_add(acc[r][c], acc[s][c]);
                }
            }
        }
        for r in 0..R {
            let reciprocal = V::splat(corner.reciprocals[first + r]);
            for c in 0..C {
                acc[r][c].mul(reciprocal).store(a.add((i + r) * n + j + c * V::N));
            }
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
    // SAFETY: all rows and columns lie inside `u` and `b`. The entries of `b` from `order` on are
    // set to zero, so whole vectors can be read.
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
            let mut values = [0.0; BLOCK];
            for r in 0..rows {
                values[r] = *b.add(i + r) - acc[r].sum() - tail[r];
            }
            // Solves by columns, last one first: each unknown is subtracted from all that remain.
            for r in (0..BLOCK).rev() {
                let column = u.add(i * n + i + r);
                if r < rows {
                    values[r] *= *column.add(r * n);
                    for s in 0..r {
                        values[s] -= values[r] * *column.add(s * n);
                    }
                }
            }
            for r in 0..rows {
                *b.add(i + r) = values[r];
            }
        }
    }
}

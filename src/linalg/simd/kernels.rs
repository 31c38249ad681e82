//! The kernels, generic over the vector; compiled for one instruction set by `instantiate!`.

use super::BLOCK;

/// A register of `N` single-precision lanes.
///
/// # Safety
/// All methods may only run on a processor that has the instruction set of the type; `load`, `store`
/// and `prefetch` also need `N` valid numbers behind the pointer (`prefetch` none).
pub(super) trait Vector: Copy {
    const N: usize;
    /// A vector of half the lanes where that is worth having, else the type itself.
    type Half: Vector;
    unsafe fn zero() -> Self;
    unsafe fn splat(x: f32) -> Self;
    unsafe fn load(p: *const f32) -> Self;
    unsafe fn store(self, p: *mut f32);
    unsafe fn mul(self, other: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    /// `self * a + b`.
    unsafe fn mul_add(self, a: Self, b: Self) -> Self;
    /// `b - self * a`.
    unsafe fn neg_mul_add(self, a: Self, b: Self) -> Self;
    unsafe fn sum(self) -> f32;
    unsafe fn prefetch(p: *const f32);
}

/// How a tile combines the rows it runs over.
const ADD: u8 = 0;
const ADD_WEIGHTED: u8 = 1;
const SUBTRACT: u8 = 2;

/// Rows gathered per pass: 64 rows of rank 64 are 16 KiB, half of a first-level cache.
const PANEL: usize = 64;

/// One tile, `R` rows by `C` vectors, of `out += Σₚ wₚ yₚ[i..]ᵀ yₚ[j..]` (or `-=`).
#[inline(always)]
unsafe fn tile<V: Vector, const R: usize, const C: usize, const MODE: u8>(
    row: impl Fn(usize) -> *const f32,
    depth: usize,
    weights: *const f32,
    (i, j): (usize, usize),
    out: *mut f32,
    ld: usize,
) {
    // SAFETY: the caller vouches for `depth` rows and weights, and for the tile within `out`.
    unsafe {
        let mut acc = [[V::zero(); C]; R];
        for r in 0..R {
            for c in 0..C {
                acc[r][c] = V::load(out.add((i + r) * ld + j + c * V::N));
            }
        }
        for p in 0..depth {
            let y = row(p);
            let mut cols = [V::zero(); C];
            for c in 0..C {
                cols[c] = V::load(y.add(j + c * V::N));
                if MODE == ADD_WEIGHTED {
                    cols[c] = cols[c].mul(V::splat(*weights.add(p)));
                }
            }
            for r in 0..R {
                let x = V::splat(*y.add(i + r));
                for c in 0..C {
                    acc[r][c] = if MODE == SUBTRACT {
                        x.neg_mul_add(cols[c], acc[r][c])
                    } else {
                        x.mul_add(cols[c], acc[r][c])
                    };
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

/// The 8 rows from `i` of the upper triangle, columns `i..n`: tiles of three vectors, then the rest.
#[inline(always)]
unsafe fn block_row<V: Vector, const MODE: u8>(
    row: impl Fn(usize) -> *const f32 + Copy,
    depth: usize,
    weights: *const f32,
    i: usize,
    n: usize,
    out: *mut f32,
    ld: usize,
) {
    // Tiles of 8 rows need 8 x 3 accumulators, more than the 16 registers of AVX2 and SSE.
    macro_rules! tiles {
        ($v:ty, $c:literal, $j:expr) => {
            if <$v>::N >= 16 {
                tile::<$v, 8, $c, MODE>(row, depth, weights, (i, $j), out, ld);
            } else {
                tile::<$v, 4, $c, MODE>(row, depth, weights, (i, $j), out, ld);
                tile::<$v, 4, $c, MODE>(row, depth, weights, (i + 4, $j), out, ld);
            }
        };
    }
    // SAFETY: as for `tile`; every column up to `n`, a multiple of 8, is covered once.
    unsafe {
        let mut j = i;
        while j + 3 * V::N <= n {
            tiles!(V, 3, j);
            j += 3 * V::N;
        }
        if j + 2 * V::N <= n {
            tiles!(V, 2, j);
            j += 2 * V::N;
        }
        if j + V::N <= n {
            tiles!(V, 1, j);
            j += V::N;
        }
        if j < n {
            tile::<V::Half, 8, 1, MODE>(row, depth, weights, (i, j), out, ld);
        }
    }
}

/// See [`super::Kernels::accumulate`]; `weights` is read only where `WEIGHTED`.
///
/// # Safety
/// All `indices` are rows of `base` (rows of `stride >= n`), `weights` and `targets` are as long as
/// `indices`, `gram` holds `n * n` numbers and `rhs` and `sums` hold `n`; `n` is a multiple of 8.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one row's operands and its three results")]
pub(super) unsafe fn accumulate<V: Vector, const WEIGHTED: bool>(
    base: &[f32],
    stride: usize,
    n: usize,
    indices: &[u32],
    weights: &[f32],
    targets: &[f32],
    gram: &mut [f32],
    rhs: &mut [f32],
    sums: &mut [f32],
) {
    let base = base.as_ptr();
    let gram = gram.as_mut_ptr();
    for (panel, chunk) in indices.chunks(PANEL).enumerate() {
        let start = panel * PANEL;
        // SAFETY: indices are rows of `base`; the weights and targets are as many as the indices.
        unsafe {
            let mut rows = [base; PANEL];
            for (slot, &index) in rows.iter_mut().zip(chunk) {
                *slot = base.add(index as usize * stride);
            }
            let next = &indices[(start + PANEL).min(indices.len())..];
            for &index in &next[..next.len().min(PANEL)] {
                let ahead = base.add(index as usize * stride);
                let mut offset = 0;
                while offset < n {
                    V::prefetch(ahead.add(offset));
                    offset += 16;
                }
            }
            let row = |p: usize| *rows.get_unchecked(p);
            let weights = weights.as_ptr().add(start);
            let mut i = 0;
            while i < n {
                if WEIGHTED {
                    block_row::<V, ADD_WEIGHTED>(row, chunk.len(), weights, i, n, gram, n);
                } else {
                    block_row::<V, ADD>(row, chunk.len(), weights, i, n, gram, n);
                }
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

/// `rhs += Σ tₚ yₚ` and `sums += Σ wₚ yₚ` over one panel.
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
        (weights, targets): (*const f32, *const f32),
        (rhs, sums): (*mut f32, *mut f32),
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
            strip::<V, 4, WEIGHTED>(row, depth, j, (weights, targets), (rhs, sums));
            j += 4 * V::N;
        }
        while j + V::N <= n {
            strip::<V, 1, WEIGHTED>(row, depth, j, (weights, targets), (rhs, sums));
            j += V::N;
        }
        if j < n {
            strip::<V::Half, 1, WEIGHTED>(row, depth, j, (weights, targets), (rhs, sums));
        }
    }
}

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
            block_row::<V, SUBTRACT>(|p| above.add(p * n), i, above, i, n, a, n);
            for r in 0..rows {
                let pivot_row = a.add((i + r) * n);
                let pivot = *pivot_row.add(i + r);
                if !(pivot > 0.0 && pivot.is_finite()) {
                    return Some(i + r);
                }
                let scale = 1.0 / pivot.sqrt();
                axpy_rows::<V>(pivot_row, n, i, r, rows, scale);
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
/// `u` holds `n * n` numbers and `b` holds `n`; `n` is a multiple of 8, `order <= n`.
#[inline(always)]
pub(super) unsafe fn solve_transposed<V: Vector>(u: &[f32], n: usize, order: usize, b: &mut [f32]) {
    let (u, b) = (u.as_ptr(), b.as_mut_ptr());
    let mut i = 0;
    while i < order {
        let rows = BLOCK.min(order - i);
        // SAFETY: rows `i..i + rows` and columns `i..n` lie inside `u` and `b`.
        unsafe {
            let mut x = [0.0; BLOCK];
            for r in 0..rows {
                let row = u.add((i + r) * n + i);
                let value = *b.add(i + r) / *row.add(r);
                x[r] = value;
                *b.add(i + r) = value;
                for s in r + 1..rows {
                    *b.add(i + s) -= value * *row.add(s);
                }
            }
            let mut j = i + BLOCK;
            while j + V::N <= n {
                take_off::<V>(u, n, i, rows, j, &x, b);
                j += V::N;
            }
            if j < n {
                take_off::<V::Half>(u, n, i, rows, j, &x, b);
            }
        }
        i += BLOCK;
    }
}

/// `b[j..] -= Σᵣ xᵣ u[i + r][j..]` for one vector of columns.
#[inline(always)]
unsafe fn take_off<V: Vector>(
    u: *const f32,
    n: usize,
    i: usize,
    rows: usize,
    j: usize,
    x: &[f32; BLOCK],
    b: *mut f32,
) {
    // SAFETY: the caller vouches for the columns and rows.
    unsafe {
        let mut acc = V::load(b.add(j));
        for (r, &x) in x[..rows].iter().enumerate() {
            acc = V::splat(x).neg_mul_add(V::load(u.add((i + r) * n + j)), acc);
        }
        acc.store(b.add(j));
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
                *b.add(i + r) = value / *row.add(r);
            }
        }
    }
}

/// See [`super::Kernels::dots`].
///
/// # Safety
/// All `indices` are rows of `base` (rows of `stride >= x.len()`), `out` is as long as `indices`.
#[inline(always)]
pub(super) unsafe fn dots<V: Vector>(
    x: &[f32],
    base: &[f32],
    stride: usize,
    indices: &[u32],
    out: &mut [f32],
) {
    let len = x.len();
    let whole = len - len % V::N;
    let (mut groups, mut done) = (indices.chunks_exact(4), 0);
    // SAFETY: the rows and the length of `x` are given by the caller.
    unsafe {
        for group in &mut groups {
            let rows: [*const f32; 4] =
                std::array::from_fn(|g| base.as_ptr().add(group[g] as usize * stride));
            let mut acc = [V::zero(); 4];
            let mut j = 0;
            while j < whole {
                let v = V::load(x.as_ptr().add(j));
                for g in 0..4 {
                    acc[g] = v.mul_add(V::load(rows[g].add(j)), acc[g]);
                }
                j += V::N;
            }
            for g in 0..4 {
                let mut sum = acc[g].sum();
                for j in whole..len {
                    sum += x[j] * *rows[g].add(j);
                }
                out[done + g] = sum;
            }
            done += 4;
        }
        for &index in groups.remainder() {
            out[done] = dot::<V>(x, &base[index as usize * stride..][..len]);
            done += 1;
        }
    }
}

/// See [`super::Kernels::dot`]; one accumulator, so that it equals what `dots` gives for the row.
///
/// # Safety
/// `y` is as long as `x`.
#[inline(always)]
pub(super) unsafe fn dot<V: Vector>(x: &[f32], y: &[f32]) -> f32 {
    let whole = x.len() - x.len() % V::N;
    // SAFETY: both slices hold `whole` numbers.
    unsafe {
        let mut acc = V::zero();
        let mut j = 0;
        while j < whole {
            acc = V::load(x.as_ptr().add(j)).mul_add(V::load(y.as_ptr().add(j)), acc);
            j += V::N;
        }
        let mut sum = acc.sum();
        for j in whole..x.len() {
            sum += x[j] * y[j];
        }
        sum
    }
}

/// Compiles every kernel for one vector type, each function with the given attributes.
macro_rules! instantiate {
    ($vector:ty, $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        #[expect(clippy::too_many_arguments, reason = "as the kernel")]
        pub(in crate::linalg::simd) unsafe fn accumulate<const WEIGHTED: bool>(
            base: &[f32], stride: usize, n: usize, indices: &[u32], weights: &[f32], targets: &[f32],
            gram: &mut [f32], rhs: &mut [f32], sums: &mut [f32],
        ) {
            // SAFETY: the caller's promise is the kernel's.
            unsafe {
                kernels::accumulate::<$vector, WEIGHTED>(
                    base, stride, n, indices, weights, targets, gram, rhs, sums,
                );
            }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn cholesky(a: &mut [f32], n: usize, order: usize) -> Option<usize> {
            // SAFETY: the caller's promise is the kernel's.
            unsafe { kernels::cholesky::<$vector>(a, n, order) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn solve_transposed(u: &[f32], n: usize, order: usize, b: &mut [f32]) {
            // SAFETY: the caller's promise is the kernel's.
            unsafe { kernels::solve_transposed::<$vector>(u, n, order, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn solve(u: &[f32], n: usize, order: usize, b: &mut [f32]) {
            // SAFETY: the caller's promise is the kernel's.
            unsafe { kernels::solve::<$vector>(u, n, order, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn dots(
            x: &[f32], base: &[f32], stride: usize, indices: &[u32], out: &mut [f32],
        ) {
            // SAFETY: the caller's promise is the kernel's.
            unsafe { kernels::dots::<$vector>(x, base, stride, indices, out) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn dot(x: &[f32], y: &[f32]) -> f32 {
            // SAFETY: the caller's promise is the kernel's.
            unsafe { kernels::dot::<$vector>(x, y) }
        }
    };
}
pub(super) use instantiate;

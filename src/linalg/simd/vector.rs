//! The vector type that kernels are generic over, and their compilation per instruction set.

/// A register of `N` single-precision lanes.
///
/// # Safety
/// All methods may only run on a processor that has the instruction set of the type. `load` and
/// `store` also need `N` valid numbers behind the pointer. `prefetch` accepts any pointer.
pub(super) trait Vector: Copy {
    const N: usize;
    /// Number of such registers. A tile's accumulators must leave room for its operands.
    const REGISTERS: usize;
    /// A vector of half the lanes if the type has a useful one, otherwise the type itself.
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
    unsafe fn max(self, other: Self) -> Self;
    /// Whether any lane is at least that of `other`. NaN lanes never are.
    unsafe fn any_at_least(self, other: Self) -> bool;
    /// `1 / √self`.
    unsafe fn inverse_root(self) -> Self;
    unsafe fn sum(self) -> f32;
    /// The sums of four registers.
    #[inline(always)]
    unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
        // SAFETY: the requirements are those of the type.
        four.map(|v| unsafe { v.sum() })
    }
    unsafe fn prefetch(p: *const f32);
}

/// Compiles every kernel for one vector type. Each function gets the specified attributes.
macro_rules! instantiate {
    ($vector:ty, $(#[$attribute:meta])*) => {
        $(#[$attribute])*
        #[expect(clippy::too_many_arguments, reason = "as the kernel")]
        pub(in crate::linalg::simd) unsafe fn accumulate<const WEIGHTED: bool>(
            base: &[f32], stride: usize, n: usize, rows: RowList<'_>, weights: &[f32],
            targets: &[f32], gram: &mut [f32], rhs: &mut [f32], sums: &mut [f32],
            overwrite: bool,
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe {
                gram::accumulate::<$vector, WEIGHTED>(
                    base, stride, n, rows, weights, targets, gram, rhs, sums, overwrite,
                );
            }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn cholesky<const B: usize>(
            a: &mut [f32], n: usize, order: usize, b: [&mut [f32]; B],
        ) -> Option<usize> {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { triangular::cholesky::<$vector, B>(a, n, order, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn solve(
            u: &[f32], n: usize, order: usize, b: &mut [f32],
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { triangular::solve::<$vector>(u, n, order, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn cholesky_lanes<const B: usize>(
            a: &mut [f32], rank: usize, b: [&mut [f32]; B],
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { lanes::cholesky::<$vector, B>(a, rank, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn solve_lanes(u: &[f32], rank: usize, b: &mut [f32]) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { lanes::solve::<$vector>(u, rank, b) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn dots(
            x: &[f32], base: &[f32], stride: usize, indices: &[u32], out: &mut [f32],
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { dots::dots::<$vector>(x, base, stride, indices, out) }
        }

        $(#[$attribute])*
        #[expect(clippy::too_many_arguments, reason = "as the kernel")]
        pub(in crate::linalg::simd) unsafe fn combine<const WEIGHTED: bool, const RESIDUAL: bool>(
            from: Shifted<'_>, base: &[f32], stride: usize, indices: &[u32], weights: &[f32],
            targets: &[f32], dots: &mut [f32], out: &mut [f32],
        ) -> f32 {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe {
                combine::combine::<$vector, WEIGHTED, RESIDUAL>(
                    from, base, stride, indices, weights, targets, dots, out,
                )
            }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn descend(
            step: &Descent, stride: usize, cells: DescentCells<'_>, user: DescentSide<'_>,
            item: DescentSide<'_>,
        ) -> f64 {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { descend::descend::<$vector>(step, stride, cells, user, item) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn scores(
            base: &[f32], stride: usize, cols: usize, rows: &[u32], panels: &[f32],
            biases: &[f32], out: &mut [f32],
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { scores::scores::<$vector>(base, stride, cols, rows, panels, biases, out) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn at_least(
            scores: &[f32], threshold: f32, found: &mut Vec<u32>,
        ) {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { scores::at_least::<$vector>(scores, threshold, found) }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn count(scores: &[f32], reference: f32) -> (u32, u32) {
            scores::count(scores, reference)
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn prefetch(row: &[f32]) {
            for line in row.chunks(16) {
                // SAFETY: a prefetch reads nothing; the caller guarantees the instruction set.
                unsafe { <$vector as Vector>::prefetch(line.as_ptr()) }
            }
        }

        $(#[$attribute])*
        pub(in crate::linalg::simd) unsafe fn dot(x: &[f32], y: &[f32]) -> f32 {
            // SAFETY: the caller meets the kernel's requirements.
            unsafe { dots::dot::<$vector>(x, y) }
        }
    };
}
pub(super) use instantiate;

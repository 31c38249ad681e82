//! AVX2 with FMA (8 lanes) and AVX-512 (16 lanes).

use std::arch::x86_64::{
    __m256, __m512, _CMP_GE_OQ, _MM_HINT_T1, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32,
    _mm_movehdup_ps, _mm_movehl_ps, _mm_prefetch, _mm_storeu_ps, _mm256_add_ps, _mm256_castpd_ps,
    _mm256_castps256_ps128, _mm256_cmp_ps, _mm256_div_ps, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_fnmadd_ps, _mm256_hadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_movemask_ps,
    _mm256_mul_ps, _mm256_set1_ps, _mm256_setzero_ps, _mm256_sqrt_ps, _mm256_storeu_ps,
    _mm512_add_ps, _mm512_castps_pd, _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_div_ps,
    _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_fnmadd_ps, _mm512_loadu_ps, _mm512_max_ps,
    _mm512_mul_ps, _mm512_reduce_add_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_sqrt_ps,
    _mm512_storeu_ps,
};

use super::vector::{Vector, instantiate};
use super::{
    Descent, DescentCells, DescentSide, RowList, Shifted, combine, descend, dots, gram, lanes,
    scores, triangular,
};

macro_rules! vector {
    ($(#[$doc:meta])* $name:ident($register:ty), $n:literal of $registers:literal,
     half $half:ty, $zero:ident, $splat:ident, $load:ident, $store:ident, $mul:ident, $add:ident,
     $fma:ident, $fnma:ident, $div:ident, $sqrt:ident, $max:ident,
     |$a:ident, $b:ident| $at_least:expr, |$v:ident| $sum:expr, |$w:ident| $half_of:expr) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        pub(super) struct $name($register);

        // SAFETY (all methods): they are called only inside functions compiled for the instruction
        // set. `Kernels` calls those functions only on processors that have it. Loads and stores
        // assume no alignment.
        impl Vector for $name {
            const N: usize = $n;
            const REGISTERS: usize = $registers;
            type Half = $half;

            #[inline(always)]
            unsafe fn zero() -> Self {
                // SAFETY: see above.
                Self(unsafe { $zero() })
            }

            #[inline(always)]
            unsafe fn splat(x: f32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $splat(x) })
            }

            #[inline(always)]
            unsafe fn load(p: *const f32) -> Self {
                // SAFETY: see above.
                Self(unsafe { $load(p) })
            }

            #[inline(always)]
            unsafe fn store(self, p: *mut f32) {
                // SAFETY: see above.
                unsafe { $store(p, self.0) }
            }

            #[inline(always)]
            unsafe fn mul(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $mul(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $add(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fma(self.0, a.0, b.0) })
            }

            #[inline(always)]
            unsafe fn neg_mul_add(self, a: Self, b: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $fnma(self.0, a.0, b.0) })
            }

            #[inline(always)]
            unsafe fn max(self, other: Self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $max(self.0, other.0) })
            }

            #[inline(always)]
            unsafe fn any_at_least(self, other: Self) -> bool {
                let ($a, $b) = (self.0, other.0);
                // SAFETY: see above.
                unsafe { $at_least }
            }

            #[inline(always)]
            unsafe fn inverse_root(self) -> Self {
                // SAFETY: see above.
                Self(unsafe { $div($splat(1.0), $sqrt(self.0)) })
            }

            #[inline(always)]
            unsafe fn sum(self) -> f32 {
                let $v = self.0;
                // SAFETY: see above.
                unsafe { $sum }
            }

            #[inline(always)]
            unsafe fn sums(four: [Self; 4]) -> [f32; 4] {
                // SAFETY: see above.
                unsafe {
                    // This is a macro because a closure would not be compiled for the instruction
                    // set.
                    macro_rules! half {
                        ($at:literal) => {{
                            let $w = four[$at].0;
                            $half_of
                        }};
                    }
                    let (a, b, c, d) = (half!(0), half!(1), half!(2), half!(3));
                    let pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
                    let low = _mm256_castps256_ps128(pairs);
                    let sums = _mm_add_ps(low, _mm256_extractf128_ps::<1>(pairs));
                    let mut out = [0.0; 4];
                    _mm_storeu_ps(out.as_mut_ptr(), sums);
                    out
                }
            }

            #[inline(always)]
            unsafe fn prefetch(p: *const f32) {
                // SAFETY: a prefetch reads nothing and cannot fault.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(p.cast()) }
            }
        }
    };
}

vector!(
    /// Eight lanes.
    Lanes8(__m256), 8 of 16, half Lanes8, _mm256_setzero_ps, _mm256_set1_ps, _mm256_loadu_ps,
    _mm256_storeu_ps, _mm256_mul_ps, _mm256_add_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_div_ps, _mm256_sqrt_ps, _mm256_max_ps,
    |a, b| _mm256_movemask_ps(_mm256_cmp_ps::<_CMP_GE_OQ>(a, b)) != 0, |v| {
        let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
        let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
    },
    |v| v
);

vector!(
    /// Sixteen lanes.
    Lanes16(__m512), 16 of 32, half Lanes8, _mm512_setzero_ps, _mm512_set1_ps, _mm512_loadu_ps,
    _mm512_storeu_ps, _mm512_mul_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_div_ps, _mm512_sqrt_ps, _mm512_max_ps,
    |a, b| _mm512_cmp_ps_mask::<_CMP_GE_OQ>(a, b) != 0, |v| _mm512_reduce_add_ps(v),
    |v| {
        let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
        _mm256_add_ps(_mm512_castps512_ps256(v), upper)
    }
);

pub(super) mod avx2 {
    use super::{
        Descent, DescentCells, DescentSide, Lanes8, RowList, Shifted, Vector, combine, descend,
        dots, gram, instantiate, lanes, scores, triangular,
    };

    instantiate!(Lanes8, #[target_feature(enable = "avx2,fma")]);
}

pub(super) mod avx512 {
    use super::{
        Descent, DescentCells, DescentSide, Lanes16, RowList, Shifted, Vector, combine, descend,
        dots, gram, instantiate, lanes, scores, triangular,
    };

    instantiate!(Lanes16, #[target_feature(enable = "avx512f,avx512vl,avx2,fma")]);
}

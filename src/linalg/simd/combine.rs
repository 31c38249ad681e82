//! Products with the Gram matrix of one row's normal equations, without forming it.

use super::operands::Shifted;
use super::vector::Vector;

/// Number of rows between the one being read and the one being prefetched.
const AHEAD: usize = 8;

/// See [`super::Kernels::combine`]. `weights` is read only with `WEIGHTED`, `targets` only with
/// `RESIDUAL`.
///
/// # Safety
/// All `indices` are rows of `base` (rows of `stride` numbers, a multiple of 16). `x` and `out`
/// hold `stride` numbers. `dots` is as long as `indices`, as are `weights` and `targets` if they
/// are read.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one row's operands and its results")]
pub(super) unsafe fn combine<V: Vector, const WEIGHTED: bool, const RESIDUAL: bool>(
    from: Shifted<'_>,
    base: &[f32],
    stride: usize,
    indices: &[u32],
    weights: &[f32],
    targets: &[f32],
    dots: &mut [f32],
    out: &mut [f32],
) -> f32 {
    if V::REGISTERS >= 32 {
        macro_rules! held {
            ($c:literal) => {
                // SAFETY: the requirements of `held` are those of this function, and `stride` is
                // `$c` vectors.
                unsafe {
                    return held::<V, WEIGHTED, RESIDUAL, $c>(
                        from, base, stride, indices, weights, targets, dots, out,
                    );
                }
            };
        }
        match stride / V::N {
            1 => held!(1),
            2 => held!(2),
            3 => held!(3),
            4 => held!(4),
            _ => {}
        }
    }
    let Shifted { x, shift } = from;
    let (base, out) = (base.as_ptr(), out.as_mut_ptr());
    let mut total = 0.0;
    // SAFETY: the caller guarantees the rows and lengths.
    unsafe {
        let mut coefficient = |p: usize, dot: f32| {
            let dot = dot + shift;
            dots[p] = dot;
            let weighted = if WEIGHTED { *weights.get_unchecked(p) * dot } else { dot };
            let c = if RESIDUAL { *targets.get_unchecked(p) - weighted } else { weighted };
            total += c;
            c
        };
        let mut p = 0;
        while p + 4 <= indices.len() {
            let rows: [*const f32; 4] =
                std::array::from_fn(|g| base.add(indices[p + g] as usize * stride));
            if RESIDUAL {
                for &index in indices.iter().skip(p + AHEAD).take(4) {
                    for line in (0..stride).step_by(16) {
                        V::prefetch(base.wrapping_add(index as usize * stride + line));
                    }
                }
            }
            let mut sums = [V::zero(); 4];
            for j in (0..stride).step_by(V::N) {
                let v = V::load(x.as_ptr().add(j));
                for g in 0..4 {
                    sums[g] = v.mul_add(V::load(rows[g].add(j)), sums[g]);
                }
            }
            let (sums, mut c) = (V::sums(sums), [V::zero(); 4]);
            for g in 0..4 {
                c[g] = V::splat(coefficient(p + g, sums[g]));
            }
            for j in (0..stride).step_by(V::N) {
                let mut v = V::load(out.add(j));
                for g in 0..4 {
                    v = c[g].mul_add(V::load(rows[g].add(j)), v);
                }
                v.store(out.add(j));
            }
            p += 4;
        }
        while p < indices.len() {
            let row = base.add(indices[p] as usize * stride);
            let mut sum = V::zero();
            for j in (0..stride).step_by(V::N) {
                sum = V::load(x.as_ptr().add(j)).mul_add(V::load(row.add(j)), sum);
            }
            let c = V::splat(coefficient(p, sum.sum()));
            for j in (0..stride).step_by(V::N) {
                c.mul_add(V::load(row.add(j)), V::load(out.add(j))).store(out.add(j));
            }
            p += 1;
        }
    }
    total
}

/// [`combine`] for rows of `C` vectors, which fit in registers. Four rows at a time are loaded,
/// each only once.
///
/// # Safety
/// As for [`combine`], and `stride` is `C` vectors.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "one row's operands and its results")]
unsafe fn held<V: Vector, const WEIGHTED: bool, const RESIDUAL: bool, const C: usize>(
    from: Shifted<'_>,
    base: &[f32],
    stride: usize,
    indices: &[u32],
    weights: &[f32],
    targets: &[f32],
    dots: &mut [f32],
    out: &mut [f32],
) -> f32 {
    let Shifted { x, shift } = from;
    let base = base.as_ptr();
    let mut total = 0.0;
    // SAFETY: the caller guarantees the rows and lengths.
    unsafe {
        let mut coefficient = |p: usize, dot: f32| {
            let dot = dot + shift;
            *dots.get_unchecked_mut(p) = dot;
            let weighted = if WEIGHTED { *weights.get_unchecked(p) * dot } else { dot };
            let c = if RESIDUAL { *targets.get_unchecked(p) - weighted } else { weighted };
            total += c;
            c
        };
        let (mut own, mut sum) = ([V::zero(); C], [V::zero(); C]);
        for j in 0..C {
            own[j] = V::load(x.as_ptr().add(j * V::N));
            sum[j] = V::load(out.as_ptr().add(j * V::N));
        }
        let mut p = 0;
        while p + 4 <= indices.len() {
            if RESIDUAL {
                for &index in indices.iter().skip(p + AHEAD).take(4) {
                    for j in 0..C {
                        V::prefetch(base.wrapping_add(index as usize * stride + j * V::N));
                    }
                }
            }
            let (mut rows, mut parts) = ([[V::zero(); C]; 4], [V::zero(); 4]);
            for g in 0..4 {
                let row = base.add(*indices.get_unchecked(p + g) as usize * stride);
                for j in 0..C {
                    rows[g][j] = V::load(row.add(j * V::N));
                    parts[g] = own[j].mul_add(rows[g][j], parts[g]);
                }
            }
            let parts = V::sums(parts);
            for g in 0..4 {
                let c = V::splat(coefficient(p + g, parts[g]));
                for j in 0..C {
                    sum[j] = c.mul_add(rows[g][j], sum[j]);
                }
            }
            p += 4;
        }
        while p < indices.len() {
            let row = base.add(*indices.get_unchecked(p) as usize * stride);
            let (mut values, mut part) = ([V::zero(); C], V::zero());
            for j in 0..C {
                values[j] = V::load(row.add(j * V::N));
                part = own[j].mul_add(values[j], part);
            }
            let c = V::splat(coefficient(p, part.sum()));
            for j in 0..C {
                sum[j] = c.mul_add(values[j], sum[j]);
            }
            p += 1;
        }
        for j in 0..C {
            sum[j].store(out.as_mut_ptr().add(j * V::N));
        }
    }
    total
}

//! Dot products of one vector with gathered rows.

use super::vector::Vector;

/// See [`super::Kernels::dots`].
///
/// # Safety
/// All `indices` are rows of `base` (rows start `stride` numbers apart, and `x.len()` numbers can
/// be read from each start), and `out` is as long as `indices`.
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
    // SAFETY: the caller guarantees the rows and the length of `x`.
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

/// See [`super::Kernels::dot`]. It uses one accumulator, so the result equals that of `dots` for
/// the row.
///
/// # Safety
/// `y` is as long as `x`.
#[inline(always)]
pub(super) unsafe fn dot<V: Vector>(x: &[f32], y: &[f32]) -> f32 {
    let whole = x.len() - x.len() % V::N;
    // SAFETY: both slices contain at least `whole` numbers.
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

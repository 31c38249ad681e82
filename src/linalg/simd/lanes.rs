//! Cholesky factorisation and solves of 16 small systems at once, one in each lane.

use super::sizes::LANES;
use super::vector::Vector;

/// See [`super::Kernels::cholesky_lanes`].
///
/// # Safety
/// `a` holds `rank * rank * 16` numbers and every `b` holds `rank * 16`.
#[inline(always)]
pub(super) unsafe fn cholesky<V: Vector, const B: usize>(
    a: &mut [f32],
    rank: usize,
    b: [&mut [f32]; B],
) {
    let (a, b) = (a.as_mut_ptr(), b.map(<[f32]>::as_mut_ptr));
    for lane in (0..LANES).step_by(V::N) {
        let entry = |i: usize, j: usize| a.wrapping_add((i * rank + j) * LANES + lane);
        // SAFETY: rows and columns lie below `rank`, lanes below 16.
        unsafe {
            for i in 0..rank {
                let scale = V::load(entry(i, i)).inverse_root();
                scale.store(entry(i, i));
                for j in i + 1..rank {
                    V::load(entry(i, j)).mul(scale).store(entry(i, j));
                }
                for b in b {
                    let at = b.add(i * LANES + lane);
                    V::load(at).mul(scale).store(at);
                }
                for j in i + 1..rank {
                    let factor = V::load(entry(i, j));
                    for l in j..rank {
                        let target = entry(j, l);
                        factor.neg_mul_add(V::load(entry(i, l)), V::load(target)).store(target);
                    }
                    for b in b {
                        let target = b.add(j * LANES + lane);
                        let above = V::load(b.add(i * LANES + lane));
                        factor.neg_mul_add(above, V::load(target)).store(target);
                    }
                }
            }
        }
    }
}

/// See [`super::Kernels::solve_lanes`].
///
/// # Safety
/// `u` holds `rank * rank * 16` numbers and `b` holds `rank * 16`.
#[inline(always)]
pub(super) unsafe fn solve<V: Vector>(u: &[f32], rank: usize, b: &mut [f32]) {
    let (u, b) = (u.as_ptr(), b.as_mut_ptr());
    for lane in (0..LANES).step_by(V::N) {
        // SAFETY: as above.
        unsafe {
            let entry = |i: usize, j: usize| V::load(u.add((i * rank + j) * LANES + lane));
            for j in (0..rank).rev() {
                let at = b.add(j * LANES + lane);
                let x = V::load(at).mul(entry(j, j));
                x.store(at);
                for i in 0..j {
                    let target = b.add(i * LANES + lane);
                    x.neg_mul_add(entry(i, j), V::load(target)).store(target);
                }
            }
        }
    }
}

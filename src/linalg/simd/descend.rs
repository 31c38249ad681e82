//! Steps of stochastic gradient descent on pairs of vectors.

use super::operands::DescentCells;
use super::vector::Vector;

/// Settings of [`super::Kernels::descend`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Descent {
    /// The learning rate when a sum is 1.
    pub rate: f32,
    /// Growth of a vector's sum per squared gradient entry. With 0 the learning rate stays
    /// constant.
    pub growth: f32,
    /// The same for a bias.
    pub bias_growth: f32,
    /// Whether biases are fitted.
    pub biases: bool,
}

/// The rows of one side that [`super::Kernels::descend`] updates. Every field has one entry per
/// row.
#[derive(Debug)]
pub struct DescentSide<'a> {
    /// Padded vectors.
    pub vectors: &'a mut [f32],
    /// Biases.
    pub biases: &'a mut [f32],
    /// Sums of squared gradients of the vector and of the bias. The learning rate is divided by
    /// their square roots.
    pub sums: &'a mut [[f32; 2]],
    /// Regularisation per rating, of the vector and of the bias.
    pub ridge: &'a [[f32; 2]],
}

impl DescentSide<'_> {
    /// Whether every position is a row of all fields.
    pub(super) fn holds(&self, stride: usize, positions: &[u32]) -> bool {
        let largest = positions.iter().copied().fold(0, u32::max) as usize;
        let rows = self.biases.len().min(self.sums.len()).min(self.ridge.len());
        positions.is_empty() || (largest < rows && self.vectors.len() >= (largest + 1) * stride)
    }
}

/// See [`super::Kernels::descend`].
///
/// # Safety
/// Every cell's rows lie in the sides' vectors (rows of `stride` numbers, a multiple of 16),
/// biases, sums and regularisations. `users`, `items`, `targets` and, if there are any, `weights`
/// have the same length.
#[inline(always)]
#[expect(clippy::needless_pass_by_value, reason = "a side's rows are handed over")]
pub(super) unsafe fn descend<V: Vector>(
    step: &Descent,
    stride: usize,
    cells: DescentCells<'_>,
    user: DescentSide<'_>,
    item: DescentSide<'_>,
) -> f64 {
    let DescentCells { users, items, targets, weights } = cells;
    let weights = weights.unwrap_or_default();
    let mut squares = 0.0;
    let (p, q) = (user.vectors.as_mut_ptr(), item.vectors.as_mut_ptr());
    // SAFETY: the caller guarantees the positions and lengths.
    unsafe {
        for c in 0..users.len() {
            let (u, i) = (*users.get_unchecked(c) as usize, *items.get_unchecked(c) as usize);
            if let Some(&next) = items.get(c + 8) {
                for line in (0..stride).step_by(16) {
                    V::prefetch(q.wrapping_add(next as usize * stride + line));
                }
            }
            let (p, q) = (p.add(u * stride), q.add(i * stride));
            let mut sum = V::zero();
            for j in (0..stride).step_by(V::N) {
                sum = V::load(p.add(j)).mul_add(V::load(q.add(j)), sum);
            }
            let (bu, bi) = (user.biases.get_unchecked_mut(u), item.biases.get_unchecked_mut(i));
            let error = *targets.get_unchecked(c) - sum.sum() - *bu - *bi;
            let weight = if weights.is_empty() { 1.0 } else { *weights.get_unchecked(c) };
            squares += f64::from(weight) * f64::from(error) * f64::from(error);
            let error = weight * error;
            let (su, si) = (user.sums.get_unchecked_mut(u), item.sums.get_unchecked_mut(i));
            // Rates of the vector and the bias, of either side. The regularisation is implicit,
            // which means that it applies to the new value: (x + η e y) / (1 + η λ). Such a step
            // cannot overshoot.
            let (ru, ri) = (*user.ridge.get_unchecked(u), *item.ridge.get_unchecked(i));
            let (mut rate, mut other) = ([0.0; 2], [0.0; 2]);
            for b in 0..2 {
                let (eta, theta) = (step.rate / su[b].sqrt(), step.rate / si[b].sqrt());
                rate[b] = eta / (1.0 + eta * ru[b]);
                other[b] = theta / (1.0 + theta * ri[b]);
            }
            let (eta, theta) = (V::splat(rate[0]), V::splat(other[0]));
            let (e, lambda, kappa) = (V::splat(error), V::splat(ru[0]), V::splat(ri[0]));
            let (mut gu, mut gi) = (V::zero(), V::zero());
            for j in (0..stride).step_by(V::N) {
                let (x, y) = (V::load(p.add(j)), V::load(q.add(j)));
                // The negative gradients, e y − λ x and e x − κ y.
                let down_x = lambda.neg_mul_add(x, e.mul(y));
                let down_y = kappa.neg_mul_add(y, e.mul(x));
                gu = down_x.mul_add(down_x, gu);
                gi = down_y.mul_add(down_y, gi);
                eta.mul_add(down_x, x).store(p.add(j));
                theta.mul_add(down_y, y).store(q.add(j));
            }
            su[0] += step.growth * gu.sum();
            si[0] += step.growth * gi.sum();
            if step.biases {
                let (down_u, down_i) = (error - ru[1] * *bu, error - ri[1] * *bi);
                *bu += rate[1] * down_u;
                *bi += other[1] * down_i;
                su[1] += step.bias_growth * down_u * down_u;
                si[1] += step.bias_growth * down_i * down_i;
            }
        }
    }
    squares
}

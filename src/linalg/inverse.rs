//! The inverse of a small symmetric matrix in double precision.

use super::NotPositiveDefinite;

/// Replaces the symmetric positive definite matrix `a` by its inverse, both triangles.
///
/// `a` is `order x order` and row-major. Only its upper triangle is read. `row` is scratch memory.
///
/// The steps are `A = UᵀU` (Cholesky), `V = U⁻¹` and `A⁻¹ = V Vᵀ`. They take about
/// `order³` flops, and the inner loops run along rows.
///
/// # Errors
/// [`NotPositiveDefinite`] if a pivot is not positive and finite.
///
/// # Panics
/// If `a` is smaller than `order x order` or `row` is shorter than `order`.
pub fn invert_symmetric(
    a: &mut [f64],
    order: usize,
    row: &mut [f64],
) -> Result<(), NotPositiveDefinite> {
    for i in 0..order {
        let (above, below) = a.split_at_mut((i + 1) * order);
        let own = &mut above[i * order..];
        let pivot = own[i];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return Err(NotPositiveDefinite { pivot: i });
        }
        let inverse_root = 1.0 / pivot.sqrt();
        own[i..].iter_mut().for_each(|v| *v *= inverse_root);
        for (r, target) in (i + 1..).zip(below.chunks_exact_mut(order)) {
            let factor = own[r];
            for (t, &v) in target[r..].iter_mut().zip(&own[r..]) {
                *t -= factor * v;
            }
        }
    }
    // Computes the rows of V from the last one up. To the right of the diagonal, row i of V is
    // −(row i of U) V / u_ii, where the row of U excludes its diagonal entry u_ii. On the
    // diagonal it is 1 / u_ii.
    for i in (0..order).rev() {
        let (above, below) = a.split_at_mut((i + 1) * order);
        let own = &mut above[i * order..];
        row[i..order].copy_from_slice(&own[i..]);
        let scale = 1.0 / row[i];
        own[i..].fill(0.0);
        for (l, source) in (i + 1..).zip(below.chunks_exact(order)) {
            for (t, &v) in own[l..].iter_mut().zip(&source[l..]) {
                *t -= row[l] * v;
            }
        }
        own[i + 1..].iter_mut().for_each(|v| *v *= scale);
        own[i] = scale;
    }
    for i in 0..order {
        row[i..order].copy_from_slice(&a[i * order + i..(i + 1) * order]);
        for j in i..order {
            let value = dot(&row[j..order], &a[j * order + j..(j + 1) * order]);
            a[i * order + j] = value;
        }
        for j in 0..i {
            a[i * order + j] = a[j * order + i];
        }
    }
    Ok(())
}

/// A dot product in four partial sums, which the compiler can vectorise.
fn dot(x: &[f64], y: &[f64]) -> f64 {
    let (x_groups, y_groups) = (x.chunks_exact(4), y.chunks_exact(4));
    let rest: f64 = x_groups.remainder().iter().zip(y_groups.remainder()).map(|(a, b)| a * b).sum();
    let mut sums = [0.0; 4];
    for (a, b) in x_groups.zip(y_groups) {
        for (sum, (a, b)) in sums.iter_mut().zip(a.iter().zip(b)) {
            *sum += a * b;
        }
    }
    rest + (sums[0] + sums[2]) + (sums[1] + sums[3])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_product_is_the_identity(
            order in 1_usize..40,
            values in proptest::collection::vec(-1.0_f64..1.0, 40 * 40),
        ) {
            // The test matrix is M Mᵀ + I.
            let mut a = vec![0.0; order * order];
            for i in 0..order {
                for j in 0..order {
                    let product: f64 =
                        (0..order).map(|l| values[i * 40 + l] * values[j * 40 + l]).sum();
                    a[i * order + j] = product + f64::from(u8::from(i == j));
                }
            }
            let mut inverse = a.clone();
            // The lower triangle is not read.
            for i in 0..order {
                inverse[i * order..i * order + i].fill(f64::NAN);
            }
            invert_symmetric(&mut inverse, order, &mut vec![0.0; order])
                .expect("positive definite");
            for i in 0..order {
                for j in 0..order {
                    let entry: f64 =
                        (0..order).map(|l| a[i * order + l] * inverse[l * order + j]).sum();
                    let expected = f64::from(u8::from(i == j));
                    prop_assert!((entry - expected).abs() < 1e-10, "{} {}: {}", i, j, entry);
                }
            }
        }
    }

    #[test]
    fn a_bad_pivot_is_told() {
        let mut a = [1.0, 2.0, 2.0, 1.0];
        let found = invert_symmetric(&mut a, 2, &mut [0.0; 2]);
        assert_eq!(found, Err(NotPositiveDefinite { pivot: 1 }));
    }
}

//! Calibration: whether predictions spread as widely as ratings.

/// Sums over pairs of a prediction and its rating, in double precision.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calibration {
    count: f64,
    predicted: f64,
    rated: f64,
    squares: f64,
    products: f64,
}

impl Calibration {
    /// Adds one prediction and its rating.
    pub fn push(&mut self, predicted: f64, rated: f64) {
        // Running means (Welford 1962): differences of large sums would cancel.
        self.count += 1.0;
        let step = predicted - self.predicted;
        self.predicted += step / self.count;
        self.rated += (rated - self.rated) / self.count;
        self.squares += step * (predicted - self.predicted);
        self.products += step * (rated - self.rated);
    }

    /// The slope of the least-squares line of ratings on predictions, `cov(r, r̂) / var(r̂)`.
    ///
    /// At 1 predictions are calibrated. Below 1 they are too far apart (overfitted), above 1 too
    /// close together (Miller, Hui, Tierney 1991; for probabilities Cox 1958). `None` if all
    /// predictions are equal.
    #[must_use]
    pub fn slope(&self) -> Option<f64> {
        (self.squares > 0.0).then(|| self.products / self.squares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_line() {
        let mut calibration = Calibration::default();
        for x in 0..50 {
            let x = 1e6 + f64::from(x);
            // The residuals are orthogonal to 1 and x: they are pairs of opposite values.
            calibration.push(x, 3.0 + 0.75 * x + 0.5);
            calibration.push(x, 3.0 + 0.75 * x - 0.5);
        }
        assert!((calibration.slope().expect("a spread") - 0.75).abs() < 1e-9);
        assert_eq!(Calibration::default().slope(), None);
    }
}

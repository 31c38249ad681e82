//! Gate `mean-shift`: how far the mean rating moved, in standard deviations of the earlier run.

use super::entries::{Finding, NO_PREVIOUS, at_most};
use super::look::DataLook;

pub(super) fn check(look: &DataLook<'_>) -> Option<Finding> {
    let limits = |value| at_most(value, look.config.warn_drift.get(), look.config.max_drift.get());
    let Some(previous) = look.previous else {
        return Some(Finding::nothing(NO_PREVIOUS, limits(0.0)));
    };
    let before = &previous.manifest.data;
    let (mut sum, mut weights) = (0.0, 0.0);
    // The earlier mean is over the training ratings, after a refit over all ratings. Use the same
    // parts.
    let all = previous.manifest.model.refit;
    let parts = &look.data.parts;
    let more = [&parts.fold_in, &parts.holdout].into_iter().filter(|_| all).flatten();
    for cell in parts.training.iter().chain(more) {
        sum += f64::from(cell.value) * f64::from(cell.weight);
        weights += f64::from(cell.weight);
    }
    let mean = sum / weights;
    let moved = (mean - before.mean).abs();
    let shift = match before.std > 0.0 {
        true => moved / before.std,
        false if moved == 0.0 => 0.0,
        false => f64::INFINITY,
    };
    let message = format!(
        "the mean rating is {mean:.3} and was {:.3}: it moved by {shift:.3} standard deviations",
        before.mean
    );
    Some(Finding { observed: Some(shift), message, limits: limits(shift) })
}

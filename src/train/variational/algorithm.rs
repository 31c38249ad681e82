//! Variational inference as an algorithm.

use super::super::course::{self, Limits};
use super::super::{Algorithm, Averaged, Fit, Fitted, Observer, Problem, Share};
use super::own::Rows;
use super::settings::{Covariances, Variational};
use super::shared::SharedRows;
use crate::error::Result;
use crate::ids::Axis;
use crate::model::Embedding;
use crate::ratings::Side;

impl Algorithm for Variational {
    fn name(&self) -> &'static str {
        "variational"
    }

    fn fit(&self, problem: &Problem<'_>, observer: &mut Observer<'_>) -> Result<Fit> {
        let limits = Limits { iterations: self.iterations, tolerance: self.tolerance };
        if self.covariances == Covariances::Own {
            return self.fit_own(problem, limits, observer);
        }
        let mut rows = SharedRows::new(self, problem)?;
        let (iterations, stop_reason) = course::run(&mut rows, problem, limits, observer)?;
        let averaged = Averaged {
            samples: 0,
            noise: rows.scale.deviation / rows.precision.sqrt(),
            kept: (0..self.keep).map(|number| rows.draw(number)).collect(),
            spread: None,
            uncertainty: Some(rows.uncertainty()),
        };
        let (factors, scale) = (rows.factors, rows.scale);
        let averaged = Some(averaged);
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows: 0, averaged })
    }

    fn fold_in(&self, fitted: &Fitted<'_>, axis: Axis, rows: &Side) -> Result<Embedding> {
        Self::fold_in_rows(fitted, axis, rows)
    }

    fn explain(
        &self,
        fitted: &Fitted<'_>,
        users: &Side,
        items: &[Vec<u32>],
        most: usize,
    ) -> Result<Vec<Vec<Vec<Share>>>> {
        Self::explain_rows(fitted, users, items, most)
    }
}

impl Variational {
    fn fit_own(
        &self,
        problem: &Problem<'_>,
        limits: Limits,
        observer: &mut Observer<'_>,
    ) -> Result<Fit> {
        let mut rows = Rows::new(self, problem)?;
        let (iterations, stop_reason) = course::run(&mut rows, problem, limits, observer)?;
        let scale = rows.scale;
        let averaged = Averaged {
            samples: 0,
            noise: scale.deviation / rows.precision.sqrt(),
            kept: (0..self.keep).map(|number| rows.draw(number)).collect(),
            spread: None,
            uncertainty: Some(rows.uncertainty()),
        };
        let (spread, factors) = rows.into_spread();
        let averaged = Some(Averaged { spread: Some(spread), ..averaged });
        Ok(Fit { factors, scale, iterations, stop_reason, dense_rows: 0, averaged })
    }
}

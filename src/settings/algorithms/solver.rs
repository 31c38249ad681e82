//! How `als` and `ials` solve a row.

use super::super::names::SolverName;
use super::super::train::TrainConfig;
use crate::error::{Error, Result};
use crate::param::Count;
use crate::train::SolverChoice;

/// Default number of conjugate gradient steps.
const STEPS: Count = Count::literal(3);

/// Default number of unknowns per block.
const BLOCK: Count = Count::literal(32);

/// Returns the solver that the settings name, after checking its options.
pub(super) fn solver(config: &TrainConfig) -> Result<SolverChoice> {
    let wrong = |message: &str| Err(Error::Usage(message.into()));
    if config.nonnegative && config.solver.is_some() {
        return wrong("--nonnegative has its own solver, so it cannot be combined with --solver");
    }
    if config.cg_steps.is_some() && config.solver != Some(SolverName::Cg) {
        return wrong("--cg-steps needs --solver cg");
    }
    if config.block.is_some() && config.solver != Some(SolverName::Subspace) {
        return wrong("--block needs --solver subspace");
    }
    Ok(match config.solver {
        _ if config.nonnegative => SolverChoice::Nonnegative,
        None | Some(SolverName::Cholesky) => SolverChoice::Cholesky,
        Some(SolverName::Cg) => {
            SolverChoice::ConjugateGradient { steps: config.cg_steps.unwrap_or(STEPS).get() }
        }
        Some(SolverName::Subspace) => {
            SolverChoice::Subspace { block: config.block.unwrap_or(BLOCK).get() as usize }
        }
    })
}

/// Writes the solver into the record of a training.
pub(super) fn record(solver: SolverChoice, settings: &mut TrainConfig) {
    let name = match solver {
        SolverChoice::Nonnegative => None,
        SolverChoice::Cholesky => Some(SolverName::Cholesky),
        SolverChoice::ConjugateGradient { steps } => {
            settings.cg_steps = Count::new(steps).ok();
            Some(SolverName::Cg)
        }
        SolverChoice::Subspace { block } => {
            settings.block = Count::new(block as u32).ok();
            Some(SolverName::Subspace)
        }
    };
    settings.solver = name;
}

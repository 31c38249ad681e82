//! What is to be done.

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// A run.
    Run,
    /// Everything up to the training, and nothing written: what would be done.
    DryRun,
    /// The same, to know whether settings and ratings are good.
    Validate,
}

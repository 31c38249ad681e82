//! The modes of a run.

/// How much of a run is carried out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The whole run.
    Run,
    /// Everything up to the training, to report what a run would do. Nothing is written.
    DryRun,
    /// The same as a dry run, to check the settings and the ratings. The ratings are also read and
    /// checked if they and the settings are those of the latest run.
    Validate,
}

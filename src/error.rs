//! The errors of the library.

use std::path::PathBuf;

use crate::pair::Axis;

/// The result of an operation that can fail with an [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// An error of the library, with its location if the operation knows it.
///
/// `Display` gives one message that says what is wrong, where, and what to do. It does not repeat
/// the error's source. [`Error::exit_code`] is the documented exit code of the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter, or a combination of parameters, is invalid.
    #[error("{0}")]
    Usage(String),

    /// A configuration file cannot be used.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// The output exists already.
    #[error("{} exists; pass another --output, or --force to replace it", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },

    /// The output exists already, and lacuna did not write it.
    #[error("{} exists and {reason}, so it is not replaced", path.display())]
    NotOurs {
        /// The output.
        path: PathBuf,
        /// Why it is not replaced.
        reason: String,
    },

    /// The model does not know an id, and there is no fallback.
    #[error("unknown {} \"{id}\"; number of {}s in the model: {known}", axis.name(), axis.name())]
    UnknownId {
        /// The side of the id.
        axis: Axis,
        /// The id.
        id: String,
        /// Number of ids that the model has on that side.
        known: usize,
    },

    /// An input is missing or cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },

    /// The content of an input is not in the expected format.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },

    /// An input has no column for a role.
    #[error(
        "{}: no {role} column \"{wanted}\"; the columns are: {}. Use {flag} NAME{}.",
        path.display(), present.join(", "),
        if *role == "rating" {
            ", or -a ials if every row is an event (a click, a play)"
        } else {
            ""
        }
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// The role of the column.
        role: &'static str,
        /// The expected name.
        wanted: String,
        /// The names of the columns in the file.
        present: Vec<String>,
        /// The flag that names the column.
        flag: &'static str,
    },

    /// The text of a cell is invalid.
    #[error("{}:{line}: column \"{column}\": {reason}: \"{text}\"", path.display())]
    BadCell {
        /// The file.
        path: PathBuf,
        /// The line of a text file or the row of a Parquet file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The text of the cell.
        text: String,
        /// What is wrong with it.
        reason: String,
    },

    /// There are more bad rows than allowed.
    #[error("{rejected} bad rows, more than --max-bad-rows {allowed} allows; the first: {first}")]
    TooManyBadRows {
        /// Number of bad rows so far.
        rejected: u64,
        /// Maximum number of bad rows.
        allowed: u64,
        /// Description of the first bad row.
        first: String,
    },

    /// An id column holds integers in one typed file and text in another input.
    #[error(
        "the {} ids are integers in {} and text in {}; use --id-type int or --id-type text",
        axis.name(), integers.display(), texts.display()
    )]
    MixedIds {
        /// The side of the ids.
        axis: Axis,
        /// A file with integers.
        integers: PathBuf,
        /// An input with text.
        texts: PathBuf,
    },

    /// A user rated an item more than once, and `--duplicates error` is set.
    #[error(
        "user {user} rated item {item} more than once ({count} such cells in all); \
         choose --duplicates last, first, mean, sum or max"
    )]
    Duplicate {
        /// The user of the first such cell.
        user: String,
        /// The item of the first such cell.
        item: String,
        /// Number of cells that occur more than once.
        count: u64,
    },

    /// No ratings are left.
    #[error("no ratings left after {after}")]
    NothingLeft {
        /// The step after which no ratings were left.
        after: String,
    },

    /// A model directory is damaged, incomplete or of a newer format.
    #[error("{}: {message}", path.display())]
    Model {
        /// The directory, or the file in it.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },

    /// No checkpoint is usable: it belongs to another fit, or is damaged or missing.
    #[error("no checkpoint can be used: {0}; without --resume require, the training starts anew")]
    Checkpoint(String),

    /// A gate rejected the ratings.
    #[error(
        "{reason}; nothing was trained{}",
        record.as_ref().map_or_else(String::new, |r| format!("; the record is in {}", r.display()))
    )]
    DataGate {
        /// The failed gates and their messages.
        reason: String,
        /// Directory of the record of the run, if one is kept.
        record: Option<PathBuf>,
    },

    /// A gate rejected the model.
    #[error(
        "{reason}; the rejected model is in {}; {}",
        path.display(),
        published.as_ref().map_or_else(
            || "no run is published yet".to_owned(),
            |id| format!("run {id} stays published")
        )
    )]
    QualityGate {
        /// The failed gates and their messages.
        reason: String,
        /// Directory of the rejected model.
        path: PathBuf,
        /// The published run, if there is one.
        published: Option<String>,
    },

    /// Another run is at work in the directory.
    #[error("{} is held by {holder}; try again later, or pass --lock-wait", path.display())]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// The holder of the lock.
        holder: String,
    },

    /// Another run published in the meantime.
    #[error(
        "{} was changed by another run in the meantime: run {id} is complete but not published; \
         run again, or publish it with lacuna runs rollback",
        path.display()
    )]
    Overtaken {
        /// The pointer to the published run.
        path: PathBuf,
        /// The run that was not published.
        id: String,
    },

    /// The estimated memory of a training is above the limit.
    #[error("about {needed} of memory would be needed for {what}, above --memory-limit {limit}")]
    MemoryLimit {
        /// The estimate.
        needed: String,
        /// The step that needs it, and the settings that lower it.
        what: String,
        /// The limit.
        limit: String,
    },

    /// The time limit was reached.
    #[error("--time-limit {limit} is reached {at}")]
    TimeLimit {
        /// The limit.
        limit: String,
        /// The step that was stopped, whether its checkpoint is kept, and what to do.
        at: String,
    },

    /// A stop was requested, and the checkpoint of the training is kept.
    #[error("stopped after iteration {iteration}; its checkpoint is kept: run again to resume")]
    StoppedAt {
        /// The iteration of the checkpoint.
        iteration: u32,
    },

    /// The linear system of a row could not be solved.
    #[error(
        "numeric failure at {} {}: {message}; try another --regularization \
         (or weights closer to 1)",
        axis.name(), id.as_ref().map_or_else(|| position.to_string(), |id| format!("\"{id}\""))
    )]
    Numeric {
        /// The side of the row.
        axis: Axis,
        /// The position of the row among the sorted ids.
        position: usize,
        /// The id of the row, if the ids are known.
        id: Option<String>,
        /// What failed.
        message: String,
    },

    /// A fit diverges, or cannot continue.
    #[error("numeric failure: {0}")]
    Diverged(String),

    /// An output could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },

    /// An object store gives no answer or an unexpected one.
    #[error("cannot reach {}", path.display())]
    Unreachable {
        /// The URL.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },

    /// A stop was requested.
    #[error("stopped; no file was written")]
    Stopped,

    /// lacuna itself has a defect.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// The error and its causes as one message.
    #[cfg(feature = "files")]
    pub(crate) fn chain(&self) -> String {
        let mut message = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(source) = cause {
            message += &format!(": {source}");
            cause = source.source();
        }
        message
    }

    /// An [`Error::Numeric`] for the row at a position.
    pub(crate) fn numeric(axis: Axis, position: usize, message: impl Into<String>) -> Self {
        Self::Numeric { axis, position, id: None, message: message.into() }
    }

    /// The exit code of the program for this error.
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 1 | unexpected failure |
    /// | 2 | usage: parameter, configuration, existing output, unknown id, checkpoint, memory |
    /// | 3 | input: missing, unreadable, malformed, empty; a damaged or newer model |
    /// | 4 | a data gate failed |
    /// | 5 | a quality gate failed |
    /// | 6 | numeric failure |
    /// | 7 | the output could not be written, or an object store could not be reached |
    /// | 11 | another run is at work in the directory, or published in the meantime |
    /// | 75 | the time limit was reached; a checkpoint is saved |
    /// | 130 | stopped (the program answers SIGTERM with 143) |
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config { .. }
            | Self::OutputExists { .. }
            | Self::NotOurs { .. }
            | Self::UnknownId { .. }
            | Self::Checkpoint(_)
            | Self::MemoryLimit { .. } => 2,
            Self::Read { .. }
            | Self::Format { .. }
            | Self::MissingColumn { .. }
            | Self::BadCell { .. }
            | Self::TooManyBadRows { .. }
            | Self::MixedIds { .. }
            | Self::Duplicate { .. }
            | Self::NothingLeft { .. }
            | Self::Model { .. } => 3,
            Self::DataGate { .. } => 4,
            Self::QualityGate { .. } => 5,
            Self::Numeric { .. } | Self::Diverged(_) => 6,
            Self::Write { .. } | Self::Unreachable { .. } => 7,
            Self::Locked { .. } | Self::Overtaken { .. } => 11,
            Self::TimeLimit { .. } => 75,
            Self::Stopped | Self::StoppedAt { .. } => 130,
            Self::Internal(_) => 1,
        }
    }
}

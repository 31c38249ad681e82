//! What can go wrong, and where.

use std::path::PathBuf;

use crate::pair::Axis;

/// The result of an operation that can fail with an [`enum@Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure of the library, located as closely as the operation allows.
///
/// `Display` gives one message that says what is wrong, where, and what to do; it never repeats its
/// source. [`Error::exit_code`] is the documented exit code of the program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A parameter or a combination of parameters that makes no sense.
    #[error("{0}")]
    Usage(String),

    /// A configuration file that cannot be used.
    #[error("{}: {message}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },

    /// The output is there already.
    #[error("{} exists; give another --output, or --force to replace it", path.display())]
    OutputExists {
        /// The output.
        path: PathBuf,
    },

    /// The output is there already and is not something lacuna wrote.
    #[error("{} exists and {reason}, so it is not replaced", path.display())]
    NotOurs {
        /// The output.
        path: PathBuf,
        /// What speaks against replacing it.
        reason: String,
    },

    /// An id that the model does not know where no fallback exists.
    #[error("unknown {} \"{id}\"; the model knows {known} {}s", axis.name(), axis.name())]
    UnknownId {
        /// The side of the id.
        axis: Axis,
        /// The id.
        id: String,
        /// How many ids the model has on that side.
        known: usize,
    },

    /// An input that is missing or cannot be opened or read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// An input whose form is not what it should be.
    #[error("{}: {message}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        message: String,
    },

    /// A column that is not there.
    #[error(
        "{}: no {role} column \"{wanted}\"; the columns are: {}. Use {flag} NAME{}.",
        path.display(), present.join(", "),
        if *role == "rating" { ", or -a ials where every row is an event (a click, a play)" } else { "" }
    )]
    MissingColumn {
        /// The file.
        path: PathBuf,
        /// What the column would be used for.
        role: &'static str,
        /// The name that was looked for.
        wanted: String,
        /// The columns that are there.
        present: Vec<String>,
        /// The flag that names the column.
        flag: &'static str,
    },

    /// A cell that cannot be used.
    #[error("{}:{line}: column \"{column}\": {reason}: \"{text}\"", path.display())]
    BadCell {
        /// The file.
        path: PathBuf,
        /// The line (from 1), or the row of a Parquet file (from 1).
        line: u64,
        /// The column.
        column: String,
        /// The text of the cell.
        text: String,
        /// What is wrong with it.
        reason: String,
    },

    /// More rejected rows than allowed.
    #[error("{rejected} bad rows, more than --max-bad-rows {allowed} allows; the first: {first}")]
    TooManyBadRows {
        /// Rows rejected so far.
        rejected: u64,
        /// The limit.
        allowed: u64,
        /// The first of them.
        first: String,
    },

    /// A column that holds integers in one typed file and text in another.
    #[error(
        "the {} ids are integers in {} and text in {}; use --id-type int or --id-type text",
        axis.name(), integers.display(), texts.display()
    )]
    MixedIds {
        /// The side of the ids.
        axis: Axis,
        /// A file with integers.
        integers: PathBuf,
        /// A file with text.
        texts: PathBuf,
    },

    /// The same user and item twice under `--duplicates error`.
    #[error(
        "user {user} rated item {item} more than once ({count} such cells in all); \
         choose --duplicates last, first, mean, sum or max"
    )]
    Duplicate {
        /// The user of the first such cell.
        user: String,
        /// Its item.
        item: String,
        /// How many cells occur more than once.
        count: u64,
    },

    /// No ratings at all, or none left.
    #[error("no ratings left after {after}")]
    NothingLeft {
        /// The last step before nothing was left.
        after: String,
    },

    /// A model directory that is damaged, incomplete or of a newer format.
    #[error("{}: {message}", path.display())]
    Model {
        /// The directory or the file in it.
        path: PathBuf,
        /// What is wrong.
        message: String,
    },

    /// A checkpoint that does not belong to what is fitted.
    #[error("no checkpoint can be used: {0}; without --resume require the training begins anew")]
    Checkpoint(String),

    /// Ratings that a gate does not let through.
    #[error("{reason}; nothing was trained{}", record.as_ref().map_or_else(String::new, |r| format!(", the record is {}", r.display())))]
    DataGate {
        /// The gates, and what they found.
        reason: String,
        /// Where the record of the run is, if one is kept.
        record: Option<PathBuf>,
    },

    /// A model that a gate does not let through.
    #[error("{reason}; the new model is in {}, {}", path.display(), served.as_ref().map_or_else(|| "and none is served yet".to_owned(), |id| format!("run {id} is still served")))]
    QualityGate {
        /// The gates, and what they found.
        reason: String,
        /// Where the rejected model is.
        path: PathBuf,
        /// The run that is served.
        served: Option<String>,
    },

    /// Another run is at work in the directory.
    #[error("{} is held by {holder}; try again later, or give --lock-wait", path.display())]
    Locked {
        /// The lock.
        path: PathBuf,
        /// Who has it.
        holder: String,
    },

    /// Another run has published meanwhile.
    #[error(
        "{} was changed by another run meanwhile: run {id} is complete and not served; run again, or serve it by \
         lacuna runs rollback", path.display()
    )]
    Overtaken {
        /// The pointer.
        path: PathBuf,
        /// The run that would have been served.
        id: String,
    },

    /// A training that is estimated to take more memory than it may.
    #[error("it would take about {needed} of memory for {what}, above --memory-limit {limit}")]
    MemoryLimit {
        /// The estimate.
        needed: String,
        /// What takes it, and what would take less.
        what: String,
        /// The limit.
        limit: String,
    },

    /// The time is up.
    #[error("--time-limit {limit} is reached {at}")]
    TimeLimit {
        /// The limit.
        limit: String,
        /// What is kept, and what to do.
        at: String,
    },

    /// A stop was asked for, and the state of the training is kept.
    #[error("stopped; the checkpoint of iteration {iteration} is kept: run again to go on from it")]
    StoppedAt {
        /// The iteration.
        iteration: u32,
    },

    /// A row whose system could not be solved.
    #[error(
        "numeric failure at {} {}: {message}; try another --regularization (or weights closer to 1)",
        axis.name(), id.as_ref().map_or_else(|| position.to_string(), |id| format!("\"{id}\""))
    )]
    Numeric {
        /// The side of the row.
        axis: Axis,
        /// Its position among the sorted ids.
        position: usize,
        /// Its id, where the ids are known.
        id: Option<String>,
        /// What failed.
        message: String,
    },

    /// A fit that leads nowhere.
    #[error("numeric failure: {0}")]
    Diverged(String),

    /// An output that could not be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// An object store that does not answer, or not as it should.
    #[error("cannot reach {}", path.display())]
    Unreachable {
        /// The place.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },

    /// A stop was asked for.
    #[error("stopped; no file was written")]
    Stopped,

    /// A defect of lacuna itself.
    #[error("internal error: {0}; please report it")]
    Internal(String),
}

impl Error {
    /// The failure and its causes as one message.
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

    /// A row that could not be solved, by its position; see [`Error::Numeric`].
    pub(crate) fn numeric(axis: Axis, position: usize, message: impl Into<String>) -> Self {
        Self::Numeric { axis, position, id: None, message: message.into() }
    }

    /// The exit code of the program for this failure.
    ///
    /// | code | meaning |
    /// |---|---|
    /// | 1 | unexpected failure |
    /// | 2 | usage: a parameter, a configuration, an output that exists, an unknown id, a refused checkpoint, a memory limit |
    /// | 3 | input: missing, unreadable, malformed, empty; a damaged or newer model |
    /// | 4 | a data gate does not pass |
    /// | 5 | a quality gate does not pass |
    /// | 6 | numeric failure |
    /// | 7 | the output could not be written, or an object store not be reached |
    /// | 11 | another run is at work in the directory, or has published meanwhile |
    /// | 75 | the time limit is reached, a checkpoint saved |
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

//! The settings of a run: those of the training, and those of a nightly run.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

#[cfg(feature = "cli")]
use super::choices::noop_code;
use super::choices::{Align, WarmStart};
use super::gates::{GateName, GateSetting};
use super::units::{Memory, Span};
use crate::error::{Error, Result};
use crate::param::{Fraction, Natural, NonNegative};
use crate::remote::{Location, check_slashes, is_url_path, local};
use crate::serving::ExportSpec;
use crate::settings::TrainConfig;
use crate::store::Severity;
use crate::training::Resume;

/// All settings of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct RunConfig {
    /// The settings of the training.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub train: TrainConfig,

    /// Where the fit starts. It starts cold if the latest model does not match the settings (rank,
    /// algorithm, type of ids, scale) or may have seen today's holdout.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "FROM", default_value = "latest", help_heading = "Every night")
    )]
    pub warm_start: WarmStart,
    /// Start every N-th run cold; 0 turns this off.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "N",
            default_value_t = Self::default().cold_every,
            help_heading = "Every night"
        )
    )]
    pub cold_every: Natural,
    /// Align the vectors with those of the latest run, so that the embeddings of two nights can be
    /// compared. No score changes. [default: procrustes; off with --nonnegative]
    #[cfg_attr(feature = "cli", arg(long, value_name = "HOW", help_heading = "Every night"))]
    pub align: Option<Align>,
    /// Write an export in addition to the factors: FORMAT, FORMAT:LAYOUT or FORMAT:LAYOUT:TYPE,
    /// such as npy:dot (see lacuna export). The flag can be repeated.
    #[cfg_attr(feature = "cli", arg(long, value_name = "EXPORT", help_heading = "Every night"))]
    pub export: Vec<ExportSpec>,
    /// Keep at least this many published runs, and as many rejected ones. The published run and the
    /// runs that it depends on always stay.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "N",
            default_value_t = Self::default().keep_last,
            help_heading = "Every night"
        )
    )]
    pub keep_last: Natural,
    /// Also keep every run that started within this span of time, such as 30days.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SPAN",
            default_value_t = Self::default().keep_within,
            help_heading = "Every night"
        )
    )]
    pub keep_within: Span,
    /// Exit code if ratings and settings are those of the latest run: 0, or 99, which Airflow
    /// treats as skipped.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "CODE",
            default_value_t = 0,
            value_parser = noop_code,
            help_heading = "Every night"
        )
    )]
    pub noop_exit_code: u8,

    /// Local work directory for runs in an object store (--output s3://...). It holds checkpoints,
    /// the files of the run in progress and copies from the latest run. Keep it from night to night
    /// so that an interrupted run can resume. [default: in $XDG_CACHE_HOME or ~/.cache]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR", help_heading = "Every night"))]
    pub work_dir: Option<PathBuf>,

    /// Minimum number of seconds between checkpoints; 0 saves one after every iteration. SIGTERM,
    /// SIGINT and --time-limit also save one.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SECONDS",
            default_value_t = Self::default().checkpoint_every,
            help_heading = "Limits"
        )
    )]
    pub checkpoint_every: Natural,
    /// What to do with the checkpoint of an interrupted run.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Limits")
    )]
    pub resume: Resume,
    /// Wait up to this long for another run in the same directory to end. Without it, the run exits
    /// with 11 at once.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Limits"))]
    pub lock_wait: Option<Span>,
    /// Stop after this long, save a checkpoint and exit with 75. The next run resumes.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Limits"))]
    pub time_limit: Option<Span>,
    /// Exit with 2 before reading or training if the estimated memory is above this limit, such as
    /// 8GB or 8GiB.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MEMORY", help_heading = "Limits"))]
    pub memory_limit: Option<Memory>,

    /// What happens if a gate fails: NAME=error rejects the run, NAME=warn warns, and NAME=off does
    /// not check the gate. The flag can be repeated.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME=SEVERITY", help_heading = "Gates"))]
    pub gate: Vec<GateSetting>,
    /// freshness: maximum age of the latest rating, such as 36h. Without it, the gate is not
    /// checked.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Gates"))]
    pub max_age: Option<Span>,
    /// rows: minimum number of rows, as a share of the rows of the latest run.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().min_rows,
            help_heading = "Gates"
        )
    )]
    pub min_rows: NonNegative,
    /// rows: maximum number of rows, as a share of the rows of the latest run.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().max_rows,
            help_heading = "Gates"
        )
    )]
    pub max_rows: NonNegative,
    /// rejected: maximum share of the rows that are set aside (with --bad-rows quarantine).
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().max_rejected,
            help_heading = "Gates"
        )
    )]
    pub max_rejected: NonNegative,
    /// mean-shift, histogram: warn if the ratings changed by more than this: the mean in standard
    /// deviations, the histogram by its population stability index.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "CHANGE",
            default_value_t = Self::default().warn_drift,
            help_heading = "Gates"
        )
    )]
    pub warn_drift: NonNegative,
    /// mean-shift, histogram: reject the run if the ratings changed by more than this, measured as
    /// for --warn-drift.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "CHANGE",
            default_value_t = Self::default().max_drift,
            help_heading = "Gates"
        )
    )]
    pub max_drift: NonNegative,
    /// new-users: warn if a larger share of the users was not in the latest run.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().max_new_users,
            help_heading = "Gates"
        )
    )]
    pub max_new_users: NonNegative,
    /// new-items: warn if a larger share of the items was not in the latest run.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().max_new_items,
            help_heading = "Gates"
        )
    )]
    pub max_new_items: NonNegative,
    /// bias-only: warn if RMSE is not at least this share below that of biases alone. A higher RMSE
    /// than that of biases alone rejects the run.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().min_gain,
            help_heading = "Gates"
        )
    )]
    pub min_gain: NonNegative,
    /// previous-model: share by which RMSE may be worse than that of the latest run, on the
    /// held-out ratings that both models know. With ials, the ranking metric may be worse by five
    /// times this share.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().max_worse,
            help_heading = "Gates"
        )
    )]
    pub max_worse: NonNegative,
    /// item-cosine: warn if the median cosine between the item vectors and those of the latest run
    /// is below this; between 0 and 1.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "COSINE",
            default_value_t = Self::default().min_cosine,
            help_heading = "Gates"
        )
    )]
    pub min_cosine: Fraction,
    /// overlap: warn if a smaller share of an item's ten nearest items stayed the same; between 0
    /// and 1.
    #[cfg_attr(
        feature = "cli",
        arg(
            long,
            value_name = "SHARE",
            default_value_t = Self::default().min_overlap,
            help_heading = "Gates"
        )
    )]
    pub min_overlap: Fraction,
    /// Publish even if a gate fails. The manifest records the failure.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Gates"))]
    pub allow_gate_failure: bool,

    /// Write metrics to this file for the textfile collector of Prometheus' node exporter. The name
    /// must end in .prom. The file is also written if the run fails.
    #[cfg_attr(feature = "cli", arg(long, value_name = "FILE", help_heading = "Terminal"))]
    pub metrics_file: Option<PathBuf>,
}

impl Default for RunConfig {
    fn default() -> Self {
        Self {
            train: TrainConfig::default(),
            warm_start: WarmStart::Latest,
            cold_every: Natural::literal(7),
            align: None,
            export: Vec::new(),
            keep_last: Natural::literal(14),
            keep_within: Span(std::time::Duration::from_secs(30 * 86_400)),
            noop_exit_code: 0,
            work_dir: None,
            checkpoint_every: Natural::literal(60),
            resume: Resume::Auto,
            lock_wait: None,
            time_limit: None,
            memory_limit: None,
            gate: Vec::new(),
            max_age: None,
            min_rows: NonNegative::literal(0.9),
            max_rows: NonNegative::literal(1.5),
            max_rejected: NonNegative::literal(0.001),
            warn_drift: NonNegative::literal(0.1),
            max_drift: NonNegative::literal(0.25),
            max_new_users: NonNegative::literal(0.25),
            max_new_items: NonNegative::literal(0.1),
            min_gain: NonNegative::literal(0.005),
            max_worse: NonNegative::literal(0.01),
            min_cosine: Fraction::literal(0.8),
            min_overlap: Fraction::literal(0.5),
            allow_gate_failure: false,
            metrics_file: None,
        }
    }
}

impl RunConfig {
    /// Checks the combinations of settings and returns the run directory.
    ///
    /// # Errors
    /// [`Error::Usage`] that names the settings that do not go together.
    pub fn check(&self) -> Result<&std::path::Path> {
        let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
        let output = self.train.check()?;
        if self.train.input.iter().chain(&self.train.test_file).any(|input| input == "-") {
            return wrong(
                "run reads files: standard input (-) can be read only once and cannot be compared \
                 with the files of the latest run",
            );
        }
        check_slashes(output)?;
        if is_url_path(output) {
            Location::parse(&output.to_string_lossy())?;
        } else if self.work_dir.is_some() {
            return wrong("--work-dir is for runs in an object store (--output s3://...)");
        }
        if let Some(metrics) = &self.metrics_file {
            local(metrics, "--metrics-file")?;
        }
        if let Some(work_dir) = &self.work_dir {
            local(work_dir, "--work-dir")?;
        }
        if self.train.nonnegative && self.align == Some(Align::Procrustes) {
            return wrong(
                "--align procrustes would make some entries of the vectors negative and cannot be \
                 combined with --nonnegative",
            );
        }
        if self.min_rows.get() > self.max_rows.get() {
            return wrong("--min-rows is above --max-rows");
        }
        if self.warn_drift.get() > self.max_drift.get() {
            return wrong("--warn-drift is above --max-drift");
        }
        if self.metrics_file.is_some() && self.metrics().is_none() {
            return wrong(
                "--metrics-file needs a name that ends in .prom: the collector reads no other file",
            );
        }
        if self.max_age.is_none() && self.severity(GateName::Freshness) == Some(Severity::Error) {
            return wrong("--gate freshness=error needs --max-age");
        }
        Ok(output)
    }

    /// The metrics file, if the collector reads files of its name.
    #[must_use]
    pub fn metrics(&self) -> Option<&std::path::Path> {
        let named = |file: &&std::path::Path| {
            file.extension().is_some_and(|e| e == "prom") && !is_url_path(file)
        };
        self.metrics_file.as_deref().filter(named)
    }

    /// Whether vectors are aligned with those of the latest run.
    #[must_use]
    pub fn aligns(&self) -> bool {
        self.align.map_or(!self.train.nonnegative, |align| align == Align::Procrustes)
    }

    /// The severity that is set for a gate, if any; the last setting counts.
    #[must_use]
    pub fn severity(&self, name: GateName) -> Option<Severity> {
        self.gate.iter().rev().find(|setting| setting.name == name).map(|setting| setting.severity)
    }
}

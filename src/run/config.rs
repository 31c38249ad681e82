//! The settings of a run: those of the training, and those of every night.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::gates::{GateName, GateSetting};
use super::units::{Memory, Span};
use crate::error::{Error, Result};
use crate::param::{Fraction, Natural, NonNegative};
use crate::remote::{Location, check_slashes, is_url_path, local};
use crate::serving::ExportSpec;
use crate::settings::TrainConfig;
use crate::store::{Severity, json};
use crate::training::Resume;

/// Where a fit begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum WarmStart {
    /// At the factors of the latest run.
    #[default]
    Latest,
    /// At random vectors.
    Off,
}

/// What vectors are turned to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Align {
    /// Those of the latest run, by the rotation that fits best.
    Procrustes,
    /// Nothing.
    Off,
}

/// Everything that run can be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "cli", derive(clap::Args))]
pub struct RunConfig {
    /// The training.
    #[cfg_attr(feature = "cli", command(flatten))]
    #[serde(flatten)]
    pub train: TrainConfig,

    /// Where the fit begins. A model of another rank, algorithm or type of ids, or one that may have seen
    /// today's holdout, gives a cold start.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "FROM", default_value = "latest", help_heading = "Every night")
    )]
    pub warm_start: WarmStart,
    /// Start cold every N-th run; 0 never does.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "N", default_value_t = Self::default().cold_every, help_heading = "Every night")
    )]
    pub cold_every: Natural,
    /// Turn the vectors to those of the latest run, which changes no score, so that embeddings of two nights
    /// can be compared. [default: procrustes; off with --nonnegative]
    #[cfg_attr(feature = "cli", arg(long, value_name = "HOW", help_heading = "Every night"))]
    pub align: Option<Align>,
    /// Exports to write beside the factors: FORMAT, FORMAT:LAYOUT or FORMAT:LAYOUT:TYPE, as npy:dot (see
    /// lacuna export).
    #[cfg_attr(feature = "cli", arg(long, value_name = "EXPORT", help_heading = "Every night"))]
    pub export: Vec<ExportSpec>,
    /// Runs kept, at least.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "N", default_value_t = Self::default().keep_last, help_heading = "Every night")
    )]
    pub keep_last: Natural,
    /// Runs of this span are kept, too.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SPAN", default_value_t = Self::default().keep_within, help_heading = "Every night")
    )]
    pub keep_within: Span,
    /// Exit code where ratings and settings are those of the latest run: 0, or 99 (which Airflow takes for
    /// skipped).
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "CODE", default_value_t = 0, value_parser = noop_code, help_heading = "Every night")
    )]
    pub noop_exit_code: u8,

    /// Where runs of an object store (--output s3://...) are worked at: checkpoints, the files of the run in progress,
    /// copies of the latest one. Keep it from night to night, and an interrupted run goes on. [default: in
    /// $XDG_CACHE_HOME or ~/.cache]
    #[cfg_attr(feature = "cli", arg(long, value_name = "DIR", help_heading = "Every night"))]
    pub work_dir: Option<PathBuf>,

    /// Seconds between checkpoints, at least; 0 after every iteration. SIGTERM, SIGINT and --time-limit save
    /// one, too.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SECONDS", default_value_t = Self::default().checkpoint_every, help_heading = "Limits")
    )]
    pub checkpoint_every: Natural,
    /// What becomes of the checkpoint of an interrupted run.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "WHEN", default_value = "auto", help_heading = "Limits")
    )]
    pub resume: Resume,
    /// Wait this long for another run in the same directory to end. By default not at all.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Limits"))]
    pub lock_wait: Option<Span>,
    /// Save a checkpoint after this long and exit with 75; the next run goes on.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Limits"))]
    pub time_limit: Option<Span>,
    /// Do not begin what is estimated to take more memory: 8GB, 8GiB.
    #[cfg_attr(feature = "cli", arg(long, value_name = "MEMORY", help_heading = "Limits"))]
    pub memory_limit: Option<Memory>,

    /// What follows where a gate does not pass: NAME=error, NAME=warn, NAME=off.
    #[cfg_attr(feature = "cli", arg(long, value_name = "NAME=SEVERITY", help_heading = "Gates"))]
    pub gate: Vec<GateSetting>,
    /// freshness: the latest rating may be this old. Not looked at by default.
    #[cfg_attr(feature = "cli", arg(long, value_name = "SPAN", help_heading = "Gates"))]
    pub max_age: Option<Span>,
    /// rows: at least this share of the rows of the latest run.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().min_rows, help_heading = "Gates")
    )]
    pub min_rows: NonNegative,
    /// rows: at most this share of them.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().max_rows, help_heading = "Gates")
    )]
    pub max_rows: NonNegative,
    /// rejected: at most this share of the rows is set aside (with --bad-rows quarantine).
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().max_rejected, help_heading = "Gates")
    )]
    pub max_rejected: NonNegative,
    /// mean-shift, histogram: a change of the ratings that is warned of. The mean in standard deviations, the
    /// histogram as a population stability index.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "CHANGE", default_value_t = Self::default().warn_drift, help_heading = "Gates")
    )]
    pub warn_drift: NonNegative,
    /// mean-shift, histogram: a change that is an error.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "CHANGE", default_value_t = Self::default().max_drift, help_heading = "Gates")
    )]
    pub max_drift: NonNegative,
    /// new-items: share of the items that the latest run did not have which is warned of.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().max_new_items, help_heading = "Gates")
    )]
    pub max_new_items: NonNegative,
    /// bias-only: a smaller gain over biases alone is warned of, a loss is an error.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().min_gain, help_heading = "Gates")
    )]
    pub min_gain: NonNegative,
    /// previous-model: RMSE may be worse than that of the latest run by this share, on the held-out ratings
    /// that both know.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().max_worse, help_heading = "Gates")
    )]
    pub max_worse: NonNegative,
    /// item-cosine: a smaller median cosine to the items' vectors of the latest run is warned of.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "COSINE", default_value_t = Self::default().min_cosine, help_heading = "Gates")
    )]
    pub min_cosine: Fraction,
    /// overlap: a smaller share of the ten nearest items that stayed is warned of.
    #[cfg_attr(
        feature = "cli",
        arg(long, value_name = "SHARE", default_value_t = Self::default().min_overlap, help_heading = "Gates")
    )]
    pub min_overlap: Fraction,
    /// Publish although a gate does not pass; the manifest says so.
    #[cfg_attr(feature = "cli", arg(long, help_heading = "Gates"))]
    pub allow_gate_failure: bool,

    /// File for Prometheus' node exporter (textfile collector): NAME.prom. Written on failure, too.
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

/// The two exit codes for nothing new.
#[cfg(feature = "cli")]
fn noop_code(text: &str) -> std::result::Result<u8, String> {
    match text {
        "0" => Ok(0),
        "99" => Ok(99),
        _ => Err("it is 0 or 99".into()),
    }
}

impl RunConfig {
    /// Checks what single values cannot: combinations. Returns the run directory.
    ///
    /// # Errors
    /// [`Error::Usage`] with what does not fit and what to do.
    pub fn check(&self) -> Result<&std::path::Path> {
        let wrong = |message: &str| Err(Error::Usage(message.to_owned()));
        let output = self.train.check()?;
        if self.train.input.iter().chain(&self.train.test_file).any(|input| input == "-") {
            return wrong(
                "run reads files: standard input (-) cannot be compared with the latest run's, or read again",
            );
        }
        check_slashes(output)?;
        if is_url_path(output) {
            Location::parse(&output.to_string_lossy())?;
        } else if self.work_dir.is_some() {
            return wrong("--work-dir is for runs of an object store (--output s3://...)");
        }
        if let Some(metrics) = &self.metrics_file {
            local(metrics, "--metrics-file")?;
        }
        if let Some(work_dir) = &self.work_dir {
            local(work_dir, "--work-dir")?;
        }
        if self.train.nonnegative && self.align == Some(Align::Procrustes) {
            return wrong(
                "--align procrustes turns vectors, which would make some entries negative: it does not go \
                 with --nonnegative",
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
                "--metrics-file needs a name that ends in .prom, which the collector reads",
            );
        }
        if self.max_age.is_none() && self.severity(GateName::Freshness) == Some(Severity::Error) {
            return wrong("--gate freshness=error needs --max-age");
        }
        Ok(output)
    }

    /// The file for metrics, if it has a name that is read.
    #[must_use]
    pub fn metrics(&self) -> Option<&std::path::Path> {
        let named = |file: &&std::path::Path| {
            file.extension().is_some_and(|e| e == "prom") && !is_url_path(file)
        };
        self.metrics_file.as_deref().filter(named)
    }

    /// Whether vectors are turned.
    #[must_use]
    pub fn aligns(&self) -> bool {
        self.align.map_or(!self.train.nonnegative, |align| align == Align::Procrustes)
    }

    /// What was set for a gate; the last setting counts.
    #[must_use]
    pub fn severity(&self, name: GateName) -> Option<Severity> {
        self.gate.iter().rev().find(|setting| setting.name == name).map(|setting| setting.severity)
    }

    /// Every setting that has a value, as configuration files hold it.
    #[must_use]
    pub fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        let value = json::value(self);
        let serde_json::Value::Object(mut map) = value else { return serde_json::Map::new() };
        map.retain(|_, value| !value.is_null());
        for key in ["since", "until", "split_time"] {
            if let Some(value) = map.get_mut(key).filter(|value| value.is_number()) {
                *value = format!("@{value}").into();
            }
        }
        // TOML has signed integers.
        for value in map.values_mut() {
            if value.as_u64().is_some_and(|number| i64::try_from(number).is_err()) {
                *value = value.to_string().into();
            }
        }
        map
    }

    /// What is published besides what the training determines.
    #[must_use]
    pub fn published(&self) -> serde_json::Value {
        serde_json::json!({ "export": self.export, "align": self.aligns() })
    }
}

//! The output directory of `lacuna tune`.
//!
//! Every finished trial is a file, so an interrupted search can resume.
//!
//! ```text
//! OUT/
//!   .lock                 locked while a search runs
//!   tuning.json           identity of the search: its ratings and settings
//!   trials/0-00012.json   one finished trial, by rung and number
//!   trials.parquet        all trials, written at the end
//!   best.toml             the settings of the best trial, for train --config
//!   report.json           the report that --json prints
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use polars::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::factors::{into_io, parquet_writer};
use super::table::OutFile;
use crate::error::{Error, Result};

const TUNING: &str = "tuning.json";
const TRIALS: &str = "trials";
const LOCK: &str = ".lock";

/// Version of the directory's format.
const FORMAT_VERSION: u32 = 1;

/// One finished trial.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// Number of the tried settings, from 0; 0 stands for the settings as specified.
    pub number: u32,
    /// Round of successive halving, from 0; always 0 for grid and random search.
    pub rung: u32,
    /// The values of the tuned settings.
    pub settings: BTreeMap<String, Value>,
    /// Number of iterations; with folds, the largest of all folds.
    pub iterations: u32,
    /// The criterion on the validation part, or its mean over the folds; `None` if the fit failed.
    pub validation: Option<f64>,
    /// Standard deviation of the criterion over the folds.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Why the fit failed.
    #[serde(default)]
    pub failure: Option<String>,
    /// Seconds for training and measurement.
    pub seconds: f64,
}

/// Identifies the search that a directory belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    format_version: u32,
    identity: String,
}

/// An open tuning directory.
#[derive(Debug)]
pub(crate) struct TrialsDir {
    path: PathBuf,
    /// Locked while a search runs; the system releases the lock however the process ends.
    lock: Option<fs::File>,
}

impl Trial {
    /// Creates a trial whose settings could not be tried.
    #[must_use]
    pub fn failed(
        rung: u32,
        number: u32,
        settings: &BTreeMap<String, Value>,
        failure: String,
    ) -> Self {
        Self {
            number,
            rung,
            settings: settings.clone(),
            iterations: 0,
            validation: None,
            deviation: None,
            failure: Some(failure),
            seconds: 0.0,
        }
    }
}

impl TrialsDir {
    /// Opens the directory of the search with this identity and returns its finished trials.
    ///
    /// A missing directory is created. With `anew`, the results of any earlier search are removed.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for a directory that lacuna tune did not create, [`Error::Usage`] for a
    /// search with another identity or one that is running, [`Error::Read`] or [`Error::Format`]
    /// for an invalid trial, [`Error::Write`].
    pub(crate) fn open(path: &Path, identity: &str, anew: bool) -> Result<(Self, Vec<Trial>)> {
        let mut directory = Self { path: path.to_owned(), lock: None };
        let wanted = Identity { format_version: FORMAT_VERSION, identity: identity.to_owned() };
        let failed = |source| Error::Write { path: path.to_owned(), source };
        let identity = || -> Option<Identity> {
            serde_json::from_slice(&fs::read(path.join(TUNING)).ok()?).ok()
        };
        if path.exists() {
            let not_ours = |reason: &str| {
                Err(Error::NotOurs { path: path.to_owned(), reason: reason.to_owned() })
            };
            let Ok(entries) = fs::read_dir(path) else {
                return not_ours("is not a directory");
            };
            // A search that was killed before it wrote its first file leaves only the lock.
            if entries.flatten().any(|entry| entry.file_name() != LOCK) && identity().is_none() {
                return not_ours("is no directory of lacuna tune");
            }
        }
        fs::create_dir_all(path).map_err(failed)?;
        // Only the holder of the lock reads and changes the other files.
        directory.lock()?;
        match identity() {
            None => {}
            Some(_) if anew => directory.clear().map_err(failed)?,
            Some(found) if found == wanted => {
                let trials = directory.read()?;
                return Ok((directory, trials));
            }
            Some(_) => {
                return Err(Error::Usage(format!(
                    "{} holds a tuning of other ratings or other settings: give another --output, \
                     or --force to start anew there",
                    path.display()
                )));
            }
        }
        let text =
            serde_json::to_vec_pretty(&wanted).map_err(|e| Error::Internal(e.to_string()))?;
        // This file is written first, because it marks the directory as one of lacuna tune.
        directory.write(TUNING, &text)?;
        fs::create_dir_all(path.join(TRIALS)).map_err(failed)?;
        Ok((directory, Vec::new()))
    }

    /// Keeps other searches out of the directory.
    fn lock(&mut self) -> Result<()> {
        let path = self.file(LOCK);
        let failed = |source| Error::Write { path: path.clone(), source };
        let file = fs::File::create(&path).map_err(failed)?;
        rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive).map_err(
            |_| Error::Usage(format!("another lacuna tune is at work in {}", self.path.display())),
        )?;
        self.lock = Some(file);
        Ok(())
    }

    /// The path of the file `name`.
    #[must_use]
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn clear(&self) -> std::io::Result<()> {
        let gone = |removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(self.file(TRIALS)))?;
        // The file that marks the directory as lacuna's is removed last.
        for name in ["trials.parquet", "best.toml", "report.json", TUNING] {
            gone(fs::remove_file(self.file(name)))?;
        }
        Ok(())
    }

    /// Reads the finished trials, sorted by rung and number.
    fn read(&self) -> Result<Vec<Trial>> {
        let unreadable = |path: &Path, source| Error::Read { path: path.to_owned(), source };
        let directory = self.file(TRIALS);
        fs::create_dir_all(&directory).map_err(|e| unreadable(&directory, e))?;
        let mut trials = Vec::new();
        for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, e))? {
            let path = entry.map_err(|e| unreadable(&directory, e))?.path();
            // Other files are temporary ones of a killed search.
            if path.extension().is_none_or(|e| e != "json") {
                continue;
            }
            let text = fs::read(&path).map_err(|e| unreadable(&path, e))?;
            let trial: Trial = serde_json::from_slice(&text).map_err(|e| Error::Format {
                path: path.clone(),
                message: format!("not a trial of lacuna tune ({e}): remove the file"),
            })?;
            trials.push(trial);
        }
        trials.sort_by_key(|t| (t.rung, t.number));
        Ok(trials)
    }

    /// Writes the file of a finished trial, which appears complete or not at all.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn add(&self, trial: &Trial) -> Result<()> {
        let text = serde_json::to_vec(trial).map_err(|e| Error::Internal(e.to_string()))?;
        self.write(&format!("{TRIALS}/{}-{:05}.json", trial.rung, trial.number), &text)
    }

    /// Writes a small file, which appears complete or not at all.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let target = self.file(name);
        let mut file = OutFile::create(&target, true)?;
        let written = file.writer().write_all(content);
        written.map_err(|source| Error::Write { path: target, source })?;
        file.publish()
    }

    /// Writes all trials as Parquet.
    ///
    /// The columns are `trial`, `rung`, one per setting, `iterations_run`, `validation`,
    /// `validation_std`, `seconds` and `failure`. The column of a setting holds integers or doubles
    /// if all values of the setting are such numbers, and text otherwise. `given` holds the
    /// settings of trial 0.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub(crate) fn table(&self, trials: &[Trial], base: &BTreeMap<String, Value>) -> Result<()> {
        let target = self.file("trials.parquet");
        let failed = |e: PolarsError| Error::Write { path: target.clone(), source: into_io(e) };
        let mut frame = frame(trials, base).map_err(failed)?;
        let mut file = OutFile::create(&target, true)?;
        parquet_writer(file.writer(), frame.schema()).finish(&mut frame).map_err(failed)?;
        file.publish()
    }
}

fn frame(trials: &[Trial], base: &BTreeMap<String, Value>) -> PolarsResult<DataFrame> {
    let mut names: Vec<&String> = trials.iter().flat_map(|t| t.settings.keys()).collect();
    names.sort_unstable();
    names.dedup();
    let column = |name: &str, value: &dyn Fn(&Trial) -> Option<f64>| {
        let values: Vec<Option<f64>> = trials.iter().map(value).collect();
        Column::new(name.into(), values)
    };
    let whole = |name: &str, value: &dyn Fn(&Trial) -> u32| {
        let values: Vec<i32> = trials.iter().map(|t| value(t) as i32).collect();
        Column::new(name.into(), values)
    };
    let mut columns = vec![whole("trial", &|t| t.number), whole("rung", &|t| t.rung)];
    for name in names {
        let of = |t: &'_ Trial| -> Option<Value> {
            let settings = if t.number == 0 { base } else { &t.settings };
            settings.get(name).cloned()
        };
        let values: Vec<Option<Value>> = trials.iter().map(of).collect();
        let all = |is: fn(&Value) -> bool| values.iter().flatten().all(is);
        columns.push(if all(Value::is_i64) {
            let values: Vec<Option<i64>> =
                values.iter().map(|v| v.as_ref().and_then(Value::as_i64)).collect();
            Column::new(name.as_str().into(), values)
        } else if all(Value::is_number) {
            column(name, &|t| of(t).as_ref().and_then(Value::as_f64))
        } else {
            let text = |v: &Value| v.as_str().map_or_else(|| v.to_string(), str::to_owned);
            let texts: Vec<Option<String>> = values.iter().map(|v| v.as_ref().map(text)).collect();
            Column::new(name.as_str().into(), texts)
        });
    }
    columns.push(whole("iterations_run", &|t| t.iterations));
    columns.push(column("validation", &|t| t.validation));
    columns.push(column("validation_std", &|t| t.deviation));
    columns.push(column("seconds", &|t| Some(t.seconds)));
    let failures: Vec<Option<String>> = trials.iter().map(|t| t.failure.clone()).collect();
    columns.push(Column::new("failure".into(), failures));
    DataFrame::new(trials.len(), columns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loser_of_a_race_changes_nothing() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("t");
        // Another search has created and locked the directory but has not written a file yet.
        fs::create_dir(&path).expect("creates");
        let lock = fs::File::create(path.join(LOCK)).expect("creates");
        rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).expect("locks");
        let lost = TrialsDir::open(&path, "b", false).map(|_| ());
        assert!(lost.is_err_and(|e| e.to_string().contains("another lacuna tune is at work")));
        assert!(!path.join(TUNING).exists());
        drop(lock);
        let held = TrialsDir::open(&path, "b", false).expect("opens");
        assert!(TrialsDir::open(&path, "b", true).is_err(), "not even with --force");
        drop(held);
        let other = TrialsDir::open(&path, "c", false).map(|_| ());
        assert!(other.is_err_and(|e| e.to_string().contains("other ratings or other settings")));
        TrialsDir::open(&path, "c", true).expect("starts anew");
    }
}

//! The directory of a tuning: every finished trial is a file, so that it can go on where it was.
//!
//! ```text
//! OUT/
//!   tuning.json           what is tuned on what
//!   trials/00012.json     one finished trial
//!   trials.parquet        all of them, at the end
//!   best.toml             the settings of the best one, for train --config
//!   report.json           what is printed with --json
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
    /// Number of the settings, from 0; 0 are the settings as given.
    pub number: u32,
    /// Round of successive halving, from 0; 0 for grid and random search.
    pub rung: u32,
    /// The settings that are tuned.
    pub settings: BTreeMap<String, Value>,
    /// Most iterations that were run.
    pub iterations: u32,
    /// The criterion on the validation part (mean over the folds, where there are folds); none where
    /// the fit failed.
    pub validation: Option<f64>,
    /// Its standard deviation over the folds.
    #[serde(default)]
    pub deviation: Option<f64>,
    /// Why the fit failed.
    #[serde(default)]
    pub failure: Option<String>,
    /// Seconds of training and measuring.
    pub seconds: f64,
}

/// What is tuned on what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Identity {
    format_version: u32,
    identity: String,
}

/// An open tuning directory.
#[derive(Debug)]
pub struct TrialsDir {
    path: PathBuf,
    /// Locked while a search runs; the system lets go of it however the process ends.
    lock: Option<fs::File>,
}

impl Trial {
    /// A trial whose settings could not be tried.
    #[must_use]
    pub fn failed(
        (rung, number): (u32, u32),
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
    /// Makes a directory for the tuning of this identity, or opens the one that is there with its finished
    /// trials; with `anew`, these are removed.
    ///
    /// # Errors
    /// [`Error::NotOurs`] for another directory, [`Error::Usage`] for a tuning of another identity,
    /// [`Error::Write`].
    pub fn open(path: &Path, identity: &str, anew: bool) -> Result<(Self, Vec<Trial>)> {
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
            // The lock alone is of a search that was killed before its first file.
            if entries.flatten().any(|entry| entry.file_name() != LOCK) && identity().is_none() {
                return not_ours("is no directory of lacuna tune");
            }
        }
        fs::create_dir_all(path).map_err(failed)?;
        // Only the holder of the lock looks at the rest, and changes it.
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
        // First of all files: from here on the directory is known for what it is.
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

    /// Where a file of this name lies.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    fn clear(&self) -> std::io::Result<()> {
        let gone = |removed: std::io::Result<()>| match removed {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
        gone(fs::remove_dir_all(self.file(TRIALS)))?;
        // What says that the directory is lacuna's goes last.
        for name in ["trials.parquet", "best.toml", "report.json", TUNING] {
            gone(fs::remove_file(self.file(name)))?;
        }
        Ok(())
    }

    /// The finished trials, in order.
    fn read(&self) -> Result<Vec<Trial>> {
        let unreadable = |path: &Path, source| Error::Read { path: path.to_owned(), source };
        let directory = self.file(TRIALS);
        fs::create_dir_all(&directory).map_err(|e| unreadable(&directory, e))?;
        let mut trials = Vec::new();
        for entry in fs::read_dir(&directory).map_err(|e| unreadable(&directory, e))? {
            let path = entry.map_err(|e| unreadable(&directory, e))?.path();
            // Temporary files of a run that was killed.
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

    /// Writes one finished trial: it is there as a whole, or not.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn add(&self, trial: &Trial) -> Result<()> {
        let text = serde_json::to_vec(trial).map_err(|e| Error::Internal(e.to_string()))?;
        self.write(&format!("{TRIALS}/{}-{:05}.json", trial.rung, trial.number), &text)
    }

    /// Writes a small file: it is there as a whole, or not.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn write(&self, name: &str, content: &[u8]) -> Result<()> {
        let target = self.file(name);
        let mut file = OutFile::create(&target, true)?;
        let written = file.writer().write_all(content);
        written.map_err(|source| Error::Write { path: target, source })?;
        file.publish()
    }

    /// Writes all trials as Parquet: `trial`, `rung`, one column per setting, `iterations_run`,
    /// `validation`, `validation_std`, `seconds`, `failure`. A setting is of whole numbers or of numbers
    /// where all its values are, else text; `given` are those of trial 0.
    ///
    /// # Errors
    /// [`Error::Write`].
    pub fn table(&self, trials: &[Trial], given: &BTreeMap<String, Value>) -> Result<()> {
        let target = self.file("trials.parquet");
        let failed = |e: PolarsError| Error::Write { path: target.clone(), source: into_io(e) };
        let mut frame = frame(trials, given).map_err(failed)?;
        let mut file = OutFile::create(&target, true)?;
        parquet_writer(file.writer(), frame.schema()).finish(&mut frame).map_err(failed)?;
        file.publish()
    }
}

fn frame(trials: &[Trial], given: &BTreeMap<String, Value>) -> PolarsResult<DataFrame> {
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
            let settings = if t.number == 0 { given } else { &t.settings };
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
        // Another search has made the directory and holds it, its first file is not there yet.
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

//! Reads the ratings of a published model again.

use super::files::read_files;
use super::source::{Place, Published, Source, located};
use crate::error::{Error, Result};
use crate::ids::Axis;
use crate::job::Job;
use crate::load::prepare::Duplicates;
use crate::model::Model;
use crate::param::{Automatic, NonNegative, Rank};
use crate::ratings::Cell;
use crate::settings::{
    Holdout, LoadConfig, Plan, Reading, RowSolve, TrainConfig, method_named, takes,
};
use crate::store::{HOLDOUT_RATINGS, Manifest, TRAINING_RATINGS, folded_file, verify};
use crate::training::{Dataset, Notes, all_cells, cut_validation};

/// The plan of the training that a manifest records.
///
/// # Errors
/// [`Error::Usage`] if the recorded settings cannot be used.
pub(crate) fn recorded(manifest: &Manifest) -> Result<Plan> {
    let wrong = |e: &dyn std::fmt::Display| {
        Error::Usage(format!("the settings in the model's manifest cannot be used: {e}"))
    };
    let config = serde_json::from_value(manifest.config.clone());
    let mut config: TrainConfig = config.map_err(|e| wrong(&e))?;
    // Fill in the settings that a law or a search chose from the ratings.
    if config.regularization.is_none_or(|lambda| lambda == Automatic::Auto) {
        config.regularization = NonNegative::new(manifest.model.lambda)
            .ok()
            .filter(|_| takes(&manifest.model.algorithm, "regularization"))
            .map(Automatic::Value);
    }
    if config.factors.is_none() {
        config.factors = Rank::new(manifest.model.k).ok();
    }
    if let (None, Some(weight)) = (config.unobserved_weight, manifest.model.unobserved_weight) {
        config.unobserved_weight = NonNegative::new(weight).ok();
    }
    Plan::of_record(&config).map_err(|e| wrong(&e))
}

/// How to read the ratings that the training kept in the model, if it kept them.
fn kept(plan: &Plan, published: &Published) -> Result<Option<Reading>> {
    let Published { path, manifest } = published;
    let entry = |name: &str| manifest.outputs.iter().find(|entry| entry.path == name);
    let Some(training) = entry(TRAINING_RATINGS) else { return Ok(None) };
    let file = |entry| Ok::<_, Error>(verify(path, entry)?.to_string_lossy().into_owned());
    let holdout = entry(HOLDOUT_RATINGS).map(file).transpose()?;
    let weighted = training.schema.contains("weight");
    let config = TrainConfig {
        input: vec![file(training)?],
        holdout: Holdout::None,
        test_file: holdout.into_iter().collect(),
        leave_out: None,
        split_time: None,
        fold_in_ratio: None,
        load: LoadConfig {
            weight_col: weighted.then(|| "weight".into()),
            id_type: plan.record.load.id_type,
            duplicates: Some(Duplicates::Last),
            ..LoadConfig::default()
        },
        ..plan.record.clone()
    };
    Ok(Some(Plan::of_record(&config)?.reading))
}

/// Reads the ratings that the training kept in the model, otherwise the files of the training.
///
/// Files at other paths ([`Place::Moved`]) are read even if the model has its ratings. The
/// checksums of the files must be those of the training.
///
/// # Errors
/// [`Error::Model`] for files that are missing or have changed, [`Error::Usage`] for a training on
/// standard input.
pub(crate) fn replay(
    plan: &Plan,
    published: &Published,
    place: Place<'_>,
    job: &Job<'_>,
    warnings: &mut Vec<String>,
) -> Result<Dataset> {
    let mut notes = Notes::default();
    let mut read = |reading: &Reading| {
        let data = Dataset::read(reading, job, &mut notes);
        warnings.append(&mut notes.warnings);
        data
    };
    if matches!(place, Place::Recorded)
        && let Some(kept) = kept(plan, published)?
    {
        return read(&kept);
    }
    let manifest = &published.manifest;
    let how = match place {
        Place::Recorded => "pass the training ratings as --seen FILE",
        Place::Moved(_) => "pass exactly the files of the training",
    };
    if manifest.inputs.iter().any(|input| input.uri == "-") && matches!(place, Place::Recorded) {
        let message =
            format!("the model was trained on standard input, which cannot be read again; {how}");
        return Err(Error::Usage(message));
    }
    let reading = Reading {
        input: located(&plan.reading.input, manifest, place),
        test_file: located(&plan.reading.test_file, manifest, Place::Recorded),
        ..plan.reading.clone()
    };
    let mut data = read(&reading).map_err(|error| match error {
        Error::Read { path, source } => {
            let message = format!("{source}; the model was trained on this file: {how}");
            Error::Model { path, message }
        }
        other => other,
    })?;
    let sums = data.inputs.sha256()?;
    let uris = data.inputs.reports.iter().map(|report| report.uri.clone());
    let mut found: Vec<(String, String)> = uris.zip(sums).collect();
    let recorded = manifest.inputs.iter().map(|input| (input.uri.clone(), input.sha256.clone()));
    let mut recorded: Vec<(String, String)> = recorded.collect();
    if matches!(place, Place::Moved(_)) {
        // Moved files may come in any order.
        found.sort_unstable_by(|a, b| a.1.cmp(&b.1));
        recorded.sort_unstable_by(|a, b| a.1.cmp(&b.1));
    }
    match difference(&found, &recorded) {
        None => Ok(data),
        Some(uri) => {
            let message = format!(
                "the files are not those that the model was trained on (changed, missing or new); \
                 {how}"
            );
            Err(Error::Model { path: uri.into(), message })
        }
    }
}

/// The name of the first file that changed, is missing or is new.
///
/// The files are pairs of name and checksum.
fn difference<'f>(
    found: &'f [(String, String)],
    recorded: &'f [(String, String)],
) -> Option<&'f str> {
    let mut pairs = found.iter().zip(recorded);
    let changed = pairs.find(|(now, then)| now.1 != then.1).map(|(now, _)| now);
    let missing = recorded.get(found.len());
    let new = found.get(recorded.len());
    changed.or(missing).or(new).map(|(uri, _)| uri.as_str())
}

/// The ratings that rows of one side were folded in from; `None` if none were.
pub(crate) fn replay_folded(
    axis: Axis,
    published: &Published,
    plan: &Plan,
    job: &Job<'_>,
) -> Result<Option<Source>> {
    let Published { path, manifest } = published;
    let entry = manifest.outputs.iter().find(|entry| entry.path == folded_file(axis));
    let Some(entry) = entry else { return Ok(None) };
    let file = verify(path, entry)?.to_string_lossy().into_owned();
    let reading = LoadConfig {
        weight_col: Some("weight".into()),
        duplicates: Some(Duplicates::Last),
        ..LoadConfig::default()
    };
    read_files(&[file], &reading, plan, job, &mut Vec::new()).map(|found| Some(found.source))
}

/// The training cells that the factors were fitted on, without the validation cells.
pub(crate) fn fitted_on(plan: &Plan, data: &Dataset) -> Vec<Cell> {
    cut_validation(&plan.watch, data.parts.training.clone(), (*data.ids).as_ref()).0
}

/// The cells that the published factors were fitted on: all cells after a refit.
pub(crate) fn published_on(plan: &Plan, manifest: &Manifest, data: &Dataset) -> Vec<Cell> {
    match manifest.model.refit {
        true => all_cells(&data.parts, plan.reading.preparation.duplicates),
        false => fitted_on(plan, data),
    }
}

/// Checks that rows of a model can be solved exactly, as `what` requires.
pub(crate) fn solves_rows(model: &Model, manifest: &Manifest, what: &str) -> Result<()> {
    let name = manifest.model.algorithm.as_str();
    let row_solve = match method_named(name) {
        Some(method) => method.row_solve(),
        None => RowSolve::Never,
    };
    match row_solve {
        RowSolve::Always => Ok(()),
        RowSolve::WithPosterior if model.uncertainty.is_some() => Ok(()),
        RowSolve::WithPosterior => Err(Error::Usage(format!(
            "{what} needs the posterior, which this model does not contain; train it again with \
             -a {name} --inference vb"
        ))),
        RowSolve::Never => Err(Error::Usage(format!(
            "{what} needs rows that can be solved exactly, so the model must be one of bayes, als \
             or ials; this one is of {name}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_changed_is_missing_or_is_new_is_named() {
        let files = |names: &[(&str, &str)]| -> Vec<(String, String)> {
            names.iter().map(|(uri, sum)| ((*uri).into(), (*sum).into())).collect()
        };
        let then = files(&[("a", "1"), ("b", "2")]);
        assert_eq!(difference(&then, &then), None);
        assert_eq!(difference(&files(&[("a", "1"), ("b", "3")]), &then), Some("b"));
        assert_eq!(difference(&files(&[("a", "1")]), &then), Some("b"));
        assert_eq!(difference(&files(&[("a", "1"), ("b", "2"), ("c", "3")]), &then), Some("c"));
    }
}

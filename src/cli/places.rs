//! The places that commands read from and write to.
//!
//! A model in an object store is first copied to this machine. Only runs write to object stores;
//! all other commands write to this machine.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use tempfile::TempDir;

use super::command::Command;
use crate::error::{Error, Result};
use crate::remote::{is_url, local};
use crate::run::{fetch_model, name_source};

impl Command {
    /// The model that a command reads, and whether the command also reads the model's exports.
    fn model(&mut self) -> Option<(&mut PathBuf, bool)> {
        match self {
            Self::Evaluate(args) => Some((&mut args.config.model, false)),
            Self::Predict(args) => Some((&mut args.model, false)),
            Self::Recommend(args) => Some((&mut args.config.model, false)),
            Self::Similar(args) => Some((&mut args.config.model, false)),
            Self::FoldIn(args) => Some((&mut args.config.model, false)),
            Self::Update(args) => Some((&mut args.config.model, false)),
            Self::Export(args) => Some((&mut args.config.model, false)),
            Self::Reconstruct(args) => Some((&mut args.model, false)),
            Self::Verify(args) => Some((&mut args.path, true)),
            Self::Train(_)
            | Self::Run(_)
            | Self::Validate(_)
            | Self::Runs(_)
            | Self::Config(_)
            | Self::Inspect(_)
            | Self::Tune(_)
            | Self::Generate(_)
            | Self::Completions(_) => None,
        }
    }

    /// The output of a command.
    fn output(&self) -> Option<&Path> {
        match self {
            Self::Train(args) => args.config.output.as_deref(),
            Self::Tune(args) => args.config.train.output.as_deref(),
            Self::Predict(args) => args.to.as_deref(),
            Self::Recommend(args) => args.list.to.as_deref(),
            Self::Similar(args) => args.list.to.as_deref(),
            Self::FoldIn(args) => Some(&args.config.output),
            Self::Update(args) => Some(&args.config.output),
            // By default, an export is written into the directory of the model.
            Self::Export(args) => Some(args.config.output.as_ref().unwrap_or(&args.config.model)),
            Self::Generate(args) => Some(&args.out),
            Self::Run(_)
            | Self::Validate(_)
            | Self::Runs(_)
            | Self::Config(_)
            | Self::Inspect(_)
            | Self::Evaluate(_)
            | Self::Reconstruct(_)
            | Self::Verify(_)
            | Self::Completions(_) => None,
        }
    }

    /// Other files that a command reads, with their flags.
    fn files(&self) -> Vec<(&'static str, &Path)> {
        let found = match self {
            Self::Recommend(args) => {
                let config = &args.config;
                vec![
                    ("--users", config.users.as_deref()),
                    ("--allow", config.allow.as_deref()),
                    ("--deny", config.deny.as_deref()),
                    ("--item-table", config.item_table.as_deref()),
                    ("--item-names", config.titles.item_names.as_deref()),
                ]
            }
            Self::Similar(args) => vec![("--item-names", args.config.titles.item_names.as_deref())],
            Self::Tune(args) => vec![("--space", args.config.space.as_deref())],
            _ => Vec::new(),
        };
        found.into_iter().filter_map(|(flag, file)| Some((flag, file?))).collect()
    }

    /// Checks that outputs are on this machine, and copies a model from an object store.
    ///
    /// The copy is removed when the returned value is dropped.
    pub(super) fn places(&mut self, stop: &AtomicBool) -> Result<Option<ModelCopy>> {
        let written = "the output of this command (only lacuna run writes to object stores)";
        self.output().map_or(Ok(()), |output| local(output, written))?;
        self.files().into_iter().try_for_each(|(flag, file)| local(file, flag))?;
        let Some((model, exports)) = self.model() else { return Ok(None) };
        let Some(url) = model.to_str().filter(|model| is_url(model)) else { return Ok(None) };
        let (url, directory) = (url.to_owned(), fetch_model(url, exports, stop)?);
        directory.path().clone_into(model);
        if let Self::Verify(args) = self {
            args.shown = Some(url.clone());
        }
        Ok(Some(ModelCopy { url, directory }))
    }
}

/// A copy of a model on this machine.
pub(super) struct ModelCopy {
    url: String,
    directory: TempDir,
}

impl ModelCopy {
    /// Makes an error name the URL of the model instead of the copy.
    pub(super) fn named(&self, error: Error) -> Error {
        name_source(error, self.directory.path(), &self.url)
    }
}

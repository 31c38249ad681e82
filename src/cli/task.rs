//! What every command does.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::context::Context;
use crate::error::Result;

/// A command with its arguments.
pub(super) trait Task {
    /// Runs the command.
    fn run(&self, context: &Context) -> Result<ExitCode>;

    /// The model that the command reads. A model in an object store is copied to this machine, and
    /// the path then names the copy.
    fn model(&mut self) -> Option<&mut PathBuf> {
        None
    }

    /// Whether the command also reads the exports of the model.
    fn reads_exports(&self) -> bool {
        false
    }

    /// Receives the URL of a model that was copied to this machine.
    fn copied_from(&mut self, _url: &str) {}

    /// The output of the command, which must be on this machine.
    fn output(&self) -> Option<&Path> {
        None
    }

    /// Other files that the command reads from this machine, with their flags.
    fn files(&self) -> Vec<(&'static str, Option<&Path>)> {
        Vec::new()
    }
}

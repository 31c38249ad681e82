//! Where lists go: what recommend and similar share.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::pipeline::Destination;
use crate::store::RowFormat;

/// Where the lists are written.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// File for the rows: .parquet, .ndjson or .jsonl, else CSV. Standard output by default.
    #[arg(short = 'o', long = "output", value_name = "FILE", help_heading = "Output")]
    to: Option<PathBuf>,
    /// Form of the rows, whatever the file is called.
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<RowFormat>,
    /// Replace the file that --output names.
    #[arg(long, help_heading = "Output")]
    force: bool,
}

impl ListArgs {
    /// Tables for people (or one JSON line) where a `few` keys are asked for and nothing is said of files.
    pub(super) fn destination(&self, few: bool, json: bool) -> Result<Destination> {
        match (&self.to, self.format) {
            (Some(path), format) => {
                let format = format.unwrap_or_else(|| RowFormat::of(path));
                Ok(Destination::File(path.clone(), self.force, format))
            }
            (None, None) if few => Ok(Destination::Memory),
            (None, _) if json => {
                Err(Error::Usage("--json with all rows needs --output FILE".into()))
            }
            (None, format) => Ok(Destination::Standard(format.unwrap_or(RowFormat::Csv))),
        }
    }
}

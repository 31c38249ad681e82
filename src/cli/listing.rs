//! Where lists go: what recommend and similar share.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::serving::Destination;
use crate::store::{RowFormat, RowTarget};

/// Where the lists are written.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// File for the rows: .csv, .parquet, .ndjson or .jsonl. Standard output by default (CSV).
    #[arg(short = 'o', long = "output", value_name = "FILE", help_heading = "Output")]
    pub(super) to: Option<PathBuf>,
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
        let to = self.to.as_ref().filter(|path| path.as_os_str() != "-");
        match (to, self.format) {
            (Some(path), format) => {
                let Some(format) = format.or_else(|| RowFormat::of(path)) else {
                    let message = format!(
                        "{}: no form is known by this ending (.csv, .parquet, .ndjson, .jsonl); give --format",
                        path.display()
                    );
                    return Err(Error::Usage(message));
                };
                let target = RowTarget::File { path: path.clone(), replace: self.force };
                Ok(Destination::Rows(target, format))
            }
            (None, None) if few && self.to.is_none() => Ok(Destination::Memory),
            (None, _) if json => {
                Err(Error::Usage("--json with all rows needs --output FILE".into()))
            }
            (None, format) => {
                let target = RowTarget::Stream(Box::new(std::io::stdout()));
                Ok(Destination::Rows(target, format.unwrap_or(RowFormat::Csv)))
            }
        }
    }
}

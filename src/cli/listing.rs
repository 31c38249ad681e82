//! Output of lists, shared by recommend and similar.

use std::path::PathBuf;

use clap::Args;

use crate::error::{Error, Result};
use crate::serving::Destination;
use crate::store::{RowFormat, RowTarget};

/// The flags for the output of lists.
#[derive(Debug, Clone, Args)]
pub(super) struct ListArgs {
    /// File for the rows: .csv, .parquet, .ndjson or .jsonl. By default, CSV goes to standard
    /// output.
    #[arg(short = 'o', long = "output", value_name = "FILE", help_heading = "Output")]
    pub(super) to: Option<PathBuf>,
    /// Format of the rows; it overrides the ending of the file name.
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    format: Option<RowFormat>,
    /// Replace the file that --output names.
    #[arg(long, help_heading = "Output")]
    force: bool,
}

impl ListArgs {
    /// The destination of the lists. If `few` keys are requested and neither a file nor a format is
    /// specified, it is memory, for tables or one JSON line.
    pub(super) fn destination(&self, few: bool, json: bool) -> Result<Destination> {
        let to = self.to.as_ref().filter(|path| path.as_os_str() != "-");
        match (to, self.format) {
            (Some(path), format) => {
                let Some(format) = format.or_else(|| RowFormat::of(path)) else {
                    let message = format!(
                        "{}: the file name has no known ending (.csv, .parquet, .ndjson, .jsonl); \
                         pass --format",
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

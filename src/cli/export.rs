//! `lacuna export`.

use super::task::Task;
use clap::Args;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;

use super::context::{Context, OutputArgs};
use super::{show, terminal};
use crate::error::Result;
use crate::export::Format;
use crate::model::Layout;
use crate::serving::{ExportConfig, export};

#[derive(Debug, Args)]
pub(super) struct ExportArgs {
    #[command(flatten)]
    pub(super) config: ExportConfig,
    #[command(flatten)]
    output: OutputArgs,
}

/// The text below the flags: the formats and layouts.
pub(super) fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for format in Format::all() {
        let half = if format.dtypes().len() > 1 { " [f16]" } else { "" };
        text += &format!("  {:<13} {}{half}\n", format.name(), format.about());
    }
    text += "\n\
Layouts (p is a user vector, q an item vector, b a bias, M a constant above the
norms of all items):
  raw     q and p, with the biases in separate columns
  dot     [q, b_i, 1], [p, 1, mean + b_u]: the dot product is the score;
          for indexes of inner products
  mips    [q, b_i, sqrt(M^2 - |q, b_i|^2)], [p, 1, 0]: cosine and distance
          rank as the score does; for indexes of cosines or distances
  cosine  q / |q|: for similar items only, not for recommendations

Biases decide much of a ranking, so do not put raw vectors into an index. The
manifest lists every export with the checksums of its files. In formats without
ids, a separate file lists the ids in the order of the vectors.

Examples:
  lacuna export model --format npy --layout dot
  lacuna export model --format pgcopy -o load && (cd load && psql -f load.sql)
  lacuna export model --format elasticsearch --layout dot --side item
  lacuna export model --format npz --layout mips --dtype f16";
    text
}

impl Task for ExportArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.config.model)
    }

    fn output(&self) -> Option<&Path> {
        // By default, an export is written into the directory of the model.
        Some(self.config.output.as_ref().unwrap_or(&self.config.model))
    }
}

fn run(args: &ExportArgs, context: &Context) -> Result<()> {
    let outcome = export(&args.config, &context.job(&|_| {}))?;
    let flavor = &outcome.flavor;
    if flavor.left_out > 0 {
        terminal::warning(&format!(
            "zero vectors left out because they have no cosine: {}",
            flavor.left_out
        ));
    }
    if args.output.json {
        return terminal::print(&format!("{}\n", show::json(&outcome)));
    }
    if args.output.quiet {
        return Ok(());
    }
    if flavor.layout == Layout::Raw && flavor.global_mean != 0.0 && args.output.verbose {
        terminal::note(&format!("score = {}", flavor.score));
    }
    let bytes = outcome.outputs.iter().map(|file| file.bytes).sum();
    terminal::print(&show::exported(&outcome, bytes))
}

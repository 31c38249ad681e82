//! `lacuna export`.

use clap::Args;

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

/// What stands below the flags: the formats and layouts.
pub(super) fn after_help() -> String {
    let mut text = "Formats:\n".to_owned();
    for format in Format::all() {
        let half = if format.dtypes().len() > 1 { " [f16]" } else { "" };
        text += &format!("  {:<13} {}{half}\n", format.name(), format.about());
    }
    text += "\n\
Layouts (p, q the vectors, b the biases, M a norm above those of all items):
  raw     q and p, biases beside them
  dot     [q, b_i, 1], [p, 1, mean + b_u]: the dot product is the score;
          for indexes of inner products
  mips    [q, b_i, sqrt(M^2 - |q, b_i|^2)], [p, 1, 0]: cosine and distance
          rank as the score does; for indexes of cosines or distances
  cosine  q / |q|: similar items only, not recommendations

Without their biases items rank quite differently: raw vectors are not for an
index. Every export is listed in the manifest with the checksums of its files;
formats without ids have a file of ids beside the vectors, in the same order.

Examples:
  lacuna export model --format npy --layout dot
  lacuna export model --format pgcopy -o load && (cd load && psql -f load.sql)
  lacuna export model --format elasticsearch --layout dot --side item
  lacuna export model --format npz --layout mips --dtype f16";
    text
}

pub(super) fn run(args: &ExportArgs, context: &Context) -> Result<()> {
    let outcome = export(&args.config, &context.job(&|_| {}))?;
    let flavor = &outcome.flavor;
    if flavor.left_out > 0 {
        terminal::warning(&format!(
            "{} zero vectors are left out: they have no cosine",
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

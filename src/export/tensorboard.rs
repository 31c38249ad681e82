//! Vectors and labels for the TensorBoard projector.

use std::io::{self, Write};

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;

/// `item_vectors.tsv` without a header and `item_metadata.tsv` with one, for the most rated rows.
pub(super) struct TensorBoard;

/// Largest number of rows that the projector can show.
const MOST: usize = 10_000;

impl Exporter for TensorBoard {
    fn name(&self) -> &'static str {
        "tensorboard"
    }

    fn about(&self) -> &'static str {
        "TensorBoard's projector: the 10,000 most rated rows"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let name = side.axis.name();
            let mut rows: Vec<usize> = (0..side.rows()).collect();
            rows.sort_by_key(|&row| std::cmp::Reverse(side.counts[row]));
            rows.truncate(MOST);
            rows.sort_unstable();
            let content = &mut |to: &mut dyn Write| vectors(side, &rows, to);
            files.file(&format!("{name}_vectors.tsv"), rows.len(), "numbers", content)?;
            let content = &mut |to: &mut dyn Write| metadata(side, &rows, to);
            let schema = format!("{name}_id, n_ratings, bias where there is one");
            files.file(&format!("{name}_metadata.tsv"), rows.len(), &schema, content)?;
        }
        Ok(())
    }
}

fn vectors(side: &ExportSide, rows: &[usize], to: &mut dyn Write) -> io::Result<()> {
    for &row in rows {
        let numbers: Vec<String> = side.vectors.row(row).iter().map(|v| format!("{v:?}")).collect();
        writeln!(to, "{}", numbers.join("\t"))?;
    }
    Ok(())
}

fn metadata(side: &ExportSide, rows: &[usize], to: &mut dyn Write) -> io::Result<()> {
    let bias = if side.biases.is_some() { "\tbias" } else { "" };
    writeln!(to, "{}_id\tn_ratings{bias}", side.axis.name())?;
    for &row in rows {
        // The format has no quoting.
        let id = side.ids.get(row).text().replace(['\t', '\n', '\r'], " ");
        let bias = side.biases.as_ref().map_or_else(String::new, |b| format!("\t{:?}", b[row]));
        writeln!(to, "{id}\t{}{bias}", side.counts[row])?;
    }
    Ok(())
}

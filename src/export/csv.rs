//! CSV with one column per number, for spreadsheets, R and any other program.

use std::io::{self, Write};
use std::ops::Range;

use super::lines::write_rows;
use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;

/// `item_embeddings.csv`: id, any bias, `n_ratings`, `f0`, `f1`, ...
pub(super) struct Csv;

impl Exporter for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    fn about(&self) -> &'static str {
        "spreadsheets, R, anything: a column per number"
    }

    fn write(&self, export: &Export, _: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let names = columns(side).join(", ");
            files.file(&side.file("csv"), side.rows(), &names, &mut |to| table(side, to))?;
        }
        Ok(())
    }
}

fn columns(side: &ExportSide) -> Vec<String> {
    let mut names = vec![format!("{}_id", side.axis.name())];
    names.extend(side.biases.as_ref().map(|_| "bias".to_owned()));
    names.push("n_ratings".to_owned());
    names.extend((0..side.vectors.cols()).map(|f| format!("f{f}")));
    names
}

fn table(side: &ExportSide, to: &mut dyn Write) -> io::Result<()> {
    let mut writer = ::csv::Writer::from_writer(&mut *to);
    writer.write_record(columns(side))?;
    writer.flush()?;
    drop(writer);
    write_rows(0..side.rows(), to, &|rows| lines(side, rows))
}

fn lines(side: &ExportSide, rows: Range<usize>) -> io::Result<Vec<u8>> {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_field(side.ids.get(row).text().as_bytes())?;
        if let Some(biases) = &side.biases {
            writer.write_field(format!("{:?}", biases[row]))?;
        }
        writer.write_field(side.counts[row].to_string())?;
        // Shortest form that reads back as the same number.
        for value in side.vectors.row(row) {
            writer.write_field(format!("{value:?}"))?;
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(|e| io::Error::other(e.to_string()))
}

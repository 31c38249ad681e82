//! Redis commands for `redis-cli --pipe`.

use std::io::{self, Write};

use super::{Dtype, Export, ExportSide, Exporter, Files};
use crate::error::Result;

/// `item_embeddings.resp`: `HSET item:ID embedding BYTES [bias B] n_ratings N model_version V`.
pub(super) struct Resp;

impl Exporter for Resp {
    fn name(&self) -> &'static str {
        "resp"
    }

    fn about(&self) -> &'static str {
        "Redis, Valkey: commands for redis-cli --pipe"
    }

    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32, Dtype::F16]
    }

    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()> {
        for side in &export.sides {
            let kind = if dtype == Dtype::F32 { "FLOAT32" } else { "FLOAT16" };
            let schema = format!("HSET {}:ID, embedding of TYPE {kind}", side.axis.name());
            let content = &mut |to: &mut dyn Write| commands(export, side, dtype, to);
            files.file(&side.file("resp"), side.rows(), &schema, content)?;
        }
        Ok(())
    }
}

fn commands(
    export: &Export,
    side: &ExportSide,
    dtype: Dtype,
    to: &mut dyn Write,
) -> io::Result<()> {
    let mut numbers = Vec::new();
    for row in 0..side.rows() {
        numbers.clear();
        dtype.put(side.vectors.row(row), &mut numbers);
        let key = format!("{}:{}", side.axis.name(), side.ids.get(row));
        let count = side.counts[row].to_string();
        let bias = side.biases.as_ref().map(|biases| format!("{:?}", biases[row]));
        let mut words: Vec<&[u8]> = vec![b"HSET", key.as_bytes(), b"embedding", &numbers];
        if let Some(bias) = &bias {
            words.extend([b"bias".as_slice(), bias.as_bytes()]);
        }
        words.extend([b"n_ratings".as_slice(), count.as_bytes()]);
        words.extend([b"model_version".as_slice(), export.stamp.model_version.as_bytes()]);
        write!(to, "*{}\r\n", words.len())?;
        for word in words {
            write!(to, "${}\r\n", word.len())?;
            to.write_all(word)?;
            to.write_all(b"\r\n")?;
        }
    }
    Ok(())
}

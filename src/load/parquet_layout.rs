//! Recognises the layout of a Parquet file.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use polars::io::mmap::MmapBytesReader;
use polars::prelude::{DataType, ParquetReader, PolarsError, SerReader};

use super::footer::check as check_footer;
use super::guard::decode;
use super::input::Input;
use super::options::LoadOptions;
use super::roles::{Roles, describe_roles, roles};
use crate::error::{Error, Result};
use crate::pair::Pair;

/// The layout of a Parquet file.
#[derive(Debug, Clone)]
pub(super) struct ParquetLayout {
    pub names: Vec<String>,
    pub roles: Roles,
    /// Whether the columns of the ids have integer types.
    pub integers: Pair<bool>,
    pub rows: usize,
    /// The bytes of the file, if it is compressed or a stream; `None` for a plain file on disk.
    pub bytes: Option<Arc<[u8]>>,
}

pub(super) type AnyReader = ParquetReader<Box<dyn MmapBytesReader>>;

pub(super) fn unreadable(path: &Path, error: &PolarsError) -> Error {
    Error::Format {
        path: path.to_owned(),
        message: format!("not a readable Parquet file: {error}"),
    }
}

impl ParquetLayout {
    pub(super) fn recognise(input: &mut Input, options: &LoadOptions) -> Result<Self> {
        let plain = input.compression.is_none() && input.size.is_some();
        let bytes: Option<Arc<[u8]>> = if plain { None } else { Some(input.read_rest()?.into()) };
        let path = input.path.clone();
        let failed = |e: PolarsError| unreadable(&path, &e);
        let footer = match &bytes {
            Some(bytes) => check_footer(&mut Cursor::new(bytes)),
            None => {
                let mut file = input.on_disk()?;
                check_footer(&mut file)
            }
        };
        footer.map_err(failed)?;
        let mut reader = reader(input, bytes.as_ref())?;
        let schema = decode(|| reader.schema()).map_err(failed)?;
        let rows = decode(|| reader.num_rows()).map_err(failed)?;
        let names: Vec<String> = schema.iter_names().map(ToString::to_string).collect();
        let roles = roles(&path, &names, true, options)?;
        let integer = |at: usize| {
            schema.get_at_index(at).is_some_and(|(_, f)| DataType::from_arrow_field(f).is_integer())
        };
        let integers = Pair::new(integer(roles.user), integer(roles.item));
        Ok(Self { names, roles, integers, rows, bytes })
    }

    pub(super) fn describe(&self) -> String {
        format!("Parquet, {}", describe_roles(&self.names, &self.roles))
    }
}

/// Creates a reader of the file. Only files on disk are memory-mapped.
pub(super) fn reader(input: &Input, bytes: Option<&Arc<[u8]>>) -> Result<AnyReader> {
    let source: Box<dyn MmapBytesReader> = match bytes {
        Some(bytes) => Box::new(Cursor::new(bytes.clone())),
        None => Box::new(input.on_disk()?),
    };
    Ok(ParquetReader::new(source))
}

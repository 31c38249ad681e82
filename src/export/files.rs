//! The destination of the files of an export.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes the content of one file.
pub type Content<'c> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'c;

/// Receives the files of an export.
pub trait Files {
    /// Receives a file: its name (which may contain directories), its number of rows, a description
    /// of its columns, and its content.
    ///
    /// # Errors
    /// [`Error::Write`].
    fn file(
        &mut self,
        name: &str,
        rows: usize,
        schema: &str,
        content: &mut Content<'_>,
    ) -> Result<()>;
}

/// Keeps the files of an export in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    /// Contents by name.
    pub contents: BTreeMap<String, Vec<u8>>,
}

impl Files for MemoryFiles {
    fn file(&mut self, name: &str, _: usize, _: &str, content: &mut Content<'_>) -> Result<()> {
        let mut bytes = Vec::new();
        let written = content(&mut bytes);
        written.map_err(|source| Error::Write { path: Path::new(name).to_owned(), source })?;
        self.contents.insert(name.to_owned(), bytes);
        Ok(())
    }
}

//! Where the files of an export go.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use crate::error::{Error, Result};

/// Writes the content of one file.
pub type Content<'c> = dyn FnMut(&mut dyn Write) -> io::Result<()> + 'c;

/// Takes the files of an export.
pub trait Files {
    /// Takes a file: its name (which may have directories in it), its rows, what its columns are.
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

/// Files in memory.
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

//! What every format of rating files does.

use super::collector::Collector;
use super::input::Input;
use super::options::LoadOptions;
use super::roles::InputColumns;
use crate::error::Result;

/// A format of rating files.
pub(super) trait Format: Sync {
    /// Extensions of such files, without the dot.
    fn extensions(&self) -> &'static [&'static str];

    /// Whether the whole file must be at hand, so that a stream is first read into memory.
    fn seeks(&self) -> bool {
        false
    }

    /// Whether a file that starts with these bytes has this format.
    fn fits(&self, head: &[u8]) -> bool;

    /// Recognises the columns of a file; options override what it says itself.
    fn recognise(&self, input: &mut Input, options: &LoadOptions) -> Result<Box<dyn FileLayout>>;
}

/// The layout of one file.
pub(super) trait FileLayout {
    /// The columns that are read.
    fn columns(&self) -> InputColumns;

    /// Reads all rows. `progress` receives the number of bytes so far.
    fn read(
        &self,
        input: &mut Input,
        gather: &mut Collector<'_>,
        progress: &dyn Fn(u64),
    ) -> Result<()>;
}

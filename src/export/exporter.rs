//! What a format must say and do.

use super::content::Export;
use super::dtype::Dtype;
use super::files::Files;
use crate::error::Result;
use crate::model::Layout;

/// A format that an export can be written in.
pub(super) trait Exporter: Sync {
    /// Kebab-case name, unique among the formats.
    fn name(&self) -> &'static str;

    /// The readers of the format, in a few words.
    fn about(&self) -> &'static str;

    /// Number types that the format supports for vectors.
    fn dtypes(&self) -> &'static [Dtype] {
        &[Dtype::F32]
    }

    /// Why a layout would give wrong results in this format, if it would.
    fn refuses(&self, _layout: Layout) -> Option<&'static str> {
        None
    }

    /// Writes the files.
    fn write(&self, export: &Export, dtype: Dtype, files: &mut dyn Files) -> Result<()>;
}

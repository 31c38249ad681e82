//! Which export: its format, its layout of the vectors and its number type.

use serde::Serialize;

use crate::export::{Dtype, Format};
use crate::ids::Axis;
use crate::model::Layout;

/// The sides to export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
pub enum Sides {
    /// Users and items.
    Both,
    /// Users only.
    User,
    /// Items only.
    Item,
}

/// An export: `FORMAT[:LAYOUT[:TYPE]]`.
///
/// The default layout is raw, and the default number type is f32.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportSpec {
    /// The format.
    pub format: Format,
    /// Layout of the vectors.
    pub layout: Layout,
    /// Number type of the vectors.
    pub dtype: Dtype,
}

impl ExportSpec {
    /// Name of the directory below `exports`.
    #[must_use]
    pub fn name(&self) -> String {
        let dtype = match self.dtype {
            Dtype::F32 => String::new(),
            Dtype::F16 => format!("-{}", self.dtype.name()),
        };
        format!("{}-{}{dtype}", self.format, self.layout.name())
    }

    pub(super) fn sides(&self, asked: Option<Sides>) -> &'static [Axis] {
        match (asked, self.layout) {
            (Some(Sides::User), _) => &[Axis::User],
            (Some(Sides::Item), _) | (None, Layout::Cosine) => &[Axis::Item],
            (Some(Sides::Both) | None, _) => &[Axis::User, Axis::Item],
        }
    }
}

impl std::fmt::Display for ExportSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.format, self.layout.name(), self.dtype.name())
    }
}

/// A text that does not name an export.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}; an export is FORMAT[:LAYOUT[:TYPE]], such as npy:dot or word2vec:cosine")]
pub struct NoExport(String);

impl std::str::FromStr for ExportSpec {
    type Err = NoExport;

    fn from_str(text: &str) -> Result<Self, NoExport> {
        let mut parts = text.splitn(3, ':');
        let format = parts.next().unwrap_or_default().parse::<Format>();
        let format = format.map_err(|e| NoExport(e.to_string()))?;
        let layout: Layout = parts.next().map_or(Ok(Layout::Raw), named)?;
        let dtype: Dtype = parts.next().map_or(Ok(Dtype::F32), named)?;
        format.check(layout, dtype).map_err(|e| NoExport(e.to_string()))?;
        Ok(Self { format, layout, dtype })
    }
}

/// Returns the value with this name in settings.
fn named<T: serde::de::DeserializeOwned>(name: &str) -> Result<T, NoExport> {
    let name = serde::de::value::StrDeserializer::<serde::de::value::Error>::new(name);
    T::deserialize(name).map_err(|e| NoExport(e.to_string()))
}

impl Serialize for ExportSpec {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for ExportSpec {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

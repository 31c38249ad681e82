//! Number types of exported vectors.

use std::io::{self, Write};

use half::f16;
use serde::{Deserialize, Serialize};

use super::ExportSide;
use crate::error::{Error, Result};
use crate::linalg::Matrix;

/// How the numbers of vectors are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[cfg_attr(feature = "cli", derive(clap::ValueEnum))]
#[serde(rename_all = "kebab-case")]
pub enum Dtype {
    /// Single precision, as in the model.
    #[default]
    F32,
    /// Half precision: half the size, about three digits.
    F16,
}

impl Dtype {
    /// The name, as passed to `--dtype`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
        }
    }

    /// Bytes per number.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
        }
    }

    /// Checks that the vectors of a side are within the range of the type.
    pub(super) fn check(self, side: &ExportSide) -> Result<()> {
        let largest = f32::from(f16::MAX);
        let beyond = |row: &usize| side.vectors.row(*row).iter().any(|v| v.abs() > largest);
        let found = match self {
            Self::F32 => None,
            Self::F16 => (0..side.rows()).find(beyond),
        };
        match found {
            None => Ok(()),
            Some(row) => Err(Error::Usage(format!(
                "--dtype f16: a number in the vector of {} {} is above {largest}, the largest \
                 number of half precision; use --dtype f32",
                side.axis.name(),
                side.ids.get(row)
            ))),
        }
    }

    /// Appends numbers to `out`, little-endian.
    pub(super) fn put(self, values: &[f32], out: &mut Vec<u8>) {
        match self {
            Self::F32 => out.extend(values.iter().flat_map(|v| v.to_le_bytes())),
            Self::F16 => out.extend(values.iter().flat_map(|&v| f16::from_f32(v).to_le_bytes())),
        }
    }

    /// Writes all rows of a matrix without their padding, little-endian.
    pub(super) fn write_rows(self, vectors: &Matrix, to: &mut dyn Write) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(vectors.cols() * self.size());
        for row in 0..vectors.rows() {
            bytes.clear();
            self.put(vectors.row(row), &mut bytes);
            to.write_all(&bytes)?;
        }
        Ok(())
    }
}

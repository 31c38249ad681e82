//! Checks the footer of a Parquet file before Polars trusts it, and then its pages.
//!
//! A list that claims more entries than the footer has bytes would keep Polars' decoder busy for
//! minutes.
//!
//! The footer is a structure in Thrift's compact protocol (Apache Thrift, "Thrift Compact protocol
//! encoding"), in which every entry of a list takes at least one byte.

use std::io::{Read, Seek, SeekFrom};

use polars::prelude::{PolarsResult, polars_ensure, polars_err};

use super::guard::decode;
use super::pages;

/// Maximum depth of nested structures. A valid footer needs six.
const DEPTH: u32 = 24;

/// Checks the footer of a Parquet file and the headers of its pages.
///
/// Afterwards, the source is at its beginning.
///
/// # Errors
/// `ComputeError` for a malformed footer or page header; the errors of reading.
pub(crate) fn check(source: &mut (impl Read + Seek)) -> PolarsResult<()> {
    let size = source.seek(SeekFrom::End(0))?;
    let wrong = || polars_err!(ComputeError: "its footer is malformed");
    polars_ensure!(size >= 12, ComputeError: "it is too short to have a footer");
    source.seek(SeekFrom::End(-8))?;
    let mut end = [0; 8];
    source.read_exact(&mut end)?;
    let [a, b, c, d, magic @ ..] = end;
    let length = u64::from(u32::from_le_bytes([a, b, c, d]));
    if magic != *b"PAR1" || length > size - 8 {
        return Err(wrong());
    }
    source.seek(SeekFrom::Start(size - 8 - length))?;
    let mut footer = vec![0; length as usize];
    source.read_exact(&mut footer)?;
    structure(&mut Bytes(&footer), DEPTH).ok_or_else(wrong)?;
    decode(|| pages::check(source, size))?;
    source.seek(SeekFrom::Start(0))?;
    Ok(())
}

/// The unread bytes of the footer.
struct Bytes<'b>(&'b [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        self.0 = self.0.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    /// Checks a number of entries. Each of them takes at least one byte.
    fn entries(&self, count: u64) -> Option<u64> {
        (count <= self.0.len() as u64).then_some(count)
    }
}

/// Skips the fields of a structure.
fn structure(bytes: &mut Bytes<'_>, depth: u32) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    loop {
        let header = bytes.byte()?;
        if header == 0 {
            return Some(());
        }
        if header >> 4 == 0 {
            bytes.varint()?;
        }
        match header & 0x0f {
            // A boolean value is part of the header.
            1 | 2 => {}
            kind => value(bytes, kind, depth)?,
        }
    }
}

/// Skips a value of the specified type.
fn value(bytes: &mut Bytes<'_>, kind: u8, depth: u32) -> Option<()> {
    match kind {
        1..=3 => bytes.skip(1),
        4..=6 => bytes.varint().map(|_| ()),
        7 => bytes.skip(8),
        8 => {
            let length = bytes.varint()?;
            bytes.skip(length)
        }
        9 | 10 => {
            let header = bytes.byte()?;
            let count = match header >> 4 {
                15 => bytes.varint()?,
                few => u64::from(few),
            };
            let depth = depth.checked_sub(1)?;
            (0..bytes.entries(count)?).try_for_each(|_| value(bytes, header & 0x0f, depth))
        }
        11 => {
            let count = bytes.varint()?;
            if count == 0 {
                return Some(());
            }
            let kinds = bytes.byte()?;
            let depth = depth.checked_sub(1)?;
            (0..bytes.entries(count)?).try_for_each(|_| {
                value(bytes, kinds >> 4, depth)?;
                value(bytes, kinds & 0x0f, depth)
            })
        }
        12 => structure(bytes, depth),
        13 => bytes.skip(16),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::*;

    use super::*;

    fn file() -> Vec<u8> {
        let columns = vec![
            Series::new("user".into(), (0..100_i64).collect::<Vec<_>>()).into_column(),
            Series::new("text".into(), vec!["ä"; 100]).into_column(),
        ];
        let mut frame = DataFrame::new(100, columns).expect("a table");
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).expect("writes");
        bytes
    }

    #[test]
    fn what_polars_writes_is_sound_and_read_from_its_beginning() {
        let mut source = Cursor::new(file());
        check(&mut source).expect("sound");
        assert_eq!(source.position(), 0);
    }

    #[test]
    fn lists_longer_than_the_footer_are_not() {
        // This structure has a list of 2³² - 1 structures.
        let footer = [0x19, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x00, 0x00];
        let mut bytes = b"PAR1".to_vec();
        bytes.extend(footer);
        bytes.extend((footer.len() as u32).to_le_bytes());
        bytes.extend(b"PAR1");
        assert!(check(&mut Cursor::new(bytes)).is_err());
        // Endlessly nested structures, and a file without any footer.
        let mut bytes = vec![0x1c; 100];
        bytes.extend(100_u32.to_le_bytes());
        bytes.extend(b"PAR1");
        assert!(check(&mut Cursor::new(bytes)).is_err());
        assert!(check(&mut Cursor::new(b"PAR1".to_vec())).is_err());
        // A good file that is cut anywhere gives an error and no panic.
        let whole = file();
        assert!((0..whole.len()).all(|end| check(&mut Cursor::new(&whole[..end])).is_err()));
    }
}

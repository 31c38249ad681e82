//! The types of Parquet columns: which of them a role can have, and how their cells are decoded.

use half::f16;
use polars::prelude::{
    ArrowDataType, Column, DataType, Float32Chunked, IntoColumn, PolarsResult, StringChunked,
    polars_err,
};

use super::roles::Kind;

/// What the bytes of a column mean, if the Parquet type says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bytes {
    /// A UUID.
    Uuid,
    /// A number of half precision.
    Half,
}

/// Checks whether a column of an Arrow type can hold what a role needs.
///
/// # Errors
/// The type and a cast that helps, for a message.
pub(super) fn check(
    kind: Kind,
    name: &str,
    dtype: &ArrowDataType,
    meaning: Option<Bytes>,
) -> Result<(), String> {
    use ArrowDataType as A;
    /// Digits of a decimal, at most.
    const DIGITS: usize = 38;
    let wide = match dtype {
        A::Decimal(digits, _) | A::Decimal256(digits, _) => *digits > DIGITS,
        _ => false,
    };
    let half = meaning == Some(Bytes::Half);
    let number = half || dtype.is_numeric() && !wide;
    let text = matches!(dtype, A::Utf8 | A::LargeUtf8 | A::Utf8View);
    let bytes = !half
        && matches!(dtype, A::Binary | A::LargeBinary | A::BinaryView | A::FixedSizeBinary(_));
    let time = matches!(dtype, A::Timestamp(..) | A::Date32 | A::Date64);
    let fits = match kind {
        Kind::Ids => number || text || bytes,
        Kind::Numbers => number || text,
        Kind::Times => number || text || time,
    };
    if fits {
        return Ok(());
    }
    let (needed, cast) = match kind {
        Kind::Ids => ("integers or text", "BIGINT"),
        Kind::Numbers => ("numbers", "DOUBLE"),
        Kind::Times => ("timestamps, dates, numbers or text", "TIMESTAMP"),
    };
    let (name_in_sql, hint) = match dtype {
        A::Struct(fields) if !fields.is_empty() => (
            format!("{name}.{}", fields[0].name),
            "; a struct has to be split into its fields".to_owned(),
        ),
        _ => (name.to_owned(), String::new()),
    };
    Err(format!(
        "column \"{name}\" has the type {}, not {needed}: write it as \
         CAST({name_in_sql} AS {cast}) first{hint}",
        described(dtype)
    ))
}

/// The name of an Arrow type without the fields and metadata inside it.
fn described(dtype: &ArrowDataType) -> String {
    let text = format!("{dtype:?}");
    text.split(['(', '{']).next().unwrap_or_default().trim().to_lowercase()
}

/// Decodes a column to integers, floats, text or times: UTF-8 bytes to text, decimals of scale 0 to
/// integers (to text beyond 64 bits), other decimals to floats, UUIDs to their usual text.
///
/// # Errors
/// `ComputeError` for bytes that are no text, with a cast that helps.
pub(super) fn decoded(column: Column, bytes: Option<Bytes>) -> PolarsResult<Column> {
    match column.dtype() {
        // Numbers beyond 64 bits are still good ids as text.
        DataType::Decimal(_, 0) => {
            column.strict_cast(&DataType::Int64).or_else(|_| column.cast(&DataType::String))
        }
        DataType::Decimal(..) => column.cast(&DataType::Float64),
        DataType::Binary if bytes == Some(Bytes::Half) => {
            let name = column.name().clone();
            let half = |cell: &[u8]| Some(f16::from_le_bytes(cell.try_into().ok()?).to_f32());
            let cells = column.binary()?.iter();
            let mut floats: Float32Chunked = cells.map(|cell| cell.and_then(half)).collect();
            floats.rename(name);
            Ok(floats.into_column())
        }
        DataType::Binary => {
            let name = column.name().clone();
            let cells = column.binary()?.iter();
            let text: Option<StringChunked> = match bytes == Some(Bytes::Uuid) {
                true => Some(cells.map(|cell| cell.map(uuid_text)).collect()),
                false => cells.map(|cell| cell.map_or(Some(None), |c| utf8(c).map(Some))).collect(),
            };
            let mut text = text.ok_or_else(|| {
                polars_err!(
                    ComputeError: "column \"{name}\" holds bytes that are not UTF-8 text: write \
                    them as text first, for example as HEX({name})"
                )
            })?;
            text.rename(name);
            Ok(text.into_column())
        }
        _ => Ok(column),
    }
}

/// The usual text of a UUID: hexadecimal digits in groups of 8, 4, 4, 4 and 12.
fn uuid_text(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text += &format!("{byte:02x}");
    }
    text
}

/// UTF-8 text. Zeros at the end are the padding of types with a fixed length.
fn utf8(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    let text = std::str::from_utf8(&bytes[..end]).ok()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_usual_text() {
        let bytes: Vec<u8> = (0..16).map(|n| n * 17).collect();
        assert_eq!(uuid_text(&bytes), "00112233-4455-6677-8899-aabbccddeeff");
        assert_eq!(utf8(b"abc\0\0"), Some("abc"));
        assert_eq!(utf8(b"a\x01"), None);
        assert_eq!(utf8(b"\xff\xfe"), None);
    }

    #[test]
    fn a_type_that_does_not_fit_is_named_with_a_cast() {
        let wrong = |kind, dtype| check(kind, "c", &dtype, None).unwrap_err();
        assert_eq!(
            wrong(Kind::Numbers, ArrowDataType::Boolean),
            "column \"c\" has the type boolean, not numbers: write it as CAST(c AS DOUBLE) first"
        );
        let time = wrong(Kind::Ids, ArrowDataType::Date32);
        assert!(time.contains("date32") && time.contains("CAST(c AS BIGINT)"), "{time}");
        let wide = wrong(Kind::Ids, ArrowDataType::Decimal256(50, 0));
        assert!(wide.contains("decimal256") && wide.contains("CAST(c AS BIGINT)"), "{wide}");
        assert!(check(Kind::Ids, "c", &ArrowDataType::Decimal(38, 0), None).is_ok());
        let bytes = ArrowDataType::FixedSizeBinary(2);
        assert!(check(Kind::Numbers, "c", &bytes, None).is_err());
        assert!(check(Kind::Numbers, "c", &bytes, Some(Bytes::Half)).is_ok());
    }
}

//! Checks whether the pages of a Parquet file can hold the values that they and the footer claim.
//!
//! The check must come before Polars decodes the file. Its decoder allocates memory for any claimed
//! number of values, even a negative one, and a failed allocation ends the program.
//!
//! A file consists of row groups. A row group has one chunk per column. A chunk is a sequence of
//! pages, each after a header (Apache Parquet, "Parquet Thrift definition").

use std::io::{BufReader, Read, Seek, SeekFrom};

use polars::prelude::{PolarsResult, polars_ensure, polars_err};
use polars_parquet::parquet::metadata::{ColumnChunkMetadata, RowGroupMetadata};
use polars_parquet::parquet::page::{PageType, ParquetPageHeader};
use polars_parquet::parquet::read::read_metadata;
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;

use super::meter::is_bomb;

/// Bytes read at a time: enough for a header, and little of the page after it.
const BUFFER: usize = 512;

/// Bytes of one value in memory.
const VALUE: u64 = 8;

/// Reads the headers of all pages of a file of `size` bytes, and checks their claims against it.
pub(super) fn check(source: &mut (impl Read + Seek), size: u64) -> PolarsResult<()> {
    let file = read_metadata(source)?;
    let groups: usize = file.row_groups.iter().map(RowGroupMetadata::num_rows).sum();
    polars_ensure!(
        groups == file.num_rows,
        ComputeError: "the row groups have {groups} rows, but the file claims {}", file.num_rows
    );
    let fits = |values: u64| {
        polars_ensure!(
            !is_bomb(size, values.saturating_mul(VALUE)),
            ComputeError: "{size} bytes claim {values} values in a column; \
                           the file is not read, because ratings never compress so far"
        );
        Ok(())
    };
    fits(groups as u64)?;
    let mut source = BufReader::with_capacity(BUFFER, source);
    for group in &file.row_groups {
        for chunk in group.parquet_columns() {
            let flat = chunk.descriptor().descriptor.max_rep_level == 0;
            let values = non_negative(chunk.num_values())?;
            polars_ensure!(
                !flat || values == group.num_rows() as u64,
                ComputeError: "a column of {} rows claims {values} values", group.num_rows()
            );
            fits(values)?;
            pages(&mut source, chunk, values, size)?;
        }
    }
    Ok(())
}

/// Checks the pages of a chunk one by one.
fn pages(
    source: &mut BufReader<impl Read + Seek>,
    chunk: &ColumnChunkMetadata,
    values: u64,
    size: u64,
) -> PolarsResult<()> {
    let compressed = non_negative(chunk.compressed_size())?;
    let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
    let start = non_negative(start)?;
    let end = start.checked_add(compressed).filter(|end| *end <= size);
    let end =
        end.ok_or_else(|| polars_err!(ComputeError: "a column extends past the end of the file"))?;
    let mut at = source.seek(SeekFrom::Start(start))?;
    let mut seen = 0;
    while seen < values {
        polars_ensure!(at < end, ComputeError: "a column of {values} values ends after {seen}");
        // Thrift's reader limits the bytes it reads, so no header is longer than its chunk.
        let mut protocol = TCompactInputProtocol::new(&mut *source, (end - at) as usize);
        let header = ParquetPageHeader::read_from_in_protocol(&mut protocol);
        let header =
            header.map_err(|e| polars_err!(ComputeError: "a page has no valid header ({e})"))?;
        seen += data_values(&header, size)?;
        polars_ensure!(
            seen <= values,
            ComputeError: "the pages of a column of {values} values claim {seen}"
        );
        source.seek_relative(i64::from(header.compressed_page_size))?;
        at = source.stream_position()?;
        polars_ensure!(at <= end, ComputeError: "a page extends past the end of its column");
    }
    Ok(())
}

/// Number of values in a page; 0 for a dictionary.
fn data_values(header: &ParquetPageHeader, size: u64) -> PolarsResult<u64> {
    let packed = non_negative(header.compressed_page_size.into())?;
    let unpacked = non_negative(header.uncompressed_page_size.into())?;
    polars_ensure!(
        !is_bomb(packed.min(size), unpacked),
        ComputeError: "a page of {packed} bytes unpacks to {unpacked} bytes; \
                       the file is not read, because ratings never compress so far"
    );
    let kind = PageType::try_from(header.type_)?;
    let missing = || polars_err!(ComputeError: "a page lacks the header of its type");
    match kind {
        PageType::DataPage => {
            let header = header.data_page_header.as_ref().ok_or_else(missing)?;
            non_negative(header.num_values.into())
        }
        PageType::DataPageV2 => {
            let header = header.data_page_header_v2.as_ref().ok_or_else(missing)?;
            let repetitions = non_negative(header.repetition_levels_byte_length.into())?;
            let definitions = non_negative(header.definition_levels_byte_length.into())?;
            non_negative(header.num_rows.into())?;
            let values = non_negative(header.num_values.into())?;
            let nulls = non_negative(header.num_nulls.into())?;
            polars_ensure!(
                repetitions + definitions <= packed && nulls <= values,
                ComputeError: "the parts of a page are larger than the page"
            );
            Ok(values)
        }
        PageType::DictionaryPage => {
            let header = header.dictionary_page_header.as_ref().ok_or_else(missing)?;
            let entries = non_negative(header.num_values.into())?;
            // A dictionary holds plain values, each of at least one byte.
            polars_ensure!(
                entries <= unpacked,
                ComputeError: "a dictionary of {unpacked} bytes claims {entries} entries"
            );
            Ok(0)
        }
    }
}

/// Checks a length or a count, which Parquet stores as a signed number.
fn non_negative(number: i64) -> PolarsResult<u64> {
    let wrong = || polars_err!(ComputeError: "a count or length is negative: {number}");
    u64::try_from(number).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use polars::prelude::*;

    use super::super::footer::check as check_footer;
    use super::super::guard::decode;

    /// A file with one column of whole numbers.
    fn file(numbers: Vec<i64>) -> Vec<u8> {
        let column = Series::new("user".into(), numbers).into_column();
        let mut frame = DataFrame::new(column.len(), vec![column]).expect("a table");
        let mut bytes = Vec::new();
        ParquetWriter::new(&mut bytes).finish(&mut frame).expect("writes");
        bytes
    }

    #[test]
    fn what_passes_is_read_whatever_byte_is_another_one() {
        let whole = file((0..100).map(|n| n * n % 7).collect());
        let read = |bytes: Vec<u8>| {
            let mut source = Cursor::new(bytes);
            check_footer(&mut source)?;
            decode(|| ParquetReader::new(source).finish())
        };
        assert_eq!(read(whole.clone()).map(|frame| frame.height()).ok(), Some(100));
        let (mut good, mut bad) = (0, 0);
        for at in 0..whole.len() {
            // The changes lead to large numbers, negative numbers and neighbouring numbers.
            for change in [0xff, 0x80, 0x01] {
                let mut bytes = whole.clone();
                bytes[at] ^= change;
                // An allocation for a negative count would end the program here.
                match read(bytes) {
                    Ok(_) => good += 1,
                    Err(_) => bad += 1,
                }
            }
        }
        assert!(good > 0 && bad > 0, "{good} {bad}");
    }

    #[test]
    fn few_bytes_do_not_claim_many_rows() {
        let bytes = file(vec![1; 10_000_000]);
        assert!(bytes.len() < 500_000, "{}", bytes.len());
        let checked = check_footer(&mut Cursor::new(bytes)).map_err(|e| e.to_string());
        let message = checked.expect_err("a bomb");
        assert!(message.contains("claim 10000000 values"), "{message}");
        assert!(check_footer(&mut Cursor::new(file(vec![1; 1_000_000]))).is_ok());
    }
}

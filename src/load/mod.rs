//! Reads rating files into columns with dense ids.
//!
//! ```text
//! arguments -source-> streams -layout-> roles -text|parquet-> blocks -collector-> Interactions
//! ```
//!
//! Text is read in blocks of whole records. Polars parses a block. If the block contains anything
//! unusual, the strict reader reads it again and finds the line and column of every bad cell. So a
//! good file is read at the speed of Polars, a bad file gets exact messages, and memory holds only
//! a few blocks of text. [`Interactions`] contains no types of Polars.

mod block;
mod collector;
mod columns;
mod cutter;
mod directory;
mod encoding;
mod fast;
mod fingerprint;
mod footer;
mod format;
mod formats;
mod guard;
mod id_column;
mod id_findings;
mod input;
mod json_lines;
mod meter;
mod object;
mod open;
mod options;
mod pages;
pub(crate) mod pairs;
mod parquet;
mod parquet_layout;
mod parquet_types;
pub mod prepare;
mod quotes;
mod rating_files;
mod read;
mod recognised;
mod reports;
mod roles;
mod sample;
mod source;
mod strict;
pub(crate) mod table;
mod text;
mod text_layout;
mod text_recognition;
pub mod time;
mod value_findings;
mod zip_member;

pub use columns::{Chunk, Interactions};
pub use fingerprint::hex;
pub(crate) use fingerprint::{Fingerprint, fingerprint};
pub(crate) use footer::check as check_footer;
pub(crate) use guard::decode;
pub use guard::is_decoding;
pub use options::{BadRows, Columns, Decimal, IdType, LoadOptions, NoDecimal, TimeUse};
pub use quotes::{NoMark, QuoteMark};
pub use read::load;
pub use reports::{ColumnReport, InputReport, Progress, Range, Reject};
pub use source::{Source, expand};
pub use time::TimeUnit;
pub(crate) use value_findings::value_warnings;

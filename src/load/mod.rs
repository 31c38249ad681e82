//! Reads rating files into columns with dense ids.
//!
//! ```text
//! arguments -source-> streams -layout-> roles -text|parquet-> blocks -columns-> Interactions
//! ```
//!
//! Text is read in blocks of whole records. Polars parses a block. If the block contains anything
//! unusual, the strict reader reads it again and finds the line and column of every bad cell. So a
//! good file is read at the speed of Polars, a bad file gets exact messages, and memory holds only
//! a few blocks of text. [`Interactions`] contains no types of Polars.

mod block;
mod columns;
mod fingerprint;
mod footer;
mod format;
mod formats;
mod guard;
mod id_column;
mod input;
mod meter;
mod object;
mod open;
mod options;
mod pages;
pub(crate) mod pairs;
mod parquet;
mod parquet_layout;
pub mod prepare;
mod quotes;
mod rating_files;
mod read;
mod reports;
mod roles;
mod source;
mod strict;
pub(crate) mod table;
mod text;
mod text_layout;
pub mod time;
mod zip_member;

pub use columns::{Chunk, Interactions};
pub use fingerprint::hex;
pub(crate) use fingerprint::{Fingerprint, fingerprint};
pub(crate) use footer::check as check_footer;
pub(crate) use guard::decode;
pub use guard::is_decoding;
pub use options::{BadRows, Columns, IdType, LoadOptions, TimeUse};
pub use read::load;
pub use reports::{InputReport, Progress, Reject};
pub use source::{Source, expand};
pub use time::TimeUnit;

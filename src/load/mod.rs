//! Rating files in, columns with dense ids out.
//!
//! ```text
//! arguments ─source→ byte streams ─layout→ columns by role ─text | parquet→ blocks ─columns→ Interactions
//! ```
//!
//! Text is read in blocks that end at a record: Polars parses a block; a block with anything odd in it
//! is read again by the strict reader, which finds the line and column of every bad cell. So a good
//! file runs at Polars' speed, a bad one gets exact messages, and memory holds one block of text.
//! Polars stops here.

mod block;
mod columns;
mod fingerprint;
mod footer;
mod guard;
mod id_column;
mod input;
mod layout;
mod meter;
mod object;
mod open;
mod options;
mod pages;
pub mod pairs;
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
pub mod table;
mod text;
pub mod time;
mod zip_member;

pub use columns::{Chunk, Interactions};
pub use fingerprint::{Fingerprint, fingerprint, hex};
pub(crate) use footer::check as check_footer;
pub(crate) use guard::decode;
pub use guard::is_decoding;
pub use object::ObjectSource;
pub use options::{BadRows, Columns, IdType, LoadOptions, TimeUse};
pub use read::load;
pub use reports::{InputReport, Progress, Reject};
pub use source::{Source, expand};
pub use time::TimeUnit;

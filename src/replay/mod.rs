//! Reads the ratings of a published model again, and other ratings alongside it.
//!
//! Their ids become positions in the model.

mod encoded;
mod files;
mod history;
mod numbers;
mod source;
mod training;

pub(crate) use encoded::Encoding;
pub(crate) use files::{FileRatings, read_files};
pub(crate) use history::{History, Seen, filters, replace};
pub(crate) use numbers::{Numbers, translate};
pub(crate) use source::{Place, Published, Source, same_files};
pub(crate) use training::{fitted_on, published_on, recorded, replay, replay_folded, solves_rows};

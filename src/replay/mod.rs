//! Reads the ratings of a published model again, and other ratings alongside it.
//!
//! Their ids become positions in the model.

mod encoded;
mod given;
mod history;
mod numbers;
mod source;
mod training;

pub(crate) use encoded::Encoding;
pub(crate) use given::{Given, read_given};
pub(crate) use history::{History, Seen, filters, replace};
pub(crate) use numbers::{Numbers, translate};
pub(crate) use source::{Place, Published, Source, same_files};
pub(crate) use training::{fitted_on, published_on, recorded, replay, replay_folded, solves_rows};

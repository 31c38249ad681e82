//! What must hold for a run to be published, before the training and after it. One file per gate.
//!
//! | gate | compares | default |
//! |---|---|---|
//! | `freshness` | now with the latest rating | off without `max_age`, then error |
//! | `rows` | rows with those of the latest run | error outside 0.9 to 1.5 times |
//! | `rejected` | rows set aside with all rows | error above 0.1 % |
//! | `mean-shift` | the mean rating, in standard deviations of the latest run | warn above 0.1, error above 0.25 |
//! | `histogram` | population stability index of the ratings | warn above 0.1, error above 0.25 |
//! | `new-items` | share of items that the latest run did not have | warn above 10 % |
//! | `finite` | factors that are not finite, vectors of zeros | error |
//! | `bias-only` | RMSE with that of biases alone | warn below a gain of 0.5 %, error where worse; not for `ials` |
//! | `popularity` | first ranking metric of `ials` with that of popularity | error where more than 5 % worse, warn where worse |
//! | `collapsed` | norms of the vectors of `ials` | error where they have vanished |
//! | `previous-model` | RMSE (of `ials` its first metric) with the latest run's on the held-out ratings that both know | error where more than 1 % worse |
//! | `item-cosine` | median cosine of the items' vectors to those of the latest run, aligned | warn below 0.8 |
//! | `overlap` | share of the ten nearest items that stayed | warn below 0.5 |
//!
//! `NAME=warn` makes a gate's errors warnings, `NAME=error` its warnings errors, `NAME=off` leaves it out.
//! Where there is nothing to compare with, a gate passes and says so.

mod bias_only;
mod collapsed;
mod entries;
mod finite;
mod freshness;
mod histogram;
mod item_cosine;
mod look;
mod mean_shift;
mod names;
mod new_items;
mod overlap;
mod popularity;
mod previous_model;
mod registry;
mod rejected;
mod rows;

pub(super) use entries::Gates;
pub(super) use look::{DataLook, ModelLook};
pub(crate) use names::all_names;
pub use names::{GateName, GateSetting, NoGate};
pub(super) use registry::{check_data, check_model};

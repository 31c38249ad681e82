//! Checks what must hold for a run to be published, before and after the training. One file per
//! gate.
//!
//! | gate | checks | default |
//! |---|---|---|
//! | `freshness` | age of the latest rating | error above `max_age`, off without it |
//! | `rows` | number of rows relative to the latest run | error outside 0.9 to 1.5 times |
//! | `rejected` | share of rows set aside | error above 0.1 % |
//! | `mean-shift` | change of the mean, in standard deviations | warn above 0.1, error above 0.25 |
//! | `histogram` | population stability index of the ratings | warn above 0.1, error above 0.25 |
//! | `new-users` | share of users that the latest run did not have | warn above 25 % |
//! | `new-items` | share of items that the latest run did not have | warn above 10 % |
//! | `id-type` | whether ids have the types that they had in the latest run | error |
//! | `finite` | vectors that are not finite or are zero | error |
//! | `bias-only` | RMSE against biases alone | error if worse, warn below a gain of 0.5 % |
//! | `popularity` | ranking metric against popularity | error if 5 % worse, warn if worse |
//! | `collapsed` | norms of the vectors | error if they have vanished |
//! | `previous-model` | RMSE against the latest run | error if 1 % worse (`ials`: 5 %) |
//! | `item-cosine` | median cosine of the item vectors to the latest run | warn below 0.8 |
//! | `overlap` | share of the ten nearest items that stayed the same | warn below 0.5 |
//!
//! `bias-only` is not checked for `ials`; `popularity` and `collapsed` are checked for `ials` only.
//! `finite` allows zero vectors if the factors are nonnegative. `previous-model` uses the held-out
//! ratings that both models know, and for `ials` the first ranking metric. `item-cosine` compares
//! aligned vectors.
//!
//! `NAME=warn` turns a gate's errors into warnings, `NAME=error` its warnings into errors, and
//! `NAME=off` skips the gate. A gate passes if there is nothing to compare with, and says so.

#![expect(clippy::unnecessary_wraps, reason = "all checks of gates have one signature")]

mod bias_only;
mod collapsed;
mod entries;
mod finite;
mod freshness;
mod histogram;
mod id_type;
mod item_cosine;
mod look;
mod mean_shift;
mod names;
mod new_items;
mod new_users;
mod overlap;
mod popularity;
mod previous_model;
mod registry;
mod rejected;
mod rows;

pub(super) use entries::Gates;
pub(super) use look::{DataLook, ModelLook};
#[cfg(feature = "cli")]
pub(crate) use names::all_names;
pub use names::{GateName, GateSetting, NoGate};
pub(super) use registry::{check_data, check_model};

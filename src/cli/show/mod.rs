//! Summaries for people, for a terminal of 80 columns.

mod evaluate;
mod inspection;
mod lists;
mod matrix;
mod run;
mod serving;
mod text;
mod train;
mod tune;

pub(crate) use evaluate::evaluation;
pub(crate) use inspection::inspection;
pub(crate) use lists::lists;
pub(crate) use matrix::matrix;
pub(crate) use run::{run_summary, runs_diff, runs_list, runs_show};
pub(crate) use serving::{exported, folded_in, updated, verified};
pub(crate) use text::json;
pub(crate) use train::{train_json, train_summary};
pub(crate) use tune::tuning;

//! The command line: commands, layered settings, progress and exit codes.

mod command;
mod completions;
mod config;
mod context;
mod definition;
mod evaluate;
mod export;
mod fold_in;
mod generate;
mod inspect;
mod layers;
mod listing;
mod places;
mod predict;
mod program;
mod progress;
mod recommend;
mod reconstruct;
mod run;
mod runs;
mod show;
mod similar;
mod task;
mod terminal;
mod train;
mod tune;
mod update;
mod verify;

pub use program::{check, main};

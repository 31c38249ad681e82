//! `lacuna generate`.

use super::task::Task;
use std::path::Path;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;

use super::context::Context;
use crate::error::{Error, Result};
use crate::job::with_threads;
use crate::param::{Count, NonNegative, Rank, Threads};
use crate::store::RatingsWriter;
use crate::synthetic::{Generator, Synthetic};

#[derive(Debug, Args)]
#[command(after_help = "\
The activity of users is log-normal, and the popularity of items follows a power
law. Rows come user by user. Memory grows with users and items, not with
ratings. The columns are userId, movieId, rating and timestamp.

Examples:
  lacuna generate sample.csv
  lacuna generate big.parquet --users 160000 --items 60000 --ratings 25000000")]
pub(super) struct GenerateArgs {
    /// File to write: Parquet if the name ends in .parquet, otherwise CSV.
    #[arg(value_name = "OUT")]
    pub(super) out: PathBuf,
    /// Number of users.
    #[arg(long, value_name = "N", default_value_t = Count::literal(1000))]
    users: Count,
    /// Number of items.
    #[arg(long, value_name = "N", default_value_t = Count::literal(500))]
    items: Count,
    /// Number of ratings.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    ratings: u64,
    /// Rank of the ground truth.
    #[arg(long, value_name = "K", default_value_t = Rank::literal(8))]
    rank: Rank,
    /// Standard deviation of the noise, on the rating scale.
    #[arg(long, value_name = "SD", default_value_t = NonNegative::literal(0.8))]
    noise: NonNegative,
    /// Distance between two possible ratings; 0 allows any number.
    #[arg(long, value_name = "STEP", default_value_t = NonNegative::literal(0.5))]
    step: NonNegative,
    /// Smallest rating.
    #[arg(long, value_name = "R", default_value_t = 0.5, allow_negative_numbers = true)]
    min: f64,
    /// Largest rating.
    #[arg(long, value_name = "R", default_value_t = 5.0, allow_negative_numbers = true)]
    max: f64,
    /// Seed of the random numbers.
    #[arg(long, value_name = "SEED", default_value_t = 42)]
    seed: u64,
    /// Number of threads; all cores by default. The result does not depend on it.
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<Threads>,
    /// Replace an existing file.
    #[arg(long)]
    force: bool,
}

/// Number of blocks made at once: some megabytes of rows.
const AT_ONCE: usize = 64;

impl Task for GenerateArgs {
    fn run(&self, context: &Context) -> Result<ExitCode> {
        run(self, context).map(|()| ExitCode::SUCCESS)
    }

    fn output(&self) -> Option<&Path> {
        Some(&self.out)
    }
}

fn run(args: &GenerateArgs, context: &Context) -> Result<()> {
    with_threads(args.threads, || {
        let generator = Generator::new(Synthetic {
            users: args.users.get(),
            items: args.items.get(),
            ratings: args.ratings,
            rank: args.rank.get(),
            noise: args.noise.get(),
            step: args.step.get(),
            range: (args.min, args.max),
            seed: args.seed,
        })?;
        let mut writer = RatingsWriter::create(&args.out, args.force)?;
        for first in (0..generator.blocks()).step_by(AT_ONCE) {
            if context.stop.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            writer.write(&generator.make(first..generator.blocks().min(first + AT_ONCE)))?;
        }
        writer.finish()
    })
}

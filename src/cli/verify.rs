//! `lacuna verify`.

use super::context::Context;
use super::task::Task;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::context::OutputArgs;
use super::{show, terminal};
use crate::error::{Error, Result};
use crate::param::Threads;
use crate::serving::verify_files;

#[derive(Debug, Args)]
#[command(after_help = "\
Exit code 0 if every file matches its checksum in the manifest, 3 if a file is
missing or differs.

Examples:
  lacuna verify model
  lacuna verify model --json | jq .damaged")]
pub(super) struct VerifyArgs {
    /// Directory of a model (with its exports) or of a separate export, or its URL.
    #[arg(value_name = "DIR")]
    pub(super) path: PathBuf,
    /// Number of threads; all cores by default.
    #[arg(short = 'j', long, value_name = "N")]
    threads: Option<Threads>,
    /// The URL of the model, if `path` is a copy.
    #[arg(skip)]
    pub(super) shown: Option<String>,
    #[command(flatten)]
    output: OutputArgs,
}

impl Task for VerifyArgs {
    fn run(&self, _: &Context) -> Result<ExitCode> {
        run(self).map(|()| ExitCode::SUCCESS)
    }

    fn model(&mut self) -> Option<&mut PathBuf> {
        Some(&mut self.path)
    }

    fn reads_exports(&self) -> bool {
        true
    }

    fn copied_from(&mut self, url: &str) {
        self.shown = Some(url.to_owned());
    }
}

fn run(args: &VerifyArgs) -> Result<()> {
    let mut outcome = verify_files(&args.path, args.threads)?;
    if let Some(url) = &args.shown {
        let copy = args.path.to_string_lossy();
        outcome.damaged.iter_mut().for_each(|message| *message = message.replace(&*copy, url));
    }
    for name in &outcome.unlisted {
        terminal::warning(&format!("{name} is not listed in the manifest"));
    }
    if args.output.json {
        terminal::print(&format!("{}\n", show::json(&outcome)))?;
    } else if !args.output.quiet && outcome.damaged.is_empty() {
        terminal::print(&show::verified(&outcome))?;
    }
    let Some((first, others)) = outcome.damaged.split_first() else { return Ok(()) };
    for message in others {
        terminal::note(message);
    }
    let path = args.path.clone();
    let of = format!("{} of {}", outcome.damaged.len(), outcome.files);
    Err(Error::Model {
        path,
        message: format!("files that do not match the manifest: {of}; {first}"),
    })
}

//! Object stores (Amazon S3 and what speaks its language, Google Cloud Storage, Azure Blob Storage): where
//! inputs may be and runs may be published. With the feature `cloud`; without it a URL is an error that
//! says so.
//!
//! Credentials come from what each service's own tools use: environment, profiles, files, and the roles of
//! machines; there is no flag for them.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

mod location;

#[cfg(feature = "cloud")]
mod connect;
#[cfg(feature = "cloud")]
mod credentials;
#[cfg(feature = "cloud")]
mod failure;
#[cfg(feature = "cloud")]
mod store;
#[cfg(feature = "cloud")]
mod wait;

#[cfg(not(feature = "cloud"))]
#[path = "absent.rs"]
mod store;

pub use location::{Location, check_slashes, is_url, is_url_path, local, redact};
pub use store::{Object, Remote, Version};

/// How long a caller waits for a store.
#[derive(Debug, Clone, Copy)]
pub enum Wait<'w> {
    /// Until a stop is asked for.
    Until(&'w AtomicBool),
    /// For so long, whether a stop is asked for or not.
    For(Duration),
}

impl<'w> From<&'w AtomicBool> for Wait<'w> {
    fn from(stop: &'w AtomicBool) -> Self {
        Self::Until(stop)
    }
}

impl From<Duration> for Wait<'_> {
    fn from(span: Duration) -> Self {
        Self::For(span)
    }
}

/// When an object is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// Whatever is there.
    Always,
    /// If nothing is there.
    Create,
    /// If this version is there.
    Replace(Version),
}

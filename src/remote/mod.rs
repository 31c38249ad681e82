//! Object stores for inputs and published runs.
//!
//! The supported services are Amazon S3 and compatible services, Google Cloud Storage, and Azure
//! Blob Storage. They need the feature `cloud`; without it, a URL is an error that says so.
//!
//! Credentials come from the sources that each service's own tools use: environment, profiles,
//! files, and the roles of machines. There is no flag for them.

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
mod object;
#[cfg(feature = "cloud")]
mod store;
#[cfg(feature = "cloud")]
mod wait;

#[cfg(not(feature = "cloud"))]
#[path = "absent.rs"]
mod store;

#[cfg(feature = "cloud")]
pub(crate) use location::redact;
pub(crate) use location::{Location, check_slashes, is_url, is_url_path, local};
#[cfg(feature = "cloud")]
pub(crate) use object::Object;
#[cfg(not(feature = "cloud"))]
pub(crate) use store::Object;
pub(crate) use store::{Remote, Version};

/// How long a caller waits for a store.
#[cfg_attr(not(feature = "cloud"), expect(dead_code, reason = "there is no store to wait for"))]
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wait<'w> {
    /// Until a stop is requested.
    Until(&'w AtomicBool),
    /// For this long, whether a stop is requested or not.
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

/// The condition under which an object is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Put {
    /// Always, whether the object exists or not.
    Always,
    /// Only if the object does not exist.
    Create,
    /// Only if the object has this version.
    Replace(Version),
}

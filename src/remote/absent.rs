//! Stands in for object stores if lacuna was built without them.

use std::convert::Infallible;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::{Location, Put, Wait};
use crate::error::{Error, Result};

/// A version of an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version(Infallible);

/// An object that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Object {
    /// Path of the object, relative to the location that was searched.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
    /// A tag that changes whenever the content changes.
    pub etag: String,
    /// Time of the last write, in seconds since 1970.
    pub modified: i64,
}

/// A location in an object store.
#[derive(Debug, Clone)]
pub(crate) struct Remote(Infallible);

#[allow(missing_docs, clippy::missing_errors_doc, clippy::must_use_candidate)]
impl Remote {
    pub(crate) fn open(url: &str) -> Result<Self> {
        let location = Location::parse(url)?;
        Err(Error::Usage(format!(
            "{location}: this lacuna was built without object stores; \
             install it with cargo install lacuna --features cloud"
        )))
    }

    pub(crate) fn at(&self, _: Location) -> Result<Self> {
        match self.0 {}
    }

    pub(crate) fn location(&self) -> &Location {
        match self.0 {}
    }

    pub(crate) fn head<'w>(&self, _: &str, _: impl Into<Wait<'w>>) -> Result<Option<Object>> {
        match self.0 {}
    }

    pub(crate) fn list<'w>(&self, _: &str, _: impl Into<Wait<'w>>) -> Result<Vec<Object>> {
        match self.0 {}
    }

    pub(crate) fn children<'w>(&self, _: impl Into<Wait<'w>>) -> Result<Vec<Object>> {
        match self.0 {}
    }

    pub(crate) fn is_used<'w>(&self, _: &[&str], _: impl Into<Wait<'w>>) -> Result<bool> {
        match self.0 {}
    }

    pub(crate) fn get<'w>(
        &self,
        _: &str,
        _: impl Into<Wait<'w>>,
    ) -> Result<Option<(Vec<u8>, Version)>> {
        match self.0 {}
    }

    pub(crate) fn get_all<'w>(
        &self,
        _: &[String],
        _: impl Into<Wait<'w>>,
    ) -> Result<Vec<Option<Vec<u8>>>> {
        match self.0 {}
    }

    pub(crate) fn fetch(
        &self,
        _: &Object,
        _: &File,
        _: &Path,
        _: &AtomicBool,
        _: &dyn Fn(u64),
    ) -> Result<[u8; 32]> {
        match self.0 {}
    }

    pub(crate) fn put<'w>(
        &self,
        _: &str,
        _: &[u8],
        _: Put,
        _: impl Into<Wait<'w>>,
    ) -> Result<Option<Version>> {
        match self.0 {}
    }

    pub(crate) fn upload(&self, _: &str, _: &Path, _: &AtomicBool) -> Result<()> {
        match self.0 {}
    }

    pub(crate) fn remove<'w>(&self, _: &[String], _: impl Into<Wait<'w>>) -> Result<()> {
        match self.0 {}
    }
}

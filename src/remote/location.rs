//! Locations in an object store: `s3://bucket/key`, `gs://bucket/key`, `az://container/key`.

use std::fmt;
use std::path::Path;

use crate::error::{Error, Result};

/// The service, which the scheme of the URL determines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "cloud"), allow(dead_code))]
pub(super) enum Service {
    /// Amazon S3 and compatible services: `s3://`, `s3a://`.
    S3,
    /// Google Cloud Storage: `gs://`.
    Google,
    /// Azure Blob Storage: `az://`, `azure://`, `abfs://`, `abfss://`.
    Azure,
    /// The memory of this process, for tests.
    #[cfg(test)]
    Memory,
}

/// A location in an object store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Location {
    pub(super) service: Service,
    /// Scheme and bucket: `s3://bucket`.
    pub(super) bucket: String,
    /// The path within the bucket, without slashes at its ends.
    pub(super) key: String,
    directory: bool,
}

/// Whether a text is a URL and therefore not a path on this machine.
#[must_use]
pub(crate) fn is_url(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once("://") else { return false };
    let letter = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    scheme.starts_with(|c: char| c.is_ascii_alphabetic()) && scheme.chars().all(letter)
}

/// The same as [`is_url`] for a path.
#[must_use]
pub(crate) fn is_url_path(path: &Path) -> bool {
    path.to_str().is_some_and(is_url)
}

/// Refuses a path that was meant to be a URL, such as `s3:/bucket/key`.
///
/// # Errors
/// [`Error::Usage`], which suggests the URL.
pub(crate) fn check_slashes(path: &Path) -> Result<()> {
    let text = path.to_string_lossy();
    let Some((scheme, rest)) = text.split_once(":/") else { return Ok(()) };
    let known = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"];
    if !known.contains(&scheme) || rest.starts_with('/') || path.exists() {
        return Ok(());
    }
    Err(Error::Usage(format!("{}: did you mean {scheme}://{rest}?", redact(&text))))
}

/// Checks that a path is on this machine.
///
/// # Errors
/// [`Error::Usage`] for a URL; the message names `what`, which only works with files.
pub(crate) fn local(path: &Path, what: &str) -> Result<()> {
    check_slashes(path)?;
    match is_url_path(path) {
        true => Err(Error::Usage(format!(
            "{what} is a file or directory of this machine, not {}",
            redact(&path.to_string_lossy())
        ))),
        false => Ok(()),
    }
}

impl Location {
    /// Parses a URL.
    ///
    /// # Errors
    /// [`Error::Usage`] for an unknown scheme, a missing or invalid bucket, an invalid path, or
    /// credentials in the URL, which the message does not repeat.
    pub(crate) fn parse(url: &str) -> Result<Self> {
        let shown = redact(url);
        let wrong = |message: &str| Err(Error::Usage(format!("{shown}: {message}")));
        let (scheme, rest) = url.split_once("://").unwrap_or_default();
        let service = match scheme.to_ascii_lowercase().as_str() {
            "s3" | "s3a" => Service::S3,
            "gs" => Service::Google,
            "az" | "azure" | "abfs" | "abfss" => Service::Azure,
            #[cfg(test)]
            "memory" => Service::Memory,
            _ => return wrong("not a URL that lacuna knows: s3://, gs:// and az:// are"),
        };
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        // In abfss://container@account, the @ is part of a name and separates no credentials.
        let names_account = service == Service::Azure && !bucket.contains(':');
        if bucket.contains('@') && !names_account || has_secret(url) {
            return wrong(
                "credentials do not belong in a URL, because logs and manifests would show them; \
                 pass them in the environment, a profile, or the role of the machine",
            );
        }
        if key.starts_with('/') {
            return wrong("a path in an object store has no empty parts, no . and no ..");
        }
        if bucket.is_empty() {
            return wrong("no bucket: s3://BUCKET/PATH");
        }
        if bucket.contains(['*', '?', '[']) {
            return wrong("the name of a bucket is no pattern");
        }
        let directory = key.is_empty() || key.ends_with('/');
        let key = key.trim_matches('/').to_owned();
        if key.split('/').any(|part| [".", ".."].contains(&part))
            || key.contains("//")
            || key.chars().any(char::is_control)
        {
            return wrong("a path in an object store has no empty parts, no . and no ..");
        }
        Ok(Self { service, bucket: format!("{scheme}://{bucket}"), key, directory })
    }

    /// The location `name` below this one.
    #[must_use]
    pub(crate) fn join(&self, name: &str) -> Self {
        let key =
            if self.key.is_empty() { name.to_owned() } else { format!("{}/{name}", self.key) };
        Self { key, directory: false, ..self.clone() }
    }

    /// Whether the location can only be a directory: it ends with a slash, or has no path.
    #[must_use]
    pub(crate) const fn is_directory(&self) -> bool {
        self.directory
    }

    /// The path within the bucket.
    #[must_use]
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The last part of the path.
    #[must_use]
    pub(crate) fn name(&self) -> &str {
        self.key.rsplit('/').next().unwrap_or_default()
    }

    /// The location that contains this one.
    #[must_use]
    pub(crate) fn parent(&self) -> Self {
        let key = self.key.rsplit_once('/').map_or("", |(parent, _)| parent).to_owned();
        Self { key, directory: true, ..self.clone() }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.is_empty() {
            true => f.write_str(&self.bucket),
            false => write!(f, "{}/{}", self.bucket, self.key),
        }
    }
}

/// Whether a URL has a query with parameters, which may be a temporary signature of Azure (SAS),
/// Amazon or Google.
fn has_secret(url: &str) -> bool {
    url.split_once('?').is_some_and(|(_, query)| query.contains('='))
}

/// Replaces the query parameters and the credentials of all URLs in a text with `...`.
#[must_use]
pub(crate) fn redact(text: &str) -> String {
    let mut parts = text.split("://");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let ends = |c: char| c.is_whitespace() || "\"')>".contains(c);
        let (url, rest) = part.split_at(part.find(ends).unwrap_or(part.len()));
        let (address, signed) = match url.split_once('?') {
            Some((address, _)) if has_secret(url) => (address, "?..."),
            _ => (url, ""),
        };
        let (authority, path) = address.split_at(address.find('/').unwrap_or(address.len()));
        let authority = match authority.rsplit_once('@') {
            // Credentials, in contrast to a container of an account.
            Some((user, host)) if user.contains(':') || !host.contains('.') => {
                format!("...@{host}")
            }
            _ => authority.to_owned(),
        };
        clean += &format!("://{authority}{path}{signed}{rest}");
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_told_from_paths() {
        for url in ["s3://b/k", "gs://b", "weird+x.y-1://x"] {
            assert!(is_url(url), "{url}");
        }
        for path in ["ratings.csv", "/a/b", "C:/x", "a b://c", "://x", "1s://x", ""] {
            assert!(!is_url(path), "{path}");
        }
    }

    #[test]
    fn one_slash_is_a_slip() {
        let message = check_slashes(Path::new("s3:/bucket/models")).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.ends_with("did you mean s3://bucket/models?")));
        for path in ["s3://bucket/models", "models", "c:/models", "s3"] {
            assert!(check_slashes(Path::new(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn locations_are_read_and_written() {
        let of = |url: &str| Location::parse(url).map(|l| (l.to_string(), l.directory));
        let good = |url: &str, shown: &str, directory| {
            assert_eq!(of(url).ok(), Some((shown.to_owned(), directory)), "{url}");
        };
        good("s3://bucket/a/b.csv", "s3://bucket/a/b.csv", false);
        good("s3://bucket/a/", "s3://bucket/a", true);
        good("gs://bucket", "gs://bucket", true);
        let container = "abfss://files@account.dfs.core.windows.net";
        good(&format!("{container}/x"), &format!("{container}/x"), false);
        let place = Location::parse("az://c/models").expect("a place");
        let run = place.join("runs/1");
        assert_eq!((run.to_string().as_str(), run.name()), ("az://c/models/runs/1", "1"));
        assert_eq!(run.parent(), Location { directory: true, ..place.join("runs") });
        for bad in
            ["s3://b*/x", "ftp://x/y", "s3://", "s3:///key", "s3://b/a/../c", "s3://b//c", "plain"]
        {
            assert!(of(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_refused_and_not_repeated() {
        for bad in [
            "s3://AKIA:secret@bucket/key",
            "s3://secret@bucket/key",
            "az://container/key?sv=2024&sig=secret",
            "s3://bucket/key?X-Amz-Signature=secret",
            "https://host/bucket/key?GoogleAccessId=me&Signature=secret",
        ] {
            let error = Location::parse(bad).map_err(|e| e.to_string()).expect_err("refused");
            let refused = error.contains("credentials") || error.contains("not a URL that");
            assert!(refused && !error.contains("secret"), "{error}");
        }
        let text = redact(
            "GET https://a.blob/x?sv=1&sig=secret failed (https://u:secret@h/p), not s3://b/x?.csv",
        );
        assert_eq!(text, "GET https://a.blob/x?... failed (https://...@h/p), not s3://b/x?.csv");
    }
}

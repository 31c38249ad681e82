//! Readable messages for failures of object stores.

use std::io::{self, ErrorKind};

use object_store::Error as Failure;

use super::redact;

/// Converts a failure to an I/O error with a message in one line, without secrets.
pub(super) fn io_error(failure: &Failure) -> io::Error {
    let text = explain(failure);
    let no_bucket =
        ["(NoSuchBucket)", "(ContainerNotFound)"].iter().any(|code| text.ends_with(code));
    let kind = match failure {
        Failure::NotFound { .. } => ErrorKind::NotFound,
        _ if no_bucket => ErrorKind::NotFound,
        Failure::PermissionDenied { .. } | Failure::Unauthenticated { .. } => {
            ErrorKind::PermissionDenied
        }
        _ => ErrorKind::Other,
    };
    io::Error::new(kind, text)
}

/// Describes a failure in one line.
fn explain(failure: &Failure) -> String {
    let text = match failure {
        Failure::NotFound { .. } => return "no such object (or bucket)".into(),
        Failure::PermissionDenied { source, .. } => {
            format!("access is denied: {}", chain(&**source))
        }
        Failure::Unauthenticated { path, source } => {
            format!("credentials are missing or not accepted: {path}: {}", chain(&**source))
        }
        Failure::NotImplemented { .. } | Failure::NotSupported { .. } => {
            format!("the store cannot write on a condition, which publishing needs: {failure}")
        }
        Failure::Generic { source, .. } => chain(&**source),
        other => other.to_string(),
    };
    let text = redact(&text.split_whitespace().collect::<Vec<_>>().join(" "));
    // The answer of a server is XML around one sentence.
    let element = |tag: &str| {
        let (_, rest) = text.split_once(&format!("<{tag}>"))?;
        Some(rest.split_once(&format!("</{tag}>"))?.0.to_owned())
    };
    match (element("Code"), element("Message")) {
        (Some(code), Some(message)) => format!("{} ({code})", message.trim_end_matches('.')),
        _ => text,
    }
}

/// The message of an error, followed by the causes that it does not name itself.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text += &format!(": {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_one_line_without_secrets() {
        let failure = Failure::Generic {
            store: "S3",
            source: "GET\n  https://account.blob/x?sv=1&sig=secret   failed".into(),
        };
        assert_eq!(explain(&failure), "GET https://account.blob/x?... failed");
        let answer =
            "404 <Error>\n<Code>NoSuchBucket</Code><Message>It is not there.</Message></Error>";
        let failure = Failure::Generic { store: "S3", source: answer.into() };
        assert_eq!(explain(&failure), "It is not there (NoSuchBucket)");
    }
}

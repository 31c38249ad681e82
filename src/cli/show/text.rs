//! Formatting that all summaries share.

use crate::metric::{Errors, RATING_METRICS};

/// Formats an outcome as one line of JSON.
#[must_use]
pub(crate) fn json(outcome: &impl serde::Serialize) -> String {
    // Outcomes have plain fields, so this cannot fail.
    serde_json::to_string(outcome).unwrap_or_default()
}

/// Formats a count with commas between thousands.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with the word that it counts, in the plural unless it is one.
pub(super) fn number_of(n: u64, word: &str) -> String {
    format!("{} {word}{}", count(n), if n == 1 { "" } else { "s" })
}

/// Text of a file without control characters.
pub(super) fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// A number to four decimals, or a dash if there is none.
pub(super) fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"))
}

/// A number of bytes in kB, MB or GB.
pub(super) fn bytes(n: u64) -> String {
    match n {
        0..1_000_000 => format!("{:.0} kB", n as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", n as f64 / 1e6),
        _ => format!("{:.1} GB", n as f64 / 1e9),
    }
}

/// Wraps text between words into lines of at most so many columns. Longer words stay whole.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Cuts text to a number of columns; an ellipsis marks the cut.
pub(super) fn fit(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

/// The names of the rating metrics as columns of a table.
pub(super) fn error_names() -> String {
    RATING_METRICS.map(|name| format!("{:>8}", name.to_uppercase())).join("  ")
}

/// The values of the rating metrics, below their names.
pub(super) fn error_values(errors: &Errors) -> String {
    errors.iter().map(|(_, value)| format!("{:>8}", number(value))).collect::<Vec<_>>().join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_their_words() {
        assert_eq!(number_of(1, "user"), "1 user");
        assert_eq!(number_of(1234, "user"), "1,234 users");
        assert_eq!(number_of(0, "row"), "0 rows");
    }

    #[test]
    fn text_is_wrapped_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("incomprehensible", 7), ["incomprehensible"]);
        assert!(wrap("", 7).is_empty());
    }

    #[test]
    fn numbers_read_well() {
        assert_eq!(
            (count(0), count(999), count(1000), count(25_000_095)),
            ("0".into(), "999".into(), "1,000".into(), "25,000,095".into())
        );
        assert_eq!(
            (bytes(12_000), bytes(5_400_000), bytes(1_640_000_000)),
            ("12 kB".into(), "5 MB".into(), "1.6 GB".into())
        );
        assert_eq!((number(None), number(Some(0.87654))), ("-".into(), "0.8765".into()));
        assert_eq!((fit("abcdef", 6), fit("abcdef", 4)), ("abcdef".into(), "abc…".into()));
    }
}

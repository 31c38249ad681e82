//! Suggestions for unknown names.

/// Returns `; did you mean "factors"?`, or an empty text if no known name is close.
pub(crate) fn suggestion<T: AsRef<str>>(name: &str, known: &[T]) -> String {
    let scored = known.iter().map(|k| (strsim::jaro_winkler(name, k.as_ref()), k.as_ref()));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0));
    best.filter(|(score, _)| *score > 0.8)
        .map_or_else(String::new, |(_, k)| format!("; did you mean \"{k}\"?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn close_names_are_suggested() {
        let known = ["factors", "iterations"];
        assert_eq!(suggestion("factor", &known), "; did you mean \"factors\"?");
        assert_eq!(suggestion("zzz", &known), "");
    }
}

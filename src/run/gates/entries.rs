//! Collects the findings of the gates and derives their consequences.

use super::super::config::RunConfig;
use super::names::GateName;
use crate::store::{GateEntry, Severity};

/// The outcomes of the gates checked so far.
pub(in crate::run) struct Gates<'a> {
    config: &'a RunConfig,
    pub entries: Vec<GateEntry>,
}

/// The finding of one gate.
pub(super) struct Finding {
    /// The observed value. `None` if there is nothing to compare with; the message then says so.
    pub observed: Option<f64>,
    pub message: String,
    /// The limits, strictest consequence first.
    pub limits: Vec<Limit>,
}

impl Finding {
    /// A finding without anything to compare with. The entry shows the first limit.
    pub(super) fn nothing(why: &str, limits: Vec<Limit>) -> Self {
        Self { observed: None, message: why.to_owned(), limits }
    }
}

/// One limit of a gate: its consequence, its value, and whether the observed value keeps it.
pub(super) struct Limit {
    pub severity: Severity,
    pub threshold: f64,
    pub holds: bool,
}

impl<'a> Gates<'a> {
    pub(in crate::run) const fn new(config: &'a RunConfig) -> Self {
        Self { config, entries: Vec::new() }
    }

    /// Adds the entry of a gate, unless the gate is off.
    pub(super) fn note(&mut self, name: GateName, finding: &Finding) {
        let Finding { observed, message, limits } = finding;
        let set = self.config.severity(name);
        if set == Some(Severity::Off) {
            return;
        }
        let broken = limits.iter().find(|limit| observed.is_some() && !limit.holds);
        let strictest = limits.iter().map(|limit| limit.severity).next().unwrap_or(Severity::Error);
        let shown = broken.or(limits.first());
        self.entries.push(GateEntry {
            name: name.name().into(),
            severity: set.unwrap_or_else(|| broken.map_or(strictest, |limit| limit.severity)),
            threshold: shown.map(|limit| limit.threshold),
            observed: observed.filter(|value| value.is_finite()),
            passed: broken.is_none(),
            message: match broken {
                Some(limit) => format!("{message} (the limit is {})", limit.threshold),
                None => message.clone(),
            },
        });
    }

    /// Gates whose failure rejects the run.
    fn failed(&self) -> Vec<&GateEntry> {
        let fatal = |gate: &&GateEntry| !gate.passed && gate.severity == Severity::Error;
        self.entries.iter().filter(fatal).collect()
    }

    /// The failed gates that reject the run, with their messages. `None` if no gate rejects it.
    pub(in crate::run) fn reason(&self) -> Option<String> {
        let failed: Vec<String> =
            self.failed().iter().map(|gate| format!("{}: {}", gate.name, gate.message)).collect();
        (!failed.is_empty()).then(|| failed.join("; "))
    }
}

/// Creates a limit.
pub(super) const fn limit(severity: Severity, threshold: f64, holds: bool) -> Limit {
    Limit { severity, threshold, holds }
}

/// The limits of a value that fails above `error` and causes a warning above `warn`.
pub(super) fn at_most(value: f64, warn: f64, error: f64) -> Vec<Limit> {
    vec![limit(Severity::Error, error, value <= error), limit(Severity::Warn, warn, value <= warn)]
}

/// The message if there is no earlier run.
pub(super) const NO_PREVIOUS: &str = "there is no earlier run to compare with";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_that_is_broken_decides_unless_the_settings_do() {
        let limits = |value: f64| at_most(value, 0.1, 0.25);
        let look = |settings: &[&str], value: Option<f64>| {
            let gate = settings.iter().filter_map(|text| text.parse().ok()).collect();
            let config = RunConfig { gate, ..RunConfig::default() };
            let mut gates = Gates::new(&config);
            let limits = limits(value.unwrap_or(9.0));
            let finding = Finding { observed: value, message: "moved".into(), limits };
            gates.note(GateName::Histogram, &finding);
            let entry = gates.entries.first().cloned();
            (entry.map(|e| (e.severity, e.passed, e.threshold)), gates.reason())
        };
        let rejected = Some("histogram: moved (the limit is 0.25)".to_owned());
        assert_eq!(look(&[], Some(0.05)), (Some((Severity::Error, true, Some(0.25))), None));
        assert_eq!(look(&[], Some(0.2)), (Some((Severity::Warn, false, Some(0.1))), None));
        assert_eq!(
            look(&[], Some(0.3)),
            (Some((Severity::Error, false, Some(0.25))), rejected.clone())
        );
        assert_eq!(
            look(&["histogram=warn"], Some(0.3)),
            (Some((Severity::Warn, false, Some(0.25))), None)
        );
        let lower = Some("histogram: moved (the limit is 0.1)".to_owned());
        assert_eq!(look(&["histogram=error"], Some(0.2)).1, lower);
        assert_eq!(look(&["histogram=off"], Some(0.3)), (None, None));
        assert_eq!(look(&[], None), (Some((Severity::Error, true, Some(0.25))), None));
    }
}

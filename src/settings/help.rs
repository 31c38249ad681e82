//! The defaults of a fit's options in words, for the help.

use serde_json::Value;

use super::algorithms::{method, takers};
use super::names::AlgorithmName;
use super::options::{FitOption, OPTIONS};
use super::plan::Plan;
use super::train::TrainConfig;
use crate::store::json;

/// The default of an option as the help shows it, for every algorithm that takes the option.
///
/// An example is `15; bayes, sgd: 20`: the first value holds for all algorithms without one of
/// their own. `None` if no algorithm has a default.
#[must_use]
pub fn default_in_words(key: &str) -> Option<String> {
    let option = OPTIONS.iter().find(|option| option.key == key)?;
    let mut groups: Vec<(String, Vec<&str>)> = Vec::new();
    for name in takers(key) {
        let Some(text) = method(name).law(key).map(str::to_owned).or_else(|| value(option, name))
        else {
            continue;
        };
        match groups.iter_mut().find(|(other, _)| *other == text) {
            Some((_, names)) => names.push(name.name()),
            None => groups.push((text, vec![name.name()])),
        }
    }
    let (first, others) = groups.split_first()?;
    let of = |(text, names): &(String, Vec<&str>)| format!("; {}: {text}", names.join(", "));
    let others: String = others.iter().map(of).collect();
    Some(format!("{}{others}{}", first.0, option.note))
}

/// The value that an algorithm decides for an unset option; `None` if it decides nothing.
fn value(option: &FitOption, name: AlgorithmName) -> Option<String> {
    let mut config = TrainConfig { algorithm: Some(name), ..TrainConfig::default() };
    if let Some(needs) = option.needs {
        needs(&mut config);
    }
    let plan = Plan::new(&config).ok()?;
    match json::value(&plan.record).get(option.key)? {
        Value::Number(number) => Some(number.as_f64()?.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_said_by_algorithm() {
        let shown = |key| default_in_words(key).unwrap_or_default();
        assert_eq!(shown("iterations"), "15; bayes, sgd: 20; gd: 700");
        assert_eq!(shown("reg_exponent"), "0.5; ials: 1");
        assert_eq!(shown("cg_steps"), "3");
        assert_eq!(shown("bias_damping"), "4; 0 with --bias-reg");
        assert!(shown("tol").starts_with("0.0001; bayes: 0.02 times"), "{}", shown("tol"));
        assert_eq!(default_in_words("patience"), None);
        assert_eq!(default_in_words("user_reg"), None);
    }
}

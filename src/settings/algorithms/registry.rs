//! The registry of algorithms.

use super::super::names::AlgorithmName;
use super::als::AlsMethod;
use super::bayes::BayesMethod;
use super::gd::GdMethod;
use super::ials::IalsMethod;
use super::method::Method;
use super::sgd::SgdMethod;

/// The algorithm with this name.
pub(crate) fn method(name: AlgorithmName) -> &'static dyn Method {
    match name {
        AlgorithmName::Als => &AlsMethod,
        AlgorithmName::Ials => &IalsMethod,
        AlgorithmName::Bayes => &BayesMethod,
        AlgorithmName::Sgd => &SgdMethod,
        AlgorithmName::Gd => &GdMethod,
    }
}

/// The algorithm with this name in a manifest.
pub(crate) fn method_named(name: &str) -> Option<&'static dyn Method> {
    AlgorithmName::ALL.into_iter().find(|algorithm| algorithm.name() == name).map(method)
}

/// Whether the algorithm with this name in a manifest takes an option.
pub(crate) fn takes(name: &str, key: &str) -> bool {
    method_named(name).is_some_and(|method| method.takes().contains(&key))
}

/// The algorithms that take an option, in the order of [`AlgorithmName::ALL`].
pub(crate) fn takers(key: &str) -> Vec<AlgorithmName> {
    let takes = |name: &AlgorithmName| method(*name).takes().contains(&key);
    AlgorithmName::ALL.into_iter().filter(takes).collect()
}

#[cfg(test)]
mod tests {
    use super::super::super::options::OPTIONS;
    use super::*;

    #[test]
    fn algorithms_take_options_that_exist() {
        for name in AlgorithmName::ALL {
            for key in method(name).takes() {
                let known = OPTIONS.iter().any(|option| option.key == *key);
                assert!(known, "{}: {key}", name.name());
            }
        }
        for option in OPTIONS {
            assert!(!takers(option.key).is_empty(), "nobody takes {}", option.key);
        }
    }
}

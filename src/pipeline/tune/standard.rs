//! The spaces that are searched where no file names one.

use super::super::AlgorithmName;

/// What is searched without a file: of each algorithm the settings that matter most, around its defaults.
pub(super) const fn space(algorithm: AlgorithmName) -> &'static str {
    match algorithm {
        AlgorithmName::Als => {
            "trials = 40
[space]
regularization = { low = 0.02, high = 0.5, log = true }
reg_exponent = { low = 0.0, high = 1.0 }
bias_damping = { low = 1.0, high = 20.0, log = true }
factors = [32, 64, 128]"
        }
        AlgorithmName::Ials => {
            "trials = 40
[space]
regularization = { low = 0.0001, high = 0.1, log = true }
unobserved_weight = { low = 0.0001, high = 1.0, log = true }
factors = [32, 64, 128]"
        }
        AlgorithmName::Bayes => {
            "method = \"grid\"
[space]
factors = [8, 16, 24, 32, 48, 64]
iterations = [8, 12, 20]"
        }
        AlgorithmName::Sgd => {
            "trials = 40
[space]
regularization = { low = 0.02, high = 0.5, log = true }
learning_rate = { low = 0.03, high = 0.3, log = true }
factors = [32, 64, 128]"
        }
        AlgorithmName::Gd => {
            "trials = 20
[space]
learning_rate = { low = 0.02, high = 0.5, log = true }
factors = [2, 5, 10, 20]"
        }
    }
}

//! Maps each gate to the function that checks it.

use super::entries::{Finding, Gates};
use super::look::{DataLook, ModelLook};
use super::names::GateName;
use super::{
    bias_only, collapsed, finite, freshness, histogram, id_type, item_cosine, mean_shift,
    new_items, new_users, overlap, popularity, previous_model, rejected, rows,
};

/// The check of a gate of the ratings (before the training) or of the model (after it). The
/// functions return `None` if the gate does not apply.
enum Check {
    Data(fn(&DataLook<'_>) -> Option<Finding>),
    Model(fn(&ModelLook<'_>) -> Option<Finding>),
}

fn check(name: GateName) -> Check {
    use Check::{Data, Model};
    match name {
        GateName::Freshness => Data(freshness::check),
        GateName::Rows => Data(rows::check),
        GateName::Rejected => Data(rejected::check),
        GateName::MeanShift => Data(mean_shift::check),
        GateName::Histogram => Data(histogram::check),
        GateName::NewUsers => Data(new_users::check),
        GateName::NewItems => Data(new_items::check),
        GateName::IdType => Data(id_type::check),
        GateName::Finite => Model(finite::check),
        GateName::BiasOnly => Model(bias_only::check),
        GateName::Popularity => Model(popularity::check),
        GateName::Collapsed => Model(collapsed::check),
        GateName::PreviousModel => Model(previous_model::check),
        GateName::ItemCosine => Model(item_cosine::check),
        GateName::Overlap => Model(overlap::check),
    }
}

/// Checks the gates of the ratings.
pub(in crate::run) fn check_data(gates: &mut Gates<'_>, look: &DataLook<'_>) {
    for &name in GateName::ALL {
        if let Check::Data(check) = check(name)
            && let Some(finding) = check(look)
        {
            gates.note(name, &finding);
        }
    }
}

/// Checks the gates of the model.
pub(in crate::run) fn check_model(gates: &mut Gates<'_>, look: &ModelLook<'_>) {
    for &name in GateName::ALL {
        if let Check::Model(check) = check(name)
            && let Some(finding) = check(look)
        {
            gates.note(name, &finding);
        }
    }
}

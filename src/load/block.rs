//! Some consecutive rows of one input, validated, on their way into the columns.

use std::collections::HashMap;

/// Ids of a block as the input has them.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BlockIds {
    /// All are canonical integers (or the column's type is an integer).
    Int(Vec<i64>),
    /// Anything else.
    Text(TextIds),
}

/// Text ids of a block, each different one once: made block by block beside the parser, so that only
/// the different ones are left to be matched between blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TextIds {
    /// The different ids, by first appearance.
    pub unique: Vec<Box<str>>,
    /// The position in `unique` of every row's id.
    pub codes: Vec<u32>,
}

impl<'t> FromIterator<&'t str> for TextIds {
    fn from_iter<I: IntoIterator<Item = &'t str>>(cells: I) -> Self {
        let mut positions: HashMap<&str, u32> = HashMap::new();
        let mut unique: Vec<Box<str>> = Vec::new();
        let mut code = |cell| {
            *positions.entry(cell).or_insert_with(|| {
                unique.push(cell.into());
                // A block is some 32 MB of text.
                (unique.len() - 1) as u32
            })
        };
        let codes = cells.into_iter().map(&mut code).collect();
        Self { unique, codes }
    }
}

impl TextIds {
    /// Every row's id.
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> + Clone {
        self.codes.iter().map(|&code| &*self.unique[code as usize])
    }
}

/// Validated rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub users: BlockIds,
    pub items: BlockIds,
    pub values: Vec<f32>,
    pub weights: Option<Vec<f32>>,
    /// Seconds since 1970.
    pub times: Option<Vec<i64>>,
}

impl BlockIds {
    fn retain(&mut self, keep: &[bool]) {
        match self {
            Self::Int(ids) => retain(ids, keep),
            // Anew, so that ids of dropped rows alone are gone too.
            Self::Text(ids) => {
                *ids = ids.cells().zip(keep).filter(|(_, keep)| **keep).map(|(id, _)| id).collect();
            }
        }
    }
}

/// Keeps the entries whose mask is set.
fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut mask = keep.iter();
    values.retain(|_| mask.next().copied().unwrap_or(false));
}

impl Block {
    pub(super) fn rows(&self) -> usize {
        self.values.len()
    }

    /// Keeps the rows whose mask is set.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        self.users.retain(keep);
        self.items.retain(keep);
        retain(&mut self.values, keep);
        if let Some(weights) = &mut self.weights {
            retain(weights, keep);
        }
        if let Some(times) = &mut self.times {
            retain(times, keep);
        }
    }
}

/// Parses an integer in canonical decimal form: no leading zeros or plus sign, no spaces, no `-0`.
pub(super) fn canonical(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    match digits {
        [b'0'] if !negative => return Some(0),
        [b'1'..=b'9', ..] if digits.len() <= 19 => {}
        _ => return None,
    }
    // Nineteen digits fit u64; the sign decides what fits i64.
    let mut magnitude = 0_u64;
    for &byte in digits {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        magnitude = magnitude * 10 + u64::from(digit);
    }
    if negative { 0_i64.checked_sub_unsigned(magnitude) } else { i64::try_from(magnitude).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canonical_means_that_printing_gives_the_text_back(text in "-?[0-9]{0,20}|[ +x]?[0-9]{1,3}") {
            let want = text.parse::<i64>().ok().filter(|v| v.to_string() == text);
            prop_assert_eq!(canonical(text.as_bytes()), want);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_canonical() {
        for v in [i64::MIN, i64::MAX, 0, -1, 9_999_999_999] {
            assert_eq!(canonical(v.to_string().as_bytes()), Some(v));
        }
        for text in ["9223372036854775808", "-9223372036854775809", "-0", "007", "", "-", "1_0"] {
            assert_eq!(canonical(text.as_bytes()), None, "{text}");
        }
    }
}

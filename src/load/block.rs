//! A block: validated consecutive rows of one input.

use std::collections::HashMap;

/// The ids of a block as they occur in the input.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum BlockIds {
    /// All ids are canonical integers, or the type of the column is an integer.
    Int(Vec<i64>),
    /// At least one id is not an integer.
    Text(TextIds),
}

/// The text ids of a block, each distinct id once.
///
/// They are made per block, so that only the distinct ids must be matched between blocks.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct TextIds {
    /// The distinct ids, in the order of their first occurrence.
    pub unique: Vec<Box<str>>,
    /// For every row, the position of its id in `unique`.
    pub codes: Vec<u32>,
}

impl<'t> FromIterator<&'t str> for TextIds {
    fn from_iter<I: IntoIterator<Item = &'t str>>(cells: I) -> Self {
        let mut positions: HashMap<&str, u32> = HashMap::new();
        let mut unique: Vec<Box<str>> = Vec::new();
        let mut code = |cell| {
            *positions.entry(cell).or_insert_with(|| {
                unique.push(cell.into());
                // A block of about 32 MB of text has fewer ids than `u32` can number.
                (unique.len() - 1) as u32
            })
        };
        let codes = cells.into_iter().map(&mut code).collect();
        Self { unique, codes }
    }
}

impl TextIds {
    /// The id of every row.
    pub(super) fn cells(&self) -> impl Iterator<Item = &str> + Clone {
        self.codes.iter().map(|&code| &*self.unique[code as usize])
    }
}

/// The numbers of the rows of a block in their file, from 1: lines of text, rows of a table.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum RowNumbers {
    /// Consecutive numbers from this one.
    From(u64),
    /// The number of each row.
    Each(Vec<u64>),
}

impl RowNumbers {
    /// The number of a row of the block, counted from 0.
    pub(super) fn of(&self, row: usize) -> u64 {
        match self {
            Self::From(first) => first + row as u64,
            Self::Each(numbers) => numbers[row],
        }
    }
}

/// Validated rows as columns.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    pub numbers: RowNumbers,
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
            // Built anew, so that ids that only dropped rows contain disappear too.
            Self::Text(ids) => {
                *ids = ids.cells().zip(keep).filter(|(_, keep)| **keep).map(|(id, _)| id).collect();
            }
        }
    }
}

/// Keeps the entries whose mask is true.
fn retain<T>(values: &mut Vec<T>, keep: &[bool]) {
    let mut mask = keep.iter();
    values.retain(|_| mask.next().copied().unwrap_or(false));
}

impl Block {
    pub(super) fn rows(&self) -> usize {
        self.values.len()
    }

    /// Keeps the rows whose mask is true.
    pub(super) fn retain(&mut self, keep: &[bool]) {
        let kept = keep.iter().enumerate().filter(|(_, keep)| **keep);
        self.numbers = RowNumbers::Each(kept.map(|(row, _)| self.numbers.of(row)).collect());
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
    // Nineteen digits fit into u64. Whether the number fits into i64 depends on the sign.
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

/// Parses an integer as `--id-type int` takes it: blanks around it, leading zeros, and the form of
/// a number without fraction, such as `12.0`.
pub(super) fn integer(text: &str) -> Option<i64> {
    /// Above this bound, doubles no longer represent every whole number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let text = text.trim();
    let whole = |number: &f64| number.fract() == 0.0 && number.abs() <= EXACT;
    let float = || text.parse::<f64>().ok().filter(whole).map(|number| number as i64);
    text.parse().ok().or_else(float)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn canonical_means_that_printing_gives_the_text_back(
            text in "-?[0-9]{0,20}|[ +x]?[0-9]{1,3}"
        ) {
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

    #[test]
    fn integers_may_be_written_as_other_numbers() {
        for (text, want) in [("12", 12), (" 12.0", 12), ("007", 7), ("1e3", 1000), ("-3.00", -3)] {
            assert_eq!(integer(text), Some(want), "{text}");
        }
        assert_eq!(integer("9223372036854775807"), Some(i64::MAX));
        for text in ["12.5", "x", "", "nan", "inf", "1e300"] {
            assert_eq!(integer(text), None, "{text}");
        }
    }
}

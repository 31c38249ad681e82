//! Quotation marks in text files.

/// The end of the last line that ends outside quotes, and whether the text ends inside quotes.
///
/// As in the strict reader, a quote opens only at the beginning of a cell and closes unless it is
/// doubled.
pub(super) fn scan_quotes(bytes: &[u8], quote: u8, separator: u8) -> (usize, bool) {
    let (mut end, mut inside, mut skip) = (0, false, usize::MAX);
    for at in memchr::memchr2_iter(quote, b'\n', bytes) {
        if bytes[at] != quote {
            if !inside {
                end = at + 1;
            }
        } else if at == skip {
            // The second of two quotes inside a cell.
        } else if inside && bytes.get(at + 1) == Some(&quote) {
            skip = at + 1;
        } else if inside {
            inside = false;
        } else {
            inside = at == 0 || bytes[at - 1] == separator || bytes[at - 1] == b'\n';
        }
    }
    (end, inside)
}

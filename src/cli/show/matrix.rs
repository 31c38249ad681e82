//! A table of a dense matrix.

/// A table with row and column names, and values to two decimals.
#[must_use]
pub(crate) fn matrix(rows: &[String], cols: &[String], values: &[Vec<f64>]) -> String {
    let cell = |v: &f64| format!("{v:.2}");
    let first = rows.iter().map(|r| r.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = cols
        .iter()
        .enumerate()
        .map(|(c, name)| {
            let cells = values.iter().map(|row| cell(&row[c]).len()).max().unwrap_or(0);
            cells.max(name.chars().count())
        })
        .collect();
    let line = |head: &str, cells: Vec<String>| {
        let cells: Vec<String> =
            cells.iter().zip(&widths).map(|(cell, &width)| format!("  {cell:>width$}")).collect();
        format!("{head:>first$}{}\n", cells.concat())
    };
    let mut text = line("", cols.to_vec());
    for (name, row) in rows.iter().zip(values) {
        text += &line(name, row.iter().map(cell).collect());
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn columns_line_up() {
        let names = |n: &[&str]| n.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
        let text = super::matrix(
            &names(&["a", "bc"]),
            &names(&["1", "long"]),
            &[vec![1.0, 2.0], vec![-10.5, 0.123]],
        );
        assert_eq!(text, "         1  long\n a    1.00  2.00\nbc  -10.50  0.12\n");
    }
}

//! The text of statements over many rows.
//!
//! SQLite takes `$1` for a name, and looks every name up in a list of all: a statement with thousands of them costs
//! seconds. So long lists of numbers are written into the text, where they need no placeholder, and other long lists
//! have SQLite's nameless `?`.

use super::Engine;
use std::borrow::Cow;
use std::fmt::Write as _;

/// `(1,2),(3,4)`: rows of numbers for `VALUES`.
pub(super) fn number_rows<const COLUMNS: usize>(rows: &[[i64; COLUMNS]]) -> String {
    let mut text = String::with_capacity(rows.len() * COLUMNS * 8);
    for (index, row) in rows.iter().enumerate() {
        text.push_str(if index == 0 { "(" } else { ",(" });
        for (column, number) in row.iter().enumerate() {
            let comma = if column == 0 { "" } else { "," };
            // Writing into a string cannot fail.
            let _ = write!(text, "{comma}{number}");
        }
        text.push(')');
    }
    text
}

/// `1,2,3`: numbers for `IN (...)`.
pub(super) fn number_list(numbers: impl IntoIterator<Item = i64>) -> String {
    let mut text = String::new();
    for number in numbers {
        let comma = if text.is_empty() { "" } else { "," };
        let _ = write!(text, "{comma}{number}");
    }
    text
}

/// Placeholders for a statement whose values are bound in the order of its placeholders.
pub(super) struct Marks {
    engine: Engine,
    used: usize,
}

impl Marks {
    pub(super) fn new(engine: Engine) -> Self {
        Self { engine, used: 0 }
    }

    /// Appends the next placeholder.
    pub(super) fn push(&mut self, text: &mut String) {
        self.used += 1;
        match self.engine {
            Engine::Sqlite => text.push('?'),
            Engine::Postgres => {
                let _ = write!(text, "${}", self.used);
            }
        }
    }

    /// `(?,?),(?,?)` or `($1,$2),($3,$4)`.
    pub(super) fn rows(&mut self, rows: usize, columns: usize) -> String {
        let mut text = String::with_capacity(rows * (columns * 6 + 2));
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            text.push_str(&self.list(columns));
            text.push(')');
        }
        text
    }

    /// `?,?` or `$1,$2`.
    pub(super) fn list(&mut self, values: usize) -> String {
        let mut text = String::with_capacity(values * 6);
        for value in 0..values {
            if value > 0 {
                text.push(',');
            }
            self.push(&mut text);
        }
        text
    }
}

/// Text as PostgreSQL can store it, which knows no NUL.
pub(super) fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_counted_on_through_a_statement() {
        let mut marks = Marks::new(Engine::Postgres);
        assert_eq!(marks.rows(2, 2), "($1,$2),($3,$4)");
        assert_eq!(marks.list(2), "$5,$6");
        assert_eq!(Marks::new(Engine::Sqlite).rows(2, 1), "(?),(?)");
    }

    #[test]
    fn numbers_stand_in_the_text() {
        assert_eq!(number_rows(&[[1, -2], [3, i64::MAX]]), "(1,-2),(3,9223372036854775807)");
        assert_eq!(number_list([7, 8]), "7,8");
    }
}

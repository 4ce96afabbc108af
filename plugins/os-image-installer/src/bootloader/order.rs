//! An order of slots, as RAUC's boot scripts have it: marks with blanks between them, the preferred one first.

use alloc::{string::String, vec::Vec};

/// The first of an order.
pub fn first(order: &str) -> Option<&str> {
    order.split_ascii_whitespace().next()
}

/// The order with these at the beginning. What else is in it, a recovery system perhaps, keeps its place behind them.
pub fn with_first(order: &str, marks: &[&str]) -> String {
    let mut new: Vec<&str> = marks.to_vec();
    new.extend(order.split_ascii_whitespace().filter(|mark| !marks.contains(mark)));
    new.join(" ")
}

/// The order without one.
pub fn without(order: &str, mark: &str) -> String {
    let rest: Vec<&str> = order.split_ascii_whitespace().filter(|other| *other != mark).collect();
    rest.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_else_is_in_the_order_stays() {
        assert_eq!(with_first("A B R", &["B", "A"]), "B A R");
        assert_eq!(with_first("", &["B", "A"]), "B A");
        assert_eq!(with_first("R", &["A"]), "A R");
        assert_eq!(without("B  A R ", "B"), "A R");
        assert_eq!(first(" B A"), Some("B"));
        assert_eq!(first(""), None);
    }
}

//! Text of a guest on its way to people: it never controls a terminal and never is longer than it may be.

/// `text` without control characters, cut to at most `max_bytes`.
pub(crate) fn printable(text: &str, max_bytes: usize) -> String {
    let mut printable = String::with_capacity(text.len().min(max_bytes));
    for character in text.trim_end().chars() {
        let character = if is_harmless(character) { character } else { ' ' };
        if printable.len() + character.len_utf8() > max_bytes {
            break;
        }
        printable.push(character);
    }
    printable
}

// Beside the control characters: what reorders a line, so that it reads as something else than it is.
fn is_harmless(character: char) -> bool {
    !character.is_control()
        && !matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn a_guest_cannot_write_escape_sequences() {
        assert_eq!(printable("a\x1b[31mb\r\nc\u{202e}d\n", 100), "a [31mb  c d");
    }

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(printable("aäöü", 4), "aä");
    }
}

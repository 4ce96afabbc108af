//! Control data: stanzas of `Field: value`, continued by lines that begin with a blank.

/// A line that is neither a field nor a continuation.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("line {0} is neither \"Field: value\" nor the continuation of one, or repeats a field")]
pub struct SyntaxError(pub usize);

/// One paragraph.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Stanza {
    /// The number of its first line.
    pub line: usize,
    fields: Vec<(String, String)>,
}

impl Stanza {
    /// The value of a field, its lines separated by `\n`, each without the blank it begins with.
    #[must_use]
    pub fn get(&self, field: &str) -> Option<&str> {
        self.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field)).map(|(_, value)| value.as_str())
    }

    /// The words of a field.
    pub fn words(&self, field: &str) -> impl Iterator<Item = &str> {
        self.get(field).unwrap_or_default().split_whitespace()
    }

    /// Whether a field says yes, in the words that the archives' tools take.
    #[must_use]
    pub fn says_yes(&self, field: &str) -> Option<bool> {
        is_yes(self.get(field)?)
    }
}

/// Whether a word means yes or no, if it is such a word.
#[must_use]
pub fn is_yes(word: &str) -> Option<bool> {
    let is_any = |words: &[&str]| words.iter().any(|known| word.trim().eq_ignore_ascii_case(known));
    if is_any(&["yes", "true", "with", "on", "enable", "1"]) {
        Some(true)
    } else {
        is_any(&["no", "false", "without", "off", "disable", "0"]).then_some(false)
    }
}

/// Parses all stanzas. Lines that begin with `#` are comments.
///
/// # Errors
/// Names the first line that cannot be read.
pub fn parse(text: &str) -> Result<Vec<Stanza>, SyntaxError> {
    let mut stanzas = vec![Stanza::default()];
    for (line, number) in text.lines().zip(1..) {
        let Some(stanza) = stanzas.last_mut() else { break };
        if line.trim().is_empty() {
            stanzas.push(Stanza::default());
        } else if let Some(continued) = line.strip_prefix([' ', '\t']) {
            let (_, value) = stanza.fields.last_mut().ok_or(SyntaxError(number))?;
            value.push('\n');
            value.push_str(continued.trim_end());
        } else if !line.starts_with('#') {
            let (name, value) = line.split_once(':').ok_or(SyntaxError(number))?;
            if name.is_empty() || stanza.get(name).is_some() {
                return Err(SyntaxError(number));
            }
            if stanza.fields.is_empty() {
                stanza.line = number;
            }
            stanza.fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }
    stanzas.retain(|stanza| !stanza.fields.is_empty());
    Ok(stanzas)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_keep_their_lines_and_lose_their_comments() {
        let text = "# about\nTypes: deb\nURIs: a\n# b\n b\n\n\n  \nSuites:\n one\n two\n";
        let stanzas = parse(text).unwrap();
        assert_eq!(stanzas.iter().map(|stanza| stanza.line).collect::<Vec<_>>(), [2, 9]);
        assert_eq!(stanzas[0].words("uris").collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(stanzas[1].get("Suites"), Some("\none\ntwo"));
    }

    #[test]
    fn what_is_no_field_is_named_by_its_line() {
        for (text, line) in [("A: b\nc\n", 2), (" a\n", 1), ("A: b\nB: c\na: d\n", 3), (": a\n", 1)] {
            assert_eq!(parse(text), Err(SyntaxError(line)), "{text:?}");
        }
    }
}

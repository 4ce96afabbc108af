//! Patterns: `*` is any text, `?` any one character.

/// Stars of one pattern, at most.
const MAX_STARS: usize = 8;

/// A pattern. The case of ASCII letters makes no difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pattern(Vec<char>);

impl Pattern {
    /// The pattern that is written like this; if it is none, what to write.
    pub(super) fn of(text: &str) -> Result<Self, String> {
        if text.matches('*').count() > MAX_STARS {
            return Err(format!("a pattern has {MAX_STARS} stars or fewer"));
        }
        Ok(Self(text.chars().map(|character| character.to_ascii_lowercase()).collect()))
    }

    /// Whether the whole text is like it. Without recursion: after a failure only the last star takes one more.
    pub(super) fn matches(&self, text: &str) -> bool {
        let text: Vec<char> = text.chars().map(|character| character.to_ascii_lowercase()).collect();
        let (mut at, mut in_text) = (0, 0);
        let mut last_star: Option<(usize, usize)> = None;
        while in_text < text.len() {
            match self.0.get(at) {
                Some('*') => {
                    last_star = Some((at, in_text));
                    at += 1;
                }
                Some(character) if *character == '?' || *character == text[in_text] => {
                    at += 1;
                    in_text += 1;
                }
                _ => {
                    let Some((star, taken)) = last_star else { return false };
                    last_star = Some((star, taken + 1));
                    at = star + 1;
                    in_text = taken + 1;
                }
            }
        }
        self.0[at..].iter().all(|character| *character == '*')
    }
}

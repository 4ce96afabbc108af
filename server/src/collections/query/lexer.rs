//! From characters to tokens, each with its place.

use super::{MAX_QUERY_BYTES, QueryError};

/// A piece of a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Letters, digits and what names are made of, without quotes: a keyword, a fact or a value.
    Word(String),
    /// Anything between quotes: a value.
    Quoted(String),
    /// `=`, `!=`, `<`, `<=`, `>`, `>=`, `(`, `)`, `,`.
    Sign(&'static str),
    /// Behind everything.
    End,
}

/// A piece of a query, and the characters it is written with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) position: usize,
    pub(super) length: usize,
}

impl Token {
    /// An error that points at it.
    pub(super) fn error(&self, message: impl Into<String>) -> QueryError {
        QueryError { position: self.position, length: self.length.max(1), message: message.into() }
    }

    /// Whether it is this keyword, whatever its case.
    pub(super) fn is_keyword(&self, keyword: &str) -> bool {
        matches!(&self.kind, Kind::Word(word) if word.eq_ignore_ascii_case(keyword))
    }

    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self.kind, Kind::Sign(own) if own == sign)
    }

    /// As an error names it.
    pub(super) fn shown(&self) -> String {
        match &self.kind {
            Kind::Word(word) => format!("{word:?}"),
            Kind::Quoted(text) => format!("the text {text:?}"),
            Kind::Sign(sign) => format!("{sign:?}"),
            Kind::End => "the end".to_owned(),
        }
    }
}

const SIGNS: [&str; 9] = ["!=", "<=", ">=", "=", "<", ">", "(", ")", ","];

/// The tokens of a query, with [`Kind::End`] as the last.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, QueryError> {
    if text.len() > MAX_QUERY_BYTES {
        let position = text.char_indices().take_while(|(byte, _)| *byte < MAX_QUERY_BYTES).count();
        let message =
            format!("the query is longer than {MAX_QUERY_BYTES} bytes: make several collections and include them");
        return Err(QueryError { position, length: 1, message });
    }
    let characters: Vec<char> = text.chars().collect();
    let mut tokens = Vec::new();
    let mut position = 0;
    while let Some(&character) = characters.get(position) {
        if character.is_whitespace() {
            position += 1;
            continue;
        }
        let rest = &characters[position..];
        let (kind, length) = match character {
            '"' | '\'' => quoted(rest, position)?,
            _ if is_of_word(character) => word(rest),
            _ => sign(rest, position)?,
        };
        tokens.push(Token { kind, position, length });
        position += length;
    }
    tokens.push(Token { kind: Kind::End, position, length: 0 });
    Ok(tokens)
}

/// What a value may be made of without quotes.
fn is_of_word(character: char) -> bool {
    character.is_alphanumeric() || "-_.:+*?/@~".contains(character)
}

fn word(rest: &[char]) -> (Kind, usize) {
    let word: String = rest.iter().take_while(|character| is_of_word(**character)).collect();
    let length = word.chars().count();
    (Kind::Word(word), length)
}

fn quoted(rest: &[char], position: usize) -> Result<(Kind, usize), QueryError> {
    let quote = rest[0];
    let mut text = String::new();
    let mut characters = rest.iter().enumerate().skip(1);
    while let Some((index, &character)) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some((_, &escaped)) if escaped == quote || escaped == '\\' => text.push(escaped),
                _ => {
                    let message = format!("write \\\\ for a backslash and \\{quote} for a quote");
                    return Err(QueryError { position: position + index, length: 1, message });
                }
            },
            _ if character == quote => return Ok((Kind::Quoted(text), index + 1)),
            _ => text.push(character),
        }
    }
    let message = format!("this text does not end: write {quote} behind it");
    Err(QueryError { position, length: rest.len(), message })
}

fn sign(rest: &[char], position: usize) -> Result<(Kind, usize), QueryError> {
    for sign in SIGNS {
        if sign.chars().enumerate().all(|(index, character)| rest.get(index) == Some(&character)) {
            return Ok((Kind::Sign(sign), sign.len()));
        }
    }
    let character = rest[0];
    let message = match character {
        '&' => "write and between two conditions".to_owned(),
        '|' => "write or between two conditions".to_owned(),
        '!' => "write not before a condition, or != between a fact and a value".to_owned(),
        _ => format!("{character:?} has no meaning here: put a value with such a character in quotes"),
    };
    Err(QueryError { position, length: 1, message })
}

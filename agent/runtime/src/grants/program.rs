//! One grant of a program: which one, with which arguments, variables and input.
//!
//! ```text
//! grant    = { variable " " } program { " " pattern } [ "..." ] [ " <" ]
//! variable = NAME "=" VALUE         DEBIAN_FRONTEND=noninteractive
//! program  = "/" ...                /usr/bin/dpkg, its normalized absolute path
//! pattern  = "{blob}"               a file of the update, and nothing else
//!          | word                   exactly this argument
//!          | word with "*"          each `*` is any characters but `/`
//! "..."    = right behind the last pattern: one or more of it
//! "<"      = the program may be given standard input
//! ```
//!
//! What a `*` never lets through: an argument that begins with `-` where the pattern does not; a path part that is empty, `.`
//! or `..`, also behind an option's letter (`-C..`); a control character. No pattern matches an empty argument. A command has
//! to match as a whole: no argument more, none less; of the variables it may leave some out. There is no quoting: an argument
//! with a blank can only be matched by `*`.

use std::fmt;

/// What a grant calls a file of the update.
const BLOB: &str = "{blob}";
/// Marks that standard input may be given.
const INPUT: &str = "<";
/// Behind the last pattern: one or more of it.
const REPEATED: &str = "...";
/// Variables the host sets itself, or that change which code a program loads.
const FIXED_VARIABLES: [&str; 5] = ["PATH", "LC_ALL", "IFS", "ENV", "BASH_ENV"];
/// Beginnings of names of variables that are the dynamic linker's.
const LINKER_VARIABLES: &str = "LD_";

/// A program that may be run, with the shapes of its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunGrant {
    environment: Vec<(String, String)>,
    program: String,
    arguments: Vec<Pattern>,
    last_repeated: bool,
    input: bool,
}

/// The shape of one argument.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    /// A file of the update.
    Blob,
    /// A text; `*` is any characters but `/`.
    Word(String),
}

/// A line that is no grant of a program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at character {position}: {problem}")]
pub struct RunGrantError {
    /// Where, counted from 1.
    pub position: usize,
    /// What is wrong there.
    pub problem: String,
}

/// A command, as grants see it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call<'a> {
    pub(crate) environment: &'a [(String, String)],
    pub(crate) program: &'a str,
    /// The arguments; a blob is none.
    pub(crate) arguments: &'a [Option<&'a str>],
    /// Whether it is given standard input.
    pub(crate) input: bool,
}

impl RunGrant {
    /// Reads a grant.
    ///
    /// # Errors
    /// Where the line is no grant, and why.
    pub fn parse(line: &str) -> Result<Self, RunGrantError> {
        if let Some((at, bad)) = line.char_indices().find(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' ')) {
            return Err(error(line, at, format!("`{}` has no place in a grant", bad.escape_default())));
        }
        let mut words = words(line).peekable();
        let mut environment: Vec<(String, String)> = Vec::new();
        while let Some((at, word)) = words.next_if(|(_, word)| !word.starts_with('/') && word.contains('=')) {
            let (name, value) = variable(word).map_err(|problem| error(line, at, problem))?;
            if environment.iter().any(|(known, _)| *known == name) {
                return Err(error(line, at, format!("{name} is there twice")));
            }
            environment.push((name, value));
        }
        let (at, program) = words
            .next()
            .ok_or_else(|| error(line, line.len(), "the program is missing: its absolute path".to_owned()))?;
        check_program(program).map_err(|problem| error(line, at, problem))?;
        let mut grant = Self {
            environment,
            program: program.to_owned(),
            arguments: Vec::new(),
            last_repeated: false,
            input: false,
        };
        for (at, word) in words {
            grant.push(word).map_err(|problem| error(line, at, problem))?;
        }
        Ok(grant)
    }

    fn push(&mut self, word: &str) -> Result<(), String> {
        if self.input {
            return Err(format!("`{INPUT}` has to be the last word"));
        }
        if word == INPUT {
            self.input = true;
            return Ok(());
        }
        if self.last_repeated {
            return Err(format!("`{REPEATED}` has to stand behind the last pattern"));
        }
        let pattern = match word.strip_suffix(REPEATED) {
            Some("") => return Err(format!("`{REPEATED}` has to stand right behind a pattern")),
            Some(pattern) => {
                self.last_repeated = true;
                pattern
            }
            None => word,
        };
        self.arguments.push(Pattern::parse(pattern)?);
        Ok(())
    }

    /// The program's path.
    #[must_use]
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Whether it covers this command, as a whole.
    pub(crate) fn covers(&self, call: &Call<'_>) -> bool {
        self.program == call.program
            && (self.input || !call.input)
            && call.environment.iter().all(|variable| self.environment.contains(variable))
            && self.covers_arguments(call.arguments)
    }

    fn covers_arguments(&self, arguments: &[Option<&str>]) -> bool {
        let Some((last, first)) = self.arguments.split_last().filter(|_| self.last_repeated) else {
            return matches_each(&self.arguments, arguments);
        };
        match arguments.split_at_checked(first.len()) {
            Some((head, tail)) => {
                !tail.is_empty() && matches_each(first, head) && tail.iter().all(|argument| last.matches(*argument))
            }
            None => false,
        }
    }
}

impl Pattern {
    fn parse(word: &str) -> Result<Self, String> {
        if word == BLOB {
            return Ok(Self::Blob);
        }
        if word.contains(['{', '}']) {
            return Err(format!("`{word}` is no pattern: braces are for `{BLOB}`, a word of its own"));
        }
        if word.contains("**") {
            return Err(format!("`{word}` is no pattern: a `*` is any characters but `/`, and there is no `**`"));
        }
        Ok(Self::Word(word.to_owned()))
    }

    fn matches(&self, argument: Option<&str>) -> bool {
        match (self, argument) {
            (Self::Blob, None) => true,
            (Self::Word(pattern), Some(text)) if pattern.contains('*') => {
                let may_be_option = pattern.starts_with('-');
                !text.contains(char::is_control)
                    && (may_be_option || !text.starts_with('-'))
                    && matches_parts(pattern, text)
            }
            (Self::Word(word), Some(text)) => word == text,
            (Self::Blob, Some(_)) | (Self::Word(_), None) => false,
        }
    }
}

fn matches_each(patterns: &[Pattern], arguments: &[Option<&str>]) -> bool {
    patterns.len() == arguments.len() && patterns.iter().zip(arguments).all(|(pattern, text)| pattern.matches(*text))
}

/// Whether a `*` may stand for this path part, or for some of it: it has to be a name in its folder.
fn is_name(part: &str) -> bool {
    // Also the `..` of `--root=..`: what leads up is no name. An option's letter is no part of a name either: `-C..`.
    let leads_up = part.strip_suffix("..").is_some_and(|before| {
        !before.ends_with('.') && (part.starts_with('-') || !before.ends_with(char::is_alphanumeric))
    });
    !part.is_empty() && part != "." && !leads_up
}

/// As no `*` crosses a `/`, the parts between them are compared one by one.
fn matches_parts(pattern: &str, text: &str) -> bool {
    let (mut patterns, mut texts) = (pattern.split('/'), text.split('/'));
    loop {
        match (patterns.next(), texts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(text)) if matches_part(pattern, text) && (!pattern.contains('*') || is_name(text)) => {
            }
            _ => return false,
        }
    }
}

/// Whether the text is the pattern with something for each `*`.
pub(crate) fn matches_part(pattern: &str, text: &str) -> bool {
    let Some((first, pattern)) = pattern.split_once('*') else { return pattern == text };
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let (middle, last) = pattern.rsplit_once('*').map_or((None, pattern), |(middle, last)| (Some(middle), last));
    // The leftmost place of each piece leaves the most to the pieces behind it.
    for piece in middle.into_iter().flat_map(|middle| middle.split('*')) {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// The words of a line, with the bytes at which they begin.
fn words(line: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    line.split(' ').filter_map(move |word| {
        let begin = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some((begin, word))
    })
}

fn variable(word: &str) -> Result<(String, String), String> {
    let (name, value) = word.split_once('=').unwrap_or((word, ""));
    let plain = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(plain) {
        return Err(format!(
            "`{word}` is neither a variable (NAME=VALUE, in capital letters, digits and `_`) nor a program's absolute path"
        ));
    }
    if FIXED_VARIABLES.contains(&name) || name.starts_with(LINKER_VARIABLES) {
        return Err(format!("{name} cannot be granted: it decides which code the program runs"));
    }
    Ok((name.to_owned(), value.to_owned()))
}

fn check_program(program: &str) -> Result<(), String> {
    if program.contains(['*', '?', '{', '}', '<']) {
        return Err(format!("`{program}` is no program: it has to be named by its path, without patterns"));
    }
    match super::normalize(program) {
        Ok(normalized) if normalized == program && program != "/" => Ok(()),
        Ok(_) => Err(format!("`{program}` is no program's path")),
        Err(problem) => Err(problem),
    }
}

fn error(line: &str, at: usize, problem: String) -> RunGrantError {
    RunGrantError { position: line[..at].chars().count() + 1, problem }
}

/// The command as the grant that covers it and next to nothing else, as far as there is one: what has no place in a grant is
/// a `*`.
impl fmt::Display for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.environment {
            write!(f, "{}={} ", escaped(name), escaped(value))?;
        }
        f.write_str(self.program)?;
        let trailing_blobs = self.arguments.iter().rev().take_while(|argument| argument.is_none()).count();
        for argument in &self.arguments[..self.arguments.len() - trailing_blobs] {
            match argument {
                None => write!(f, " {BLOB}")?,
                Some(text) => write!(f, " {}", pattern_of(text))?,
            }
        }
        if trailing_blobs > 0 {
            write!(f, " {BLOB}{REPEATED}")?;
        }
        if self.input { write!(f, " {INPUT}") } else { Ok(()) }
    }
}

/// The argument with a `*` for each run of characters that have no place in a pattern.
fn pattern_of(text: &str) -> String {
    let (text, end) = match text.strip_suffix(REPEATED) {
        _ if text.is_empty() || text == INPUT => ("", "*"),
        Some(begin) => (begin, "*"),
        None => (text, ""),
    };
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars().chain(end.chars()) {
        let has_no_place = character.is_control() || character.is_whitespace() || matches!(character, '*' | '{' | '}');
        match has_no_place {
            true if pattern.ends_with('*') => {}
            true => pattern.push('*'),
            false => pattern.push(character),
        }
    }
    pattern
}

/// A variable's name or value as one word: what could end it and begin another is escaped, and is granted by no line.
fn escaped(text: &str) -> String {
    let mut word = String::with_capacity(text.len());
    for character in text.chars() {
        match character.is_control() || character.is_whitespace() {
            true => word.extend(character.escape_unicode()),
            false => word.push(character),
        }
    }
    word
}

#[cfg(test)]
mod tests;

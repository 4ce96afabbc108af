//! Path patterns (TUF 1.0.34, section 4.5): those of a shell, part by part, so that no wildcard fits a `/`.

use alloc::vec::Vec;

/// Whether a pattern fits the whole of a path. `*` fits any characters, `?` one, `[a-c]` one of those, `[!a-c]` one other.
pub(crate) fn fits(pattern: &str, path: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.split('/'), path.split('/'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if part_fits(pattern, part) => {}
            _ => return false,
        }
    }
}

/// Both without a `/`. Takes at most as many steps as the two have characters, multiplied.
fn part_fits(pattern: &str, part: &str) -> bool {
    let (pattern, part): (Vec<char>, Vec<char>) = (pattern.chars().collect(), part.chars().collect());
    let (mut at, mut read) = (0, 0);
    // Where the last star ends, and where what comes after it was tried last.
    let mut star: Option<(usize, usize)> = None;
    loop {
        if pattern.get(at) == Some(&'*') {
            at += 1;
            star = Some((at, read));
            continue;
        }
        let step = match part.get(read) {
            Some(&character) => one_fits(&pattern[at..], character),
            None if at == pattern.len() => return true,
            None => return false,
        };
        match (step, star) {
            (Some(taken), _) => (at, read) = (at + taken, read + 1),
            (None, Some((after, tried))) => {
                (at, read) = (after, tried + 1);
                star = Some((after, tried + 1));
            }
            (None, None) => return false,
        }
    }
}

/// How much of the pattern's beginning fits this character, if it does.
fn one_fits(pattern: &[char], character: char) -> Option<usize> {
    match *pattern.first()? {
        '?' => Some(1),
        '[' => match class_end(pattern) {
            Some(end) => class_has(&pattern[1..end], character).then_some(end + 1),
            None => (character == '[').then_some(1),
        },
        literal => (character == literal).then_some(1),
    }
}

/// Where the class that begins here ends. Right at its beginning, a `]` is one of its characters.
fn class_end(pattern: &[char]) -> Option<usize> {
    let first = if pattern.get(1) == Some(&'!') { 2 } else { 1 };
    (first + 1..pattern.len()).find(|&position| pattern[position] == ']')
}

fn class_has(class: &[char], character: char) -> bool {
    let (negated, mut class) = match class {
        ['!', rest @ ..] => (true, rest),
        _ => (false, class),
    };
    let mut found = false;
    while let [first, rest @ ..] = class {
        class = match rest {
            ['-', last, rest @ ..] => {
                found |= (*first..=*last).contains(&character);
                rest
            }
            _ => {
                found |= *first == character;
                rest
            }
        };
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_a_shell_says() {
        for (pattern, path) in [
            ("", ""),
            ("a", "a"),
            ("*", ""),
            ("*", "abc"),
            ("**", "abc"),
            ("a*c", "abc"),
            ("a*c", "abcbc"),
            ("*.tgz", "foo.tgz"),
            ("*.tgz", ".tgz"),
            ("*a*b", "xaxbxb"),
            ("?", "ä"),
            ("foo-?.tgz", "foo-1.tgz"),
            ("releases/*/*", "releases/x/y"),
            ("*/*", "a/"),
            ("[abc]x", "bx"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[]]", "]"),
            ("[!]]", "a"),
            ("[a-]", "-"),
            ("[-a]", "-"),
            ("[[]", "["),
            ("[", "["),
            ("[a", "[a"),
            ("a[]b", "a[]b"),
            ("\\*", "\\x"),
            ("*[0-9]", "plugin-7"),
            ("[a-cx-z]", "y"),
        ] {
            assert!(fits(pattern, path), "{pattern:?} should fit {path:?}");
        }
    }

    #[test]
    fn patterns_do_not_fit_more_than_that() {
        for (pattern, path) in [
            ("", "a"),
            ("a", ""),
            ("a", "A"),
            ("*", "a/b"),
            ("?", "/"),
            ("a?b", "a/b"),
            ("[!a]", "/"),
            ("a[/]b", "a/b"),
            ("releases/*", "releases/x/y"),
            ("releases/*/*", "releases/x"),
            ("**", "a/b"),
            ("**/b", "a/a/b"),
            ("*.tgz", "a/foo.tgz"),
            ("/a", "a"),
            ("a", "a/"),
            ("a/b", "a//b"),
            ("[abc]", "d"),
            ("[!abc]", "a"),
            ("[c-a]", "b"),
            ("[a]", "[a]"),
            ("[]", "a"),
            ("foo-?.tgz", "foo-alpha.tgz"),
            ("foo-?.tgz", "foo-.tgz"),
            ("*a", "ab"),
        ] {
            assert!(!fits(pattern, path), "{pattern:?} should not fit {path:?}");
        }
    }

    #[test]
    fn many_stars_take_no_longer_than_their_number() {
        let (pattern, path) = ("*a".repeat(2_000), "a".repeat(1_999));
        assert!(!fits(&pattern, &path));
    }
}

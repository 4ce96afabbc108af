//! Globs over paths, as grants are written.

/// Whether a text matches a pattern: `?` is one character and `*` any number of them, but no `/`; `**` is anything.
/// Nothing else means anything but itself. Ask for `/opt/*/VERSION`, match it so.
///
/// ```
/// use farrier_plugin_sdk::glob;
///
/// assert!(glob::is_match("/opt/*/VERSION", "/opt/editor/VERSION"));
/// assert!(!glob::is_match("/opt/*", "/opt/editor/VERSION"));
/// assert!(glob::is_match("/opt/**", "/opt/editor/VERSION"));
/// ```
#[must_use]
pub fn is_match(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on when it does not match: at the last star of each kind, with one byte more of the text.
    let (mut star, mut stars) = (None, None);
    loop {
        let rest = &pattern[p..];
        if rest.starts_with(b"**") {
            p += 2;
            (stars, star) = (Some((p, t)), None);
            continue;
        }
        match (rest.first(), text.get(t)) {
            (Some(b'*'), _) => {
                p += 1;
                star = Some((p, t));
                continue;
            }
            (None, None) => return true,
            (Some(b'?'), Some(byte)) if *byte != b'/' => {
                // A character, however many bytes it has.
                t += 1 + text[t + 1..].iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
                p += 1;
                continue;
            }
            (Some(wanted), Some(byte)) if wanted == byte => {
                (p, t) = (p + 1, t + 1);
                continue;
            }
            _ => {}
        }
        if let Some((after, from)) = star
            && text.get(from).is_some_and(|byte| *byte != b'/')
        {
            star = Some((after, from + 1));
            (p, t) = (after, from + 1);
        } else if let Some((after, from)) = stars
            && from < text.len()
        {
            (stars, star) = (Some((after, from + 1)), None);
            (p, t) = (after, from + 1);
        } else {
            return false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_match;

    #[test]
    fn stars_cross_folders_only_in_pairs() {
        for (pattern, text, expected) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "abc", true),
            ("*", "a/c", false),
            ("**", "a/c", true),
            ("/etc/hosts", "/etc/hosts", true),
            ("/etc/hosts", "/etc/hosts2", false),
            ("/opt/*/VERSION", "/opt/a/VERSION", true),
            ("/opt/*/VERSION", "/opt/a/b/VERSION", false),
            ("/opt/**/VERSION", "/opt/a/b/VERSION", true),
            ("/opt/**", "/opt/a/b", true),
            ("/opt/**", "/opt", false),
            ("*.conf", "a.conf.d", false),
            ("*.conf", "a.conf.conf", true),
            ("a*b*c", "a1b2b3c", true),
            ("a*b*c", "a1b/b3c", false),
            ("**/b*c", "x/b1/b2/b3c", true),
            ("**/*.conf", "etc/a/b.conf", true),
            ("?", "\u{e4}", true),
            ("??", "\u{e4}", false),
            ("?", "/", false),
            ("*\u{e4}", "o\u{e4}", true),
        ] {
            assert_eq!(is_match(pattern, text), expected, "{pattern} {text}");
        }
    }
}

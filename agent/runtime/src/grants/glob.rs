//! Globs over paths, as grants are written.
//!
//! A path is followed through all places of a glob at once: that takes at most the length of the one times that of the other,
//! whatever stands in either, and nothing is kept from one path to the next.

/// What makes a glob more than a path.
const WILD: [char; 6] = ['*', '?', '[', '{', '}', '\\'];

/// A glob over absolute paths.
///
/// `?` is a character of a name and `*` any number of them. `[a-z]` is one of these characters, `[!a-z]` another one. None of
/// them is ever a `/`. `**` in the place of a name is any number of names, and at the end one or more. `{a,b}` is `a`
/// or `b`. A `\` makes the character behind it an ordinary one.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    /// How every path begins that it covers.
    beginning: String,
    /// How it goes on; not at all, if the glob is a path.
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    /// This character.
    One(char),
    /// A character of a name.
    OfName,
    /// Any number of characters of a name.
    ManyOfName,
    /// Any number of characters.
    Many,
    /// A character of a name that is in one of these ranges, or in none of them.
    Class { ranges: Vec<(char, char)>, is_negated: bool },
    /// No character: it goes on at both of these.
    Fork(usize, usize),
}

impl Glob {
    /// The glob that this is, or what is wrong with it.
    pub(crate) fn parse(glob: &str) -> Result<Self, String> {
        if !glob.starts_with('/') || glob.split('/').any(|part| part == ".." || part == ".") {
            return Err(format!("`{}` is not an absolute path without `.` and `..`", glob.escape_default()));
        }
        Self::of(glob).map_err(|problem| format!("`{}` is no glob: {problem}", glob.escape_default()))
    }

    /// The folders that this glob covers with everything in them, however deep, if it is such a glob.
    pub(crate) fn folders_of(glob: &str) -> Option<Self> {
        Self::of(glob.strip_suffix("/**")?).ok()
    }

    fn of(glob: &str) -> Result<Self, &'static str> {
        let begin = glob.find(WILD).unwrap_or(glob.len());
        Ok(Self { beginning: glob[..begin].to_owned(), steps: steps(glob, begin)? })
    }

    /// Whether it covers this path.
    pub(crate) fn is_match(&self, path: &str) -> bool {
        self.follow(path, false)
    }

    /// Whether it covers this path or a folder above it.
    pub(crate) fn is_match_or_above(&self, path: &str) -> bool {
        self.follow(path, true)
    }

    /// Whether it could cover a path that begins so. It may say yes where it covers none.
    pub(crate) fn may_begin_with(&self, beginning: &str) -> bool {
        let goes_on = !self.steps.is_empty();
        self.beginning.starts_with(beginning) || (goes_on && beginning.starts_with(&self.beginning))
    }

    fn follow(&self, path: &str, or_above: bool) -> bool {
        let Some(rest) = path.strip_prefix(&self.beginning) else { return false };
        let (mut places, mut next) = (Places::default(), Places::default());
        places.add(0);
        places.settle(&self.steps);
        for character in rest.chars() {
            if or_above && character == '/' && places.contains(self.steps.len()) {
                return true;
            }
            next.clear();
            for place in &places.found {
                match self.steps.get(*place) {
                    Some(step) if step.takes(character) => next.add(if step.repeats() { *place } else { place + 1 }),
                    _ => {}
                }
            }
            if next.found.is_empty() {
                return false;
            }
            next.settle(&self.steps);
            std::mem::swap(&mut places, &mut next);
        }
        places.contains(self.steps.len())
    }
}

impl Step {
    fn takes(&self, character: char) -> bool {
        match self {
            Self::One(wanted) => character == *wanted,
            Self::OfName | Self::ManyOfName => character != '/',
            Self::Many => true,
            Self::Class { ranges, is_negated } => {
                let is_in = ranges.iter().any(|(low, high)| (low..=high).contains(&&character));
                character != '/' && is_in != *is_negated
            }
            Self::Fork(..) => false,
        }
    }

    fn repeats(&self) -> bool {
        matches!(self, Self::ManyOfName | Self::Many)
    }
}

/// Places in a glob, each once.
#[derive(Default)]
struct Places {
    found: Vec<usize>,
    is_found: Vec<bool>,
}

impl Places {
    fn add(&mut self, place: usize) {
        if self.is_found.len() <= place {
            self.is_found.resize(place + 1, false);
        }
        if !std::mem::replace(&mut self.is_found[place], true) {
            self.found.push(place);
        }
    }

    fn contains(&self, place: usize) -> bool {
        self.is_found.get(place) == Some(&true)
    }

    fn clear(&mut self) {
        self.found.drain(..).for_each(|place| self.is_found[place] = false);
    }

    /// Adds the places that are reached without a character.
    fn settle(&mut self, steps: &[Step]) {
        let mut at = 0;
        while let Some(place) = self.found.get(at).copied() {
            match steps.get(place) {
                Some(Step::Fork(here, there)) => [*here, *there].into_iter().for_each(|place| self.add(place)),
                Some(step) if step.repeats() => self.add(place + 1),
                _ => {}
            }
            at += 1;
        }
    }
}

/// A `{` whose `}` is still to come.
struct Alternatives {
    /// The fork in front of the alternative that is being read.
    fork: usize,
    /// The ends of those before it.
    ends: Vec<usize>,
}

/// The steps of a glob from this byte on.
fn steps(glob: &str, begin: usize) -> Result<Vec<Step>, &'static str> {
    let (mut steps, mut open, mut at) = (Vec::new(), Vec::<Alternatives>::new(), begin);
    while let Some(character) = glob[at..].chars().next() {
        let is_beginning = glob[..at].ends_with('/');
        at += character.len_utf8();
        let (rest, place) = (&glob[at..], steps.len());
        match (character, open.last_mut()) {
            ('?', _) => steps.push(Step::OfName),
            ('*', alternatives) => {
                let is_end = |rest: &str| rest.is_empty() || (alternatives.is_some() && rest.starts_with([',', '}']));
                match rest.strip_prefix('*').filter(|_| is_beginning) {
                    Some(rest) if rest.starts_with('/') => {
                        steps.extend([Step::Fork(place + 1, place + 3), Step::Many, Step::One('/')]);
                        at += 2;
                    }
                    Some(rest) if is_end(rest) => {
                        steps.push(Step::Many);
                        at += 1;
                    }
                    _ => steps.push(Step::ManyOfName),
                }
            }
            ('[', _) => {
                let (class, bytes) = class(rest)?;
                steps.push(class);
                at += bytes;
            }
            ('\\', _) => {
                let character = rest.chars().next().ok_or("a `\\` with nothing behind it")?;
                steps.push(Step::One(character));
                at += character.len_utf8();
            }
            ('{', _) => {
                open.push(Alternatives { fork: place, ends: Vec::new() });
                steps.push(Step::Fork(place + 1, place + 1));
            }
            (',', Some(alternatives)) => {
                // Where it ends is known at the `}`.
                steps.extend([Step::Fork(0, 0), Step::Fork(place + 2, place + 2)]);
                alternatives.ends.push(place);
                let fork = std::mem::replace(&mut alternatives.fork, place + 1);
                steps[fork] = Step::Fork(fork + 1, place + 1);
            }
            ('}', Some(alternatives)) => {
                alternatives.ends.iter().for_each(|end| steps[*end] = Step::Fork(place, place));
                open.pop();
            }
            ('}', None) => return Err("a `}` without its `{`"),
            (character, _) => steps.push(Step::One(character)),
        }
    }
    if open.is_empty() { Ok(steps) } else { Err("a `{` without its `}`") }
}

/// The class behind a `[`, and how many bytes it has.
fn class(rest: &str) -> Result<(Step, usize), &'static str> {
    let inside = rest.strip_prefix(['!', '^']).unwrap_or(rest);
    let is_negated = inside.len() < rest.len();
    // A `]` that comes first is one of the characters.
    let first = inside.chars().next().map_or(0, char::len_utf8);
    let end = first + inside[first..].find(']').ok_or("a `[` without its `]`")?;
    let (characters, mut ranges) = (inside[..end].chars().collect::<Vec<_>>(), Vec::new());
    let mut left = characters.as_slice();
    while let [low, behind @ ..] = left {
        let high;
        (high, left) = match behind {
            ['-', high, behind @ ..] => (high, behind),
            _ => (low, behind),
        };
        if high < low {
            return Err("a range that ends before it begins");
        }
        ranges.push((*low, *high));
    }
    Ok((Step::Class { ranges, is_negated }, rest.len() - inside.len() + end + 1))
}

/// The glob that covers this path and no other.
pub(crate) fn escaped(path: &str) -> String {
    let mut glob = String::with_capacity(path.len());
    for character in path.chars() {
        if WILD.contains(&character) {
            glob.extend(['[', character, ']']);
        } else {
            glob.push(character);
        }
    }
    glob
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(glob: &str, path: &str) -> bool {
        Glob::parse(glob).unwrap().is_match(path)
    }

    #[test]
    fn a_glob_covers_what_it_says() {
        for (glob, covered, others) in [
            ("/etc/hosts", &["/etc/hosts"][..], &["/etc/hosts2", "/etc", "/etc/hosts/x"][..]),
            ("/opt/*/VERSION", &["/opt/a/VERSION"], &["/opt/VERSION", "/opt/a/b/VERSION"]),
            ("/opt/a*b*c", &["/opt/abc", "/opt/a1b2b3c"], &["/opt/ab/c", "/opt/abcd"]),
            ("/opt/**", &["/opt/a", "/opt/a/b"], &["/opt", "/optician"]),
            ("/**", &["/", "/a", "/a/b"], &[]),
            ("/opt/**/VERSION", &["/opt/VERSION", "/opt/a/b/VERSION"], &["/VERSION", "/opt/aVERSION"]),
            ("/**/**/a", &["/a", "/b/a"], &["/ba"]),
            ("/opt/**a", &["/opt/a", "/opt/ba"], &["/opt/b/a"]),
            ("/opt/a**", &["/opt/a", "/opt/ab"], &["/opt/a/b"]),
            ("/opt/?", &["/opt/a", "/opt/ä"], &["/opt/", "/opt/ab", "/opt"]),
            ("/dev/sd[a-z][0-9]*", &["/dev/sda1", "/dev/sdz15"], &["/dev/sda", "/dev/sd11"]),
            ("/in/[]a-]", &["/in/]", "/in/a", "/in/-"], &["/in/b"]),
            ("/in/[!ab]", &["/in/c", "/in/!"], &["/in/a", "/in/cc"]),
            (
                "/sysctl.{conf,d,d/*.conf}",
                &["/sysctl.conf", "/sysctl.d", "/sysctl.d/a.conf"],
                &["/sysctl.", "/sysctl.d/a"],
            ),
            ("/a{,.txt}", &["/a", "/a.txt"], &["/a.", "/a,"]),
            ("/a{b{c,d},{e/**,f}}g,", &["/abcg,", "/afg,"], &["/abg,", "/aeg,", "/abc"]),
            ("/in/{a,b/**}", &["/in/a", "/in/b/c/d"], &["/in/b", "/in/a/c"]),
            (r"/in/\*\[", &["/in/*["], &["/in/a["]),
        ] {
            covered.iter().for_each(|path| assert!(is_match(glob, path), "{glob} {path}"));
            others.iter().for_each(|path| assert!(!is_match(glob, path), "{glob} {path}"));
        }
    }

    #[test]
    fn no_class_and_no_range_is_ever_a_separator() {
        for glob in
            ["/srv/app[!0-9]conf", "/srv/app[^a]conf", "/srv/app[--9]conf", "/srv/app[/]conf", "/srv/app[!-~]conf"]
        {
            assert!(!is_match(glob, "/srv/app/conf"), "{glob}");
        }
        assert!(is_match("/srv/app[--9]conf", "/srv/app.conf"));
    }

    #[test]
    fn what_is_no_glob_is_told_why() {
        for (glob, problem) in [
            ("/in/[a", "a `[` without its `]`"),
            ("/in/[]", "a `[` without its `]`"),
            ("/in/[z-a]", "a range that ends before it begins"),
            ("/in/{a", "a `{` without its `}`"),
            ("/in/a}", "a `}` without its `{`"),
            ("/in/\\", "a `\\` with nothing behind it"),
        ] {
            assert!(Glob::parse(glob).unwrap_err().ends_with(&format!("is no glob: {problem}")), "{glob}");
        }
        for path in ["", "in", "/in/../out", "/./in"] {
            assert!(Glob::parse(path).unwrap_err().contains("not an absolute path"), "{path}");
        }
    }

    #[test]
    fn an_escaped_path_is_covered_and_nothing_beside_it() {
        for path in ["/usr/bin/[", "/a/*", "/a/?b", "/{a,b}", "/a\\b", "/a,b", "/]", "/!", "/a-b"] {
            let glob = Glob::parse(&escaped(path)).unwrap();
            assert!(glob.is_match(path), "{path}");
            assert!(!glob.is_match("/a/b") && !glob.is_match("/a") && !glob.is_match("/ab"), "{path}");
        }
    }
}

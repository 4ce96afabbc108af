//! The language in which packages say what they need: `libc6 (>= 2.36) | libc6:any, libssl3 (= 3.0.17-1)`.

use core::cmp::Ordering;
use farrier_dpkg_rules::compare;

/// One package of a clause, perhaps of certain versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Relation<'a> {
    pub name: &'a str,
    /// `any`, `native` or an architecture.
    pub qualifier: Option<&'a str>,
    pub bound: Option<Bound<'a>>,
}

/// Which versions are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound<'a> {
    operator: Operator,
    version: &'a str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

/// The clauses of a field, each of which has to hold.
pub fn clauses(field: &str) -> impl Iterator<Item = &str> {
    field.split(',').map(str::trim).filter(|clause| !clause.is_empty())
}

/// The packages of a clause, of which one is enough. One that cannot be read is `None`.
pub fn alternatives(clause: &str) -> impl Iterator<Item = Option<Relation<'_>>> {
    clause.split('|').map(|text| Relation::parse(text.trim()))
}

/// The first clause of a field that cannot be read.
pub fn unreadable(field: &str) -> Option<&str> {
    clauses(field).find(|clause| alternatives(clause).any(|relation| relation.is_none()))
}

impl<'a> Relation<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (package, bound) = match text.split_once('(') {
            Some((package, rest)) => (package.trim_end(), Some(Bound::parse(rest.strip_suffix(')')?.trim())?)),
            None => (text, None),
        };
        let (name, qualifier) = match package.split_once(':') {
            Some((name, qualifier)) => (name, Some(qualifier)),
            None => (package, None),
        };
        let is_word = |word: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            !word.is_empty() && word.bytes().all(allowed)
        };
        (is_word(name) && qualifier.is_none_or(is_word)).then_some(Self { name, qualifier, bound })
    }

    /// Whether this version is meant. What has none is meant only where any version is.
    pub fn allows(&self, version: Option<&str>) -> bool {
        match (self.bound, version) {
            (None, _) => true,
            (Some(bound), Some(version)) => bound.holds(version),
            (Some(_), None) => false,
        }
    }
}

impl<'a> Bound<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let length = text.bytes().take_while(|byte| b"<=>".contains(byte)).count();
        let (operator, version) = text.split_at(length);
        let operator = match operator {
            "<<" => Operator::Earlier,
            // What `<` and `>` meant before there were two of them.
            "<=" | "<" => Operator::EarlierOrEqual,
            "=" => Operator::Equal,
            ">=" | ">" => Operator::LaterOrEqual,
            ">>" => Operator::Later,
            _ => return None,
        };
        let version = version.trim_start();
        (!version.is_empty() && !version.contains(char::is_whitespace)).then_some(Self { operator, version })
    }

    fn holds(self, version: &str) -> bool {
        let order = compare(version.as_bytes(), self.version.as_bytes());
        match self.operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        }
    }

    /// The exact version that is meant, of a package that provides it.
    pub fn exact(self) -> Option<&'a str> {
        (self.operator == Operator::Equal).then_some(self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::{Relation, alternatives, clauses, unreadable};
    use alloc::vec::Vec;

    fn allows(text: &str, version: &str) -> bool {
        Relation::parse(text).unwrap().allows(Some(version))
    }

    #[test]
    fn every_operator_means_what_policy_says() {
        for (operator, earlier, equal, later) in [
            ("<<", true, false, false),
            ("<=", true, true, false),
            ("<", true, true, false),
            ("=", false, true, false),
            (">=", false, true, true),
            (">", false, true, true),
            (">>", false, false, true),
        ] {
            let text = alloc::format!("foo ({operator} 1:2.0-1)");
            let answers = ["1:2.0~rc1-1", "1:2.0-1", "1:2.0-1+b1"].map(|version| allows(&text, version));
            assert_eq!(answers, [earlier, equal, later], "{operator}");
        }
    }

    #[test]
    fn a_clause_is_read_however_it_is_spaced() {
        for text in ["g++ (>= 4:12)", "g++(>=4:12)", "g++   ( >= 4:12 )"] {
            let relation = Relation::parse(text).unwrap();
            assert_eq!((relation.name, relation.qualifier), ("g++", None), "{text}");
            assert!(relation.allows(Some("4:12")) && !relation.allows(Some("4:11")) && !relation.allows(None));
        }
        assert_eq!(Relation::parse("python3:any (>= 3.11)").unwrap().qualifier, Some("any"));
        assert!(Relation::parse("mail-transport-agent").unwrap().allows(None));
        let field = "libc6 (>= 2.36),\n debconf (>= 0.5) | debconf-2.0, ";
        let names = |clause| alternatives(clause).map(|relation| relation.unwrap().name).collect::<Vec<_>>();
        assert_eq!(clauses(field).map(names).collect::<Vec<_>>(), [["libc6"].as_slice(), &["debconf", "debconf-2.0"]]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for clause in
            ["foo (2.0)", "foo (>= )", "foo (>= 1", "foo (=> 1)", "foo bar", "foo:", ":any", "foo |", "(>= 1)"]
        {
            assert_eq!(unreadable(&alloc::format!("ok, {clause}")), Some(clause.trim()), "{clause}");
        }
        assert_eq!(unreadable(""), None);
    }
}

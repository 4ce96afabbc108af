//! From tokens to an expression, by recursive descent: one function per rule of the grammar.

use super::lexer::{Kind, Token, tokens};
use super::pattern::Pattern;
use super::{Comparison, Condition, Expression, MAX_DEPTH, QueryError, TextFact, TextTest, TimeFact, age, version};
use crate::architecture::kernel_name;

/// A fact by its name.
#[derive(Debug, Clone, Copy)]
enum Fact {
    Text(TextFact),
    Time(TimeFact),
    AgentVersion,
}

const FACTS: [(&str, Fact); 10] = [
    ("hostname", Fact::Text(TextFact::Hostname)),
    ("operating_system", Fact::Text(TextFact::OperatingSystem)),
    ("os", Fact::Text(TextFact::Os)),
    ("release", Fact::Text(TextFact::Release)),
    ("architecture", Fact::Text(TextFact::Architecture)),
    ("tag", Fact::Text(TextFact::Tag)),
    ("time_zone", Fact::Text(TextFact::TimeZone)),
    ("agent_version", Fact::AgentVersion),
    ("last_contact", Fact::Time(TimeFact::LastContact)),
    ("enrolled", Fact::Time(TimeFact::Enrolled)),
];

/// The words that have a meaning of their own: a value that is one of them stands in quotes.
const KEYWORDS: [&str; 8] = ["and", "or", "not", "all", "in", "like", "within", "older"];

const COMPARISONS: [(&str, Comparison, bool); 6] = [
    ("=", Comparison::Equal, false),
    ("!=", Comparison::Equal, true),
    ("<", Comparison::Less, false),
    ("<=", Comparison::LessOrEqual, false),
    (">", Comparison::Greater, false),
    (">=", Comparison::GreaterOrEqual, false),
];

pub(super) fn parse(text: &str) -> Result<Expression, QueryError> {
    let mut parser = Parser { tokens: tokens(text)?, at: 0, depth: 0 };
    if parser.next().kind == Kind::End {
        return Err(parser.next().error("the query is empty: write all for every client, or a condition"));
    }
    let expression = parser.disjunction()?;
    match parser.next() {
        token if token.kind == Kind::End => Ok(expression),
        token if token.is_sign(")") => Err(token.error("this parenthesis was never opened")),
        token => Err(token.error(format!("write and, or, or nothing instead of {}", token.shown()))),
    }
}

struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: usize,
}

impl Parser {
    /// The next token; the last one is the end and stays.
    fn next(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn take(&mut self) -> Token {
        let token = self.next().clone();
        self.at += 1;
        token
    }

    fn take_keyword(&mut self, keyword: &str) -> bool {
        let is_next = self.next().is_keyword(keyword);
        self.at += usize::from(is_next);
        is_next
    }

    fn take_sign(&mut self, sign: &str) -> bool {
        let is_next = self.next().is_sign(sign);
        self.at += usize::from(is_next);
        is_next
    }

    /// `conjunction { "or" conjunction }`
    fn disjunction(&mut self) -> Result<Expression, QueryError> {
        let mut all = vec![self.conjunction()?];
        while self.take_keyword("or") {
            all.push(self.conjunction()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::Or(all) })
    }

    /// `negation { "and" negation }`
    fn conjunction(&mut self) -> Result<Expression, QueryError> {
        let mut all = vec![self.negation()?];
        while self.take_keyword("and") {
            all.push(self.negation()?);
        }
        Ok(if all.len() == 1 { all.remove(0) } else { Expression::And(all) })
    }

    /// `"not" negation | "(" disjunction ")" | "all" | condition`
    fn negation(&mut self) -> Result<Expression, QueryError> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.next().error(format!("this is nested more than {MAX_DEPTH} deep: make it simpler")));
        }
        let expression = if self.take_keyword("not") {
            Expression::Not(Box::new(self.negation()?))
        } else if self.next().is_sign("(") {
            self.group()?
        } else if self.take_keyword("all") {
            Expression::All
        } else {
            self.condition()?
        };
        self.depth -= 1;
        Ok(expression)
    }

    fn group(&mut self) -> Result<Expression, QueryError> {
        let open = self.take();
        let expression = self.disjunction()?;
        if self.take_sign(")") {
            return Ok(expression);
        }
        Err(match self.next() {
            end if end.kind == Kind::End => open.error("this parenthesis is never closed"),
            token => token.error(format!("write and, or or ) instead of {}", token.shown())),
        })
    }

    fn condition(&mut self) -> Result<Expression, QueryError> {
        let token = self.take();
        let (condition, is_negated) = match fact(&token)? {
            Fact::Text(fact) => {
                let (test, is_negated) = self.text_test(fact)?;
                (Condition::Text { fact, test }, is_negated)
            }
            Fact::AgentVersion => self.version_comparison()?,
            Fact::Time(fact) => {
                let (seconds, is_older) = self.age()?;
                (Condition::Within { fact, seconds }, is_older)
            }
        };
        let condition = Expression::Condition(condition);
        Ok(if is_negated { Expression::Not(Box::new(condition)) } else { condition })
    }

    /// `= value | != value | [ "not" ] "like" pattern | [ "not" ] "in" values`, and whether it is meant the other way
    /// round.
    fn text_test(&mut self, fact: TextFact) -> Result<(TextTest, bool), QueryError> {
        let operator = self.take();
        match operator.kind {
            Kind::Sign("=") => return Ok((TextTest::IsOneOf(vec![self.value(fact)?]), false)),
            Kind::Sign("!=") => return Ok((TextTest::IsOneOf(vec![self.value(fact)?]), true)),
            _ => {}
        }
        let is_negated = operator.is_keyword("not");
        let operator = if is_negated { self.take() } else { operator };
        if operator.is_keyword("like") {
            let (token, pattern) = self.text()?;
            let pattern = Pattern::of(&pattern).map_err(|message| token.error(message))?;
            return Ok((TextTest::IsLike(pattern), is_negated));
        }
        if operator.is_keyword("in") {
            return Ok((TextTest::IsOneOf(self.values(fact)?), is_negated));
        }
        let expected = if is_negated { "in or like" } else { "=, !=, in, not in, like or not like" };
        Err(operator.error(format!("{fact} is text: write {expected} instead of {}", operator.shown())))
    }

    /// `"(" value { "," value } ")"`
    fn values(&mut self, fact: TextFact) -> Result<Vec<String>, QueryError> {
        if !self.take_sign("(") {
            return Err(self.next().error("write values in parentheses: in (web, db)"));
        }
        let mut values = vec![self.value(fact)?];
        while self.take_sign(",") {
            values.push(self.value(fact)?);
        }
        if self.take_sign(")") {
            return Ok(values);
        }
        Err(self.next().error(format!("write , or ) instead of {}", self.next().shown())))
    }

    fn value(&mut self, fact: TextFact) -> Result<String, QueryError> {
        let (token, value) = self.text()?;
        if matches!(token.kind, Kind::Word(_)) && value.contains(['*', '?']) {
            let message = format!("this compares the whole text: write {fact} like {value}, or put it in quotes");
            return Err(token.error(message));
        }
        Ok(if fact == TextFact::Architecture { kernel_name(&value).to_owned() } else { value })
    }

    fn text(&mut self) -> Result<(Token, String), QueryError> {
        let token = self.take();
        match &token.kind {
            Kind::Quoted(text) => Ok((token.clone(), text.clone())),
            Kind::Word(word) if !KEYWORDS.iter().any(|keyword| word.eq_ignore_ascii_case(keyword)) => {
                Ok((token.clone(), word.clone()))
            }
            Kind::Word(word) => Err(token.error(format!("a value is missing: write one, or {word:?} in quotes"))),
            Kind::Sign(_) | Kind::End => Err(token.error(format!("a value is missing before {}", token.shown()))),
        }
    }

    fn version_comparison(&mut self) -> Result<(Condition, bool), QueryError> {
        let operator = self.take();
        let known = COMPARISONS.iter().find(|(sign, ..)| operator.is_sign(sign));
        let Some((_, comparison, is_negated)) = known else {
            let message =
                format!("agent_version is a version: write =, !=, <, <=, > or >= instead of {}", operator.shown());
            return Err(operator.error(message));
        };
        let (token, text) = self.text()?;
        let version = version::parse(&text)
            .ok_or_else(|| token.error(format!("{text:?} is no version: write one like 1.4 or 1.4.2")))?;
        Ok((Condition::AgentVersion { comparison: *comparison, version }, *is_negated))
    }

    /// `"within" age | "older" "than" age`: the seconds, and whether more than these is meant.
    fn age(&mut self) -> Result<(i64, bool), QueryError> {
        let operator = self.take();
        let is_older = operator.is_keyword("older");
        if is_older && !self.take_keyword("than") {
            return Err(self.next().error(format!("write than instead of {}: older than 30d", self.next().shown())));
        }
        if !is_older && !operator.is_keyword("within") {
            let message = format!("this is a time: write within 7d or older than 30d instead of {}", operator.shown());
            return Err(operator.error(message));
        }
        let (token, text) = self.text()?;
        Ok((age::seconds(&text).map_err(|message| token.error(message))?, is_older))
    }
}

fn fact(token: &Token) -> Result<Fact, QueryError> {
    let names = || {
        let (last, others) = FACTS.split_last().map_or(("", &FACTS[..]), |((last, _), others)| (*last, others));
        format!("{} or {last}", others.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "))
    };
    match &token.kind {
        Kind::Word(word) => {
            let known = FACTS.iter().find(|(name, _)| word.eq_ignore_ascii_case(name));
            let found = known.map(|(_, fact)| *fact);
            found.ok_or_else(|| token.error(format!("{word:?} is no fact of a client: write {}", names())))
        }
        Kind::End => Err(token.error(format!("a condition is missing here: it begins with {}", names()))),
        Kind::Quoted(_) | Kind::Sign(_) => {
            Err(token.error(format!("a condition begins with a fact, not with {}: write {}", token.shown(), names())))
        }
    }
}

pub(super) fn name_of(fact: TextFact) -> &'static str {
    let is_it = |(_, other): &&(&str, Fact)| matches!(other, Fact::Text(other) if *other == fact);
    FACTS.iter().find(is_it).map_or("", |(name, _)| name)
}

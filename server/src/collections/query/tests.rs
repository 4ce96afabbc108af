//! What queries mean, and what their errors point at.

use super::*;
use crate::database::Membership;
use farrier_protocol::ClientId;
use std::collections::BTreeSet;

const NOW: i64 = 1_800_000_000;
const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

fn client() -> ClientFacts {
    ClientFacts {
        row: 1,
        id: ClientId([1; 16]),
        hostname: "web-01.example.org".to_owned(),
        operating_system: "Debian GNU/Linux 12 (bookworm)".to_owned(),
        os: "debian".to_owned(),
        release: "bookworm".to_owned(),
        machine: "x86_64".to_owned(),
        agent_version: "0.4.2".to_owned(),
        time_zone: "Europe/Berlin".to_owned(),
        tags: BTreeSet::from(["web".to_owned(), "Canary".to_owned()]),
        enrolled_at: NOW - 30 * DAY,
        last_contact_at: NOW - HOUR,
        static_in: BTreeSet::new(),
        membership: Membership::default(),
    }
}

fn query(text: &str) -> Query {
    text.parse().unwrap_or_else(|error: QueryError| panic!("{error}\n{}", error.pointing_into(text)))
}

fn holds(text: &str) -> bool {
    query(text).holds_for(&client(), NOW)
}

#[test]
fn a_query_asks_for_every_fact() {
    for text in [
        "all",
        "hostname = web-01.example.org",
        "HOSTNAME = Web-01.Example.Org",
        "hostname like web-*",
        "hostname like \"*.example.???\"",
        "hostname like *01*org",
        "operating_system like \"*GNU/Linux 12*\"",
        "os = debian and release in (bullseye, bookworm)",
        "architecture = amd64",
        "architecture = x86_64",
        "architecture not in (arm64, riscv64)",
        "tag = web and tag = canary",
        "tag like can*",
        "tag in (db, web)",
        "time_zone like Europe/*",
        "time_zone = 'Europe/Berlin'",
        "agent_version = 0.4.2",
        "agent_version >= 0.4",
        "agent_version < 0.10",
        "agent_version > 0.4.2-rc.1",
        "agent_version != 0.4.1",
        "last_contact within 1h",
        "last_contact within 2w",
        "not last_contact older than 1d",
        "enrolled older than 4w",
        "enrolled within 30d",
    ] {
        assert!(holds(text), "{text}");
    }
    for text in [
        "not all",
        "hostname = web-01",
        "hostname like web-?",
        "hostname != WEB-01.example.org",
        "tag = db",
        "tag != web",
        "tag not in (db, web)",
        "tag not like w*",
        "architecture != amd64",
        "agent_version > 0.4.2",
        "agent_version <= 0.3",
        "last_contact older than 1h",
        "enrolled within 29d",
    ] {
        assert!(!holds(text), "{text}");
    }
}

#[test]
fn and_binds_stronger_than_or_and_not_stronger_than_both() {
    assert!(holds("os = debian or os = ubuntu and release = noble"));
    assert!(!holds("(os = debian or os = ubuntu) and release = noble"));
    assert!(holds("not os = ubuntu and release = bookworm"));
    assert!(!holds("not (os = debian or release = sid)"));
    assert!(holds("not not tag = web"));
}

#[test]
fn what_is_not_known_is_nothing() {
    let client =
        ClientFacts { agent_version: String::new(), release: String::new(), tags: BTreeSet::new(), ..client() };
    for (text, expected) in [
        ("agent_version < 9", false),
        ("agent_version >= 0", false),
        ("agent_version = 0.4.2", false),
        ("agent_version != 0.4.2", true),
        ("release = bookworm", false),
        ("release = ''", true),
        ("tag like *", false),
        ("tag != web", true),
    ] {
        assert_eq!(query(text).holds_for(&client, NOW), expected, "{text}");
    }
}

#[test]
fn values_in_quotes_may_be_anything() {
    let client = ClientFacts { hostname: r#"a "b" \ c*"#.to_owned(), os: "and".to_owned(), ..client() };
    assert!(query(r#"hostname = "a \"b\" \\ c*""#).holds_for(&client, NOW));
    assert!(query(r#"hostname = 'a "b" \\ c*'"#).holds_for(&client, NOW));
    assert!(query("os = 'and' and os != 'or'").holds_for(&client, NOW));
}

#[test]
fn an_error_points_at_what_is_wrong() {
    for (text, pointed, message) in [
        ("", "^", "the query is empty"),
        ("   ", "   ^", "the query is empty"),
        ("hostnme = web", "^^^^^^^", "\"hostnme\" is no fact of a client: write hostname, operating_system, os"),
        (
            "hostname web",
            "         ^^^",
            "hostname is text: write =, !=, in, not in, like or not like instead of \"web\"",
        ),
        ("hostname =", "          ^", "a value is missing before the end"),
        ("hostname = and", "           ^^^", "a value is missing: write one, or \"and\" in quotes"),
        ("hostname = web*", "           ^^^^", "write hostname like web*"),
        ("hostname not = web", "             ^", "write in or like instead of \"=\""),
        ("tag in web", "       ^^^", "write values in parentheses"),
        ("tag in (web db)", "            ^^", "write , or ) instead of \"db\""),
        ("tag in ()", "        ^", "a value is missing before \")\""),
        ("tag = web tag = db", "          ^^^", "write and, or, or nothing instead of \"tag\""),
        ("tag = web and", "             ^", "a condition is missing here"),
        ("tag = web && tag = db", "          ^", "write and between two conditions"),
        ("(tag = web", "^", "this parenthesis is never closed"),
        ("tag = web)", "         ^", "this parenthesis was never opened"),
        ("(tag = web tag = db)", "           ^^^", "write and, or or ) instead of \"tag\""),
        ("tag = \"web", "      ^^^^", "this text does not end"),
        ("tag = \"we\\b\"", "         ^", "write \\\\ for a backslash"),
        ("tag = wéb ; all", "          ^", "';' has no meaning here"),
        ("agent_version like 1*", "              ^^^^", "agent_version is a version"),
        ("agent_version > new", "                ^^^", "\"new\" is no version"),
        ("agent_version > 1.2.3.4", "                ^^^^^^^", "is no version"),
        ("last_contact < 7d", "             ^", "write within 7d or older than 30d"),
        ("last_contact older 7d", "                   ^^", "write than instead of \"7d\""),
        ("last_contact within 7", "                    ^", "\"7\" is no age"),
        ("last_contact within 90m", "                    ^^^", "is no age: write hours, days or weeks"),
        ("last_contact within 0d", "                    ^^", "an age is one hour or more"),
        ("last_contact within 9999999999999w", "                    ^^^^^^^^^^^^^^", "an age is ten years or less"),
        ("tag like *a*b*c*d*e*f*g*h*i*", "         ^^^^^^^^^^^^^^^^^^^", "8 stars or fewer"),
        ("all\nand tagg = web", "    ^^^^", "\"tagg\" is no fact"),
    ] {
        let error = text.parse::<Query>().expect_err(text);
        let shown = error.pointing_into(text);
        assert_eq!(shown.lines().nth(1).unwrap_or_else(|| shown.lines().last().unwrap()), pointed, "{text}: {error}");
        assert!(error.message.contains(message), "{text}: {error}");
    }
}

#[test]
fn an_error_in_a_long_query_shows_its_line_only() {
    let text = "os = debian\n\tand tagg = web\nand all";
    let error = text.parse::<Query>().unwrap_err();
    assert_eq!(error.pointing_into(text), "\tand tagg = web\n\t    ^^^^");
    assert_eq!(error.to_string(), format!("character 18: {}", error.message));
}

#[test]
fn whatever_is_written_is_answered_without_harm() {
    let nested = format!("{}all{}", "(".repeat(5_00), ")".repeat(500));
    assert!(nested.parse::<Query>().unwrap_err().message.contains("nested"));
    assert!("not ".repeat(900).parse::<Query>().unwrap_err().message.contains("nested"));
    assert!(format!("tag = {}", "x".repeat(MAX_QUERY_BYTES)).parse::<Query>().unwrap_err().message.contains("longer"));
    // Everything that begins like a query, and every piece of one.
    let whole =
        "not (hostname like \"we\\\"b*\" or tag in (a, 'b')) and agent_version >= 1.2 or last_contact older than 3d é";
    for start in whole.char_indices().map(|(index, _)| index) {
        for end in whole.char_indices().map(|(index, _)| index).filter(|end| *end >= start) {
            if let Err(error) = whole[start..end].parse::<Query>() {
                let _ = error.pointing_into(&whole[start..end]);
            }
        }
    }
}

#[test]
fn a_query_says_when_its_answer_may_change() {
    let text = "last_contact within 1d and (enrolled within 40d or last_contact older than 2d)";
    let next = |now| query(text).next_change(&client(), now);
    let contact = client().last_contact_at;
    assert_eq!(next(NOW), Some(contact + DAY + 1));
    assert!(query("last_contact within 1d").holds_for(&client(), contact + DAY));
    assert!(!query("last_contact within 1d").holds_for(&client(), contact + DAY + 1));
    assert_eq!(next(contact + DAY + 1), Some(contact + 2 * DAY + 1));
    assert_eq!(next(contact + 2 * DAY + 1), Some(client().enrolled_at + 40 * DAY + 1));
    assert_eq!(next(client().enrolled_at + 40 * DAY + 1), None);
    assert_eq!(query(text).contact_seconds(), Some(DAY));
    assert_eq!(query("enrolled within 1d or tag = web").contact_seconds(), None);
    assert_eq!(query("tag = web").next_change(&client(), NOW), None);
}

#[test]
fn a_pattern_with_many_stars_is_answered_at_once() {
    let pattern = Pattern::of("*a*a*a*a*a*a*a*b").unwrap();
    assert!(!pattern.matches(&"a".repeat(10_000)));
    assert!(pattern.matches(&format!("{}b", "a".repeat(10_000))));
}

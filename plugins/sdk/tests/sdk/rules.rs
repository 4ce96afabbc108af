//! From the bytes of a policy to the answer of a plugin.

use farrier_plugin_sdk::{
    Applicability, ComplianceState, Error, Facts, FakeRoot, Finding, Json, Postcard, Rule, SharedFacts, rules,
    serde::Deserialize,
};

#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(crate = "farrier_plugin_sdk::serde", deny_unknown_fields)]
struct Wanted<'a> {
    path: &'a str,
    size: u64,
}

/// Keeps the facts and reads what a rule names, when it names it.
struct Sizes(SharedFacts);

impl Applicability for Sizes {
    type Rule<'a> = Json<Wanted<'a>>;

    fn scopes(facts: &dyn Facts) -> Result<Vec<String>, Error> {
        Ok(vec![["sizes", facts.os().require(&["id"])?].join("/")])
    }

    fn open(facts: &SharedFacts) -> Result<Self, Error> {
        Ok(Self(facts.clone()))
    }

    fn evaluate(&self, rule: &Json<Wanted<'_>>) -> Result<ComplianceState, Error> {
        let is_so = self.0.stat(rule.path)?.size == rule.size;
        Ok(if is_so { ComplianceState::Installed } else { ComplianceState::Required })
    }

    fn explain(&self, rule: &Json<Wanted<'_>>) -> Result<Vec<Finding>, Error> {
        let (subject, state) = (rule.path.to_owned(), self.evaluate(rule)?);
        Ok(vec![Finding { subject, state, detail: "by its size".to_owned() }])
    }
}

fn chunk(rules: &[&str]) -> Vec<u8> {
    let length = |rule: &str| u16::try_from(rule.len()).unwrap().to_le_bytes();
    rules.iter().flat_map(|rule| [&length(rule)[..], rule.as_bytes()].concat()).collect()
}

#[test]
fn a_scan_answers_in_order_and_what_it_cannot_read_is_unknown_alone() {
    let root = FakeRoot::new().with_file("/a", "12").with_os("id", "debian").shared();
    assert_eq!(Sizes::scopes(&root).unwrap(), ["sizes/debian"]);
    let scan = Sizes::open(&root).unwrap();
    let rules = [
        r#"{"path":"/a","size":2}"#,
        r#"{"path":"/a","size":3}"#,
        r#"{"path":"/none","size":3}"#,
        r#"{"path":"/a"}"#,
        "",
        r#"{"path":"/a","size":2,"more":0}"#,
        r#"{"path":"/a","size":2}"#,
    ];
    use ComplianceState::{Installed, Required, Unknown};
    let expected = [Installed, Required, Unknown, Unknown, Unknown, Unknown, Installed];
    assert_eq!(scan.evaluate_chunk(&chunk(&rules)).unwrap(), expected);
    let rule = Json::decode(rules[1].as_bytes()).unwrap();
    assert_eq!(scan.explain(&rule).unwrap()[0].state, Required);
}

#[test]
fn a_chunk_that_is_cut_off_says_where() {
    let whole = chunk(&["one", "two"]);
    for bytes in 1..whole.len() {
        let result: Result<Vec<_>, _> = rules(&whole[..bytes]).collect();
        match result {
            Ok(rules) => assert_eq!((bytes, rules), (5, vec![&b"one"[..]])),
            Err(error) => assert!(error.message().ends_with(if bytes < 5 { "byte 0" } else { "byte 5" }), "{error:?}"),
        }
    }
}

#[test]
fn bytes_are_decoded_in_place() {
    let bytes = br#"{"path":"/opt","size":1}"#;
    let json = Json::<Wanted<'_>>::decode(bytes).unwrap();
    assert!(bytes.as_ptr_range().contains(&json.path.as_ptr()));
    assert_eq!(<&[u8]>::decode(bytes).unwrap().as_ptr(), bytes.as_ptr());
    assert_eq!(<&str>::decode(bytes).unwrap().as_ptr(), bytes.as_ptr());
    assert_eq!(<()>::decode(bytes), Ok(()));
    let postcard = Postcard::<Wanted<'_>>::decode(b"\x04/opt\x01").unwrap();
    assert_eq!(*postcard, *json);
}

#[test]
fn what_is_no_rule_is_invalid_and_says_why() {
    let why = |error: Error| match error {
        Error::Invalid(reason) => reason,
        other => panic!("{other:?}"),
    };
    assert!(why(<&str>::decode(&[0xff]).unwrap_err()).contains("UTF-8"));
    assert!(why(Json::<Wanted<'_>>::decode(b"").unwrap_err()).contains("EOF"));
    assert!(why(Json::<Wanted<'_>>::decode(br#"{"size":1}"#).unwrap_err()).contains("path"));
    assert!(why(Json::<u8>::decode(b"1 2").unwrap_err()).contains("trailing"));
    assert!(why(Postcard::<Wanted<'_>>::decode(b"\x05/opt").unwrap_err()).contains("postcard"));
    assert!(why(Postcard::<u8>::decode(&[1, 2]).unwrap_err()).contains("1 bytes"));
}

//! The guest does what it is told and nothing else; what it does to an agent is the agent's tests' business.

use farrier_plugin_hostile::{Deed, Hostile, OTHER_SCOPE, Order, Phase, SCOPE};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, Facts, FakeRoot};

fn told(order: &str) -> FakeRoot {
    FakeRoot::new().with_file("/etc/hostile", format!("{order}\n"))
}

fn opened(order: &str) -> Result<Hostile, Error> {
    Hostile::open(&told(order).shared())
}

#[test]
fn without_a_deed_it_is_honest() {
    assert_eq!(Hostile::scopes(&told("nothing")).unwrap(), [SCOPE]);
    let guest = opened("nothing").unwrap();
    assert_eq!(guest.evaluate_chunk(b"\x01\0a\0\0").unwrap(), [ComplianceState::Required; 2]);
    assert_eq!(guest.explain(&b"a".as_slice()).unwrap().len(), 1);
}

#[test]
fn a_deed_is_done_in_its_phase_only() {
    let guest = opened("wrong-count").unwrap();
    assert_eq!(guest.evaluate_chunk(b"\0\0").unwrap().len(), 2);
    assert_eq!(guest.explain(&b"".as_slice()).unwrap().len(), 1);

    let guest = opened("explain:huge-answer").unwrap();
    assert_eq!(guest.evaluate_chunk(b"\0\0").unwrap().len(), 1);
    assert!(guest.explain(&b"".as_slice()).unwrap().len() > 100_000);

    assert!(Hostile::scopes(&told("scopes:huge-answer")).unwrap().len() > 100_000);
    assert_eq!(Hostile::scopes(&told("other-scope")).unwrap(), [SCOPE, OTHER_SCOPE]);
    assert!(opened("open:huge-answer").is_err_and(|error| error.message().len() > 1_000_000));
    let guest = opened("huge-explanation").unwrap();
    assert!(guest.explain(&b"".as_slice()).unwrap()[0].detail.len() > 1_000_000);
}

#[test]
fn what_is_let_through_is_told() {
    // Nothing is denied here, so the first attempt succeeds.
    let error = opened("look-around").unwrap().evaluate_chunk(b"\0\0").unwrap_err();
    assert!(error.message().contains("was let through"), "{error:?}");
    assert!(opened("read-at-edges").is_ok());
}

#[test]
fn every_order_can_be_given() {
    for deed in Deed::ALL {
        let usual = Order::parse(deed.as_str()).unwrap();
        assert_eq!(Order::parse(&String::from(usual)), Some(usual));
        for phase in Phase::ALL {
            let order = Order::parse(&format!("{}:{}", phase.as_str(), deed.as_str()));
            assert_eq!(order.is_some(), deed.phases().contains(&phase), "{phase:?} {deed:?}");
        }
    }
}

#[test]
fn what_is_no_order_is_an_error() {
    for order in ["", "be nice", "later:loop", "explain:wrong-count"] {
        assert!(matches!(opened(order), Err(Error::Invalid(reason)) if reason.contains("/etc/hostile")));
    }
    assert!(matches!(Hostile::open(&FakeRoot::new().shared()), Err(Error::NotFound(_))));
}

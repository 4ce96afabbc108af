//! The guest does what it is told and nothing else; what it does to an agent is the agent's tests' business.

use farrier_plugin_hostile::{Deed, Hostile, Order, Phase, SCOPE};
use farrier_plugin_sdk::{Applicability, ComplianceState, Error, FakeRoot};

fn told(order: &str) -> FakeRoot {
    FakeRoot::new().with_file("/etc/hostile", format!("{order}\n"))
}

#[test]
fn without_a_deed_it_is_honest() {
    let root = told("nothing");
    assert_eq!(Hostile::scopes(&root).unwrap(), [SCOPE]);
    let guest = Hostile::open(&root).unwrap();
    assert_eq!(guest.evaluate_chunk(b"\x01\0a\0\0").unwrap(), [ComplianceState::Required; 2]);
    assert_eq!(guest.explain(b"a").unwrap().len(), 1);
}

#[test]
fn a_deed_is_done_in_its_phase_only() {
    let guest = Hostile::open(&told("wrong-count")).unwrap();
    assert_eq!(guest.evaluate_chunk(b"\0\0").unwrap().len(), 2);
    assert_eq!(guest.explain(b"").unwrap().len(), 1);

    let guest = Hostile::open(&told("explain:huge-answer")).unwrap();
    assert_eq!(guest.evaluate_chunk(b"\0\0").unwrap().len(), 1);
    assert!(guest.explain(b"").unwrap().len() > 100_000);

    assert!(Hostile::scopes(&told("scopes:huge-answer")).unwrap().len() > 100_000);
    assert!(Hostile::open(&told("open:huge-answer")).is_err_and(|error| error.message().len() > 1_000_000));
    let guest = Hostile::open(&told("huge-explanation")).unwrap();
    assert!(guest.explain(b"").unwrap()[0].detail.len() > 1_000_000);
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
        assert!(matches!(Hostile::open(&told(order)), Err(Error::Invalid(reason)) if reason.contains("/etc/hostile")));
    }
    assert!(matches!(Hostile::open(&FakeRoot::new()), Err(Error::NotFound(_))));
}

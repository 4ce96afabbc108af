//! What is larger than its type allows does not even decode.

use farrier_protocol::assignment::{MAX_CATALOGS, MAX_NAME_BYTES, MAX_PLUGINS, MAX_TARGET_BYTES};
use farrier_protocol::enrollment::EnrollmentRequest;
use farrier_protocol::state_message::{
    Finding, Inventory, MAX_BATCH_BYTES, MAX_DETAIL_BYTES, MAX_MESSAGES, MAX_SUBJECT_BYTES, MAX_TEXT_BYTES, ScanResult,
    StateBatch, StateMessage, StateReply, bounded,
};
use farrier_protocol::{ComplianceState, UpdateId, decode, encode};
use serde::{Deserialize, Serialize};

/// Whether `T` takes what a wider sender says.
fn takes<T: for<'a> Deserialize<'a>>(wide: &impl Serialize) -> bool {
    decode::<T>(&encode(wide).unwrap()).is_ok()
}

#[test]
fn a_text_one_byte_too_long_is_refused() {
    let finding = |subject: usize, detail: usize| {
        (UpdateId([7; 16]), "s".repeat(subject), ComplianceState::Unknown, "d".repeat(detail))
    };
    assert!(takes::<Finding>(&finding(MAX_SUBJECT_BYTES, MAX_DETAIL_BYTES)));
    assert!(!takes::<Finding>(&finding(MAX_SUBJECT_BYTES + 1, 0)));
    assert!(!takes::<Finding>(&finding(0, MAX_DETAIL_BYTES + 1)));

    let inventory = |lengths: [usize; 4]| lengths.map(|length| "x".repeat(length));
    let fits = [MAX_TEXT_BYTES, MAX_TEXT_BYTES, 32, 32];
    let [a, b, c, d] = inventory(fits);
    assert!(takes::<Inventory>(&(a, b, c, d)));
    for field in 0..4 {
        let mut lengths = fits;
        lengths[field] += 1;
        let [a, b, c, d] = inventory(lengths);
        assert!(!takes::<Inventory>(&(a, b, c, d)), "field {field}");
    }
    assert!(!takes::<EnrollmentRequest>(&([0_u8; 16], vec![0_u8], "h".repeat(MAX_TEXT_BYTES + 1))));
}

#[test]
fn one_element_too_many_is_refused() {
    let batch = |count: usize| (1_u64, 1_u64, vec![StateMessage::Reset; count]);
    assert!(takes::<StateBatch>(&batch(MAX_MESSAGES)));
    assert!(!takes::<StateBatch>(&batch(MAX_MESSAGES + 1)));

    let scan = |count: usize| (1_i64, 2_u64, 3_u32, vec![("dpkg", "0.1.0", ""); count]);
    assert!(takes::<ScanResult>(&scan(MAX_PLUGINS)));
    assert!(!takes::<ScanResult>(&scan(MAX_PLUGINS + 1)));
    assert!(!takes::<ScanResult>(&(1_i64, 2_u64, 3_u32, vec![("n".repeat(MAX_NAME_BYTES + 1), "", "")])));
}

#[test]
fn an_assignment_is_bounded_in_every_direction() {
    use farrier_protocol::assignment::{Assessment, MAX_GRANTS};
    type Plugin = (String, String, String, [u8; 32], Vec<String>);
    type Catalog = (String, String, String, [u8; 32]);
    let plugin = |name: usize, target: usize, grants: usize| -> Plugin {
        ("n".repeat(name), "v".into(), "t".repeat(target), [0; 32], vec!["/g".into(); grants])
    };
    let catalog = |scope: usize| -> Catalog { ("dpkg".into(), "s".repeat(scope), "t".into(), [0; 32]) };
    let is_taken = |plugins: Vec<Plugin>, catalogs: Vec<Catalog>| {
        takes::<Assessment>(&([0_u8; 16], 1_u64, 0_i64, (1_u32, 1_u32), plugins, catalogs))
    };
    let (largest, widest) = (plugin(MAX_NAME_BYTES, MAX_TARGET_BYTES, MAX_GRANTS), catalog(MAX_TARGET_BYTES));
    assert!(is_taken(vec![largest; MAX_PLUGINS], vec![widest; MAX_CATALOGS]));
    assert!(!is_taken(vec![plugin(1, 1, 1); MAX_PLUGINS + 1], vec![]));
    assert!(!is_taken(vec![], vec![catalog(1); MAX_CATALOGS + 1]));
    for too_large in
        [plugin(MAX_NAME_BYTES + 1, 1, 1), plugin(1, MAX_TARGET_BYTES + 1, 1), plugin(1, 1, MAX_GRANTS + 1)]
    {
        assert!(!is_taken(vec![too_large], vec![]));
    }
    assert!(!is_taken(vec![], vec![catalog(MAX_TARGET_BYTES + 1)]));
}

#[test]
fn an_unknown_variant_is_refused() {
    assert!(decode::<StateMessage>(&[5]).is_err());
    assert!(decode::<StateReply>(&[2]).is_err());
    assert!(decode::<ComplianceState>(&[4]).is_err());
}

#[test]
fn a_length_beyond_the_input_is_refused() {
    // 2^63 chunks, say five bytes.
    let claims = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
    assert!(decode::<farrier_protocol::catalog::Catalog>(&claims).is_err());
    assert!(decode::<farrier_protocol::catalog::Chunk<'_>>(&claims).is_err());
}

#[test]
fn a_text_that_is_no_utf_8_is_refused() {
    let mut bytes = encode(&("dpkg", "1", "error")).unwrap();
    assert!(decode::<farrier_protocol::state_message::PluginResult>(&bytes).is_ok());
    *bytes.last_mut().unwrap() = 0xff;
    assert!(decode::<farrier_protocol::state_message::PluginResult>(&bytes).is_err());
}

#[test]
fn a_batch_of_compliance_states_fits_the_limit_of_its_bytes() {
    // The largest finding there is, as often as a batch can hold compliance states and findings in turns.
    let largest = StateMessage::Finding(Finding {
        update: UpdateId([0xff; 16]),
        subject: bounded(&"s".repeat(MAX_SUBJECT_BYTES)),
        state: ComplianceState::Unknown,
        detail: bounded(&"d".repeat(MAX_DETAIL_BYTES)),
    });
    let batch = StateBatch {
        stream: u64::MAX,
        first_serial: u64::MAX,
        messages: [(); MAX_MESSAGES].map(|()| largest.clone()).into_iter().collect(),
    };
    let bytes = encode(&batch).unwrap();
    assert!(bytes.len() <= MAX_BATCH_BYTES, "{} bytes", bytes.len());
}

#[test]
fn a_text_is_cut_between_characters() {
    assert_eq!(bounded::<4>("abcdef").as_str(), "abcd");
    assert_eq!(bounded::<4>("abcü").as_str(), "abc");
    assert_eq!(bounded::<4>("ab").as_str(), "ab");
    assert_eq!(bounded::<1>("ü").as_str(), "");
}

#[test]
fn the_largest_batch_is_decoded_on_a_small_stack() {
    let batch = StateBatch {
        stream: 1,
        first_serial: 1,
        messages: [(); MAX_MESSAGES].map(|()| StateMessage::Reset).into_iter().collect(),
    };
    let bytes = encode(&batch).unwrap();
    let decode = move || decode::<StateBatch>(&bytes).is_ok();
    let thread = std::thread::Builder::new().stack_size(512 * 1024).spawn(decode).unwrap();
    assert!(thread.join().unwrap());
}

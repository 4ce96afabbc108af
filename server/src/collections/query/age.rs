//! Ages as people write them: `12h`, `7d`, `2w`.

const HOUR_SECONDS: i64 = 60 * 60;
const UNITS: [(char, i64); 3] = [('h', HOUR_SECONDS), ('d', 24 * HOUR_SECONDS), ('w', 7 * 24 * HOUR_SECONDS)];
const MAX_SECONDS: i64 = 10 * 366 * 24 * HOUR_SECONDS;

/// The seconds of an age; if it is none, what to write.
pub(super) fn seconds(text: &str) -> Result<i64, String> {
    let no_age = || format!("{text:?} is no age: write hours, days or weeks like 12h, 7d or 2w");
    let unit = UNITS.iter().find(|(unit, _)| text.ends_with(*unit)).ok_or_else(no_age)?;
    let digits = &text[..text.len() - unit.0.len_utf8()];
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(no_age());
    }
    match digits.parse::<i64>().ok().and_then(|number| number.checked_mul(unit.1)) {
        // Clients ask for news every few minutes: less than an hour would say whether one has just asked.
        Some(0) => Err("an age is one hour or more: write 1h".to_owned()),
        Some(seconds) if seconds <= MAX_SECONDS => Ok(seconds),
        _ => Err("an age is ten years or less: write 520w".to_owned()),
    }
}

//! Periods, times and sizes as people read them.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// `7 days`, `36 h`, `90 s`: the greatest unit that leaves no rest, or almost none.
#[must_use]
pub fn period(seconds: i64) -> String {
    for (unit, length) in [("day", 86_400), ("h", 3_600), ("min", 60)] {
        if seconds >= 2 * length || seconds == length {
            let number = (seconds + length / 2) / length;
            // `1 days` would be wrong, `90 mins` unusual.
            let plural = if unit == "day" && number != 1 { "s" } else { "" };
            return format!("{number} {unit}{plural}");
        }
    }
    format!("{seconds} s")
}

/// `1 client`, `2 clients`.
#[must_use]
pub fn counted(number: impl Into<i128>, thing: &str) -> String {
    match number.into() {
        1 => format!("1 {thing}"),
        number => format!("{number} {thing}s"),
    }
}

/// `2026-11-24 22:00 UTC`.
#[must_use]
pub fn time(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).map(|time| time.to_zoned(TimeZone::UTC));
    time.map_or_else(|_| seconds.to_string(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}

/// `212 MB`: a thousand bytes are a kB, as mirrors count.
// Sizes are for people: what is lost above 2^53 bytes is not seen.
#[allow(clippy::cast_precision_loss)]
#[must_use]
pub fn bytes(bytes: i64) -> String {
    let mut number = bytes as f64;
    for unit in ["bytes", "kB", "MB", "GB"] {
        if number < 999.5 {
            let decimals = usize::from(number < 9.95 && unit != "bytes");
            return format!("{number:.decimals$} {unit}");
        }
        number /= 1_000.0;
    }
    format!("{number:.1} TB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_read_the_greatest_unit() {
        for (seconds, words) in
            [(0, "0 s"), (90, "90 s"), (60, "1 min"), (7_200, "2 h"), (86_400, "1 day"), (604_800, "7 days")]
        {
            assert_eq!(period(seconds), words);
        }
        for (number, words) in [
            (0, "0 bytes"),
            (1_000, "1.0 kB"),
            (212_345_678, "212 MB"),
            (999_700, "1.0 MB"),
            (i64::MAX, "9223372.0 TB"),
        ] {
            assert_eq!(bytes(number), words);
        }
        assert_eq!((counted(1, "update"), counted(0, "update")), ("1 update".to_owned(), "0 updates".to_owned()));
        assert_eq!(time(1_800_000_000), "2027-01-15 08:00 UTC");
        assert_eq!(time(i64::MAX), i64::MAX.to_string());
    }
}

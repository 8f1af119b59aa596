//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration that may be written: a year and a bit.
const LONGEST: Duration = Duration::from_secs(10_000 * 3600);

/// `500ms`, `5s`, `2m` or `1h`.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn duration(text: &str) -> Result<Duration, (&'static str, &'static str)> {
    let wrong = ("this is not a duration", "write a whole number and one of ms, s, m, h, for example \"5s\"");
    let (number, unit) = split(text).ok_or(wrong)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(wrong),
    };
    let duration = number.checked_mul(milliseconds).map(Duration::from_millis);
    duration.filter(|duration| *duration <= LONGEST).ok_or(("this duration is too long", "write at most \"10000h\""))
}

/// `64MiB`, `1GB`: a number of bytes.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn size(text: &str) -> Result<u64, (&'static str, &'static str)> {
    let wrong =
        ("this is not a size", "write a whole number and one of B, KB, MB, GB, KiB, MiB, GiB, for example \"64MiB\"");
    let (number, unit) = split(text).ok_or(wrong)?;
    let bytes = match unit {
        "B" => 1,
        "KB" => 1000,
        "MB" => 1000 * 1000,
        "GB" => 1000 * 1000 * 1000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return Err(wrong),
    };
    number.checked_mul(bytes).ok_or(("this size is too large", "write a smaller one"))
}

fn split(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let check = |text: &str, milliseconds: Option<u64>| {
            assert_eq!(duration(text).ok(), milliseconds.map(Duration::from_millis), "{text:?}");
        };
        check("500ms", Some(500));
        check("5s", Some(5_000));
        check("2m", Some(120_000));
        check("1h", Some(3_600_000));
        check("0s", Some(0));
        check("10000h", Some(36_000_000_000));
        for wrong in
            ["10001h", "", "5", "s", "5 s", "1.5s", "-5s", "5S", "5d", "99999999999999999999s", "9999999999999999h"]
        {
            check(wrong, None);
        }
    }

    #[test]
    fn sizes() {
        let check = |text: &str, bytes: Option<u64>| assert_eq!(size(text).ok(), bytes, "{text:?}");
        check("7B", Some(7));
        check("2KB", Some(2_000));
        check("64MiB", Some(67_108_864));
        check("1GB", Some(1_000_000_000));
        check("3GiB", Some(3_221_225_472));
        check("4KiB", Some(4_096));
        check("5MB", Some(5_000_000));
        for wrong in ["", "64", "MiB", "64 MiB", "64mib", "1.5GB", "-1B", "99999999999GiB"] {
            check(wrong, None);
        }
    }
}

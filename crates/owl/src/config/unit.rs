//! Durations and sizes as people write them.

use std::time::Duration;

/// The longest duration that may be written: a year and a bit.
const LONGEST: Duration = Duration::from_secs(10_000 * 3600);

/// The greatest age that may be written: ten years.
const OLDEST: Duration = Duration::from_secs(3650 * 24 * 3600);

/// The highest rate that may be written, in a minute.
const FASTEST: u64 = 60_000_000;

/// What is wrong, and what to write instead.
type Wrong = (&'static str, &'static str);

/// `500ms`, `5s`, `2m`, `1h` or `1d`.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn duration(text: &str) -> Result<Duration, Wrong> {
    let duration = any_duration(text)?;
    duration.filter(|duration| *duration <= LONGEST).ok_or(("this duration is too long", "write at most \"10000h\""))
}

/// The same for how old something may become: up to ten years.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn age(text: &str) -> Result<Duration, Wrong> {
    let age = any_duration(text)?;
    age.filter(|age| *age <= OLDEST).ok_or(("this duration is too long", "write at most \"3650d\""))
}

/// `120/min` or `10/s`, as so many in a minute.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn rate(text: &str) -> Result<u32, Wrong> {
    let wrong =
        ("this is not a rate", "write a whole number and /min or /s, for example \"120/min\", or \"unlimited\"");
    let (number, unit) = split(text).ok_or(wrong)?;
    let per_minute = match unit {
        "/min" => Some(number),
        "/s" => number.checked_mul(60),
        _ => return Err(wrong),
    };
    match per_minute.filter(|rate| *rate <= FASTEST).map(u32::try_from) {
        Some(Ok(0)) => Err(("a rate of zero lets nothing through", "write at least \"1/min\"")),
        Some(Ok(rate)) => Ok(rate),
        Some(Err(_)) | None => Err(("this rate is too high", "write at most \"1000000/s\", or \"unlimited\"")),
    }
}

/// The duration, or `None` where it is longer than can be counted.
fn any_duration(text: &str) -> Result<Option<Duration>, Wrong> {
    let wrong = ("this is not a duration", "write a whole number and one of ms, s, m, h, d, for example \"5s\"");
    let (number, unit) = split(text).ok_or(wrong)?;
    let milliseconds = match unit {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong),
    };
    Ok(number.checked_mul(milliseconds).map(Duration::from_millis))
}

/// `64MiB`, `1GB`: a number of bytes.
///
/// # Errors
/// What is wrong and what to write instead.
pub(crate) fn size(text: &str) -> Result<u64, Wrong> {
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
        check("2d", Some(172_800_000));
        for wrong in [
            "10001h",
            "",
            "5",
            "s",
            "5 s",
            "1.5s",
            "-5s",
            "5S",
            "5w",
            "417d",
            "99999999999999999999s",
            "9999999999999999h",
        ] {
            check(wrong, None);
        }
    }

    #[test]
    fn ages() {
        let check = |text: &str, days: Option<u64>| {
            assert_eq!(age(text).ok(), days.map(|days| Duration::from_secs(days * 86_400)), "{text:?}");
        };
        check("90d", Some(90));
        check("24h", Some(1));
        check("3650d", Some(3650));
        check("3651d", None);
        check("1y", None);
    }

    #[test]
    fn rates() {
        let check = |text: &str, per_minute: Option<u32>| assert_eq!(rate(text).ok(), per_minute, "{text:?}");
        check("120/min", Some(120));
        check("1/min", Some(1));
        check("10/s", Some(600));
        check("1000000/s", Some(60_000_000));
        for wrong in
            ["", "0/min", "0/s", "10", "/s", "10/h", "10 /s", "1.5/s", "-1/s", "1000001/s", "99999999999999999/s"]
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

//! Times as people write them: how long ago, a day, or a time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// The moment in milliseconds since 1970.
pub(super) fn parse(text: &str, now: SystemTime) -> Option<i64> {
    ago(text, now).or_else(|| moment(text)).or_else(|| moment(&format!("{text}T00:00:00Z")))
}

fn ago(text: &str, now: SystemTime) -> Option<i64> {
    let unit = text.chars().last()?;
    let number: u64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    let at = now.checked_sub(Duration::from_secs(number.checked_mul(seconds)?));
    let since = at.and_then(|at| at.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    i64::try_from(since.as_millis()).ok()
}

fn moment(text: &str) -> Option<i64> {
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    i64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = UNIX_EPOCH + Duration::from_secs(1_000_000);
        let check = |text: &str, expect: Option<i64>| assert_eq!(parse(text, now), expect, "{text:?}");
        check("10s", Some(999_990_000));
        check("1m", Some(999_940_000));
        check("1h", Some(996_400_000));
        check("2d", Some(827_200_000));
        check("1w", Some(395_200_000));
        check("0s", Some(1_000_000_000));
        check("900w", Some(0));
        check("1970-01-02", Some(86_400_000));
        check("1970-01-01T00:00:01.5Z", Some(1_500));
        check("1970-01-01T02:00:00+01:00", Some(3_600_000));
        for wrong in [
            "",
            "h",
            "1",
            "1y",
            "-1h",
            "1.5h",
            "yesterday",
            "2026-13-01",
            "1970-01-01T00:00",
            "99999999999999999999s",
            "1ö",
        ] {
            check(wrong, None);
        }
    }
}

//! The only reader of the clock; reads and writes times as people do.
//!
//! Everything else takes a [`Timestamp`] as an argument: the same input gives the same bytes and the same report.

use std::time::{Duration, UNIX_EPOCH};

/// A moment, in nanoseconds since 1970-01-01T00:00:00Z (negative before).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(pub i64);

/// A running measurement of elapsed time.
#[derive(Clone, Copy, Debug)]
pub struct Stopwatch(std::time::Instant);

impl Stopwatch {
    /// Starts measuring.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the clock")]
    pub fn start() -> Self {
        Self(std::time::Instant::now())
    }

    /// Time since the start.
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl Timestamp {
    /// The current time of the wall clock.
    #[expect(clippy::disallowed_methods, reason = "this is the one home of the clock")]
    pub fn now() -> Self {
        let now = std::time::SystemTime::now();
        let ns = match now.duration_since(UNIX_EPOCH) {
            Ok(after) => i64::try_from(after.as_nanos()).unwrap_or(i64::MAX),
            Err(before) => i64::try_from(before.duration().as_nanos()).map_or(i64::MIN, |ns| -ns),
        };
        Self(ns)
    }

    /// RFC 3339 in UTC with milliseconds, as in JSON output: `2026-11-20T09:30:00.125Z`.
    pub fn rfc3339(self) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => format!("{time:.3}"),
            Err(_) => format!("@{}", self.0),
        }
    }

    /// Local date and time to the second: `2026-11-20 10:30:00`.
    pub fn local(self) -> String {
        match jiff::Timestamp::from_nanosecond(i128::from(self.0)) {
            Ok(time) => time.to_zoned(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Err(_) => format!("@{}", self.0),
        }
    }

    /// Whole seconds since 1970, rounded down.
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000_000)
    }

    /// The moment this many seconds after 1970.
    pub fn from_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000_000))
    }

    /// Age in words: `3 minutes ago`; `in the future` if the clock went backwards.
    pub fn ago(self, now: Self) -> String {
        let seconds = now.seconds() - self.seconds();
        let (count, unit) = match seconds {
            i64::MIN..0 => return "in the future".to_owned(),
            0..60 => (seconds, "second"),
            60..3_600 => (seconds / 60, "minute"),
            3_600..86_400 => (seconds / 3_600, "hour"),
            _ => (seconds / 86_400, "day"),
        };
        format!("{count} {unit}{} ago", if count == 1 { "" } else { "s" })
    }

    /// Reads a time that a person wrote: `10 minutes ago`, `2h` (two hours ago), `now`, `today` (its start),
    /// `yesterday`, `10:30` (the last one), `2026-11-20`, `2026-11-20 10:30`, RFC 3339.
    ///
    /// Dates without a zone are local. Returns `None` for anything else.
    pub fn parse(text: &str, now: Self) -> Option<Self> {
        let text = text.trim();
        match text {
            "now" => return Some(now),
            "today" => return Self::in_day(jiff::civil::Time::midnight(), now),
            "yesterday" => return Some(Self(now.0.checked_sub(86_400 * 1_000_000_000)?)),
            _ => {}
        }
        // Tried before spans, because `23:59:59` also reads as a span.
        if let Ok(time) = text.parse::<jiff::civil::Time>() {
            return Self::in_day(time, now);
        }
        let ago = text.strip_suffix("ago");
        let span =
            ago.unwrap_or(text).trim().parse::<jiff::Span>().ok().filter(|span| ago.is_some() || span.is_positive());
        if ago.is_some() || span.is_some() {
            let span = span?;
            let then = jiff::Timestamp::from_nanosecond(i128::from(now.0)).ok()?;
            let then = then.to_zoned(jiff::tz::TimeZone::system()).checked_sub(span).ok()?;
            return Self::from_jiff(then.timestamp());
        }
        if let Ok(time) = text.parse::<jiff::Timestamp>() {
            return Self::from_jiff(time);
        }
        let local: jiff::civil::DateTime = text.parse().ok()?;
        Self::from_jiff(local.to_zoned(jiff::tz::TimeZone::system()).ok()?.timestamp())
    }

    /// The last time before `now` at which the local clock showed `time`.
    fn in_day(time: jiff::civil::Time, now: Self) -> Option<Self> {
        let zone = jiff::tz::TimeZone::system();
        let today = jiff::Timestamp::from_nanosecond(i128::from(now.0)).ok()?.to_zoned(zone.clone()).date();
        let at =
            |date: jiff::civil::Date| Self::from_jiff(date.to_datetime(time).to_zoned(zone.clone()).ok()?.timestamp());
        at(today).filter(|found| *found <= now).or_else(|| at(today.yesterday().ok()?))
    }

    fn from_jiff(time: jiff::Timestamp) -> Option<Self> {
        i64::try_from(time.as_nanosecond()).ok().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::Timestamp;

    const NOON: Timestamp = Timestamp(1_795_176_000_000_000_000);

    #[test]
    fn spans_are_read_relative_to_now() {
        assert_eq!(Timestamp::parse("10 minutes ago", NOON), Some(Timestamp(NOON.0 - 600_000_000_000)));
        assert_eq!(Timestamp::parse("1 hour 30 minutes ago", NOON), Some(Timestamp(NOON.0 - 5_400_000_000_000)));
        assert_eq!(Timestamp::parse("2026-11-20T12:00:00Z", NOON), Some(Timestamp(NOON.0)));
        assert_eq!(Timestamp::parse("2h", NOON), Some(Timestamp(NOON.0 - 7_200_000_000_000)));
        assert_eq!(Timestamp::parse("2 hours", NOON), Timestamp::parse("2h", NOON));
        for text in ["soon", "-2h", "2", "", "ago", "25:00"] {
            assert_eq!(Timestamp::parse(text, NOON), None, "{text}");
        }
    }

    #[test]
    fn a_time_of_day_is_the_last_one() {
        for text in ["00:00", "10:30", "12:00", "23:59:59", "today"] {
            let found = Timestamp::parse(text, NOON).unwrap();
            assert!(found <= NOON && found > Timestamp(NOON.0 - 86_400_000_000_000), "{text} {found:?}");
            let clock = if text == "today" { "00:00" } else { text };
            assert!(found.local().contains(&format!(" {clock}")), "{text} {}", found.local());
        }
    }

    #[test]
    fn ages_are_said_in_the_largest_unit() {
        assert_eq!(Timestamp(NOON.0 - 1_000_000_000).ago(NOON), "1 second ago");
        assert_eq!(Timestamp(NOON.0 - 7_200_000_000_000).ago(NOON), "2 hours ago");
        assert_eq!(Timestamp(NOON.0 + 9_000_000_000).ago(NOON), "in the future");
    }

    #[test]
    fn rfc3339_has_milliseconds() {
        assert_eq!(Timestamp(NOON.0 + 125_000_000).rfc3339(), "2026-11-20T12:00:00.125Z");
    }
}

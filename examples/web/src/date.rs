//! Dates as HTTP writes them (RFC 9110, section 5.6.7).

use alloc::format;
use alloc::rc::Rc;
use core::cell::RefCell;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];

/// The date of answers, which is written once a second however many there are.
#[derive(Default)]
pub(crate) struct Date(RefCell<Option<(u64, Rc<str>)>>);

impl Date {
    /// At a moment, given as nanoseconds since the Unix epoch; one before it counts as the epoch.
    pub(crate) fn at(&self, wall: i64) -> Rc<str> {
        let second = u64::try_from(wall).unwrap_or(0) / 1_000_000_000;
        let mut latest = self.0.borrow_mut();
        match &*latest {
            Some((written, text)) if *written == second => text.clone(),
            _ => latest.insert((second, http(second))).1.clone(),
        }
    }
}

/// So many seconds after the Unix epoch.
fn http(seconds: u64) -> Rc<str> {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let weekday = DAYS[usize::try_from(days % 7).unwrap_or(0)];
    let mut year = 1970;
    let mut day = days;
    let leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    while day >= 365 + u64::from(leap(year)) {
        day -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 0;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    let (day, month) = (day + 1, MONTHS[month]);
    format!("{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, date) in [
            // The example of RFC 9110.
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
            // `date -u -d @N`.
            (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
            (1_767_225_599, "Wed, 31 Dec 2025 23:59:59 GMT"),
            (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            assert_eq!(&*Date::default().at(seconds * 1_000_000_000), date);
        }
    }

    #[test]
    fn a_date_is_written_once_a_second_and_follows_a_clock_that_is_set_back() {
        let date = Date::default();
        let first = date.at(784_111_777_000_000_000);
        assert!(Rc::ptr_eq(&first, &date.at(784_111_777_999_999_999)));
        for (second, text) in [(784_111_778, "38"), (784_111_776, "36")] {
            let expected = format!("Sun, 06 Nov 1994 08:49:{text} GMT");
            assert_eq!(&*date.at(second * 1_000_000_000), expected);
        }
    }
}

//! The battery's clock: what its registers say, in seconds since 1970.

/// Seconds since 1970 of a reading: second, minute, hour, day, month, year, and how they are written.
#[must_use]
pub fn seconds([second, minute, hour, day, month, year, form]: [u8; 7]) -> Option<i64> {
    const BINARY: u8 = 1 << 2;
    const HOURS_OF_24: u8 = 1 << 1;
    const AFTERNOON: u8 = 1 << 7;
    let value = |byte: u8| {
        if form & BINARY != 0 {
            i64::from(byte)
        } else {
            i64::from(byte >> 4) * 10 + i64::from(byte & 15)
        }
    };
    let (day, month, year) = (value(day), value(month), value(year));
    if !(1..=31).contains(&day) || !(1..=12).contains(&month) || year > 99 {
        return None;
    }
    let mut hours = value(hour & !AFTERNOON);
    if form & HOURS_OF_24 == 0 {
        hours = hours % 12 + if hour & AFTERNOON != 0 { 12 } else { 0 };
    }
    // Days from 1970 to a day of 2000 to 2099, by years that begin in March.
    let (years, months) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let days = 11_017 + years * 365 + years.div_euclid(4) + (153 * months + 2) / 5 + day - 1;
    Some(((days * 24 + hours) * 60 + value(minute)) * 60 + value(second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_battery_clock_is_read_in_either_form() {
        // `date -u -d '2026-11-26 01:54:59' +%s` and so on.
        let bcd = [0x59, 0x54, 0x01, 0x26, 0x11, 0x26, 0b10];
        assert_eq!(seconds(bcd), Some(1_795_658_099));
        let binary = [0, 0, 0, 29, 2, 0, 0b110];
        assert_eq!(seconds(binary), Some(951_782_400));
        let twelve = [0, 0, 0x80 | 0x12, 1, 3, 0x24, 0];
        assert_eq!(seconds(twelve), Some(1_709_294_400), "noon");
        let new_year = [0, 0, 0x12, 1, 1, 0x24, 0];
        assert_eq!(seconds(new_year), Some(1_704_067_200), "midnight");
        assert_eq!(seconds([0xff; 7]), None, "no such clock");
    }
}

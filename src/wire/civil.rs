//! Conversion between dates of the proleptic Gregorian calendar and days since 1970-01-01.
//!
//! Years are counted from March, so that the leap day is the last day of a year; 400-year cycles all have the same length:
//! <https://howardhinnant.github.io/date_algorithms.html>

/// Days of 400 years.
const CYCLE: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01.
const DAYS_TO_1970: i64 = 719_468;

/// Year, month and day of a day since 1970-01-01.
pub fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + DAYS_TO_1970;
    let day_of_cycle = shifted.rem_euclid(CYCLE);
    let years = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / (CYCLE - 1)) / 365;
    let in_year = day_of_cycle - (365 * years + years / 4 - years / 100);
    let from_march = (5 * in_year + 2) / 153;
    let day = in_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12 + 1;
    (
        shifted.div_euclid(CYCLE) * 400 + years + i64::from(month <= 2),
        month,
        day,
    )
}

/// Days since 1970-01-01 of a date. Days past the end of the month overflow into the next.
pub fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let in_cycle = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let in_year = (153 * from_march + 2) / 5 + day - 1;
    year.div_euclid(400) * CYCLE + in_cycle * 365 + in_cycle / 4 - in_cycle / 100 + in_year - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn consecutive_days_have_consecutive_dates(days in -1_000_000_i64..1_000_000) {
            let (today, tomorrow) = (civil_from_days(days), civil_from_days(days + 1));
            let next_day = tomorrow == (today.0, today.1, today.2 + 1);
            let next_month = tomorrow == (today.0, today.1 + 1, 1) && today.2 >= 28;
            let next_year = tomorrow == (today.0 + 1, 1, 1) && (today.1, today.2) == (12, 31);
            prop_assert!(next_day || next_month || next_year, "{:?} {:?}", today, tomorrow);
            prop_assert_eq!(days_from_civil(today.0, today.1, today.2), days);
        }
    }
}

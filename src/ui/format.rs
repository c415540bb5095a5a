//! Numbers as people read them, the same on the server and in the browser. Pure.

/// `1234567` as `1,234,567`, which Korean and English share.
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// One digit after the point; what is less than that by its first digit. By integers: the standard
/// library's way costs every page 5 kB.
pub fn tenths(number: f64) -> String {
    if number < 0.0 {
        return ["−", &tenths(-number)].concat();
    }
    let (mut places, mut scale) = (1, 10.0);
    while number > 0.0 && number * scale < 0.5 && places < 9 {
        (places, scale) = (places + 1, scale * 10.0);
    }
    let units = ((number * scale).round() as u64).max(u64::from(number > 0.0));
    let whole = scale as u64;
    format!("{}.{:0places$}", units / whole, units % whole)
}

/// Bytes in binary units, exact below 10 KiB.
pub fn bytes(number: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match number {
        0..10_240 => format!("{} B", grouped(number)),
        10_240..MIB => format!("{} KiB", tenths(number as f64 / KIB as f64)),
        _ => format!("{} MiB", tenths(number as f64 / MIB as f64)),
    }
}

/// Milliseconds with the digits that matter: browsers round their clocks to 0.1 ms at best.
pub fn millis(number: f64) -> String {
    match number {
        ..10.0 => format!("{} ms", tenths(number)),
        10.0..10_000.0 => format!("{} ms", number.round() as u64),
        _ => format!("{} s", tenths(number / 1000.0)),
    }
}

/// Seconds as the two largest units.
pub fn duration(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, _, _) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_grouped() {
        assert_eq!(
            [0, 12, 999, 1000, 1_234_567].map(grouped),
            ["0", "12", "999", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn sizes_times_and_durations_keep_what_matters() {
        assert_eq!(
            [5, 1023, 10_240, 1_572_864].map(bytes),
            ["5 B", "1,023 B", "10.0 KiB", "1.5 MiB"]
        );
        assert_eq!(
            [0.34, 9.96, 12.7, 12_340.0].map(millis),
            ["0.3 ms", "10.0 ms", "13 ms", "12.3 s"]
        );
        assert_eq!(
            [0.0, 0.04, 0.0456, 0.000_2, 1e-30].map(millis),
            ["0.0 ms", "0.04 ms", "0.05 ms", "0.0002 ms", "0.000000001 ms"]
        );
        assert_eq!([5, 65, 3_700, 90_000].map(duration), ["5s", "1m 5s", "1h 1m", "1d 1h"]);
    }
}

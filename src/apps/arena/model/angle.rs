//! Headings as 1/256 turns in integer arithmetic, identical on every machine; 0 is right, 64 is down.

/// The length of a direction vector.
pub const UNIT: i32 = 1024;

/// [`UNIT`] times the sine of the first quarter turn.
const SINE: [i16; 65] = [
    0, 25, 50, 75, 100, 125, 150, 175, 200, 224, 249, 273, 297, 321, 345, 369, 392, 415, 438, 460, 483, 505, 526, 548,
    569, 590, 610, 630, 650, 669, 688, 706, 724, 742, 759, 775, 792, 807, 822, 837, 851, 865, 878, 891, 903, 915, 926,
    936, 946, 955, 964, 972, 980, 987, 993, 999, 1004, 1009, 1013, 1016, 1019, 1021, 1023, 1024, 1024,
];

fn sine(angle: u8) -> i32 {
    let (half, within) = (angle / 128, usize::from(angle % 128));
    let quarter = if within <= 64 { within } else { 128 - within };
    let value = i32::from(SINE.get(quarter).copied().unwrap_or(0));
    if half == 0 { value } else { -value }
}

pub fn direction(heading: u8) -> (i32, i32) {
    (sine(heading.wrapping_add(64)), sine(heading))
}

/// The heading closest to the vector's direction; 0 for the zero vector.
pub fn heading(dx: i32, dy: i32) -> u8 {
    let projection = |heading: u8| {
        let (x, y) = direction(heading);
        i64::from(x) * i64::from(dx) + i64::from(y) * i64::from(dy)
    };
    (1..=u8::MAX).fold(0, |best, next| {
        if projection(next) > projection(best) {
            next
        } else {
            best
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarter_turns_are_the_axes() {
        let quarters = [0, 64, 128, 192].map(direction);
        assert_eq!(quarters, [(UNIT, 0), (0, UNIT), (-UNIT, 0), (0, -UNIT)]);
    }

    #[test]
    fn heading_inverts_direction() {
        for expected in 0..=u8::MAX {
            let (x, y) = direction(expected);
            assert!(expected.wrapping_sub(heading(x * 40, y * 40)).wrapping_add(1) <= 2);
            let length = (x * x + y * y).isqrt();
            assert!((length - UNIT).abs() <= 2, "{expected}: {length}");
        }
    }
}

//! Latencies and their percentiles.

use std::time::Duration;

#[derive(Default)]
pub struct Latencies(Vec<u32>);

impl Latencies {
    pub fn add(&mut self, time: Duration) {
        self.0.push(u32::try_from(time.as_micros()).unwrap_or(u32::MAX));
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The percentiles as members of a JSON object.
    pub fn json(mut self) -> String {
        self.0.sort_unstable();
        format!(
            r#""p50_ms":{:.3},"p99_ms":{:.3},"most_ms":{:.3}"#,
            self.percentile(50),
            self.percentile(99),
            self.percentile(100)
        )
    }

    /// The percentile of sorted times, in milliseconds.
    fn percentile(&self, percent: usize) -> f64 {
        let last = self.0.len().saturating_sub(1);
        self.0
            .get(last * percent / 100)
            .map_or(0.0, |us| f64::from(*us) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentiles_are_computed() {
        let mut latencies = Latencies::default();
        for ms in (1..=101).rev() {
            latencies.add(Duration::from_millis(ms));
        }
        assert_eq!(
            latencies.json(),
            r#""p50_ms":51.000,"p99_ms":100.000,"most_ms":101.000"#
        );
        assert_eq!(
            Latencies::default().json(),
            r#""p50_ms":0.000,"p99_ms":0.000,"most_ms":0.000"#
        );
    }
}

//! SVG charts: histograms of times and bars of bytes. All charts of a kind share one scale, so that they are comparable.

use leptos::prelude::*;

use super::super::model::{BINS, Bytes, Summary};

const BIN_WIDTH: usize = 10;
const HEIGHT: f64 = 56.0;
const BAR_WIDTH: f64 = 240.0;

pub fn histogram(summary: &Summary, label: String) -> AnyView {
    let bars = bars(&summary.histogram);
    let width = BIN_WIDTH * BINS;
    view! {
        <svg class="histogram" viewBox=format!("0 0 {width} {HEIGHT}") role="img" aria-label=label preserveAspectRatio="none">
            <path d=bars/>
        </svg>
    }
    .into_any()
}

/// The path of the bars of non-empty bins; the fullest bin has the full height.
fn bars(histogram: &[u32]) -> String {
    let max_count = f64::from(histogram.iter().copied().max().unwrap_or_default().max(1));
    let bar = |(bin, count): (usize, &u32)| {
        let top = HEIGHT - (f64::from(*count) / max_count) * (HEIGHT - 4.0);
        let (left, right) = (bin * BIN_WIDTH + 1, bin * BIN_WIDTH + BIN_WIDTH - 1);
        format!("M{left} {HEIGHT}V{top:.1}H{right}V{HEIGHT}Z")
    };
    histogram
        .iter()
        .enumerate()
        .filter(|(_, count)| **count > 0)
        .map(bar)
        .collect()
}

/// A bar of the bytes up and down, relative to `max_bytes`.
pub fn byte_bar(bytes: (f64, f64), max_bytes: f64, label: String) -> AnyView {
    let width = |bytes: f64| (bytes / max_bytes.max(1.0) * BAR_WIDTH).min(BAR_WIDTH);
    let (up, down) = (width(bytes.0), width(bytes.1));
    view! {
        <svg class="bytes" viewBox=format!("0 0 {BAR_WIDTH} 12") role="img" aria-label=label preserveAspectRatio="none">
            <rect class="up" x="0" y="0" height="12" width=format!("{up:.1}")/>
            <rect class="down" x=format!("{up:.1}") y="0" height="12" width=format!("{down:.1}")/>
        </svg>
    }
    .into_any()
}

pub fn per_message(bytes: Bytes, count: u32) -> (f64, f64) {
    let count = f64::from(count.max(1));
    (bytes.up as f64 / count, bytes.down as f64 / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fullest_bin_has_full_height_and_empty_bins_are_not_drawn() {
        assert_eq!(bars(&[0, 4, 0, 1]), "M11 56V4.0H19V56ZM31 56V43.0H39V56Z");
        assert_eq!(bars(&[]), "");
    }
}

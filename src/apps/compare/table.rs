//! Results as rows of figures, the same for the page and for copying: Markdown, CSV. Pure.

use super::model::{Results, Staleness, Watcher, WayResult};
pub use crate::ui::format::tenths;

/// Figures of one way, in the columns' order.
pub const COLUMNS: [&str; 11] = [
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "per_second",
    "bytes_up",
    "bytes_down",
    "overhead_percent",
    "connections",
    "server_cpu_us",
    "answered",
    "failed",
];

pub const STALE_COLUMNS: [&str; 7] = [
    "late_p50_ms",
    "late_max_ms",
    "seen",
    "missed",
    "requests",
    "bytes_up",
    "bytes_down",
];

/// Stands where nothing was measured.
const NOTHING: &str = "–";

pub fn figures(result: &WayResult, payload: u32) -> [String; 11] {
    let latency = &result.latency;
    let count = f64::from(latency.count.max(1));
    let if_any = |known: bool, figure: String| if known { figure } else { NOTHING.to_owned() };
    let answered = latency.count > 0;
    let counted = answered && !result.uncounted;
    [
        if_any(answered, millis(latency.p50)),
        if_any(answered, millis(latency.p95)),
        if_any(answered, millis(latency.p99)),
        if_any(answered, tenths(result.per_second())),
        if_any(counted, tenths(result.bytes.up as f64 / count)),
        if_any(counted, tenths(result.bytes.down as f64 / count)),
        if_any(counted, tenths(result.overhead(payload) * 100.0)),
        if_any(!result.uncounted, result.opened.to_string()),
        if_any(answered, tenths(result.cpu_each_us())),
        latency.count.to_string(),
        result.failed.to_string(),
    ]
}

pub fn stale_figures(staleness: &Staleness, watcher: Watcher) -> Option<[String; 7]> {
    let watched = staleness.watched.iter().find(|watched| watched.watcher == watcher)?;
    let seen = watched.late.count > 0;
    let late = |us| if seen { millis(us) } else { NOTHING.to_owned() };
    Some([
        late(watched.late.p50),
        late(watched.late.max),
        watched.late.count.to_string(),
        watched.missed.to_string(),
        watched.requests.to_string(),
        watched.bytes.up.to_string(),
        watched.bytes.down.to_string(),
    ])
}

/// Microseconds as milliseconds, to the tenth that a browser's clock gives; what is less by its first digit.
pub fn millis(us: u32) -> String {
    tenths(f64::from(us) / 1000.0)
}

/// A heading, then a row for each way.
pub fn rows(results: &Results) -> Vec<Vec<String>> {
    let heading = std::iter::once("way").chain(COLUMNS).map(str::to_owned).collect();
    let row = |result: &WayResult| {
        let name = result.way.name().to_owned();
        std::iter::once(name)
            .chain(figures(result, results.settings.payload))
            .collect()
    };
    std::iter::once(heading).chain(results.ways.iter().map(row)).collect()
}

pub fn markdown(rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let mut text = String::new();
    for (index, cells) in rows.iter().enumerate() {
        text.push_str(&line(cells));
        if index == 0 {
            let rule: Vec<_> = cells.iter().map(|_| "---".to_owned()).collect();
            text.push_str(&line(&rule));
        }
    }
    text
}

/// RFC 4180; no cell here has a comma or a quotation mark. What was not measured is empty.
pub fn csv(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| if cell == NOTHING { String::new() } else { cell.clone() };
    let line = |cells: &Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n";
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Settings, Summary, Way};
    use super::*;

    fn results() -> Results {
        let result = |way, times: &[u32], bytes| WayResult {
            way,
            latency: Summary::of(times),
            failed: 1,
            elapsed_us: 10_000,
            bytes,
            setup: Bytes::default(),
            opened: 2,
            cpu_us: 90,
            uncounted: false,
        };
        Results {
            settings: Settings {
                payload: 100,
                ..Settings::CHAT
            },
            at: 0,
            ways: vec![
                result(Way::Socket, &[500, 1000, 1500], Bytes { up: 318, down: 306 }),
                result(Way::Fetch, &[], Bytes::default()),
            ],
            documents: None,
            stopped: false,
        }
    }

    #[test]
    fn a_row_has_the_figures_of_its_way() {
        let rows = rows(&results());
        assert_eq!(rows[0].len(), COLUMNS.len() + 1);
        assert_eq!(
            rows[1],
            [
                "socket", "1.0", "1.5", "1.5", "300.0", "106.0", "102.0", "3.8", "2", "30.0", "3", "1"
            ]
        );
        assert_eq!(
            rows[2],
            ["fetch", "–", "–", "–", "–", "–", "–", "–", "2", "–", "0", "1"]
        );
    }

    #[test]
    fn a_table_is_copied_as_markdown_and_csv() {
        let rows = vec![
            vec!["way".to_owned(), "a".to_owned()],
            vec!["x".to_owned(), "–".to_owned()],
        ];
        assert_eq!(markdown(&rows), "| way | a |\n| --- | --- |\n| x | – |\n");
        assert_eq!(csv(&rows), "way,a\r\nx,\r\n");
    }
}

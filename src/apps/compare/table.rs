//! Results as table rows, for the page and for export as Markdown and CSV. Pure.

use super::model::{Results, Staleness, TransportResult, Watcher};
pub use crate::ui::format::tenths;

/// Column names of the cells of one transport.
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

pub const STALENESS_COLUMNS: [&str; 7] = [
    "late_p50_ms",
    "late_max_ms",
    "seen",
    "missed",
    "requests",
    "bytes_up",
    "bytes_down",
];

/// The cell of a value that was not measured.
const NOT_MEASURED: &str = "–";

pub fn cells(result: &TransportResult, payload: u32) -> [String; 11] {
    let latency = &result.latency;
    let count = f64::from(latency.count.max(1));
    let cell_if = |known: bool, cell: String| if known { cell } else { NOT_MEASURED.to_owned() };
    let answered = latency.count > 0;
    let counted = answered && !result.bytes_unknown;
    [
        cell_if(answered, millis(latency.p50)),
        cell_if(answered, millis(latency.p95)),
        cell_if(answered, millis(latency.p99)),
        cell_if(answered, tenths(result.per_second())),
        cell_if(counted, tenths(result.bytes.up as f64 / count)),
        cell_if(counted, tenths(result.bytes.down as f64 / count)),
        cell_if(counted, tenths(result.overhead(payload) * 100.0)),
        cell_if(!result.bytes_unknown, result.opened.to_string()),
        cell_if(answered, tenths(result.cpu_us_per_message())),
        latency.count.to_string(),
        result.failed.to_string(),
    ]
}

pub fn staleness_cells(staleness: &Staleness, watcher: Watcher) -> Option<[String; 7]> {
    let result = staleness.results.iter().find(|result| result.watcher == watcher)?;
    let has_observations = result.delay.count > 0;
    let delay = |us| {
        if has_observations {
            millis(us)
        } else {
            NOT_MEASURED.to_owned()
        }
    };
    Some([
        delay(result.delay.p50),
        delay(result.delay.max),
        result.delay.count.to_string(),
        result.missed.to_string(),
        result.requests.to_string(),
        result.bytes.up.to_string(),
        result.bytes.down.to_string(),
    ])
}

/// Formats microseconds as milliseconds, with one decimal (the resolution of a browser's clock), or its first significant digit if
/// smaller.
pub fn millis(us: u32) -> String {
    tenths(f64::from(us) / 1000.0)
}

/// A header row, then a row for each transport.
pub fn rows(results: &Results) -> Vec<Vec<String>> {
    let heading = std::iter::once("way").chain(COLUMNS).map(str::to_owned).collect();
    let row = |result: &TransportResult| {
        let name = result.transport.name().to_owned();
        std::iter::once(name)
            .chain(cells(result, results.settings.payload))
            .collect()
    };
    std::iter::once(heading)
        .chain(results.transports.iter().map(row))
        .collect()
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

/// CSV (RFC 4180). No cell contains a comma or a quotation mark; values that were not measured are empty.
pub fn csv(rows: &[Vec<String>]) -> String {
    let cell = |cell: &String| {
        if cell == NOT_MEASURED {
            String::new()
        } else {
            cell.clone()
        }
    };
    let line = |cells: &Vec<String>| cells.iter().map(cell).collect::<Vec<_>>().join(",") + "\r\n";
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::model::{Bytes, Settings, Summary, Transport};
    use super::*;

    fn results() -> Results {
        let result = |transport, times: &[u32], bytes| TransportResult {
            transport,
            latency: Summary::from_times(times),
            failed: 1,
            elapsed_us: 10_000,
            bytes,
            setup: Bytes::default(),
            opened: 2,
            cpu_us: 90,
            bytes_unknown: false,
        };
        Results {
            settings: Settings {
                payload: 100,
                ..Settings::CHAT
            },
            at: 0,
            transports: vec![
                result(Transport::Socket, &[500, 1000, 1500], Bytes { up: 318, down: 306 }),
                result(Transport::Fetch, &[], Bytes::default()),
            ],
            documents: None,
            stopped: false,
        }
    }

    #[test]
    fn a_row_has_the_values_of_its_transport() {
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
    fn a_table_is_exported_as_markdown_and_csv() {
        let rows = vec![
            vec!["way".to_owned(), "a".to_owned()],
            vec!["x".to_owned(), "–".to_owned()],
        ];
        assert_eq!(markdown(&rows), "| way | a |\n| --- | --- |\n| x | – |\n");
        assert_eq!(csv(&rows), "way,a\r\nx,\r\n");
    }
}

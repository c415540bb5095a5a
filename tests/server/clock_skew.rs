//! Events stamped a day in the future, by an earlier run with a wrong clock, do not block new events.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use crate::harness::{
    process::{Server, duplex_command, run},
    wait_until, with_timeout,
};
use duplex::apps;
use duplex::apps::devices::model::Device;
use duplex::apps::devices::server::commands::{DeviceServerCommand, FleetCommand};
use duplex::apps::devices::wire::{
    AcceptedReading, DeviceEvent, DeviceSummary, Devices, Fleet, FleetEntry, FleetEvent, Health,
};
use duplex::apps::market::server::commands::CandlesCommand;
use duplex::apps::market::wire::{Candles, CandlesEvent, Interval, Trade};
use duplex_hub::decider::Decider;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::log::{Entry, Log as _};
use duplex_hub::testing::state;
use duplex_hub::{Hub, Principal};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{Answer, CommandId};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const DAY: u64 = 24 * 3_600_000;

/// Appends the first event of a topic, stamped `at`.
async fn append_first(log: &MemoryLog, topic: &str, at: u64, event: &impl Serialize) {
    let entry = Entry {
        command: CommandId::from_bits(1),
        sender: Principal::server().person.id.clone(),
        at,
        events: vec![(None, serde_json::to_vec(event).unwrap())],
        rejection: None,
        forwards: Vec::new(),
        delivers: None,
    };
    log.append(&topic.parse().unwrap(), 0.into(), vec![entry])
        .await
        .unwrap();
}

async fn send_server_command<D: Decider>(hub: &Hub, rest: &str, command: &D::ServerCommand) {
    let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
    let answer = hub.send_server_command::<D>(rest, id, command).await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
}

#[tokio::test]
async fn timestamps_from_the_future_do_not_block_new_values() {
    let log = Arc::new(MemoryLog::new(Epoch::new(7)));
    let now = duplex_hub::now();
    let ahead = now + DAY;
    let reading = AcceptedReading {
        metric: "t".to_owned(),
        value: 20.0,
        unit: String::new(),
        at: ahead,
    };
    let reported = DeviceEvent::Reported {
        at: ahead,
        readings: vec![reading],
        rejected: Vec::new(),
        name: None,
        place: None,
        every: Some(10),
    };
    append_first(&log, "device/oven", ahead, &reported).await;
    let entry = FleetEntry {
        summary: DeviceSummary {
            last_seen: ahead,
            every: 10,
            ..DeviceSummary::default()
        },
        health: Health::Online,
        health_since: ahead,
    };
    let id = "dead".to_owned();
    let listed = FleetEvent::Entry {
        id: id.clone(),
        entry,
        health_changed: true,
    };
    append_first(&log, "fleet/all", ahead, &listed).await;
    let trade = |at, price| Trade {
        at,
        price,
        quantity: 1,
        buyer_is_taker: true,
    };
    append_first(&log, "candles/hnb", ahead, &CandlesEvent::Traded(vec![trade(ahead, 5)])).await;

    let hub = Hub::new(log, apps::server::Apps::default().kinds());
    let report = json!({ "readings": [{ "metric": "t", "value": 31 }] });
    let report = DeviceServerCommand::Report(serde_json::from_value(report).unwrap());
    send_server_command::<Devices>(&hub, "oven", &report).await;
    let device = state::<Devices>(&hub, "oven").await;
    assert_eq!(device.metrics["t"].value, 31.0);
    assert!(device.last_seen < ahead);

    send_server_command::<Fleet>(&hub, "all", &FleetCommand::RefreshHealth).await;
    let overview = state::<Fleet>(&hub, "all").await;
    assert!(
        overview.devices[&id].summary.last_seen <= duplex_hub::now(),
        "the last report is clamped to the present"
    );

    let traded = CandlesCommand::Trade(vec![trade(duplex_hub::now(), 9)]);
    send_server_command::<Candles>(&hub, "hnb", &traded).await;
    let chart = state::<Candles>(&hub, "hnb").await;
    for interval in Interval::ALL {
        assert_eq!(
            chart.candles(interval).back().map(|candle| candle.close),
            Some(9),
            "{interval:?}"
        );
    }
    hub.close().await;
}

/// The real binary with its clock shifted by `offset`, or none without libfaketime. The program `faketime` is not used: it leaves a
/// segment of shared memory behind, and fails if an earlier process had the same id.
fn with_clock(dir: &Path, offset: &str) -> Option<Command> {
    let library = fs::read_dir("/usr/lib")
        .into_iter()
        .flatten()
        .filter_map(Result::ok)
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.exists());
    let Some(library) = library else {
        println!("not tested: no libfaketime here; run tools/setup.sh test, or apt-get install faketime");
        return None;
    };
    let mut command = duplex_command(dir);
    command
        .env("LD_PRELOAD", library)
        .env("FAKETIME", offset)
        .env("DONT_FAKE_MONOTONIC", "1");
    Some(command)
}

async fn device(server: &Server) -> Device {
    let mut stream = TcpStream::connect(server.addr).await.unwrap();
    let request =
        "GET /api/session/poll?session=s-1&v=2&topics=device/oven-1&wait=0 HTTP/1.0\r\nhost: localhost\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut response = String::new();
    with_timeout(stream.read_to_string(&mut response)).await.unwrap();
    let frames: Value = serde_json::from_str(response.split_once("\r\n\r\n").unwrap().1).unwrap();
    serde_json::from_value(frames[1]["verdict"]["verdict"]["reset"]["state"].clone()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn values_advance_across_restarts_with_a_shifted_clock() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for (days, values) in [(1, [21.0, 35.0]), (0, [29.0, 36.0]), (-2, [33.0, 24.0])] {
        let offset = &format!("{days:+}d");
        let Some(command) = with_clock(dir, offset) else {
            return;
        };
        let mut server = Server::start_command(command, dir, "127.0.0.1:0");
        for value in values {
            let report = json!({ "report": { "readings": [{ "metric": "temperature", "value": value }] } });
            let sent = run(
                dir,
                &["send", "device/oven-1", &report.to_string(), "--url", &server.url()],
            );
            assert!(sent.status.success(), "{offset}: {sent:?}");
            let device = device(&server).await;
            let metric = &device.metrics["temperature"];
            assert_eq!((metric.value, device.last_seen), (value, metric.at), "{offset}");
            // The overview reports it asynchronously.
            wait_until(async || self::device(&server).await.health == Health::Online).await;
            let shifted = duplex_hub::now().saturating_add_signed(days * DAY as i64);
            assert!(
                device.last_seen.abs_diff(shifted) < DAY / 2,
                "{offset}: the clock is not shifted"
            );
        }
        server.kill();
    }
}

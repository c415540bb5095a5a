//! `duplex device-sim`: simulated devices that report to a broker over MQTT and answer commands, like real ones. Readings vary
//! with the time of day and include draining batteries, spikes, gaps, and late or out-of-order reports.

use std::error::Error;
use std::f64::consts::TAU;
use std::pin::pin;
use std::time::Duration;

use duplex::apps::devices::server::mqtt;
use duplex::apps::devices::server::mqtt_message::{Ack, Interval, OrderMessage};
use duplex::apps::devices::server::url::{BrokerUrl, TopicPattern};
use duplex::apps::devices::wire::{LenientNumber, Reading, Report};
use duplex::server::tls;
use rumqttc::{AckMode, AsyncClient, Event, EventLoop, Packet, Publish, PublishOptions, QoS};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, sleep_until};

use super::output::{self, err, out};

#[derive(Debug, clap::Args)]
pub struct DeviceSim {
    /// Number of devices
    #[arg(long, value_name = "COUNT", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=900))]
    count: u32,

    /// Broker: mqtt:// or mqtts://user:password@host:port
    #[arg(long, value_name = "URL", default_value = "mqtt://127.0.0.1:1883")]
    url: String,

    /// PEM file of CA certificates to trust for the broker, instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<std::path::PathBuf>,

    /// Seconds between two reports of a device
    #[arg(long, value_name = "SECONDS", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=3600))]
    every: u32,

    /// Topic on which devices publish their reports
    #[arg(long, value_name = "TOPIC", default_value = "devices/{id}/readings")]
    readings: TopicPattern,

    /// Topic on which devices receive commands
    #[arg(long, value_name = "TOPIC", default_value = "devices/{id}/commands")]
    commands: TopicPattern,

    /// Topic on which devices acknowledge commands
    #[arg(long, value_name = "TOPIC", default_value = "devices/{id}/acks")]
    acks: TopicPattern,
}

/// Capacity of the queue of reports to the broker. Further reports are dropped.
const QUEUE_CAPACITY: usize = 4_096;
const RECONNECT_DELAY: Duration = Duration::from_secs(1);
const LOCATIONS: [&str; 6] = ["Hall 1", "Hall 2", "Cold store", "Roof", "Loading bay", "Laboratory"];

pub fn run(options: DeviceSim) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(simulate(options))
}

async fn simulate(options: DeviceSim) -> Result<(), Box<dyn Error>> {
    let broker: BrokerUrl = options.url.parse()?;
    let tls = match broker.tls {
        true => Some(tls::client(options.ca.as_deref())?),
        false => None,
    };
    let name = format!("device-sim-{}", uuid::Uuid::new_v4().simple());
    let mut mqtt = mqtt::options(&broker, tls, &name);
    mqtt.set_ack_mode(AckMode::Automatic)
        .set_clean_session(true)
        .set_inflight(1_000);
    let (client, events) = AsyncClient::builder(mqtt).capacity(QUEUE_CAPACITY).build();
    let mut packets = spawn_event_loop(events);
    let mut devices: Vec<_> = (0..options.count)
        .map(|number| Device::new(number, options.every))
        .collect();
    out!(
        "{} devices report to {broker:?} every {} s; stop with Ctrl-C",
        devices.len(),
        options.every
    )?;
    let mut closed = pin!(output::closed());
    loop {
        let next = devices
            .iter()
            .map(|device| device.next_report)
            .min()
            .unwrap_or_else(Instant::now);
        tokio::select! {
            ended = tokio::signal::ctrl_c() => return Ok(ended?),
            closed = &mut closed => return Err(closed.into()),
            packet = packets.recv() => match packet {
                None => return Ok(()),
                Some(Packet::ConnAck(_)) => client.try_subscribe(options.commands.filter(), QoS::AtLeastOnce)?,
                Some(Packet::Publish(publish)) => on_command(&options, &client, &mut devices, &publish),
                Some(_) => {}
            },
            () = sleep_until(next) => {
                let now = Instant::now();
                for device in devices.iter_mut().filter(|device| device.next_report <= now) {
                    let reports = device.next_reports().into_iter();
                    for report in reports.filter_map(|report| serde_json::to_string(&report).ok()) {
                        // A full queue means that the broker is unreachable; the report is lost, as on a real device with full memory.
                        let topic = options.readings.topic(&device.id);
                        let _ = client.try_publish(topic, report, PublishOptions::at_least_once());
                    }
                }
            }
        }
    }
}

/// Polls the connection in its own task, because a due report must not cancel a connection attempt.
fn spawn_event_loop(mut events: EventLoop) -> mpsc::Receiver<Packet> {
    let (sender, packets) = mpsc::channel(QUEUE_CAPACITY);
    tokio::spawn(async move {
        loop {
            let sent = match events.poll().await {
                Ok(Event::Incoming(packet @ (Packet::ConnAck(_) | Packet::Publish(_)))) => sender.send(packet).await,
                Ok(_) => Ok(()),
                Err(error) => {
                    err!("the broker is unreachable: {error}");
                    sleep(RECONNECT_DELAY).await;
                    Ok(())
                }
            };
            if sent.is_err() {
                return;
            }
        }
    });
    packets
}

fn on_command(options: &DeviceSim, client: &AsyncClient, devices: &mut [Device], publish: &Publish) {
    let id = str::from_utf8(&publish.topic)
        .ok()
        .and_then(|topic| options.commands.id(topic));
    let Some(device) = devices.iter_mut().find(|device| Some(device.id.as_str()) == id) else {
        return;
    };
    let Ok(order) = serde_json::from_slice::<OrderMessage<'_>>(&publish.payload) else {
        return;
    };
    let (ok, note) = device.handle_command(&order);
    let id = order.id;
    let Ok(ack) = serde_json::to_string(&Ack { id, ok, note }) else {
        return;
    };
    let topic = options.acks.topic(&device.id);
    let _ = client.try_publish(topic, ack, PublishOptions::at_least_once());
}

struct Device {
    id: String,
    number: u32,
    every: u32,
    next_report: Instant,
    random: Random,
    /// Percent.
    battery: f64,
    /// Delayed reports.
    delayed: Vec<Report>,
    /// Number of reports to skip.
    skipped: u32,
    sent_description: bool,
}

impl Device {
    fn new(number: u32, every: u32) -> Self {
        let mut random = Random(u64::from(number) + 1);
        let first = random.unit() * f64::from(every);
        Self {
            id: format!("sim-{number:03}"),
            number,
            every,
            next_report: Instant::now() + Duration::from_secs_f64(first),
            battery: 40.0 + 60.0 * random.unit(),
            random,
            delayed: Vec::new(),
            skipped: 0,
            sent_description: false,
        }
    }

    /// The reports that are due now: usually one; sometimes none, or several, newest first.
    fn next_reports(&mut self) -> Vec<Report> {
        self.next_report = Instant::now() + Duration::from_secs(self.every.into());
        self.battery = if self.battery < 5.0 {
            100.0
        } else {
            self.battery - 0.02 * self.random.unit()
        };
        if self.skipped > 0 {
            self.skipped -= 1;
            return Vec::new();
        }
        let report = self.measure(duplex_hub::now());
        match self.random.unit() {
            ..0.004 => {
                self.skipped = 3 + (self.random.unit() * 5.0) as u32;
                Vec::new()
            }
            0.004..0.03 => {
                self.delayed.push(report);
                Vec::new()
            }
            _ => std::iter::once(report).chain(self.delayed.drain(..)).collect(),
        }
    }

    fn measure(&mut self, at: u64) -> Report {
        let day = at as f64 / 86_400_000.0;
        // Warmest in the afternoon, most humid in the early morning.
        let sun = (TAU * (day - 0.375)).sin();
        let spike = if self.random.unit() < 0.005 { 25.0 } else { 0.0 };
        let base = 16.0 + f64::from(self.number % 7);
        let values = [
            ("temperature", base + 6.0 * sun + self.random.noise(0.3) + spike, "°C"),
            (
                "humidity",
                (55.0 - 15.0 * sun + self.random.noise(2.0)).clamp(0.0, 100.0),
                "%",
            ),
            (
                "vibration",
                (1.2 + self.random.noise(0.4) + spike / 5.0).max(0.0),
                "mm/s",
            ),
            ("battery", self.battery, "%"),
        ];
        let readings = values.map(|(metric, value, unit)| Reading {
            metric: metric.to_owned(),
            value: LenientNumber((value * 100.0).round() / 100.0),
            unit: Some(unit.to_owned()),
            at: Some(at),
        });
        let is_new = !std::mem::replace(&mut self.sent_description, true);
        let place = LOCATIONS[self.number as usize % LOCATIONS.len()];
        Report {
            readings: readings.into(),
            name: is_new.then(|| format!("Sensor {}", self.number + 1)),
            place: is_new.then(|| place.to_owned()),
            every: Some(self.every),
        }
    }

    fn handle_command(&mut self, order: &OrderMessage<'_>) -> (bool, String) {
        if order.expires.is_some_and(|expires| expires < duplex_hub::now()) {
            return (false, "too late".to_owned());
        }
        let seconds = order.argument.and_then(|argument| Interval::parse(argument.get()));
        match (order.name, seconds) {
            ("identify", _) => (true, format!("{} blinks", self.id)),
            ("reboot", _) => {
                self.sent_description = false;
                self.delayed.clear();
                (true, "back in a moment".to_owned())
            }
            ("set-interval", Some(seconds @ 1..=3_600)) => {
                self.every = u32::try_from(seconds).unwrap_or(self.every);
                self.next_report = self.next_report.min(Instant::now() + Duration::from_secs(seconds));
                (true, format!("{seconds} s"))
            }
            _ => (false, "unknown command".to_owned()),
        }
    }
}

/// A linear congruential generator with a fixed seed per device, so that each run has the same devices.
struct Random(u64);

impl Random {
    /// From 0 (inclusive) to 1 (exclusive).
    fn unit(&mut self) -> f64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as f64 / (1_u64 << 31) as f64
    }

    fn noise(&mut self, spread: f64) -> f64 {
        (self.unit() - 0.5) * 2.0 * spread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_plausible_and_delayed_reports_are_sent() {
        let mut device = Device::new(3, 10);
        let mut reports = 0;
        for _ in 0..2_000 {
            for report in device.next_reports() {
                reports += 1;
                for reading in &report.readings {
                    assert!(reading.value.0.abs() < 200.0);
                }
            }
            assert!(device.delayed.len() < 20);
        }
        assert!((1_800..2_000).contains(&reports), "{reports}");
    }

    #[test]
    fn every_command_is_answered_and_expired_ones_are_rejected() {
        let mut device = Device::new(1, 10);
        let mut send = |name: &str, argument: &str, expires: u64| {
            let order = format!(r#"{{"id":1,"name":"{name}","argument":{argument},"expires":{expires}}}"#);
            device.handle_command(&serde_json::from_str(&order).unwrap()).0
        };
        assert!(send("identify", "null", u64::MAX) && send("set-interval", r#"{"seconds":3}"#, u64::MAX));
        assert!(!send("dance", "null", u64::MAX) && !send("reboot", "null", 1));
        assert_eq!(device.every, 3);
    }
}

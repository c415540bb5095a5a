//! The host device: a background task that reports the load of the machine running this server and executes its orders.

use std::sync::Arc;
use std::time::Duration;

use sysinfo::{Disks, Networks, System};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::wire::{Devices, HOST_ID, LenientNumber, MAX_ID, PendingOrder, Reading, Report};
use super::commands::DeviceServerCommand;
use super::mqtt_message;
use super::mqtt_message::Interval;
use super::order_stream::OrderStream;
use duplex_hub::{BackgroundTask, Hub, TaskFuture, now};
use duplex_protocol::session::Answer;

const PREFIX: &str = "host-";
/// The report intervals, in seconds, that an order may set.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=3_600;

pub struct Host {
    every: u32,
    identity: Identity,
}

/// The published identity of the machine. It is public, so by default it contains neither the name nor the operating system.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Identity {
    id: String,
    name: String,
    place: String,
}

impl Identity {
    fn new(chosen: Option<&str>) -> Self {
        match chosen {
            None => Self {
                id: HOST_ID.to_owned(),
                name: String::new(),
                place: String::new(),
            },
            Some(name) => Self {
                id: format!("{PREFIX}{}", to_id(name)),
                name: name.to_owned(),
                place: System::long_os_version().unwrap_or_default(),
            },
        }
    }
}

impl Host {
    /// `name`: the operator's name for the host.
    pub fn new(every: u32, name: Option<&str>) -> Self {
        Self {
            every,
            identity: Identity::new(name),
        }
    }
}

impl BackgroundTask for Host {
    fn name(&self) -> &'static str {
        "devices-host"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            tokio::select! {
                () = stop.cancelled() => {}
                ended = report_loop(hub, self.every, self.identity.clone()) => if let Err(error) = ended {
                    tracing::warn!("cannot read the host's metrics: {error}");
                    // Wait instead of returning: the supervisor would restart the task, which would fail again.
                    stop.cancelled().await;
                },
            }
        })
    }
}

/// The host name in the alphabet of a device id. For the MQTT client id only; it is not shown to visitors.
pub fn host_id() -> String {
    to_id(&gethostname::gethostname().to_string_lossy())
}

fn to_id(name: &str) -> String {
    let replace = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let lower = name.to_lowercase();
    let name: String = lower.chars().map(replace).take(MAX_ID - PREFIX.len()).collect();
    if name.is_empty() { "here".to_owned() } else { name }
}

async fn report_loop(hub: Hub, mut every: u32, identity: Identity) -> Result<(), sysinfo::Error> {
    let Identity { id, name, place } = identity;
    let mut sampler = Sampler::new()?;
    let mut orders = OrderStream::new(hub.clone(), "host");
    // CPU usage is the difference between two samples.
    let mut due = Instant::now() + Duration::from_secs(1);
    loop {
        tokio::select! {
            () = sleep_until(due) => {
                let report = Report {
                    readings: sampler.sample()?,
                    name: Some(name.clone()),
                    place: Some(place.clone()),
                    every: Some(every),
                };
                send(&hub, &id, &DeviceServerCommand::Report(report)).await;
                due = Instant::now() + Duration::from_secs(every.into());
            }
            batch = orders.next() => for order in batch {
                if order.device == id {
                    let ack = execute(&order, &mut every);
                    due = due.min(Instant::now() + Duration::from_secs(every.into()));
                    send(&hub, &id, &ack).await;
                }
            }
        }
    }
}

async fn send(hub: &Hub, id: &str, command: &DeviceServerCommand) {
    if let Answer::Rejected(rejection) = hub
        .send_server_command::<Devices>(id, mqtt_message::random_id(), command)
        .await
    {
        tracing::warn!(id, "the hub rejected a command of the host device: {rejection}");
    }
}

/// Executes an order and returns its `Ack`. The note is shown to visitors.
fn execute(order: &PendingOrder, every: &mut u32) -> DeviceServerCommand {
    let seconds = Interval::parse(&order.argument);
    let (ok, note) = match (order.name.as_str(), seconds) {
        ("identify", _) => {
            tracing::info!("the host was asked to identify itself");
            (true, format!("duplex {}", env!("CARGO_PKG_VERSION")))
        }
        ("set-interval", Some(seconds)) if INTERVALS.contains(&seconds) => {
            *every = u32::try_from(seconds).unwrap_or(*every);
            (true, format!("{seconds} s"))
        }
        ("set-interval", _) => (false, "wants 1 to 3600 seconds".to_owned()),
        _ => (false, "knows identify and set-interval".to_owned()),
    };
    DeviceServerCommand::Ack {
        order: order.order,
        ok,
        note,
    }
}

/// Reads the host's metrics.
struct Sampler {
    system: System,
    networks: Networks,
    disks: Disks,
    last: Instant,
}

impl Sampler {
    fn new() -> Result<Self, sysinfo::Error> {
        let mut system = System::new()?;
        system.refresh_cpu_usage();
        Ok(Self {
            system,
            networks: Networks::new_with_refreshed_list()?,
            disks: Disks::new_with_refreshed_list()?,
            last: Instant::now(),
        })
    }

    fn sample(&mut self) -> Result<Vec<Reading>, sysinfo::Error> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        self.disks.refresh(true);
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        self.last = Instant::now();
        let (mut received, mut sent) = (0, 0);
        for (name, data) in &self.networks {
            // Skip loopback.
            if name != "lo" {
                received += data.received();
                sent += data.transmitted();
            }
        }
        let rate = |bytes: u64| bytes as f64 / seconds / 1_000.0;
        let at = Some(now());
        let reading = |metric: &str, value: f64, unit: &str| Reading {
            metric: metric.to_owned(),
            value: LenientNumber((value * 100.0).round() / 100.0),
            unit: Some(unit.to_owned()),
            at,
        };
        let mut readings = vec![
            reading("cpu", f64::from(self.system.global_cpu_usage()), "%"),
            reading("load", System::load_average()?.one, ""),
            reading(
                "memory",
                percent(self.system.used_memory(), self.system.total_memory()),
                "%",
            ),
            reading("net_in", rate(received), "kB/s"),
            reading("net_out", rate(sent), "kB/s"),
        ];
        let disks = self
            .disks
            .iter()
            .filter(|disk| !disk.is_read_only() && disk.total_space() > 0);
        let used = disks.map(|disk| {
            percent(
                disk.total_space().saturating_sub(disk.available_space()),
                disk.total_space(),
            )
        });
        // Report the fullest disk.
        readings.extend(used.reduce(f64::max).map(|used| reading("disk", used, "%")));
        Ok(readings)
    }
}

fn percent(part: u64, total: u64) -> f64 {
    if total == 0 {
        0.0
    } else {
        part as f64 / total as f64 * 100.0
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::{is_device_id, is_metric_name};
    use super::*;

    #[test]
    fn the_host_has_a_valid_id_and_readings() {
        for name in [None, Some("My Host.example"), Some("")] {
            assert!(is_device_id(&Identity::new(name).id), "{name:?}");
        }
        let readings = Sampler::new().unwrap().sample().unwrap();
        assert!(readings.len() >= 5);
        for reading in readings {
            assert!(is_metric_name(&reading.metric) && reading.value.0.is_finite() && reading.value.0 >= 0.0);
        }
    }

    #[test]
    fn name_and_system_are_private_by_default() {
        let anonymous = Identity::new(None);
        assert_eq!(
            (anonymous.id.as_str(), anonymous.name.as_str(), anonymous.place.as_str()),
            ("host-server", "", "")
        );
        let named = Identity::new(Some("Rack 7"));
        assert_eq!((named.id.as_str(), named.name.as_str()), ("host-rack-7", "Rack 7"));
        assert_eq!(named.place, System::long_os_version().unwrap());
    }

    #[test]
    fn known_orders_are_executed_and_others_are_rejected() {
        let mut every = 5;
        let mut accepts = |name: &str, argument: &str| {
            let order = PendingOrder {
                device: "a".to_owned(),
                order: 7,
                name: name.to_owned(),
                argument: argument.to_owned(),
                at: 0,
            };
            let DeviceServerCommand::Ack { order: 7, ok, .. } = execute(&order, &mut every) else {
                panic!("no answer")
            };
            ok
        };
        assert!(accepts("identify", "") && accepts("set-interval", "10") && accepts("set-interval", "{\"seconds\":3}"));
        assert!(!accepts("set-interval", "0") && !accepts("set-interval", "") && !accepts("reboot", ""));
        assert_eq!(every, 3);
    }
}

//! The machine that runs this server, as a device: what it does is measured and reported like any other's.

use std::sync::Arc;
use std::time::Duration;

use sysinfo::{Disks, Networks, System};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::super::wire::{Devices, MAX_ID, Open, Raw, Reading, Report, THIS_SERVER};
use super::commands::DeviceServerCommand;
use super::letter;
use super::letter::Interval;
use super::outbox::Outbox;
use duplex_hub::{BackgroundTask, Hub, TaskFuture, now};
use duplex_protocol::session::Answer;

const PREFIX: &str = "host-";
/// Seconds between reports that a command may ask for.
const INTERVALS: std::ops::RangeInclusive<u64> = 1..=3_600;

pub struct Host {
    every: u32,
    identity: Identity,
}

/// What the machine says of itself. By default neither its name nor its system: everybody may read it.
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
                id: THIS_SERVER.to_owned(),
                name: String::new(),
                place: String::new(),
            },
            Some(name) => Self {
                id: format!("{PREFIX}{}", plain(name)),
                name: name.to_owned(),
                place: System::long_os_version().unwrap_or_default(),
            },
        }
    }
}

impl Host {
    /// `name`: what the operator chose to call this machine.
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
                ended = live(hub, self.every, self.identity.clone()) => if let Err(error) = ended {
                    tracing::warn!("this machine cannot be measured: {error}");
                    // Nothing that a new start would change.
                    stop.cancelled().await;
                },
            }
        })
    }
}

/// The machine's host name in the letters of a device's id: for a broker, not for visitors.
pub fn name() -> String {
    plain(&gethostname::gethostname().to_string_lossy())
}

fn plain(name: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' };
    let lower = name.to_lowercase();
    let name: String = lower.chars().map(letter).take(MAX_ID - PREFIX.len()).collect();
    if name.is_empty() { "here".to_owned() } else { name }
}

async fn live(hub: Hub, mut every: u32, identity: Identity) -> Result<(), sysinfo::Error> {
    let Identity { id, name, place } = identity;
    let mut gauge = Gauge::new()?;
    let mut outbox = Outbox::new(hub.clone(), "host");
    // A processor's use is the difference between two looks.
    let mut due = Instant::now() + Duration::from_secs(1);
    loop {
        tokio::select! {
            () = sleep_until(due) => {
                let report = Report {
                    readings: gauge.read()?,
                    name: Some(name.clone()),
                    place: Some(place.clone()),
                    every: Some(every),
                };
                tell(&hub, &id, &DeviceServerCommand::Report(report)).await;
                due = Instant::now() + Duration::from_secs(every.into());
            }
            orders = outbox.next() => for open in orders {
                if open.device == id {
                    let ack = obey(&open, &mut every);
                    due = due.min(Instant::now() + Duration::from_secs(every.into()));
                    tell(&hub, &id, &ack).await;
                }
            }
        }
    }
}

async fn tell(hub: &Hub, id: &str, command: &DeviceServerCommand) {
    if let Answer::Rejected(why) = hub.server_command::<Devices>(id, letter::new_id(), command).await {
        tracing::warn!(id, "this machine's report was refused: {why}");
    }
}

/// What this machine does when it is asked to.
fn obey(open: &Open, every: &mut u32) -> DeviceServerCommand {
    let seconds = Interval::read(&open.argument);
    let (ok, note) = match (open.name.as_str(), seconds) {
        ("identify", _) => {
            tracing::info!("this machine was asked to identify itself");
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
        order: open.order,
        ok,
        note,
    }
}

struct Gauge {
    system: System,
    networks: Networks,
    disks: Disks,
    last: Instant,
}

impl Gauge {
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

    fn read(&mut self) -> Result<Vec<Reading>, sysinfo::Error> {
        self.system.refresh_cpu_usage();
        self.system.refresh_memory();
        self.networks.refresh(true);
        self.disks.refresh(true);
        let seconds = self.last.elapsed().as_secs_f64().max(0.001);
        self.last = Instant::now();
        let (mut received, mut sent) = (0, 0);
        for (name, data) in &self.networks {
            // What a machine says to itself is no traffic.
            if name != "lo" {
                received += data.received();
                sent += data.transmitted();
            }
        }
        let rate = |bytes: u64| bytes as f64 / seconds / 1_000.0;
        let at = Some(now());
        let reading = |metric: &str, value: f64, unit: &str| Reading {
            metric: metric.to_owned(),
            value: Raw((value * 100.0).round() / 100.0),
            unit: Some(unit.to_owned()),
            at,
        };
        let mut readings = vec![
            reading("cpu", f64::from(self.system.global_cpu_usage()), "%"),
            reading("load", System::load_average()?.one, ""),
            reading(
                "memory",
                part(self.system.used_memory(), self.system.total_memory()),
                "%",
            ),
            reading("net_in", rate(received), "kB/s"),
            reading("net_out", rate(sent), "kB/s"),
        ];
        // The fullest: that is the one to know about.
        let disks = self
            .disks
            .iter()
            .filter(|disk| !disk.is_read_only() && disk.total_space() > 0);
        let used = disks.map(|disk| {
            part(
                disk.total_space().saturating_sub(disk.available_space()),
                disk.total_space(),
            )
        });
        readings.extend(used.reduce(f64::max).map(|used| reading("disk", used, "%")));
        Ok(readings)
    }
}

fn part(of: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { of as f64 / all as f64 * 100.0 }
}

#[cfg(test)]
mod tests {
    use super::super::super::wire::{is_device, is_metric};
    use super::*;

    #[test]
    fn this_machine_is_a_device_with_values() {
        for name in [None, Some("My Host.example"), Some("")] {
            assert!(is_device(&Identity::new(name).id), "{name:?}");
        }
        let readings = Gauge::new().unwrap().read().unwrap();
        assert!(readings.len() >= 5);
        for reading in readings {
            assert!(is_metric(&reading.metric) && reading.value.0.is_finite() && reading.value.0 >= 0.0);
        }
    }

    #[test]
    fn it_names_neither_itself_nor_its_system_unless_it_is_told_to() {
        let silent = Identity::new(None);
        assert_eq!(
            (silent.id.as_str(), silent.name.as_str(), silent.place.as_str()),
            ("host-server", "", "")
        );
        let named = Identity::new(Some("Rack 7"));
        assert_eq!((named.id.as_str(), named.name.as_str()), ("host-rack-7", "Rack 7"));
        assert_eq!(named.place, System::long_os_version().unwrap());
    }

    #[test]
    fn it_does_what_it_knows_and_says_what_it_does_not() {
        let mut every = 5;
        let mut ask = |name: &str, argument: &str| {
            let open = Open {
                device: "a".to_owned(),
                order: 7,
                name: name.to_owned(),
                argument: argument.to_owned(),
                at: 0,
            };
            let DeviceServerCommand::Ack { order: 7, ok, .. } = obey(&open, &mut every) else {
                panic!("no answer")
            };
            ok
        };
        assert!(ask("identify", "") && ask("set-interval", "10") && ask("set-interval", "{\"seconds\":3}"));
        assert!(!ask("set-interval", "0") && !ask("set-interval", "") && !ask("reboot", ""));
        assert_eq!(every, 3);
    }
}

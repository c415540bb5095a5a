//! The server side of the devices application: deciders, ingest over HTTP and MQTT, and background tasks.

mod backlog;
pub mod commands;
mod device;
mod fleet;
mod host;
mod ingest;
pub mod mqtt;
pub mod mqtt_message;
mod mqtt_socket;
mod order_stream;
mod orders;
mod packet_truncator;
mod readings;
pub mod url;
mod watchdog;

use super::wire::{Devices, Fleet, Orders};
use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use std::path::PathBuf;
use std::sync::Arc;

pub use self::device::forms;
pub use self::ingest::ingest_endpoint;
use self::mqtt::MqttConnector;
use self::url::{BrokerUrl, TopicPattern};
use super::wire::Millis;
use crate::server::tls;
use duplex_hub::BackgroundTask;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| vec![dyn_topic(Devices), dyn_topic(Fleet), dyn_topic(Orders)]),
        ingest: vec![ingest_endpoint()],
        command_forms: forms().to_vec(),
        tasks: Some(|options| background_tasks(&options.devices)),
        peers: Some(|options| Vec::from_iter(options.devices.broker().map(|broker| ("MQTT broker", broker)))),
        ..AppServer::default()
    }
}

/// How long a notice about a device stays valid.
const NOTICE_LIFETIME: Millis = 24 * 3_600_000;

/// The operator's options.
#[derive(Debug, Clone, clap::Args)]
#[group(id = "devices")]
pub struct Options {
    /// The MQTT broker that devices report to: mqtt:// or mqtts://user:password@host:port; without it, MQTT is off
    #[arg(long, env = "DUPLEX_DEVICES_MQTT_URL", value_name = "URL", hide_env_values = true)]
    pub devices_mqtt_url: Option<String>,

    /// The MQTT client id, under which the broker queues messages while this server is offline [default: duplex-HOST]
    #[arg(long, env = "DUPLEX_DEVICES_MQTT_CLIENT", value_name = "NAME")]
    pub devices_mqtt_client: Option<String>,

    /// A PEM file of CA certificates to verify the broker with, instead of the system's
    #[arg(long, env = "DUPLEX_DEVICES_MQTT_CA", value_name = "FILE")]
    pub devices_mqtt_ca: Option<PathBuf>,

    /// The topic on which devices publish their reports
    #[arg(
        long,
        env = "DUPLEX_DEVICES_MQTT_READINGS",
        value_name = "TOPIC",
        default_value = "devices/{id}/readings"
    )]
    pub devices_mqtt_readings: String,

    /// The topic on which devices receive orders
    #[arg(
        long,
        env = "DUPLEX_DEVICES_MQTT_COMMANDS",
        value_name = "TOPIC",
        default_value = "devices/{id}/commands"
    )]
    pub devices_mqtt_commands: String,

    /// The topic on which devices publish their answers to orders
    #[arg(
        long,
        env = "DUPLEX_DEVICES_MQTT_ACKS",
        value_name = "TOPIC",
        default_value = "devices/{id}/acks"
    )]
    pub devices_mqtt_acks: String,

    /// Seconds between two reports of the server's host about itself; 0 turns them off
    #[arg(
        long,
        env = "DUPLEX_DEVICES_SELF",
        value_name = "SECONDS",
        default_value_t = 5,
        value_parser = clap::value_parser!(u32).range(0..=3600)
    )]
    pub devices_self: u32,

    /// The name of the server's host on the devices page, public together with its operating system [default: neither is shown]
    #[arg(long, env = "DUPLEX_DEVICES_SELF_NAME", value_name = "NAME")]
    pub devices_self_name: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            devices_mqtt_url: None,
            devices_mqtt_client: None,
            devices_mqtt_ca: None,
            devices_mqtt_readings: "devices/{id}/readings".to_owned(),
            devices_mqtt_commands: "devices/{id}/commands".to_owned(),
            devices_mqtt_acks: "devices/{id}/acks".to_owned(),
            devices_self: 5,
            devices_self_name: None,
        }
    }
}

impl Options {
    /// The broker's `host:port`, if one is configured.
    pub fn broker(&self) -> Option<String> {
        let broker: BrokerUrl = self.devices_mqtt_url.as_ref()?.parse().ok()?;
        Some(format!("{}:{}", broker.host, broker.port))
    }
}

/// The devices' background tasks.
pub fn background_tasks(options: &Options) -> Result<Vec<Arc<dyn BackgroundTask>>, String> {
    let mut tasks: Vec<Arc<dyn BackgroundTask>> = vec![Arc::new(watchdog::Watchdog)];
    if options.devices_self > 0 {
        let name = options.devices_self_name.as_deref();
        tasks.push(Arc::new(host::Host::new(options.devices_self, name)));
    }
    if let Some(connector) = connector(options)? {
        tasks.push(Arc::new(connector));
    }
    Ok(tasks)
}

fn connector(options: &Options) -> Result<Option<MqttConnector>, String> {
    let Some(url) = &options.devices_mqtt_url else {
        return Ok(None);
    };
    // The URL may contain a password: the error omits it.
    let broker: BrokerUrl = url.parse().map_err(|error| format!("--devices-mqtt-url: {error}"))?;
    let pattern = |flag: &str, text: &str| -> Result<TopicPattern, String> {
        text.parse()
            .map_err(|error| format!("--devices-mqtt-{flag} {text:?}: {error}"))
    };
    let tls = match broker.tls {
        true => Some(
            tls::client(options.devices_mqtt_ca.as_deref()).map_err(|error| format!("--devices-mqtt-ca: {error}"))?,
        ),
        false => None,
    };
    let client_id = options.devices_mqtt_client.clone();
    Ok(Some(MqttConnector {
        broker,
        tls,
        client_id: client_id.unwrap_or_else(|| format!("duplex-{}", host::host_id())),
        readings_topic: pattern("readings", &options.devices_mqtt_readings)?,
        commands_topic: pattern("commands", &options.devices_mqtt_commands)?,
        acks_topic: pattern("acks", &options.devices_mqtt_acks)?,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_options_are_rejected_before_startup() {
        let options = |url: &str, readings: &str| Options {
            devices_mqtt_url: Some(url.to_owned()),
            devices_mqtt_readings: readings.to_owned(),
            ..Options::default()
        };
        let error = |options| connector(&options).err().unwrap();
        let valid = "devices/{id}/readings";
        assert!(error(options("http://a", valid)).starts_with("--devices-mqtt-url: "));
        assert!(!error(options("mqtt://me:secret@:1", valid)).contains("secret"));
        assert!(error(options("mqtt://a", "devices/readings")).contains("--devices-mqtt-readings"));
        assert!(connector(&options("mqtt://a", valid)).unwrap().is_some());
        assert!(connector(&Options::default()).unwrap().is_none());
        let named = options("mqtt://me:secret@a.example", valid);
        assert_eq!(named.broker().as_deref(), Some("a.example:1883"));
        assert_eq!(background_tasks(&Options::default()).unwrap().len(), 2);
    }
}

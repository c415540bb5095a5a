//! A Mosquitto of a test's own: on a port that was free, with its files in a folder that goes with the test. And devices
//! that speak to it.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rumqttc::{AsyncClient, Event, MqttOptions, Packet, PublishOptions, QoS};
use tempfile::TempDir;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::tls::Authority;
use super::within;

const USER: &str = "duplex";
/// With signs that an address must encode.
const PASSWORD: &str = "p@ss:word";

pub struct Broker {
    folder: TempDir,
    port: u16,
    secured: Option<(Authority, u16)>,
    process: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Broker {
    pub fn start() -> Self {
        Self::with(None)
    }

    /// With a second port, for Duplex, that speaks TLS.
    pub fn secured() -> Self {
        Self::with(Some((Authority::new(), free_port())))
    }

    fn with(secured: Option<(Authority, u16)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let port = free_port();
        let at = folder.path().display();
        let mut config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {at}/passwords\npersistence true\n\
             persistence_location {at}/\nmax_queued_messages 0\nlog_dest none\nuser root\n"
        );
        if let Some((authority, port)) = &secured {
            let (certificate, key) = (authority.certificate(), authority.key());
            let (certificate, key) = (certificate.display(), key.display());
            config.push_str(&format!(
                "listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
            ));
        }
        fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            folder,
            port,
            secured,
            process: None,
        };
        let passwords = broker.file("passwords");
        let made = Command::new("mosquitto_passwd")
            .args(["-c", "-b"])
            .arg(passwords)
            .args([USER, PASSWORD])
            .status();
        assert!(
            made.is_ok_and(|status| status.success()),
            "no mosquitto_passwd: run tools/setup.sh test"
        );
        broker.go_on();
        broker
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts again where it was stopped.
    pub fn go_on(&mut self) {
        let places = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let start = |program: &str| {
            let mut command = Command::new(program);
            command.arg("-c").arg(self.file("mosquitto.conf"));
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        };
        self.process = places.into_iter().find_map(start);
        assert!(
            self.process.is_some(),
            "no mosquitto here: run tools/setup.sh test, or apt-get install mosquitto"
        );
    }

    /// As a service is stopped: what it promised is on the disk then.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let told = Command::new("kill").arg(process.id().to_string()).status();
            assert!(told.unwrap().success());
            process.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        match &self.secured {
            Some((_, port)) => format!("mqtts://{USER}:p%40ss%3Aword@localhost:{port}"),
            None => format!("mqtt://{USER}:p%40ss%3Aword@127.0.0.1:{}", self.port),
        }
    }

    /// Who signed its certificate.
    pub fn authority(&self) -> Option<PathBuf> {
        self.secured.as_ref().map(|(authority, _)| authority.file())
    }

    /// A device that hears what is published at `filter`.
    pub async fn device(&self, name: &str, filter: Option<&str>) -> Device {
        let mut options = MqttOptions::new(name, ("127.0.0.1", self.port));
        options.set_credentials(USER, PASSWORD).set_clean_session(false);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::builder(options).capacity(10_000).build();
        let (tell, heard) = mpsc::unbounded_channel();
        let running = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(packet)) => drop(tell.send(packet)),
                    Ok(_) => {}
                    // The broker may not be there yet, or not now.
                    Err(_) => drop(timeout(Duration::from_millis(20), std::future::pending::<()>()).await),
                }
            }
        });
        let mut device = Device {
            client,
            heard,
            running,
            unacknowledged: AtomicUsize::new(0),
        };
        device.until(|packet| matches!(packet, Packet::ConnAck(_))).await;
        if let Some(filter) = filter {
            device.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
            device.until(|packet| matches!(packet, Packet::SubAck(_))).await;
        }
        device
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

pub struct Device {
    client: AsyncClient,
    heard: mpsc::UnboundedReceiver<Packet>,
    running: JoinHandle<()>,
    /// Messages published at QoS 1 whose PUBACK was not awaited yet.
    unacknowledged: AtomicUsize,
}

impl Device {
    /// At QoS 1; goes out when the broker is there.
    pub async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.client
            .publish(topic, payload, PublishOptions::at_least_once().retain(retain))
            .await
            .unwrap();
        self.unacknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Kept by the broker, at QoS 0: for sessions that are away it is not queued. Ready when the broker has it.
    pub async fn keep(&mut self, topic: &str, payload: &str) {
        let options = PublishOptions::at_most_once().retain(true);
        self.client.publish(topic, payload, options).await.unwrap();
        self.publish("after/that", "", false).await;
        self.taken().await;
    }

    /// Waits until the broker has acknowledged every message published at QoS 1.
    pub async fn taken(&mut self) {
        for _ in 0..self.unacknowledged.swap(0, Ordering::Relaxed) {
            self.until(|packet| matches!(packet, Packet::PubAck(_))).await;
        }
    }

    /// The next message: its topic and payload.
    pub async fn message(&mut self) -> (String, String) {
        match self.until(|packet| matches!(packet, Packet::Publish(_))).await {
            Packet::Publish(publish) => (text(&publish.topic), text(&publish.payload)),
            other => panic!("{other:?}"),
        }
    }

    async fn until(&mut self, wanted: impl Fn(&Packet) -> bool) -> Packet {
        within(async {
            loop {
                let packet = self.heard.recv().await.unwrap();
                if wanted(&packet) {
                    return packet;
                }
            }
        })
        .await
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

impl Drop for Device {
    fn drop(&mut self) {
        self.running.abort();
    }
}

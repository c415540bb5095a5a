//! A Mosquitto broker for tests, and MQTT clients that act as devices.

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

use super::tls::CertificateAuthority;
use super::with_timeout;

const USER: &str = "duplex";
/// Contains characters that a URL must percent-encode.
const PASSWORD: &str = "p@ss:word";

pub struct Broker {
    dir: TempDir,
    port: u16,
    tls: Option<(CertificateAuthority, u16)>,
    process: Option<Child>,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Broker {
    pub fn start() -> Self {
        Self::start_with(None)
    }

    /// Starts a broker with a second port that speaks TLS; [`Self::url`] names that port.
    pub fn with_tls() -> Self {
        Self::start_with(Some((CertificateAuthority::new(), free_port())))
    }

    fn start_with(tls: Option<(CertificateAuthority, u16)>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let port = free_port();
        let path = dir.path().display();
        let mut config = format!(
            "listener {port} 127.0.0.1\nallow_anonymous false\npassword_file {path}/passwords\npersistence true\n\
             persistence_location {path}/\nmax_queued_messages 0\nlog_dest none\nuser root\n"
        );
        if let Some((authority, port)) = &tls {
            let (certificate, key) = (authority.certificate(), authority.key());
            let (certificate, key) = (certificate.display(), key.display());
            config.push_str(&format!(
                "listener {port} 127.0.0.1\ncertfile {certificate}\nkeyfile {key}\n"
            ));
        }
        fs::write(dir.path().join("mosquitto.conf"), config).unwrap();
        let mut broker = Self {
            dir,
            port,
            tls,
            process: None,
        };
        let passwords = broker.file("passwords");
        let status = Command::new("mosquitto_passwd")
            .args(["-c", "-b"])
            .arg(passwords)
            .args([USER, PASSWORD])
            .status();
        assert!(
            status.is_ok_and(|status| status.success()),
            "no mosquitto_passwd: run tools/setup.sh test"
        );
        broker.spawn();
        broker
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Starts the process with the persisted data of the previous one.
    pub fn spawn(&mut self) {
        let programs = ["mosquitto", "/usr/sbin/mosquitto", "/usr/local/sbin/mosquitto"];
        let start = |program: &str| {
            let mut command = Command::new(program);
            command.arg("-c").arg(self.file("mosquitto.conf"));
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().ok()
        };
        self.process = programs.into_iter().find_map(start);
        assert!(
            self.process.is_some(),
            "mosquitto is not installed: run tools/setup.sh test, or apt-get install mosquitto"
        );
    }

    /// Stops the process with SIGTERM, as a service manager does: it writes its persistent state to disk first.
    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let status = Command::new("kill").arg(process.id().to_string()).status();
            assert!(status.unwrap().success());
            process.wait().unwrap();
        }
    }

    pub fn url(&self) -> String {
        match &self.tls {
            Some((_, port)) => format!("mqtts://{USER}:p%40ss%3Aword@localhost:{port}"),
            None => format!("mqtt://{USER}:p%40ss%3Aword@127.0.0.1:{}", self.port),
        }
    }

    /// The root certificate of its CA.
    pub fn root_certificate(&self) -> Option<PathBuf> {
        self.tls.as_ref().map(|(authority, _)| authority.root_certificate())
    }

    /// A connected device, subscribed to `filter`.
    pub async fn device(&self, name: &str, filter: Option<&str>) -> Device {
        let mut options = MqttOptions::new(name, ("127.0.0.1", self.port));
        options.set_credentials(USER, PASSWORD).set_clean_session(false);
        options.set_max_packet_size(1 << 20, 1 << 20);
        let (client, mut events) = AsyncClient::builder(options).capacity(10_000).build();
        let (sender, packets) = mpsc::unbounded_channel();
        let task = tokio::spawn(async move {
            loop {
                match events.poll().await {
                    Ok(Event::Incoming(packet)) => drop(sender.send(packet)),
                    Ok(_) => {}
                    // The broker is not running yet, or is stopped.
                    Err(_) => drop(timeout(Duration::from_millis(20), std::future::pending::<()>()).await),
                }
            }
        });
        let mut device = Device {
            client,
            packets,
            task,
            unacknowledged: AtomicUsize::new(0),
        };
        device.wait_for(|packet| matches!(packet, Packet::ConnAck(_))).await;
        if let Some(filter) = filter {
            device.client.subscribe(filter, QoS::AtLeastOnce).await.unwrap();
            device.wait_for(|packet| matches!(packet, Packet::SubAck(_))).await;
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
    packets: mpsc::UnboundedReceiver<Packet>,
    task: JoinHandle<()>,
    /// Messages published at QoS 1 whose PUBACK was not awaited yet.
    unacknowledged: AtomicUsize,
}

impl Device {
    /// Publishes at QoS 1; the client sends it once the broker runs.
    pub async fn publish(&self, topic: &str, payload: &str, retain: bool) {
        self.client
            .publish(topic, payload, PublishOptions::at_least_once().retain(retain))
            .await
            .unwrap();
        self.unacknowledged.fetch_add(1, Ordering::Relaxed);
    }

    /// Publishes a retained message at QoS 0, which the broker does not queue for offline sessions. Returns when the broker
    /// has it.
    pub async fn publish_retained(&mut self, topic: &str, payload: &str) {
        let options = PublishOptions::at_most_once().retain(true);
        self.client.publish(topic, payload, options).await.unwrap();
        self.publish("after/that", "", false).await;
        self.wait_for_pubacks().await;
    }

    /// Waits until the broker has acknowledged every message published at QoS 1.
    pub async fn wait_for_pubacks(&mut self) {
        for _ in 0..self.unacknowledged.swap(0, Ordering::Relaxed) {
            self.wait_for(|packet| matches!(packet, Packet::PubAck(_))).await;
        }
    }

    /// The next message: its topic and payload.
    pub async fn next_message(&mut self) -> (String, String) {
        match self.wait_for(|packet| matches!(packet, Packet::Publish(_))).await {
            Packet::Publish(publish) => (text(&publish.topic), text(&publish.payload)),
            other => panic!("{other:?}"),
        }
    }

    async fn wait_for(&mut self, predicate: impl Fn(&Packet) -> bool) -> Packet {
        with_timeout(async {
            loop {
                let packet = self.packets.recv().await.unwrap();
                if predicate(&packet) {
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
        self.task.abort();
    }
}

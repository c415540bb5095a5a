//! A hostile MQTT broker: oversized messages, invalid packets, and lost sessions.

use std::sync::Arc;

use duplex::apps;
use duplex::apps::devices::model::Device;
use duplex::apps::devices::{
    server::{Options, background_tasks},
    wire::{DeviceCommand, Devices, Health, reason_code},
};
use duplex_hub::{Hub, Rights, Wake, log::memory::MemoryLog};
use duplex_protocol::{
    codec::{EncodedValue, Encoding},
    cursor::Epoch,
    person::{Person, PersonId},
    session::{Answer, CommandId, SessionId},
    topic::TopicName,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::harness::with_timeout;

const CONNECT: u8 = 1;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const PUBACK: u8 = 4;
const SUBSCRIBE: u8 = 8;
const SUBACK: u8 = 9;
/// The first byte of a PUBLISH packet at QoS 1.
const PUBLISH_QOS_1: u8 = PUBLISH << 4 | 2;

struct HostileBroker(TcpListener);

impl HostileBroker {
    async fn start() -> Self {
        Self(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.0.local_addr().unwrap())
    }

    /// Accepts the next connection with a new session, and its subscriptions.
    async fn accept(&self) -> TcpStream {
        self.accept_session(false).await.0
    }

    /// Accepts the next connection and its subscriptions; also returns the last message that the client republished because
    /// the previous connection did not acknowledge it.
    async fn accept_session(&self, session_present: bool) -> (TcpStream, Option<Vec<u8>>) {
        with_timeout(async {
            let (mut stream, _) = self.0.accept().await.unwrap();
            let mut published = None;
            assert_eq!(read(&mut stream).await.0 >> 4, CONNECT);
            write(&mut stream, CONNACK << 4, &[session_present.into(), 0]).await;
            for _ in 0..2 {
                let (kind, body) = loop {
                    let (kind, body) = read(&mut stream).await;
                    if kind >> 4 != PUBLISH {
                        break (kind, body);
                    }
                    published = Some(body);
                };
                assert_eq!(kind >> 4, SUBSCRIBE);
                write(&mut stream, SUBACK << 4, &[body[0], body[1], 1]).await;
            }
            (stream, published)
        })
        .await
    }
}

async fn read(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let kind = stream.read_u8().await.unwrap();
    let (mut length, mut shift) = (0, 0);
    loop {
        let byte = stream.read_u8().await.unwrap();
        length |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte < 0x80 {
            break;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    (kind, body)
}

async fn write(stream: &mut TcpStream, kind: u8, body: &[u8]) {
    let mut packet = vec![kind];
    let mut length = body.len();
    while length >= 0x80 {
        packet.push(length as u8 | 0x80);
        length >>= 7;
    }
    packet.push(length as u8);
    packet.extend(body);
    stream.write_all(&packet).await.unwrap();
}

fn message(topic: &str, id: u16, payload: &[u8]) -> Vec<u8> {
    let mut body = (topic.len() as u16).to_be_bytes().to_vec();
    body.extend(topic.as_bytes());
    body.extend(id.to_be_bytes());
    body.extend(payload);
    body
}

/// Reads packets up to the next one of type `wanted`; returns its body.
async fn read_packet_of(stream: &mut TcpStream, wanted: u8) -> Vec<u8> {
    with_timeout(async {
        loop {
            let (kind, body) = read(stream).await;
            if kind >> 4 == wanted {
                return body;
            }
        }
    })
    .await
}

fn start(broker: &HostileBroker) -> (Hub, CancellationToken) {
    let hub = Hub::new(
        Arc::new(MemoryLog::new(Epoch::new(7))),
        apps::server::Apps::default().kinds(),
    );
    let options = Options {
        devices_mqtt_url: Some(broker.url()),
        devices_self: 0,
        ..Options::default()
    };
    let stop = CancellationToken::new();
    for task in background_tasks(&options).unwrap() {
        tokio::spawn(task.run(hub.clone(), stop.clone()));
    }
    (hub, stop)
}

async fn wait_for_device(hub: &Hub, condition: impl Fn(&Device) -> bool) -> Device {
    let topic = hub.open(&TopicName::of::<Devices>("oven-1").unwrap()).await.unwrap();
    let wake = Wake::new();
    let _subscription = topic.subscribe(SessionId("test".to_owned()), person(), None, Arc::clone(&wake));
    with_timeout(async {
        loop {
            let (_, state) = topic.state(Encoding::Json).await.unwrap();
            let device: Device = state.decode(Encoding::Json).unwrap();
            if condition(&device) {
                return device;
            }
            wake.woken().await;
        }
    })
    .await
}

fn person() -> Person {
    Person {
        id: PersonId("00000000000000aa".to_owned()),
        name: String::new(),
    }
}

const READING: &[u8] = br#"{"readings":[{"metric":"temperature","value":21.5}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn an_oversized_mqtt_message_is_counted_acknowledged_and_dropped() {
    let broker = HostileBroker::start().await;
    let (hub, stop) = start(&broker);
    let mut stream = broker.accept().await;
    let long = vec![b' '; 16 << 20];
    write(
        &mut stream,
        PUBLISH_QOS_1,
        &message("devices/oven-1/readings", 1, &long),
    )
    .await;
    write(
        &mut stream,
        PUBLISH_QOS_1,
        &message("devices/oven-1/readings", 2, READING),
    )
    .await;
    assert_eq!(read_packet_of(&mut stream, PUBACK).await, [0, 1]);
    assert_eq!(read_packet_of(&mut stream, PUBACK).await, [0, 2]);
    let device = wait_for_device(&hub, |device| device.metrics.len() == 1).await;
    let reasons: Vec<_> = device
        .rejections
        .iter()
        .map(|record| record.reading.why.as_str())
        .collect();
    assert_eq!(reasons, [reason_code::TOO_LONG]);
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_queued_before_the_start_does_not_mark_the_device_online() {
    let broker = HostileBroker::start().await;
    let (hub, stop) = start(&broker);
    let (mut stream, _) = broker.accept_session(true).await;
    let queued = message("devices/oven-1/readings", 1, READING);
    write(&mut stream, PUBLISH_QOS_1, &queued).await;
    assert_eq!(read_packet_of(&mut stream, PUBACK).await, [0, 1]);
    let device = wait_for_device(&hub, |device| device.metrics.len() == 1).await;
    let metric = &device.metrics["temperature"];
    assert_eq!(
        (metric.value, device.health, device.last_seen),
        (21.5, Health::Offline, 0)
    );
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_mqtt_packet_ends_the_connection_and_the_next_one_works() {
    let broker = HostileBroker::start().await;
    let (hub, stop) = start(&broker);
    for garbage in [
        &b"\x30\xff\xff\xff\xff\x01"[..],
        b"\x90\xff\xff\xff\x7f",
        b"\x32\x05\xff\xff\xff\xff\xff",
        b"\x40\x02\xab\xcd",
        b"\x00\x00",
    ] {
        let mut stream = broker.accept().await;
        stream.write_all(garbage).await.unwrap();
        let mut rest = Vec::new();
        let _ = with_timeout(stream.read_to_end(&mut rest)).await;
    }
    let mut stream = broker.accept().await;
    write(
        &mut stream,
        PUBLISH_QOS_1,
        &message("devices/oven-1/readings", 9, READING),
    )
    .await;
    assert_eq!(read_packet_of(&mut stream, PUBACK).await, [0, 9]);
    wait_for_device(&hub, |device| device.metrics.len() == 1).await;
    stop.cancel();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_is_republished_when_the_broker_lost_its_session() {
    let broker = HostileBroker::start().await;
    let (hub, stop) = start(&broker);
    let mut stream = broker.accept().await;
    write(
        &mut stream,
        PUBLISH_QOS_1,
        &message("devices/oven-1/readings", 1, READING),
    )
    .await;
    read_packet_of(&mut stream, PUBACK).await;
    let order = DeviceCommand::Order {
        name: "reboot".to_owned(),
        argument: String::new(),
    };
    let operator = hub.with_rights(Rights::operator());
    let topic = operator
        .open(&TopicName::of::<Devices>("oven-1").unwrap())
        .await
        .unwrap();
    let command = EncodedValue::encode(Encoding::Json, &order).unwrap();
    let (answer, _) = topic
        .command(person(), CommandId::from_bits(1), command, Encoding::Json)
        .await;
    assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    let published =
        |body: Vec<u8>| String::from_utf8_lossy(&body[2 + "devices/oven-1/commands".len() + 2..]).into_owned();
    let first = published(read_packet_of(&mut stream, PUBLISH).await);
    drop(stream);
    let (mut stream, resent) = broker.accept_session(false).await;
    let resent = match resent {
        Some(resent) => resent,
        None => read_packet_of(&mut stream, PUBLISH).await,
    };
    assert_eq!(published(resent), first);
    stop.cancel();
}

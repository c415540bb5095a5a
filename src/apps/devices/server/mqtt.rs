//! The connection to the MQTT broker that devices report to. A message is acknowledged only after its command is committed, so a
//! crash loses no QoS 1 message. Redelivered messages are deduplicated by command id.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use rumqttc::{AckMode, AsyncClient, Event, EventLoop, MqttOptions, Packet, Publish, PublishOptions, QoS};
use rustls::ClientConfig;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use super::super::wire::{Devices, browser_owner, reason_code};
use super::backlog::{self, Backlog};
use super::commands::DeviceServerCommand;
use super::mqtt_message::{self, MqttMessage};
use super::mqtt_socket;
use super::order_stream::OrderStream;
use super::packet_truncator::MAX_PACKET;
use super::url::{BrokerUrl, TopicPattern};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// Seconds.
const KEEP_ALIVE: u16 = 20;
/// The reconnect delay, doubled after each failure up to the maximum.
const MIN_BACKOFF: Duration = Duration::from_millis(250);
const MAX_BACKOFF: Duration = Duration::from_secs(30);
/// Maximum bytes of an outgoing packet. Orders and reports are far shorter.
const MAX_OUTGOING: usize = 1 << 20;
/// Capacity of the client's request queue: larger than the number of MQTT packet ids, so sending an ack never blocks. Otherwise it
/// could deadlock with the event loop, which waits for acks.
const REQUEST_QUEUE: usize = 70_000;
/// Capacity of the queue of received messages. When it is full, the event loop stops reading, which applies backpressure to the
/// broker.
const EVENT_QUEUE: usize = 256;
/// Maximum messages being committed at the same time, so that they share group commits.
const MAX_IN_FLIGHT: usize = 128;
/// Maximum topics whose retained message is remembered. Beyond it, every message with the retain flag counts as retained.
const MAX_RETAINED: usize = 20_000;
/// Delay before resending a command that the hub rejected as retryable.
const RETRY_DELAY: Duration = Duration::from_millis(500);

/// The background task that connects devices over MQTT.
pub struct MqttConnector {
    pub broker: BrokerUrl,
    pub tls: Option<Arc<ClientConfig>>,
    pub client_id: String,
    pub readings_topic: TopicPattern,
    pub commands_topic: TopicPattern,
    pub acks_topic: TopicPattern,
}

enum BrokerEvent {
    /// `is_new_session`: the broker has no earlier session of this client. `has_backlog`: it may first deliver messages queued
    /// while the server was offline.
    Connected {
        is_new_session: bool,
        has_backlog: bool,
    },
    Message(Publish),
}

impl BackgroundTask for MqttConnector {
    fn name(&self) -> &'static str {
        "devices-mqtt"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            let options = options(&self.broker, self.tls.clone(), &self.client_id);
            let (client, event_loop) = AsyncClient::builder(options).capacity(REQUEST_QUEUE).build();
            let (events_tx, events_rx) = mpsc::channel(EVENT_QUEUE);
            let (sessions_tx, sessions_rx) = watch::channel(None);
            tokio::select! {
                () = stop.cancelled() => {}
                () = poll_events(&self.broker, event_loop, events_tx) => {}
                () = self.process_events(&hub, &client, events_rx, sessions_tx) => {}
                () = self.deliver_orders(&hub, &client, sessions_rx) => {}
            }
        })
    }
}

/// Polls the client's event loop, reconnecting after errors, until the receiver is dropped.
async fn poll_events(broker: &BrokerUrl, mut event_loop: EventLoop, events: mpsc::Sender<BrokerEvent>) {
    let (mut backoff, mut last) = (MIN_BACKOFF, None::<Instant>);
    loop {
        let event = event_loop.poll().await;
        let was_offline = last.is_none_or(|last| last.elapsed() >= backlog::MIN_OFFLINE);
        if matches!(event, Ok(Event::Incoming(_))) {
            last = Some(Instant::now());
        }
        let sent = match event {
            Ok(Event::Incoming(Packet::ConnAck(connected))) => {
                tracing::info!(?broker, "connected to the MQTT broker");
                backoff = MIN_BACKOFF;
                let is_new_session = !connected.session_present;
                let has_backlog = !is_new_session && was_offline;
                let connected = BrokerEvent::Connected {
                    is_new_session,
                    has_backlog,
                };
                events.send(connected).await
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => events.send(BrokerEvent::Message(publish)).await,
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(?broker, ?backoff, "the MQTT broker is unreachable: {error}");
                sleep(backoff).await;
                backoff = MAX_BACKOFF.min(2 * backoff);
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// Client options: a persistent session, for which the broker queues messages, and manual acknowledgements.
pub fn options(broker: &BrokerUrl, tls: Option<Arc<ClientConfig>>, client: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client, (broker.host.clone(), broker.port));
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(false);
    options.set_ack_mode(AckMode::Manual);
    options.set_max_packet_size(MAX_PACKET, MAX_OUTGOING);
    if let Some((user, password)) = &broker.user {
        options.set_credentials(user.clone(), password.clone());
    }
    let broker = broker.clone();
    options.set_socket_connector(move |_, _| mqtt_socket::connect(broker.clone(), tls.clone()));
    options
}

impl MqttConnector {
    /// Subscribes after each connect and sends each message to the hub. `sessions` is incremented for each new broker session;
    /// orders published in an earlier session must be published again.
    async fn process_events(
        &self,
        hub: &Hub,
        client: &AsyncClient,
        mut events: mpsc::Receiver<BrokerEvent>,
        sessions: watch::Sender<Option<u32>>,
    ) {
        // MQTT requires acknowledgements in the order of the messages.
        let mut in_flight = FuturesOrdered::<BoxFuture<'_, (u64, Publish)>>::new();
        let (mut connection, mut deliveries) = (0, DeliveryTracker::default());
        loop {
            tokio::select! {
                Some((received_connection, publish)) = in_flight.next(), if !in_flight.is_empty() => {
                    // After a reconnect the broker redelivers the message; that delivery is acknowledged.
                    if received_connection == connection && client.ack(&publish).await.is_err() {
                        return;
                    }
                }
                event = events.recv(), if in_flight.len() < MAX_IN_FLIGHT => match event {
                    None => return,
                    Some(BrokerEvent::Connected { is_new_session, has_backlog }) => {
                        connection += 1;
                        deliveries.retained.clear();
                        deliveries.backlog = has_backlog.then(Backlog::start);
                        for filter in [self.readings_topic.filter(), self.acks_topic.filter()] {
                            if client.subscribe(filter, QoS::AtLeastOnce).await.is_err() {
                                return;
                            }
                        }
                        // Start publishing orders only now, after subscribing to their answers.
                        if is_new_session || sessions.borrow().is_none() {
                            sessions.send_modify(|count| *count = Some(count.map_or(0, |count| count.wrapping_add(1))));
                        }
                    }
                    Some(BrokerEvent::Message(publish)) => {
                        let command = self.command(&publish, &mut deliveries);
                        in_flight.push_back(Box::pin(async move {
                            if let Some((topic, id, command)) = command {
                                send_until_committed(hub, &topic, id, command).await;
                            }
                            (connection, publish)
                        }));
                    }
                },
            }
        }
    }

    /// Converts a message into a command to its device's topic. The id is the same if the message is redelivered.
    fn command(
        &self,
        publish: &Publish,
        deliveries: &mut DeliveryTracker,
    ) -> Option<(TopicName, CommandId, DeviceServerCommand)> {
        let (topic, payload) = (str::from_utf8(&publish.topic).ok()?, &publish.payload[..]);
        let parts = [topic.as_bytes(), payload];
        let (
            id,
            MqttMessage {
                command,
                is_timestamped,
                is_last_will,
            },
        ) = if let Some(id) = self.readings_topic.id(topic) {
            (id, mqtt_message::parse_report(payload))
        } else if let Some(id) = self.acks_topic.id(topic) {
            (id, mqtt_message::parse_ack(payload).into())
        } else {
            tracing::debug!(topic, "ignored an MQTT message: its topic contains no valid device id");
            return None;
        };
        if browser_owner(id).is_some() {
            tracing::debug!(topic, "ignored an MQTT message: its device id is reserved for browsers");
            return None;
        }
        // An empty payload deletes the retained message (MQTT 3.1.1, 3.3.1.3) and reports nothing.
        if payload.is_empty() {
            return None;
        }
        let name = TopicName::of::<Devices>(id).ok()?;
        let command = match command {
            DeviceServerCommand::Report(report)
                if deliveries.is_retained(publish)
                    || (!is_timestamped && (is_last_will || deliveries.is_backlog(publish))) =>
            {
                // The decider compares it with the device's state, so a random id is enough; deduplication by id would only cover
                // its window.
                return Some((name, mqtt_message::random_id(), DeviceServerCommand::LastKnown(report)));
            }
            command => command,
        };
        let command_id = if is_timestamped || publish.retain {
            mqtt_message::command_id(&command, &parts, duplex_hub::now())
        } else if publish.qos == QoS::AtMostOnce {
            mqtt_message::random_id()
        } else {
            deliveries.untimestamped_id(publish, mqtt_message::digest(&parts))
        };
        Some((name, command_id, command))
    }

    /// Publishes pending orders to devices, and publishes them again to a broker that lost its session.
    async fn deliver_orders(&self, hub: &Hub, client: &AsyncClient, mut sessions: watch::Receiver<Option<u32>>) {
        if sessions.wait_for(Option::is_some).await.is_err() {
            return;
        }
        loop {
            let _ = sessions.borrow_and_update();
            let mut stream = OrderStream::new(hub.clone(), "mqtt");
            loop {
                let orders = tokio::select! {
                    orders = stream.next() => orders,
                    changed = sessions.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                };
                for order in orders.iter().filter(|order| browser_owner(&order.device).is_none()) {
                    let topic = self.commands_topic.topic(&order.device);
                    let message = super::device::order_message(order);
                    if client
                        .publish(topic, message, PublishOptions::at_least_once())
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    }
}

/// Tracks deliveries to detect redelivered, retained and queued messages.
#[derive(Default)]
struct DeliveryTracker {
    /// The last message without timestamps, by packet id: its digest and command id.
    untimestamped: HashMap<u16, (u128, CommandId)>,
    /// Digests of the topics whose retained message arrived on this connection.
    retained: HashSet<u128>,
    /// `None` once the backlog is drained.
    backlog: Option<Backlog>,
}

impl DeliveryTracker {
    /// The command id of a message without timestamps: the id of its first delivery if this is a redelivery.
    fn untimestamped_id(&mut self, publish: &Publish, digest: u128) -> CommandId {
        match self.untimestamped.get(&publish.pkid) {
            Some((first, id)) if publish.dup && *first == digest => id.clone(),
            _ => {
                let id = mqtt_message::random_id();
                self.untimestamped.insert(publish.pkid, (digest, id.clone()));
                id
            }
        }
    }

    /// Whether the broker may have queued the message while the server was offline. It may queue QoS 0 messages, too (MQTT 3.1.1,
    /// 3.1.2.4); Mosquitto delivers those that it was about to send as the connection broke.
    fn is_backlog(&mut self, publish: &Publish) -> bool {
        let is_backlog = !publish.retain && self.backlog.as_mut().is_some_and(Backlog::on_message);
        if !publish.retain && !is_backlog {
            self.backlog = None;
        }
        is_backlog
    }

    /// Whether this is the topic's retained message. A subscription delivers one per topic (MQTT 3.1.1, 3.3.1.3); some bridges keep
    /// the retain flag on live messages, so only the first retained message of a topic counts.
    fn is_retained(&mut self, publish: &Publish) -> bool {
        if !publish.retain || publish.dup || self.retained.len() >= MAX_RETAINED {
            return publish.retain;
        }
        self.retained.insert(mqtt_message::digest(&[&publish.topic[..]]))
    }
}

/// Retries the command until the hub accepts it or rejects it permanently.
async fn send_until_committed(hub: &Hub, topic: &TopicName, id: CommandId, command: DeviceServerCommand) {
    loop {
        match hub
            .send_server_command::<Devices>(topic.rest(), id.clone(), &command)
            .await
        {
            Answer::Accepted { .. } => return,
            Answer::Rejected(rejection) if rejection.may_retry() => sleep(RETRY_DELAY).await,
            Answer::Rejected(rejection) => {
                tracing::debug!(%topic, "the hub rejected an MQTT message: {rejection}");
                if let (
                    DeviceServerCommand::Report(_) | DeviceServerCommand::LastKnown(_),
                    Rejection::TooLarge | Rejection::Malformed { .. },
                ) = (&command, &rejection)
                {
                    let invalid = DeviceServerCommand::InvalidMessage {
                        why: reason_code::UNREADABLE.to_owned(),
                    };
                    let _ = hub
                        .send_server_command::<Devices>(topic.rest(), mqtt_message::random_id(), &invalid)
                        .await;
                }
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connector() -> MqttConnector {
        MqttConnector {
            broker: "mqtt://localhost".parse().unwrap(),
            tls: None,
            client_id: "test".to_owned(),
            readings_topic: "devices/{id}/readings".parse().unwrap(),
            commands_topic: "devices/{id}/commands".parse().unwrap(),
            acks_topic: "devices/{id}/acks".parse().unwrap(),
        }
    }

    fn message(topic: &str, payload: &str, pkid: u16, dup: bool, retain: bool) -> Publish {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.dup, publish.retain) = (pkid, dup, retain);
        publish
    }

    #[test]
    fn a_redelivered_message_keeps_its_id() {
        let (connector, mut deliveries) = (connector(), DeliveryTracker::default());
        let mut id = |payload: &str, pkid, dup, retain| {
            let publish = message("devices/a/readings", payload, pkid, dup, retain);
            connector.command(&publish, &mut deliveries).unwrap().1
        };
        let timestamped = r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#;
        let once = id(timestamped, 1, false, false);
        assert_eq!(id(timestamped, 9, false, false), once, "its time identifies it");
        let untimestamped = r#"{"readings":[{"metric":"t","value":1}]}"#;
        let first = id(untimestamped, 2, false, false);
        assert_eq!(id(untimestamped, 2, true, false), first, "redelivered");
        assert_ne!(id(untimestamped, 3, true, false), first, "another packet");
        assert_ne!(id(untimestamped, 2, false, false), first, "measured again");
    }

    #[test]
    fn a_retained_message_is_a_last_known_report() {
        let (connector, mut deliveries) = (connector(), DeliveryTracker::default());
        let mut is_last_known = |payload: &str, dup, retain| {
            let publish = message("devices/a/readings", payload, 1, dup, retain);
            matches!(
                connector.command(&publish, &mut deliveries).unwrap().2,
                DeviceServerCommand::LastKnown(_)
            )
        };
        let (untimestamped, timestamped) = (
            r#"{"readings":[{"metric":"t","value":1}]}"#,
            r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#,
        );
        assert!(
            is_last_known(untimestamped, true, true),
            "left over from the last connection"
        );
        assert!(is_last_known(untimestamped, false, true));
        assert!(
            !is_last_known(untimestamped, false, true),
            "a subscription delivers one: this is live"
        );
        assert!(!is_last_known(untimestamped, false, false) && !is_last_known(timestamped, false, true));
        let other = message("devices/b/readings", timestamped, 1, false, true);
        let (_, _, command) = connector.command(&other, &mut DeliveryTracker::default()).unwrap();
        assert!(
            matches!(command, DeviceServerCommand::LastKnown(_)),
            "ordered by its own time"
        );
        assert!(is_last_known(r#"{"online":false}"#, false, false), "a will");
        deliveries.retained.clear();
        let publish = message("devices/a/readings", "{}", 1, false, true);
        let (_, one, command) = connector.command(&publish, &mut deliveries).unwrap();
        assert!(
            matches!(command, DeviceServerCommand::LastKnown(_)),
            "after a reconnect"
        );
        deliveries.retained.clear();
        assert_ne!(
            connector.command(&publish, &mut deliveries).unwrap().1,
            one,
            "compared with the device's state, not by id"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_backlog_message_is_a_last_known_report() {
        let (connector, mut deliveries) = (connector(), DeliveryTracker::default());
        let (untimestamped, timestamped) = (
            r#"{"readings":[{"metric":"t","value":1}]}"#,
            r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#,
        );
        let is_last_known = |deliveries: &mut DeliveryTracker, payload: &str, qos| {
            let mut publish = message("devices/a/readings", payload, 1, false, false);
            publish.qos = qos;
            matches!(
                connector.command(&publish, deliveries).unwrap().2,
                DeviceServerCommand::LastKnown(_)
            )
        };
        assert!(
            !is_last_known(&mut deliveries, untimestamped, QoS::AtLeastOnce),
            "a new session has no backlog"
        );
        deliveries.backlog = Some(Backlog::start());
        assert!(is_last_known(&mut deliveries, untimestamped, QoS::AtLeastOnce));
        assert!(
            !is_last_known(&mut deliveries, timestamped, QoS::AtLeastOnce),
            "it carries its time"
        );
        assert!(is_last_known(&mut deliveries, untimestamped, QoS::AtMostOnce));
        tokio::time::advance(backlog::DRAINED_AFTER).await;
        for _ in 0..2 {
            assert!(
                !is_last_known(&mut deliveries, untimestamped, QoS::AtMostOnce)
                    && !is_last_known(&mut deliveries, untimestamped, QoS::AtLeastOnce),
                "after a pause it is live"
            );
        }
    }

    #[test]
    fn deleting_a_retained_message_reports_nothing() {
        let (connector, mut deliveries) = (connector(), DeliveryTracker::default());
        for (topic, retain) in [
            ("devices/a/readings", false),
            ("devices/a/readings", true),
            ("devices/a/acks", false),
        ] {
            assert!(
                connector
                    .command(&message(topic, "", 1, false, retain), &mut deliveries)
                    .is_none()
            );
        }
    }

    #[test]
    fn only_messages_of_devices_are_accepted() {
        let (connector, mut deliveries) = (connector(), DeliveryTracker::default());
        for topic in [
            "devices/A/readings",
            "devices/browser-00/readings",
            "other",
            "devices/a/b/readings",
        ] {
            assert!(
                connector
                    .command(&message(topic, "{}", 1, false, false), &mut deliveries)
                    .is_none(),
                "{topic}"
            );
        }
        let (topic, _, command) = connector
            .command(
                &message("devices/a/acks", r#"{"id":3}"#, 1, false, false),
                &mut deliveries,
            )
            .unwrap();
        assert_eq!(topic.as_str(), "device/a");
        assert!(matches!(command, DeviceServerCommand::Ack { order: 3, ok: true, .. }));
    }
}

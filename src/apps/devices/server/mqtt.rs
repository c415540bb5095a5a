//! The connection to the broker that devices report to. A message is acknowledged to the broker once what it did is kept,
//! so that nothing is lost that was sent at QoS 1, whoever dies in between; what comes twice has its effect once.

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

use super::super::wire::{Devices, owner, why};
use super::commands::DeviceServerCommand;
use super::letter::{self, Letter};
use super::mqtt_size::MAX_PACKET;
use super::mqtt_socket;
use super::outbox::Outbox;
use super::queue::{self, Queue};
use super::url::{Broker, Pattern};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};
use duplex_protocol::session::{Answer, CommandId, Rejection};
use duplex_protocol::topic::TopicName;

/// Seconds.
const KEEP_ALIVE: u16 = 20;
/// Between two attempts to connect: twice as long after each failure.
const PAUSE: Duration = Duration::from_millis(250);
const PAUSE_MOST: Duration = Duration::from_secs(30);
/// What the broker may be sent: an order or a report, whose texts are far shorter.
const MAX_SENT: usize = 1 << 20;
/// More than MQTT has packet ids: who acknowledges never waits for who reads, which waits for who acknowledges.
const REQUESTS: usize = 70_000;
/// Messages read and not yet looked at. A busy hub holds back the reading, and that the broker.
const HEARD: usize = 256;
/// Messages whose effect is being kept at the same time: one commit for many.
const IN_FLIGHT: usize = 128;
/// Topics whose stored message is remembered: beyond, a message with the flag is taken for a stored one.
const STORED: usize = 20_000;
/// Until a message is tried again that the hub could not take.
const RETRY: Duration = Duration::from_millis(500);

pub struct Connector {
    pub broker: Broker,
    pub tls: Option<Arc<ClientConfig>>,
    pub client: String,
    pub readings: Pattern,
    pub commands: Pattern,
    pub acks: Pattern,
}

enum Heard {
    /// `fresh`: the broker knows nothing of an earlier session. `queued`: it may have kept messages for long, and brings them first.
    Connected {
        fresh: bool,
        queued: bool,
    },
    Message(Publish),
}

impl BackgroundTask for Connector {
    fn name(&self) -> &'static str {
        "devices-mqtt"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            let options = options(&self.broker, self.tls.clone(), &self.client);
            let (client, events) = AsyncClient::builder(options).capacity(REQUESTS).build();
            let (heard, messages) = mpsc::channel(HEARD);
            let (begun, sessions) = watch::channel(None);
            tokio::select! {
                () = stop.cancelled() => {}
                () = listen(&self.broker, events, heard) => {}
                () = self.work(&hub, &client, messages, begun) => {}
                () = self.carry(&hub, &client, sessions) => {}
            }
        })
    }
}

/// Reads until nobody wants to hear any more.
async fn listen(broker: &Broker, mut events: EventLoop, heard: mpsc::Sender<Heard>) {
    let (mut pause, mut last) = (PAUSE, None::<Instant>);
    loop {
        let event = events.poll().await;
        let away = last.is_none_or(|last| last.elapsed() >= queue::AWAY);
        if matches!(event, Ok(Event::Incoming(_))) {
            last = Some(Instant::now());
        }
        let sent = match event {
            Ok(Event::Incoming(Packet::ConnAck(connected))) => {
                tracing::info!(?broker, "connected to the MQTT broker");
                pause = PAUSE;
                let fresh = !connected.session_present;
                let queued = !fresh && away;
                heard.send(Heard::Connected { fresh, queued }).await
            }
            Ok(Event::Incoming(Packet::Publish(publish))) => heard.send(Heard::Message(publish)).await,
            Ok(_) => Ok(()),
            Err(error) => {
                tracing::warn!(?broker, ?pause, "the MQTT broker is away: {error}");
                sleep(pause).await;
                pause = PAUSE_MOST.min(2 * pause);
                Ok(())
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// How a client connects that acknowledges by itself, and for which the broker keeps what comes while it is away.
pub fn options(broker: &Broker, tls: Option<Arc<ClientConfig>>, client: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client, (broker.host.clone(), broker.port));
    options.set_keep_alive(KEEP_ALIVE);
    options.set_clean_session(false);
    options.set_ack_mode(AckMode::Manual);
    options.set_max_packet_size(MAX_PACKET, MAX_SENT);
    if let Some((user, password)) = &broker.user {
        options.set_credentials(user.clone(), password.clone());
    }
    let broker = broker.clone();
    options.set_socket_connector(move |_, _| mqtt_socket::connect(broker.clone(), tls.clone()));
    options
}

impl Connector {
    /// `sessions`: counts the broker's sessions, as what was sent in one and not acknowledged is lost with it.
    async fn work(
        &self,
        hub: &Hub,
        client: &AsyncClient,
        mut messages: mpsc::Receiver<Heard>,
        sessions: watch::Sender<Option<u32>>,
    ) {
        // Acknowledged in the order in which they came, as MQTT asks.
        let mut running = FuturesOrdered::<BoxFuture<'_, (u64, Publish)>>::new();
        let (mut connection, mut before) = (0, Before::default());
        loop {
            tokio::select! {
                Some((of, publish)) = running.next(), if !running.is_empty() => {
                    // After a reconnect it comes again, and is acknowledged then.
                    if of == connection && client.ack(&publish).await.is_err() {
                        return;
                    }
                }
                heard = messages.recv(), if running.len() < IN_FLIGHT => match heard {
                    None => return,
                    Some(Heard::Connected { fresh, queued }) => {
                        connection += 1;
                        before.stored.clear();
                        before.queue = queued.then(Queue::begin);
                        for filter in [self.readings.filter(), self.acks.filter()] {
                            if client.subscribe(filter, QoS::AtLeastOnce).await.is_err() {
                                return;
                            }
                        }
                        // Orders are sent when their answers will be heard.
                        if fresh || sessions.borrow().is_none() {
                            sessions.send_modify(|count| *count = Some(count.map_or(0, |count| count.wrapping_add(1))));
                        }
                    }
                    Some(Heard::Message(publish)) => {
                        let wanted = self.command(&publish, &mut before);
                        running.push_back(Box::pin(async move {
                            if let Some((topic, id, command)) = wanted {
                                keep(hub, &topic, id, command).await;
                            }
                            (connection, publish)
                        }));
                    }
                },
            }
        }
    }

    /// What a message wants of which device, under an id that is the same when it comes again.
    fn command(&self, publish: &Publish, before: &mut Before) -> Option<(TopicName, CommandId, DeviceServerCommand)> {
        let (topic, payload) = (str::from_utf8(&publish.topic).ok()?, &publish.payload[..]);
        let parts = [topic.as_bytes(), payload];
        let (id, Letter { command, dated, will }) = if let Some(id) = self.readings.id(topic) {
            (id, letter::report(payload))
        } else if let Some(id) = self.acks.id(topic) {
            (id, letter::ack(payload).into())
        } else {
            tracing::debug!(topic, "an MQTT message of no device");
            return None;
        };
        if owner(id).is_some() {
            tracing::debug!(topic, "a browser does not speak MQTT");
            return None;
        }
        // So a retained message is taken away (MQTT 3.1.1, 3.3.1.3): nothing is said.
        if payload.is_empty() {
            return None;
        }
        let name = TopicName::of::<Devices>(id).ok()?;
        let command = match command {
            DeviceServerCommand::Report(report)
                if before.is_stored(publish) || (!dated && (will || before.is_queued(publish))) =>
            {
                // Compared with what is known of the device, not with what was heard under the same id: that is forgotten.
                return Some((name, letter::new_id(), DeviceServerCommand::Last(report)));
            }
            command => command,
        };
        let command_id = if dated || publish.retain {
            letter::dated_id(&command, &parts, duplex_hub::now())
        } else if publish.qos == QoS::AtMostOnce {
            letter::new_id()
        } else {
            before.again(publish, letter::digest_of(&parts))
        };
        Some((name, command_id, command))
    }

    /// Carries orders to devices, and those that are open again to a broker that lost its session.
    async fn carry(&self, hub: &Hub, client: &AsyncClient, mut sessions: watch::Receiver<Option<u32>>) {
        if sessions.wait_for(Option::is_some).await.is_err() {
            return;
        }
        loop {
            let _ = sessions.borrow_and_update();
            let mut outbox = Outbox::new(hub.clone(), "mqtt");
            loop {
                let orders = tokio::select! {
                    orders = outbox.next() => orders,
                    changed = sessions.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                };
                for open in orders.iter().filter(|open| owner(&open.device).is_none()) {
                    let topic = self.commands.topic(&open.device);
                    let letter = super::device::letter(open);
                    if client
                        .publish(topic, letter, PublishOptions::at_least_once())
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

/// What was heard before.
#[derive(Default)]
struct Before {
    /// Of each packet id what says nothing of its time.
    undated: HashMap<u16, (u128, CommandId)>,
    /// The topics, by their digests, whose stored message this connection has had.
    stored: HashSet<u128>,
    /// None once what comes is of now.
    queue: Option<Queue>,
}

impl Before {
    /// The id that this packet had when it first came.
    fn again(&mut self, publish: &Publish, digest: u128) -> CommandId {
        match self.undated.get(&publish.pkid) {
            Some((same, id)) if publish.dup && *same == digest => id.clone(),
            _ => {
                let id = letter::new_id();
                self.undated.insert(publish.pkid, (digest, id.clone()));
                id
            }
        }
    }

    /// Whether the broker may have kept it while the server was away. What came to it at QoS 0 it did not keep.
    fn is_queued(&mut self, publish: &Publish) -> bool {
        let kept = publish.qos != QoS::AtMostOnce && !publish.retain;
        let queued = kept && self.queue.as_mut().is_some_and(Queue::has_more);
        if kept && !queued {
            self.queue = None;
        }
        queued
    }

    /// Whether the broker had stored it. A subscription brings one such message of a topic (MQTT 3.1.1, 3.3.1.3); where a bridge
    /// leaves the flag on what is live, all that follow are live.
    fn is_stored(&mut self, publish: &Publish) -> bool {
        if !publish.retain || publish.dup || self.stored.len() >= STORED {
            return publish.retain;
        }
        self.stored.insert(letter::digest_of(&[&publish.topic[..]]))
    }
}

/// Ready when it is kept, or refused for good.
async fn keep(hub: &Hub, topic: &TopicName, id: CommandId, command: DeviceServerCommand) {
    loop {
        match hub.server_command::<Devices>(topic.rest(), id.clone(), &command).await {
            Answer::Accepted { .. } => return,
            Answer::Rejected(why) if why.may_retry() => sleep(RETRY).await,
            Answer::Rejected(rejection) => {
                tracing::debug!(%topic, "an MQTT message was refused: {rejection}");
                if let (
                    DeviceServerCommand::Report(_) | DeviceServerCommand::Last(_),
                    Rejection::TooLarge | Rejection::Malformed { .. },
                ) = (&command, &rejection)
                {
                    let bad = DeviceServerCommand::Bad {
                        why: why::UNREADABLE.to_owned(),
                    };
                    let _ = hub
                        .server_command::<Devices>(topic.rest(), letter::new_id(), &bad)
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

    fn connector() -> Connector {
        Connector {
            broker: "mqtt://localhost".parse().unwrap(),
            tls: None,
            client: "test".to_owned(),
            readings: "devices/{id}/readings".parse().unwrap(),
            commands: "devices/{id}/commands".parse().unwrap(),
            acks: "devices/{id}/acks".parse().unwrap(),
        }
    }

    fn message(topic: &str, payload: &str, pkid: u16, dup: bool, retain: bool) -> Publish {
        let mut publish = Publish::new(topic, QoS::AtLeastOnce, payload);
        (publish.pkid, publish.dup, publish.retain) = (pkid, dup, retain);
        publish
    }

    #[test]
    fn what_comes_again_has_the_id_that_it_had() {
        let (connector, mut before) = (connector(), Before::default());
        let mut id = |payload: &str, pkid, dup, retain| {
            let publish = message("devices/a/readings", payload, pkid, dup, retain);
            connector.command(&publish, &mut before).unwrap().1
        };
        let dated = r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#;
        let once = id(dated, 1, false, false);
        assert_eq!(id(dated, 9, false, false), once, "its time says that it is the same");
        let undated = r#"{"readings":[{"metric":"t","value":1}]}"#;
        let first = id(undated, 2, false, false);
        assert_eq!(id(undated, 2, true, false), first, "delivered again");
        assert_ne!(id(undated, 3, true, false), first, "another packet");
        assert_ne!(id(undated, 2, false, false), first, "measured again");
    }

    #[test]
    fn a_stored_message_is_the_last_and_no_sign_of_life() {
        let (connector, mut before) = (connector(), Before::default());
        let mut is_last = |payload: &str, dup, retain| {
            let publish = message("devices/a/readings", payload, 1, dup, retain);
            matches!(
                connector.command(&publish, &mut before).unwrap().2,
                DeviceServerCommand::Last(_)
            )
        };
        let (undated, dated) = (
            r#"{"readings":[{"metric":"t","value":1}]}"#,
            r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#,
        );
        assert!(is_last(undated, true, true), "left over from the last connection");
        assert!(is_last(undated, false, true));
        assert!(
            !is_last(undated, false, true),
            "a subscription brings one: this is live"
        );
        assert!(!is_last(undated, false, false) && !is_last(dated, false, true));
        let other = message("devices/b/readings", dated, 1, false, true);
        let (_, _, command) = connector.command(&other, &mut Before::default()).unwrap();
        assert!(
            matches!(command, DeviceServerCommand::Last(_)),
            "ordered by its own time"
        );
        assert!(is_last(r#"{"online":false}"#, false, false), "a will");
        before.stored.clear();
        let publish = message("devices/a/readings", "{}", 1, false, true);
        let (_, one, command) = connector.command(&publish, &mut before).unwrap();
        assert!(matches!(command, DeviceServerCommand::Last(_)), "after a reconnect");
        before.stored.clear();
        assert_ne!(
            connector.command(&publish, &mut before).unwrap().1,
            one,
            "compared with the device, not with ids"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_waited_at_the_broker_is_no_sign_of_life() {
        let (connector, mut before) = (connector(), Before::default());
        let (undated, dated) = (
            r#"{"readings":[{"metric":"t","value":1}]}"#,
            r#"{"readings":[{"metric":"t","value":1,"at":5}]}"#,
        );
        let is_last = |before: &mut Before, payload: &str, qos| {
            let mut publish = message("devices/a/readings", payload, 1, false, false);
            publish.qos = qos;
            matches!(
                connector.command(&publish, before).unwrap().2,
                DeviceServerCommand::Last(_)
            )
        };
        assert!(
            !is_last(&mut before, undated, QoS::AtLeastOnce),
            "a new session has no queue"
        );
        before.queue = Some(Queue::begin());
        assert!(is_last(&mut before, undated, QoS::AtLeastOnce));
        assert!(!is_last(&mut before, dated, QoS::AtLeastOnce), "it says its time");
        assert!(!is_last(&mut before, undated, QoS::AtMostOnce), "no broker keeps it");
        assert!(is_last(&mut before, undated, QoS::AtLeastOnce));
        tokio::time::advance(queue::QUIET).await;
        for _ in 0..2 {
            assert!(
                !is_last(&mut before, undated, QoS::AtLeastOnce),
                "after a pause it is live"
            );
        }
    }

    #[test]
    fn a_retained_message_that_is_taken_away_says_nothing() {
        let (connector, mut before) = (connector(), Before::default());
        for (topic, retain) in [
            ("devices/a/readings", false),
            ("devices/a/readings", true),
            ("devices/a/acks", false),
        ] {
            assert!(
                connector
                    .command(&message(topic, "", 1, false, retain), &mut before)
                    .is_none()
            );
        }
    }

    #[test]
    fn only_devices_are_heard() {
        let (connector, mut before) = (connector(), Before::default());
        for topic in [
            "devices/A/readings",
            "devices/browser-00/readings",
            "other",
            "devices/a/b/readings",
        ] {
            assert!(
                connector
                    .command(&message(topic, "{}", 1, false, false), &mut before)
                    .is_none(),
                "{topic}"
            );
        }
        let (topic, _, command) = connector
            .command(&message("devices/a/acks", r#"{"id":3}"#, 1, false, false), &mut before)
            .unwrap();
        assert_eq!(topic.as_str(), "device/a");
        assert!(matches!(command, DeviceServerCommand::Ack { order: 3, ok: true, .. }));
    }
}

//! A hub with the devices' background tasks.

use std::sync::Arc;
use std::time::SystemTime;

use duplex::apps;
use duplex::apps::devices::model::Device;
use duplex::apps::devices::server::{Options, background_tasks};
use duplex::apps::devices::wire::{DeviceCommand, Devices};
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::{BackgroundTask, Hub, Rights, Wake};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Epoch;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, CommandId, SessionId};
use duplex_protocol::topic::{Topic, TopicName};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::reading;
use crate::harness::broker::Broker;
use crate::harness::with_timeout;

/// A hub in memory with the background tasks of the devices app.
pub(super) struct TestHub {
    pub(super) hub: Hub,
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl TestHub {
    /// Returns once a message from the broker has been received.
    pub(super) async fn new(broker: &Broker) -> Self {
        let mut beacon = broker.device("beacon", None).await;
        beacon
            .publish("devices/beacon/readings", &reading(1.0, now()), true)
            .await;
        beacon.wait_for_pubacks().await;
        let hub = Hub::new(
            Arc::new(MemoryLog::new(Epoch::new(7))),
            apps::server::Apps::default().kinds(),
        );
        let mut test_hub = Self {
            hub,
            stop: CancellationToken::new(),
            tasks: Vec::new(),
        };
        test_hub.start(broker);
        test_hub.device_when("beacon", |device| device.reports > 0).await;
        test_hub
    }

    pub(super) fn start(&mut self, broker: &Broker) {
        let options = Options {
            devices_mqtt_url: Some(broker.url()),
            devices_mqtt_ca: broker.root_certificate(),
            devices_mqtt_client: Some("duplex-test".to_owned()),
            devices_self: 0,
            ..Options::default()
        };
        self.stop = CancellationToken::new();
        let start = |task: Arc<dyn BackgroundTask>| tokio::spawn(task.run(self.hub.clone(), self.stop.clone()));
        self.tasks = background_tasks(&options).unwrap().into_iter().map(start).collect();
    }

    pub(super) async fn stop(&mut self) {
        self.stop.cancel();
        for task in self.tasks.drain(..) {
            with_timeout(task).await.unwrap();
        }
    }

    /// Waits until a topic's state matches `condition`.
    pub(super) async fn wait_for_state<T: Topic>(&self, rest: &str, condition: impl Fn(&T::State) -> bool) -> T::State {
        let topic = self.hub.open(&TopicName::of::<T>(rest).unwrap()).await.unwrap();
        let wake = Wake::new();
        let _subscription = topic.subscribe(SessionId("test".to_owned()), person(), None, Arc::clone(&wake));
        with_timeout(async {
            loop {
                let state: T::State = topic
                    .state(Encoding::Json)
                    .await
                    .unwrap()
                    .1
                    .decode(Encoding::Json)
                    .unwrap();
                if condition(&state) {
                    return state;
                }
                wake.woken().await;
            }
        })
        .await
    }

    pub(super) async fn device_when(&self, id: &str, condition: impl Fn(&Device) -> bool) -> Device {
        self.wait_for_state::<Devices>(id, condition).await
    }

    pub(super) async fn command(&self, id: &str, command: &DeviceCommand) -> Answer {
        let hub = self.hub.with_rights(Rights::operator());
        let topic = hub.open(&TopicName::of::<Devices>(id).unwrap()).await.unwrap();
        let command = EncodedValue::encode(Encoding::Json, command).unwrap();
        let id = CommandId::from_bits(uuid::Uuid::new_v4().as_u128());
        topic.command(person(), id, command, Encoding::Json).await.0
    }
}

pub(super) fn person() -> Person {
    Person {
        id: PersonId("00000000000000aa".to_owned()),
        name: String::new(),
    }
}

pub(super) fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
        .as_millis() as u64
}

//! Tests of the alert watcher on an in-memory hub.

use serde::Deserialize;
use tokio::task::{JoinHandle, yield_now};
use tokio::time::timeout;

use super::super::super::model::quote_book::tests::{entry, tick};
use super::super::super::wire::AlertsCommand;
use super::super::commands::QuotesCommand;
use super::*;
use crate::wire::notice::INBOX_KIND;
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal, ServerCommand};
use duplex_hub::dyn_topic;
use duplex_hub::log::Log;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::testing;
use duplex_protocol::cursor::{Epoch, Seq};
use duplex_protocol::session::Rejection;

/// A fake inbox that records notices.
struct Inbox;

#[derive(Debug, Clone, PartialEq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Send {
    Send(Notice),
}

impl Topic for Inbox {
    const KIND: &'static str = INBOX_KIND;
    type Command = NoCommand;
    type Event = Notice;
    type State = Vec<Notice>;

    fn apply(state: &mut Vec<Notice>, _seq: Seq, event: &Notice) {
        state.push(event.clone());
    }
}

impl Decider for Inbox {
    type ServerCommand = Send;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Read)
    }

    fn decide(&self, _context: Context<'_>, _state: &Vec<Notice>, none: NoCommand) -> Result<Vec<Notice>, Rejection> {
        match none {}
    }
}

impl ServerCommand<Inbox> for Send {
    fn decide(self, _inbox: &Inbox, _context: Context<'_>, _state: &Vec<Notice>) -> Result<Vec<Notice>, Rejection> {
        let Self::Send(notice) = self;
        Ok(vec![notice])
    }
}

const ME: &str = "00000000000000aa";

struct Harness {
    hub: Hub,
    commands: u128,
}

impl Harness {
    /// A hub with one symbol, whose price is 1.00.
    async fn new() -> Self {
        Self::on(Arc::new(MemoryLog::new(Epoch::new(1))), 1_000).await
    }

    async fn on(log: Arc<dyn Log>, max_topics: usize) -> Self {
        let kinds = vec![
            dyn_topic(Quotes),
            dyn_topic(Alerts),
            dyn_topic(AlertChanges),
            dyn_topic(Inbox),
        ];
        let mut harness = Self {
            hub: Hub::with_max_topics(log, kinds, max_topics),
            commands: 0,
        };
        harness.quote(QuotesCommand::List(vec![entry("a")])).await;
        harness
    }

    async fn send<T: Topic>(&mut self, rest: &str, command: &T::Command) {
        self.commands += 1;
        let id = CommandId::from_bits(self.commands);
        let answer = self.hub.send::<T>(rest, id, command).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }

    async fn price(&mut self, last: u64) {
        self.quote(QuotesCommand::Tick(vec![tick("a", last)])).await;
    }

    async fn quote(&mut self, command: QuotesCommand) {
        self.commands += 1;
        let id = CommandId::from_bits(self.commands);
        let answer = self.hub.send_server_command::<Quotes>(ALL, id, &command).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }

    async fn set(&mut self, condition: AlertCondition, price: u64) {
        self.set_of(ME, condition, price).await;
    }

    async fn set_of(&mut self, person: &str, condition: AlertCondition, price: u64) {
        let symbol = "a".to_owned();
        let command = AlertsCommand::Set {
            symbol,
            condition,
            price,
            scale: 2,
        };
        self.send::<Alerts>(person, &command).await;
    }

    fn watcher(&self) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let task = tokio::spawn(Arc::new(AlertWatcher).run(self.hub.clone(), stop.clone()));
        (stop, task)
    }

    async fn state<T: Topic>(&self, rest: &str) -> T::State {
        testing::state::<T>(&self.hub, rest).await
    }

    /// Waits until `count` alerts are reached and returns the notices.
    async fn wait_for_reached(&self, count: usize) -> Vec<Notice> {
        let reached = async {
            loop {
                let list = self.state::<Alerts>(ME).await;
                if list.alerts.iter().filter(|alert| alert.reached.is_some()).count() == count {
                    return;
                }
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), reached).await.unwrap();
        self.state::<Inbox>(ME).await
    }
}

async fn stop_watcher((stop, task): (CancellationToken, JoinHandle<()>)) {
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_reached_alert_sends_one_notice() {
    let mut harness = Harness::new().await;
    let watcher = harness.watcher();
    harness.set(AlertCondition::Above, 150).await;
    harness.set(AlertCondition::Below, 50).await;
    for price in [120, 149, 150] {
        harness.price(price).await;
    }
    let notices = harness.wait_for_reached(1).await;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].title.en, "a at 1.50");
    assert_eq!(notices[0].link.as_deref(), Some("/market/a"));
    for price in [151, 140, 160, 49] {
        harness.price(price).await;
    }
    assert_eq!(harness.wait_for_reached(2).await.len(), 2);
    stop_watcher(watcher).await;
}

#[tokio::test]
async fn alerts_set_before_the_start_are_loaded_and_reached_ones_are_not_sent_again() {
    let mut harness = Harness::new().await;
    harness.set(AlertCondition::Above, 150).await;
    harness.price(200).await;
    for _ in 0..2 {
        let watcher = harness.watcher();
        assert_eq!(harness.wait_for_reached(1).await.len(), 1);
        harness.set(AlertCondition::Below, 10).await;
        harness.price(210).await;
        stop_watcher(watcher).await;
    }
    let watcher = harness.watcher();
    harness.price(9).await;
    assert_eq!(harness.wait_for_reached(2).await.len(), 2);
    stop_watcher(watcher).await;
}

/// Regression test: 11,000 alerts used to keep their topics running after a start and exhaust the node's topic limit.
#[tokio::test]
async fn pending_alerts_keep_no_topic_running() {
    let log: Arc<dyn Log> = Arc::new(MemoryLog::new(Epoch::new(1)));
    let mut before = Harness::on(Arc::clone(&log), 100).await;
    let person = |number: u64| format!("{number:016x}");
    for number in 1_000..12_000 {
        before.set_of(&person(number), AlertCondition::Above, number).await;
    }
    before.hub.close().await;
    let mut harness = Harness::on(log, 20).await;
    let watcher = harness.watcher();
    harness.set(AlertCondition::Below, 90).await;
    harness.price(90).await;
    assert_eq!(harness.wait_for_reached(1).await.len(), 1, "the watcher is running");
    harness.price(1_001).await;
    let notices = async |number| harness.state::<Inbox>(&person(number)).await.len();
    let reached = async {
        while notices(1_000).await + notices(1_001).await < 2 {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.unwrap();
    assert_eq!(notices(1_002).await, 0);
    let awake = harness.hub.awake_topics();
    let alerts_topics = awake.iter().filter(|running| running.topic.kind() == Alerts::KIND);
    assert!(
        alerts_topics.count() <= 3,
        "only the reached alerts' topics run: {awake:?}"
    );
    stop_watcher(watcher).await;
}

#[tokio::test]
async fn a_stop_between_notice_and_mark_sends_no_second_notice() {
    let mut harness = Harness::new().await;
    harness.set(AlertCondition::Above, 150).await;
    harness.price(160).await;
    let alert = harness.state::<Alerts>(ME).await.alerts[0].clone();
    let person = PersonId(ME.to_owned());
    let book = harness.state::<Quotes>(ALL).await;
    let audience = Audience::Person(person.clone());
    let sent = notice(&alert, &book.entries["a"]);
    notify::send(&harness.hub, &audience, &sent, command_id(&person, &alert, "notice")).await;
    let watcher = harness.watcher();
    assert_eq!(harness.wait_for_reached(1).await, [sent]);
    stop_watcher(watcher).await;
}

#[tokio::test]
async fn removed_alerts_and_stale_prices_send_no_notice() {
    let mut harness = Harness::new().await;
    harness.set(AlertCondition::Above, 150).await;
    harness.set(AlertCondition::Above, 170).await;
    harness.send::<Alerts>(ME, &AlertsCommand::Remove { id: 1 }).await;
    let mut old = tick("a", 300);
    old.stale = true;
    harness.quote(QuotesCommand::Tick(vec![old])).await;
    let watcher = harness.watcher();
    harness.price(171).await;
    let notices = harness.wait_for_reached(1).await;
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].title.ko, "a 1.71", "not the stale price");
    stop_watcher(watcher).await;
}

#[test]
fn each_alert_and_step_has_a_unique_id() {
    let alert = |id, at| Alert {
        id,
        symbol: "a".to_owned(),
        condition: AlertCondition::Above,
        price: 1,
        scale: 0,
        at,
        reached: None,
    };
    let person = PersonId(ME.to_owned());
    let ids = [
        command_id(&person, &alert(1, 1), "notice"),
        command_id(&person, &alert(1, 1), "reach"),
        command_id(&person, &alert(2, 1), "notice"),
        command_id(&person, &alert(1, 2), "notice"),
        command_id(&PersonId("b".to_owned()), &alert(1, 1), "notice"),
    ];
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
    assert_eq!(command_id(&person, &alert(1, 1), "notice"), ids[0]);
}

//! The watcher on a hub in memory.

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
use duplex_hub::log::memory::Memory;
use duplex_hub::testing;
use duplex_protocol::cursor::{Epoch, Seq};
use duplex_protocol::session::Rejection;

/// Whoever shows notices: here they are only counted.
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

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denied> {
        Ok(Access::Read)
    }

    fn decide(&self, _at: Context<'_>, _state: &Vec<Notice>, none: NoCommand) -> Result<Vec<Notice>, Rejection> {
        match none {}
    }
}

impl ServerCommand<Inbox> for Send {
    fn decide(self, _inbox: &Inbox, _at: Context<'_>, _state: &Vec<Notice>) -> Result<Vec<Notice>, Rejection> {
        let Self::Send(notice) = self;
        Ok(vec![notice])
    }
}

const ME: &str = "00000000000000aa";

struct Place {
    hub: Hub,
    commands: u128,
}

impl Place {
    /// With one symbol, whose price is 1.00.
    async fn new() -> Self {
        Self::on(Arc::new(Memory::new(Epoch::new(1))), 1_000).await
    }

    async fn on(log: Arc<dyn Log>, room: usize) -> Self {
        let kinds = vec![
            dyn_topic(Quotes),
            dyn_topic(Alerts),
            dyn_topic(Watches),
            dyn_topic(Inbox),
        ];
        let mut place = Self {
            hub: Hub::with_room(log, kinds, room),
            commands: 0,
        };
        place.quote(QuotesCommand::List(vec![entry("a")])).await;
        place
    }

    async fn tell<T: Topic>(&mut self, rest: &str, command: &T::Command) {
        self.commands += 1;
        let id = CommandId::from_bits(self.commands);
        let answer = self.hub.tell::<T>(rest, id, command).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }

    async fn price(&mut self, last: u64) {
        self.quote(QuotesCommand::Tick(vec![tick("a", last)])).await;
    }

    async fn quote(&mut self, command: QuotesCommand) {
        self.commands += 1;
        let id = CommandId::from_bits(self.commands);
        let answer = self.hub.server_command::<Quotes>(ALL, id, &command).await;
        assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
    }

    async fn set(&mut self, side: Side, price: u64) {
        self.set_of(ME, side, price).await;
    }

    async fn set_of(&mut self, person: &str, side: Side, price: u64) {
        let symbol = "a".to_owned();
        let command = AlertsCommand::Set {
            symbol,
            side,
            price,
            scale: 2,
        };
        self.tell::<Alerts>(person, &command).await;
    }

    fn watch(&self) -> (CancellationToken, JoinHandle<()>) {
        let stop = CancellationToken::new();
        let running = tokio::spawn(Arc::new(Watcher).run(self.hub.clone(), stop.clone()));
        (stop, running)
    }

    async fn state<T: Topic>(&self, rest: &str) -> T::State {
        testing::state::<T>(&self.hub, rest).await
    }

    /// Waits until so many alerts are done, and returns the notices.
    async fn done(&self, count: usize) -> Vec<Notice> {
        let done = async {
            loop {
                let list = self.state::<Alerts>(ME).await;
                if list.alerts.iter().filter(|alert| alert.done.is_some()).count() == count {
                    return;
                }
                yield_now().await;
            }
        };
        timeout(Duration::from_secs(30), done).await.unwrap();
        self.state::<Inbox>(ME).await
    }
}

async fn end((stop, running): (CancellationToken, JoinHandle<()>)) {
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn an_alert_is_told_once_when_its_price_is_reached() {
    let mut place = Place::new().await;
    let watch = place.watch();
    place.set(Side::Above, 150).await;
    place.set(Side::Below, 50).await;
    for price in [120, 149, 150] {
        place.price(price).await;
    }
    let told = place.done(1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].title.en, "a at 1.50");
    assert_eq!(told[0].link.as_deref(), Some("/market/a"));
    for price in [151, 140, 160, 49] {
        place.price(price).await;
    }
    assert_eq!(place.done(2).await.len(), 2);
    end(watch).await;
}

#[tokio::test]
async fn alerts_of_before_the_start_are_known_and_what_is_done_is_not_told_again() {
    let mut place = Place::new().await;
    place.set(Side::Above, 150).await;
    place.price(200).await;
    for _ in 0..2 {
        let watch = place.watch();
        assert_eq!(place.done(1).await.len(), 1);
        place.set(Side::Below, 10).await;
        place.price(210).await;
        end(watch).await;
    }
    let watch = place.watch();
    place.price(9).await;
    assert_eq!(place.done(2).await.len(), 2);
    end(watch).await;
}

/// 11,000 alerts kept a node full after its start once.
#[tokio::test]
async fn alerts_that_wait_keep_no_topic_awake() {
    let log: Arc<dyn Log> = Arc::new(Memory::new(Epoch::new(1)));
    let mut before = Place::on(Arc::clone(&log), 100).await;
    let person = |number: u64| format!("{number:016x}");
    for number in 1_000..12_000 {
        before.set_of(&person(number), Side::Above, number).await;
    }
    before.hub.close().await;
    let mut place = Place::on(log, 20).await;
    let watch = place.watch();
    place.set(Side::Below, 90).await;
    place.price(90).await;
    assert_eq!(place.done(1).await.len(), 1, "the watcher is at work");
    place.price(1_001).await;
    let told = async |number| place.state::<Inbox>(&person(number)).await.len();
    let reached = async {
        while told(1_000).await + told(1_001).await < 2 {
            yield_now().await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.unwrap();
    assert_eq!(told(1_002).await, 0);
    let awake = place.hub.awake();
    let waiting = awake.iter().filter(|figures| figures.topic.kind() == Alerts::KIND);
    assert!(waiting.count() <= 3, "only those that were reached: {awake:?}");
    end(watch).await;
}

#[tokio::test]
async fn a_death_between_the_notice_and_the_mark_tells_nobody_twice() {
    let mut place = Place::new().await;
    place.set(Side::Above, 150).await;
    place.price(160).await;
    let alert = place.state::<Alerts>(ME).await.alerts[0].clone();
    let person = PersonId(ME.to_owned());
    let board = place.state::<Quotes>(ALL).await;
    let audience = Audience::Person(person.clone());
    let said = notice(&alert, &board.entries["a"]);
    notify::send(&place.hub, &audience, &said, id(&person, &alert, "notice")).await;
    let watch = place.watch();
    assert_eq!(place.done(1).await, [said]);
    end(watch).await;
}

#[tokio::test]
async fn what_was_removed_and_what_is_old_is_not_told() {
    let mut place = Place::new().await;
    place.set(Side::Above, 150).await;
    place.set(Side::Above, 170).await;
    place.tell::<Alerts>(ME, &AlertsCommand::Remove { id: 1 }).await;
    let mut old = tick("a", 300);
    old.stale = true;
    place.quote(QuotesCommand::Tick(vec![old])).await;
    let watch = place.watch();
    place.price(171).await;
    let told = place.done(1).await;
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].title.ko, "a 1.71", "not the old price");
    end(watch).await;
}

#[test]
fn each_alert_has_ids_of_its_own() {
    let alert = |id, at| Alert {
        id,
        symbol: "a".to_owned(),
        side: Side::Above,
        price: 1,
        scale: 0,
        at,
        done: None,
    };
    let person = PersonId(ME.to_owned());
    let ids = [
        id(&person, &alert(1, 1), "notice"),
        id(&person, &alert(1, 1), "reach"),
        id(&person, &alert(2, 1), "notice"),
        id(&person, &alert(1, 2), "notice"),
        id(&PersonId("b".to_owned()), &alert(1, 1), "notice"),
    ];
    assert_eq!(ids.iter().collect::<std::collections::BTreeSet<_>>().len(), ids.len());
    assert_eq!(id(&person, &alert(1, 1), "notice"), ids[0]);
}

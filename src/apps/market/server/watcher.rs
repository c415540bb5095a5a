//! The feed that watches prices for people: it hears the quotes as any reader does, and tells whoever wanted to know.
//!
//! What it knows of alerts is a copy: it asks all of them when it starts, and one person's whenever it hears that they changed.
//! An alert is told by a notice whose id follows from the alert alone, and only then marked as done: whenever a server dies in
//! between, the next one says the same notice again, which is then known, and goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::super::model::alerts::{Alert, AlertList};
use super::super::model::board::Board;
use super::super::model::decimal;
use super::super::wire::{ALL, Alerts, Changed, Entry, Listing, Quotes, QuotesEvent, Side, Watches, symbol_path};
use super::commands::AlertsServerCommand;
use super::watch_list::WatchList;
use crate::server::notify;
use crate::wire::notice::{Audience, Level, Notice, Words};
use duplex_hub::session::reader::Reader;
use duplex_hub::{BackgroundTask, Hub, Most, TaskFuture, TopicCommand};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::person::PersonId;
use duplex_protocol::session::{Answer, CommandId, Denied, Rejection, ServerFrame, SessionId, Verdict};
use duplex_protocol::topic::{Topic, TopicName};

/// Taken from a topic at once.
const MOST: Most = Most {
    frames: 256,
    bytes: 256 << 10,
};
/// An alert that could not be told is tried again after this time.
const AGAIN: Duration = Duration::from_secs(5);

pub struct Watcher;

impl BackgroundTask for Watcher {
    fn name(&self) -> &'static str {
        "market-alerts"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            let watched = async {
                let mut watch = Watch::start(hub).await?;
                watch.run().await
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Err(denied) = watched => tracing::warn!("nobody watches prices: {denied}"),
            }
        })
    }
}

struct Watch {
    hub: Hub,
    reader: Reader,
    /// Symbols with their newest prices.
    entries: BTreeMap<String, Entry>,
    /// Alerts that wait.
    alerts: WatchList,
}

impl Watch {
    /// First what changes is listened to, then what there is is asked: nothing falls in between.
    async fn start(hub: Hub) -> Result<Self, Denied> {
        let session = SessionId(format!("market-{}", uuid::Uuid::new_v4()));
        let mut reader = Reader::for_server(&hub, Encoding::Json, session);
        let mut watch_frames = Vec::new();
        for topic in [name::<Watches>(ALL)?, name::<Quotes>(ALL)?] {
            match reader.subscribe(&topic, None).await {
                Verdict::Denied { reason } => return Err(reason),
                verdict => watch_frames.push(ServerFrame::Verdict { topic, verdict }),
            }
        }
        let mut watch = Self {
            hub,
            reader,
            entries: BTreeMap::new(),
            alerts: WatchList::default(),
        };
        for topic in watch.hub.topics_of(Alerts::KIND).await? {
            watch.ask(&PersonId(topic.rest().to_owned())).await?;
        }
        for frame in watch_frames {
            watch.hear(frame).await?;
        }
        Ok(watch)
    }

    async fn run(&mut self) -> Result<(), Denied> {
        loop {
            self.reader.woken().await;
            let mut frames = Vec::new();
            self.reader.gather(MOST, &mut frames).await;
            for frame in frames {
                match Encoding::Json.decode(&frame) {
                    Ok(frame) => self.hear(frame).await?,
                    Err(error) => tracing::error!("a frame of the quotes cannot be read: {error}"),
                }
            }
        }
    }

    async fn hear(&mut self, frame: ServerFrame) -> Result<(), Denied> {
        match frame {
            ServerFrame::Verdict {
                verdict: Verdict::Denied { reason },
                ..
            } => return Err(reason),
            ServerFrame::Verdict {
                topic,
                verdict: Verdict::Reset { state, .. },
            } if topic.kind() == Quotes::KIND => {
                if let Some(board) = read::<Board>(&state) {
                    self.entries = board.entries;
                    let symbols: Vec<String> = self.entries.keys().cloned().collect();
                    for symbol in symbols {
                        self.check(&symbol).await;
                    }
                }
            }
            ServerFrame::Event { topic, event, .. } if topic.kind() == Quotes::KIND => {
                if let Some(event) = read::<QuotesEvent>(&event) {
                    self.quote(event).await;
                }
            }
            ServerFrame::Event { event, .. } => {
                if let Some(Changed { person }) = read(&event) {
                    let person = PersonId(person);
                    self.ask(&person).await?;
                    for symbol in self.alerts.symbols_of(&person) {
                        self.check(&symbol).await;
                    }
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// One person's alerts, as they are now. The topic is not started for it.
    async fn ask(&mut self, person: &PersonId) -> Result<(), Denied> {
        let topic = name::<Alerts>(&person.0)?;
        let state = self.hub.kept(&topic, Encoding::Json).await?;
        let list: AlertList = read(&state).unwrap_or_default();
        self.alerts.replace(person, list.waiting());
        Ok(())
    }

    async fn quote(&mut self, event: QuotesEvent) {
        match event {
            QuotesEvent::Opened(_) => self.entries.clear(),
            QuotesEvent::Listed(entries) => {
                for entry in entries {
                    let symbol = entry.listing.symbol.clone();
                    self.entries.insert(symbol.clone(), entry);
                    self.check(&symbol).await;
                }
            }
            QuotesEvent::Ticked(tick) => {
                let symbol = tick.symbol.clone();
                if let Some(entry) = self.entries.get_mut(&symbol) {
                    entry.tick = tick;
                    self.check(&symbol).await;
                }
            }
            QuotesEvent::Sampled { .. } | QuotesEvent::Feed(_) => {}
        }
    }

    /// Tells of every alert that this symbol's price has reached. An old price tells nobody anything.
    async fn check(&mut self, symbol: &str) {
        let Some(entry) = self.entries.get(symbol).filter(|entry| !entry.tick.stale) else {
            return;
        };
        let last = entry.tick.last;
        for (person, alert) in self.alerts.reached(symbol, last, entry.listing.scale, Instant::now()) {
            if tell(&self.hub, &person, &alert, entry).await {
                self.alerts.done(&person, &alert);
            } else {
                self.alerts.later(&person, &alert, Instant::now() + AGAIN);
            }
        }
    }
}

/// Whether it was told, and is done.
async fn tell(hub: &Hub, person: &PersonId, alert: &Alert, entry: &Entry) -> bool {
    let Ok(notice) = notify::command(&Audience::Person(person.clone()), &notice(alert, entry)) else {
        return true;
    };
    if is_lost(&once(hub, id(person, alert, "notice"), notice).await) {
        return false;
    }
    let reach = AlertsServerCommand::Reach {
        id: alert.id,
        price: entry.tick.last,
        scale: entry.listing.scale,
    };
    let Ok(reach) = TopicCommand::server_command::<Alerts>(&person.0, &reach) else {
        return true;
    };
    !is_lost(&once(hub, id(person, alert, "reach"), reach).await)
}

/// An alert may stand for longer than its topics remember ids of its time. It was not reached in all that time: it is told under
/// an id without a time, which is the same for the same alert.
async fn once(hub: &Hub, id: CommandId, command: TopicCommand) -> Answer {
    match hub.tell_command(id.clone(), command.clone()).await {
        Answer::Rejected(Rejection::IdTooOld { .. }) => {
            hub.tell_command(CommandId::without_time(id.bits()), command).await
        }
        answer => answer,
    }
}

/// It may go better later. What is refused for good is refused again.
fn is_lost(answer: &Answer) -> bool {
    match answer {
        Answer::Accepted { .. } => false,
        Answer::Rejected(why) => {
            tracing::warn!("an alert was not taken: {why}");
            why.may_retry()
        }
    }
}

/// The same whenever it is made, of the time when the alert was set.
fn id(person: &PersonId, alert: &Alert, step: &str) -> CommandId {
    let mut hash = Sha256::new();
    for text in ["market alert", &person.0, &alert.symbol, step] {
        hash.update(text);
        hash.update([0]);
    }
    for number in [alert.id, alert.at, alert.price] {
        hash.update(number.to_be_bytes());
    }
    let hash = hash.finalize();
    CommandId::at(
        alert.at,
        hash.iter().take(16).fold(0, |bits, byte| bits << 8 | u128::from(*byte)),
    )
}

fn notice(alert: &Alert, entry: &Entry) -> Notice {
    let Listing {
        names, scale, least, ..
    } = &entry.listing;
    let wanted = decimal::show(alert.price, alert.scale, *least);
    let last = decimal::show(entry.tick.last, *scale, *least);
    let (ko, en) = match alert.side {
        Side::Above => ("이상이", "at or above"),
        Side::Below => ("이하가", "at or below"),
    };
    Notice {
        title: Words::new(format!("{} {last}", names.0), format!("{} at {last}", names.1)),
        body: Words::new(
            format!("{wanted} {ko} 되면 알려 달라고 하셨습니다."),
            format!("You asked to be told when it is {en} {wanted}."),
        ),
        link: Some(symbol_path(&alert.symbol)),
        level: Level::Info,
        expires: None,
    }
}

fn name<T: Topic>(rest: &str) -> Result<TopicName, Denied> {
    TopicName::of::<T>(rest).map_err(|_| Denied::Unknown)
}

fn read<T: serde::de::DeserializeOwned>(blob: &Blob) -> Option<T> {
    blob.decode(Encoding::Json)
        .inspect_err(|error| tracing::error!("the market cannot be read: {error}"))
        .ok()
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use tokio::task::{JoinHandle, yield_now};
    use tokio::time::timeout;

    use super::super::super::model::board::tests::{entry, tick};
    use super::super::super::wire::AlertsCommand;
    use super::super::commands::QuotesCommand;
    use super::*;
    use crate::wire::notice::INBOX_KIND;
    use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal, ServerCommand};
    use duplex_hub::kind;
    use duplex_hub::log::Log;
    use duplex_hub::log::memory::Memory;
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
            let kinds = vec![kind(Quotes), kind(Alerts), kind(Watches), kind(Inbox)];
            let mut place = Self {
                hub: Hub::with_room(log, kinds, room),
                commands: 0,
            };
            place.quote(QuotesCommand::List(vec![entry("a")])).await;
            place
        }

        async fn tell<T: Topic>(&mut self, rest: &str, command: &T::Command) {
            self.commands += 1;
            let id = CommandId::from_random(self.commands);
            let answer = self.hub.tell::<T>(rest, id, command).await;
            assert!(matches!(answer, Answer::Accepted { .. }), "{answer:?}");
        }

        async fn price(&mut self, last: u64) {
            self.quote(QuotesCommand::Tick(vec![tick("a", last)])).await;
        }

        async fn quote(&mut self, command: QuotesCommand) {
            self.commands += 1;
            let id = CommandId::from_random(self.commands);
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
            let handle = self.hub.open(&name::<T>(rest).unwrap()).await.unwrap();
            handle
                .state(Encoding::Json)
                .await
                .unwrap()
                .1
                .decode(Encoding::Json)
                .unwrap()
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
}

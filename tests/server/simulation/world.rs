//! One simulation from its beginning to its end: tabs, their networks and the server, what befalls them by plan, and what must
//! hold all the same.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duplex_hub::decider::{Decider, Principal};
use duplex_protocol::codec::{Blob, Encoding};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::CommandId;
use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::checks::{self, Logs, Lost};
use super::disk::Store;
use super::lines::Means;
use super::network::{Block, Network};
use super::plan::{Plan, Step};
use super::random::Random;
use super::server::Server;
use super::tab::{Act, Diary, Tab};
use crate::harness::kinds::{Note, Notes};

/// How long everything may take to settle when nothing is in the way any more: leases and dead connections run out, and
/// WebSocket is tried again after up to ten minutes.
const SETTLED: Duration = Duration::from_secs(30 * 60);
/// How often is looked.
const LOOK: Duration = Duration::from_millis(500);

/// What came to pass.
#[derive(Debug, Default, Clone, Copy)]
pub struct Tally {
    pub seeds: u64,
    pub commands: u64,
    pub accepted: u64,
    pub rejected: u64,
    pub cancelled: u64,
    pub cuts: u64,
    pub partitions: u64,
    pub crashes: u64,
    pub drains: u64,
    pub resets: u64,
    /// Events that were lost, and resets for their sake: by a check, and because the log was shorter.
    pub lost: u64,
    pub diverged: u64,
    pub ahead: u64,
    /// Of everything that was told and when.
    pub trace: u64,
}

impl Tally {
    pub fn add(&mut self, other: &Self) {
        self.seeds += 1;
        self.commands += other.commands;
        self.accepted += other.accepted;
        self.rejected += other.rejected;
        self.cancelled += other.cancelled;
        self.cuts += other.cuts;
        self.partitions += other.partitions;
        self.crashes += other.crashes;
        self.drains += other.drains;
        self.resets += other.resets;
        self.lost += other.lost;
        self.diverged += other.diverged;
        self.ahead += other.ahead;
    }
}

pub struct Guest {
    network: Arc<Network>,
    acts: mpsc::UnboundedSender<Act>,
    pub diary: Arc<Mutex<Diary>>,
    running: JoinHandle<()>,
}

pub struct World {
    began: Instant,
    plan: Plan,
    server: Arc<Server>,
    guests: Vec<Guest>,
    leaving: Option<JoinHandle<()>>,
    /// What a feed wrote.
    bursts: Vec<JoinHandle<Vec<String>>>,
    lost: Lost,
    tally: Tally,
}

impl World {
    pub fn new(seed: u64, store: Store, loses: bool) -> Self {
        let mut random = Random::new(seed);
        let mut plan = Plan::new(&mut random);
        if loses {
            plan.lose(&mut random.fork());
        }
        let server = Arc::new(Server::new(store, random.fork()));
        server.start();
        let began = Instant::now();
        let guests = (0..plan.tabs).map(|number| guest(number, &server, &mut random, began));
        Self {
            began,
            guests: guests.collect(),
            plan,
            server,
            leaving: None,
            bursts: Vec::new(),
            lost: Lost::default(),
            tally: Tally::default(),
        }
    }

    pub async fn run(mut self) -> Result<Tally, String> {
        for (at, step) in std::mem::take(&mut self.plan.steps) {
            self.advance_to(self.began + at).await;
            self.fault()?;
            self.step(step).await;
        }
        self.advance_to(self.began + self.plan.end).await;
        self.heal().await;
        let fed = self.settle().await?;
        let logs = Logs::read(&self.server, &self.plan.topics).await?;
        let diaries: Vec<_> = self.guests.iter().map(|guest| guest.diary.lock().unwrap()).collect();
        checks::all(&diaries, &logs, &self.lost, &fed, &mut self.tally)?;
        drop(diaries);
        self.leave().await?;
        Ok(self.tally)
    }

    /// Time passes; nothing is expected of it.
    async fn advance_to(&self, at: Instant) {
        let nothing = Notify::new();
        let _ = timeout_at(at, nothing.notified()).await;
    }

    fn fault(&self) -> Result<(), String> {
        let mut faults = self
            .guests
            .iter()
            .filter_map(|guest| guest.diary.lock().unwrap().fault.clone());
        faults.next().map_or(Ok(()), Err)
    }

    fn tell(&self, tab: usize, act: Act) {
        // A tab that is gone shows at the end.
        let _ = self.guests[tab].acts.send(act);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Tab(tab, act) => self.tell(tab, act),
            Step::Online(tab, online) => {
                let network = &self.guests[tab].network;
                if online {
                    network.mend()
                } else {
                    network.part()
                }
                self.tell(tab, Act::Online(online));
            }
            Step::Cut(tab) => {
                self.tally.cuts += 1;
                self.guests[tab].network.cut();
            }
            Step::Part(tab) => {
                self.tally.partitions += 1;
                self.guests[tab].network.part();
            }
            Step::Mend(tab) => self.guests[tab].network.mend(),
            Step::Websocket(tab, block) => {
                self.guests[tab].network.change(|weather| weather.websocket = block);
                self.guests[tab].network.cut();
            }
            Step::Stream(tab, block) => self.guests[tab].network.change(|weather| weather.stream = block),
            Step::Slow(tab, slow) => self.guests[tab].network.change(|weather| weather.slow = slow),
            Step::Crash => self.crash().await,
            Step::Lose(count) => self.lose(count).await,
            Step::Drain => self.drain(),
            Step::Start => self.start().await,
            Step::Blind(blind) => self.server.store.set_blind(blind),
            Step::Disk(weather) => self.server.store.set_weather(weather),
            Step::Burst(topic, count) => {
                if let Some(node) = self.server.node() {
                    self.bursts.push(tokio::spawn(burst(node, topic, count)));
                }
            }
        }
    }

    async fn crash(&mut self) {
        if let Some(node) = self.server.take() {
            self.tally.crashes += 1;
            self.guests.iter().for_each(|guest| guest.network.cut());
            node.disk.crash().await;
        }
    }

    async fn lose(&mut self, count: u64) {
        self.crash().await;
        if let Some(leaving) = self.leaving.take() {
            leaving.await.unwrap();
        }
        for topic in &self.plan.topics {
            let events = self.server.store.lose(topic, count);
            self.tally.lost += count.min(events.len() as u64);
            self.lost.add(topic, &events, count);
        }
    }

    fn drain(&mut self) {
        if let Some(node) = self.server.take() {
            self.tally.drains += 1;
            let networks: Vec<_> = self.guests.iter().map(|guest| Arc::clone(&guest.network)).collect();
            self.leaving = Some(tokio::spawn(async move {
                node.drain().await;
                // The process ends, and with it what is still open.
                networks.iter().for_each(|network| network.cut());
            }));
        }
    }

    /// The successor needs the log for itself.
    async fn start(&mut self) {
        if let Some(leaving) = self.leaving.take() {
            leaving.await.unwrap();
        }
        self.server.start();
    }

    async fn heal(&mut self) {
        self.server.store.set_weather(duplex_hub::log::memory::Weather::Fair);
        self.server.store.set_blind(false);
        self.start().await;
        for (tab, guest) in self.guests.iter().enumerate() {
            let fallen = self.plan.fallen.iter().find(|(fallen, _)| *fallen == tab);
            guest.network.change(|weather| {
                weather.slow = false;
                if fallen.is_none() {
                    weather.websocket = Block::No;
                }
                if !fallen.is_some_and(|(_, stream)| *stream) {
                    weather.stream = Block::No;
                }
            });
            guest.network.mend();
            for act in [Act::Frozen(false), Act::Visible(true), Act::Online(true)] {
                self.tell(tab, act);
            }
            for topic in self.plan.topics.clone() {
                let anew = false;
                self.tell(tab, Act::Join { topic, anew });
            }
        }
    }

    /// The texts that feeds wrote, once everything is as it should be.
    async fn settle(&mut self) -> Result<Vec<String>, String> {
        let mut fed = Vec::new();
        for burst in std::mem::take(&mut self.bursts) {
            // A feed of a node that crashed waits for ever.
            if let Ok(texts) = timeout_at(Instant::now() + LOOK, burst).await {
                fed.extend(texts.map_err(|error| error.to_string())?);
            }
        }
        let end = Instant::now() + SETTLED;
        loop {
            self.fault()?;
            let logs = Logs::read(&self.server, &self.plan.topics).await?;
            let diaries = self.guests.iter().map(|guest| guest.diary.lock().unwrap());
            let unrest = checks::unrest(&diaries.collect::<Vec<_>>(), &logs);
            match unrest {
                None => return Ok(fed),
                Some(what) if Instant::now() > end => return Err(format!("not settled: {what}")),
                Some(_) => self.advance_to(Instant::now() + LOOK).await,
            }
        }
    }

    /// Everybody goes, and nothing of them remains.
    async fn leave(&mut self) -> Result<(), String> {
        for tab in 0..self.guests.len() {
            self.tell(tab, Act::Quit);
        }
        for guest in &mut self.guests {
            (&mut guest.running).await.map_err(|error| error.to_string())?;
        }
        let node = self.server.node().ok_or("the node is gone")?;
        let end = Instant::now() + SETTLED;
        loop {
            let (open, stats) = (node.state.counters.snapshot().connections, node.state.hub.stats());
            // A topic falls asleep when nobody is present.
            if (open, stats.members, stats.topics) == (0, 0, 0) {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("{open} connections are left, and {stats:?}"));
            }
            self.advance_to(Instant::now() + LOOK).await;
        }
    }
}

fn guest(number: usize, server: &Arc<Server>, random: &mut Random, began: Instant) -> Guest {
    let network = Arc::new(Network::new(Arc::clone(server), random.fork()));
    let (heard, hears) = mpsc::unbounded_channel();
    let (acts, acting) = mpsc::unbounded_channel();
    let secret = u128::from(random.next()) << 64 | u128::from(random.next());
    let encoding = Encoding::ALL[random.below(2) as usize];
    let means = Means {
        network: Arc::clone(&network),
        heard,
        cookie: format!("visitor={secret:032x}"),
        session: format!("s-{number}-{:x}", random.next()),
        encoding,
    };
    let diary = Arc::<Mutex<Diary>>::default();
    let tab = Tab::new(format!("tab {number}"), means, random.fork(), began, Arc::clone(&diary));
    Guest {
        network,
        acts,
        diary,
        running: tokio::spawn(tab.run(hears, acting)),
    }
}

/// Commands of the server's own, many at once. Returns the texts of those that were accepted.
async fn burst(node: super::server::Node, topic: duplex_protocol::topic::TopicName, count: u64) -> Vec<String> {
    let who = Person {
        id: PersonId("feed".to_owned()),
        name: String::new(),
    };
    if Notes.admit(Principal::visitor(&who), &topic).is_err() {
        return Vec::new();
    }
    let Ok(handle) = node.state.hub.open(&topic).await else {
        return Vec::new();
    };
    let answers = (0..count).map(|number| {
        let (handle, who) = (&handle, who.clone());
        async move {
            let text = format!("feed.{number}");
            let command = Blob::encode(Encoding::Json, &Note::Add(text.clone())).unwrap();
            let id = CommandId::from_bits(u128::MAX - u128::from(number));
            let (answer, _) = handle.command(who, id, command, Encoding::Json).await;
            matches!(answer, duplex_protocol::session::Answer::Accepted { .. }).then_some(text)
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

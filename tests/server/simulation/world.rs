//! One simulation run: tabs, their networks and the server, the scheduled faults, and the checks at the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use duplex_hub::bus::{BusFaults, MemoryBus};
use duplex_hub::decider::{Decider, Principal};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::CommandId;
use futures_util::future::join_all;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout_at};

use super::connections::ClientContext;
use super::disk::Store;
use super::invariants::{self, Logs, LostTails};
use super::network::{Block, Network};
use super::plan::{Plan, Step};
use super::random::Random;
use super::server::{Balancer, Server};
use super::tab::{Action, Tab, TabTrace};
use crate::harness::kinds::{Note, Notes};

/// The time limit for settling after the last fault: leases and dead connections expire, and WebSocket is retried after up to ten
/// minutes.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// The time between two checks for settling.
const CHECK_PERIOD: Duration = Duration::from_millis(500);

/// Counters of a run.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
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
    /// Lost events; resets because the check differs; resets because the log is shorter.
    pub lost: u64,
    pub diverged: u64,
    pub ahead: u64,
    /// A hash of all updates and their times.
    pub trace_hash: u64,
}

impl Totals {
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

/// A tab with its network.
pub struct SimulatedClient {
    network: Arc<Network>,
    actions: mpsc::UnboundedSender<Action>,
    pub trace: Arc<Mutex<TabTrace>>,
    task: JoinHandle<()>,
}

pub struct World {
    start: Instant,
    plan: Plan,
    balancer: Arc<Balancer>,
    store: Arc<Store>,
    bus: Option<Arc<MemoryBus>>,
    clients: Vec<SimulatedClient>,
    draining: Vec<JoinHandle<()>>,
    /// Running bursts; each returns its accepted texts.
    bursts: Vec<JoinHandle<Vec<String>>>,
    lost: LostTails,
    totals: Totals,
}

impl World {
    pub fn new(seed: u64, store: Store, has_loss: bool, servers: usize) -> Self {
        let mut random = Random::new(seed);
        let mut plan = Plan::new(&mut random);
        if has_loss {
            plan.add_loss(&mut random.split());
        }
        let bus = (servers > 1).then(|| MemoryBus::new(seed, BusFaults::default()));
        let store = Arc::new(store);
        let first = Server::new(Arc::clone(&store), random.split(), bus.clone());
        let mut other = Random::new(!seed);
        if servers > 1 {
            plan.add_servers(servers, &mut other);
        }
        let more = (1..servers).map(|_| Server::new(Arc::clone(&store), other.split(), bus.clone()));
        let all = std::iter::once(first).chain(more).collect();
        let balancer = Arc::new(Balancer::new(all, Random::new(seed)));
        balancer.servers.iter().for_each(Server::start);
        let start = Instant::now();
        let clients = (0..plan.tabs).map(|number| new_client(number, &balancer, &mut random, start));
        Self {
            start,
            clients: clients.collect(),
            plan,
            balancer,
            store,
            bus,
            draining: Vec::new(),
            bursts: Vec::new(),
            lost: LostTails::default(),
            totals: Totals::default(),
        }
    }

    pub async fn run(mut self) -> Result<Totals, String> {
        for (at, step) in std::mem::take(&mut self.plan.steps) {
            self.advance_to(self.start + at).await;
            self.check_violations()?;
            self.step(step).await;
        }
        self.advance_to(self.start + self.plan.end).await;
        self.heal().await;
        let burst_texts = self.settle().await?;
        let logs = Logs::read(&self.balancer, &self.plan.topics).await?;
        let traces: Vec<_> = self.clients.iter().map(|client| client.trace.lock().unwrap()).collect();
        invariants::check(&traces, &logs, &self.lost, &burst_texts, &mut self.totals)?;
        drop(traces);
        self.close_tabs().await?;
        Ok(self.totals)
    }

    /// Lets the clock advance to `at`.
    async fn advance_to(&self, at: Instant) {
        let never = Notify::new();
        let _ = timeout_at(at, never.notified()).await;
    }

    fn check_violations(&self) -> Result<(), String> {
        let mut violations = self
            .clients
            .iter()
            .filter_map(|client| client.trace.lock().unwrap().violation.clone());
        violations.next().map_or(Ok(()), Err)
    }

    fn send_action(&self, tab: usize, action: Action) {
        // Ignore errors: a tab that has ended is reported at the end.
        let _ = self.clients[tab].actions.send(action);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Tab(tab, action) => self.send_action(tab, action),
            Step::Online(tab, online) => {
                let network = &self.clients[tab].network;
                if online {
                    network.heal()
                } else {
                    network.partition()
                }
                self.send_action(tab, Action::Online(online));
            }
            Step::Cut(tab) => {
                self.totals.cuts += 1;
                self.clients[tab].network.cut();
            }
            Step::Partition(tab) => {
                self.totals.partitions += 1;
                self.clients[tab].network.partition();
            }
            Step::Heal(tab) => self.clients[tab].network.heal(),
            Step::WebSocket(tab, block) => {
                self.clients[tab]
                    .network
                    .change(|conditions| conditions.websocket = block);
                self.clients[tab].network.cut();
            }
            Step::EventStream(tab, block) => self.clients[tab].network.change(|conditions| conditions.stream = block),
            Step::Slow(tab, slow) => self.clients[tab].network.change(|conditions| conditions.slow = slow),
            Step::Crash(server) => self.crash(server).await,
            Step::LoseTail(count) => self.lose_tail(count).await,
            Step::Drain(server) => self.drain(server),
            Step::Start(server) => self.start(server).await,
            Step::Bus(faults) => self.bus.iter().for_each(|bus| bus.set_faults(faults)),
            Step::Unreadable(unreadable) => self.store.set_unreadable(unreadable),
            Step::Disk(fault) => self.store.set_fault(fault),
            Step::Burst(topic, count) => {
                if let Some(node) = self.balancer.node() {
                    self.bursts.push(tokio::spawn(burst(node, topic, count)));
                }
            }
        }
    }

    async fn crash(&mut self, server: usize) {
        if let Some(node) = self.balancer.servers[server].take_node() {
            self.totals.crashes += 1;
            self.clients.iter().for_each(|client| client.network.cut_server(server));
            node.crash().await;
        }
    }

    async fn lose_tail(&mut self, count: u64) {
        for server in 0..self.balancer.servers.len() {
            self.crash(server).await;
        }
        self.wait_for_draining().await;
        for topic in &self.plan.topics {
            let events = self.store.lose_tail(topic, count);
            self.totals.lost += count.min(events.len() as u64);
            self.lost.add(topic, &events, count);
        }
    }

    fn drain(&mut self, server: usize) {
        if let Some(node) = self.balancer.servers[server].take_node() {
            self.totals.drains += 1;
            let networks: Vec<_> = self.clients.iter().map(|client| Arc::clone(&client.network)).collect();
            self.draining.push(tokio::spawn(async move {
                node.drain().await;
                // Like the end of the process: closes the remaining connections.
                networks.iter().for_each(|network| network.cut_server(server));
            }));
        }
    }

    async fn wait_for_draining(&mut self) {
        for draining in std::mem::take(&mut self.draining) {
            draining.await.unwrap();
        }
    }

    /// Starts a node; a single one after the draining one has released the log.
    async fn start(&mut self, server: usize) {
        if self.balancer.servers.len() == 1 {
            self.wait_for_draining().await;
        }
        self.balancer.servers[server].start();
    }

    async fn heal(&mut self) {
        self.store.set_fault(duplex_hub::log::memory::Fault::None);
        self.store.set_unreadable(false);
        self.bus.iter().for_each(|bus| bus.set_faults(BusFaults::default()));
        self.wait_for_draining().await;
        self.balancer.servers.iter().for_each(Server::start);
        for (tab, client) in self.clients.iter().enumerate() {
            let blocked = self.plan.blocked.iter().find(|(blocked, _)| *blocked == tab);
            client.network.change(|conditions| {
                conditions.slow = false;
                if blocked.is_none() {
                    conditions.websocket = Block::No;
                }
                if !blocked.is_some_and(|(_, stream)| *stream) {
                    conditions.stream = Block::No;
                }
            });
            client.network.heal();
            for action in [Action::Frozen(false), Action::Visible(true), Action::Online(true)] {
                self.send_action(tab, action);
            }
            for topic in self.plan.topics.clone() {
                let fresh = false;
                self.send_action(tab, Action::Join { topic, fresh });
            }
        }
    }

    /// Waits until everything has settled; returns the accepted texts of bursts.
    async fn settle(&mut self) -> Result<Vec<String>, String> {
        let mut burst_texts = Vec::new();
        for burst in std::mem::take(&mut self.bursts) {
            // The burst of a crashed node never completes.
            if let Ok(texts) = timeout_at(Instant::now() + CHECK_PERIOD, burst).await {
                burst_texts.extend(texts.map_err(|error| error.to_string())?);
            }
        }
        let end = Instant::now() + SETTLE_TIMEOUT;
        loop {
            self.check_violations()?;
            let logs = Logs::read(&self.balancer, &self.plan.topics).await?;
            let traces = self.clients.iter().map(|client| client.trace.lock().unwrap());
            let unsettled = invariants::unsettled(&traces.collect::<Vec<_>>(), &logs);
            match unsettled {
                None => return Ok(burst_texts),
                Some(condition) if Instant::now() > end => return Err(format!("not settled: {condition}")),
                Some(_) => self.advance_to(Instant::now() + CHECK_PERIOD).await,
            }
        }
    }

    /// Closes every tab; the server's counts must return to zero.
    async fn close_tabs(&mut self) -> Result<(), String> {
        for tab in 0..self.clients.len() {
            self.send_action(tab, Action::Quit);
        }
        for client in &mut self.clients {
            (&mut client.task).await.map_err(|error| error.to_string())?;
        }
        let end = Instant::now() + SETTLE_TIMEOUT;
        loop {
            let nodes = self.balancer.servers.iter().filter_map(Server::node);
            let counts = nodes.map(|node| (node.state.counters.snapshot().connections, node.state.hub.stats()));
            let busy = counts.filter(|(open, stats)| (*open, stats.subscriptions, stats.topics) != (0, 0, 0));
            let busy: Vec<_> = busy.collect();
            // A topic without subscribers falls asleep.
            if busy.is_empty() {
                return Ok(());
            }
            if Instant::now() > end {
                return Err(format!("connections and topics are still open: {busy:?}"));
            }
            self.advance_to(Instant::now() + CHECK_PERIOD).await;
        }
    }
}

fn new_client(number: usize, balancer: &Arc<Balancer>, random: &mut Random, start: Instant) -> SimulatedClient {
    let network = Arc::new(Network::new(Arc::clone(balancer), random.split()));
    let (inputs, input_receiver) = mpsc::unbounded_channel();
    let (actions, action_receiver) = mpsc::unbounded_channel();
    let secret = u128::from(random.next()) << 64 | u128::from(random.next());
    let encoding = Encoding::ALL[random.below(2) as usize];
    let context = ClientContext {
        network: Arc::clone(&network),
        inputs,
        cookie: format!("visitor={secret:032x}"),
        session: format!("s-{number}-{:x}", random.next()),
        encoding,
    };
    let trace = Arc::<Mutex<TabTrace>>::default();
    let tab = Tab::new(
        format!("tab {number}"),
        context,
        random.split(),
        start,
        Arc::clone(&trace),
    );
    SimulatedClient {
        network,
        actions,
        trace,
        task: tokio::spawn(tab.run(input_receiver, action_receiver)),
    }
}

/// Sends many commands at once, as a server task does; returns the accepted texts.
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
            let command = EncodedValue::encode(Encoding::Json, &Note::Add(text.clone())).unwrap();
            let id = CommandId::from_bits(u128::MAX - u128::from(number));
            let (answer, _) = handle.command(who, id, command, Encoding::Json).await;
            matches!(answer, duplex_protocol::session::Answer::Accepted { .. }).then_some(text)
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

//! The schedule of a simulation, derived from the seed before the run.

use std::time::Duration;

use duplex_hub::bus::BusFaults;
use duplex_hub::log::LogError;
use duplex_hub::log::memory;
use duplex_protocol::topic::TopicName;

use super::network::Block;
use super::random::Random;
use super::tab::Action;

#[derive(Debug, Clone)]
pub enum Step {
    Tab(usize, Action),
    /// The browser reports that it is offline or online.
    Online(usize, bool),
    /// Cuts the connections of one tab.
    Cut(usize),
    Partition(usize),
    Heal(usize),
    WebSocket(usize, Block),
    EventStream(usize, Block),
    Slow(usize, bool),
    /// The server's node crashes.
    Crash(usize),
    /// All nodes crash, and each topic loses up to this many of its newest events.
    LoseTail(u64),
    /// The server's node drains and stops.
    Drain(usize),
    /// Starts a node on the server if none is running.
    Start(usize),
    /// How the bus between the nodes fails from now on.
    Bus(BusFaults),
    Disk(memory::Fault),
    /// Whether the log is unreadable.
    Unreadable(bool),
    /// A server task sends this many commands at once.
    Burst(TopicName, u64),
}

#[derive(Debug)]
pub struct Plan {
    pub tabs: usize,
    pub topics: Vec<TopicName>,
    /// By the time since the start.
    pub steps: Vec<(Duration, Step)>,
    /// When fault injection ends.
    pub end: Duration,
    /// Tabs behind a proxy that blocks WebSocket until the end; the flag is true if event streams are blocked too.
    pub blocked: Vec<(usize, bool)>,
    /// The servers, with a node each.
    pub servers: usize,
}

impl Plan {
    pub fn new(random: &mut Random) -> Self {
        let tabs = random.between(2, 5) as usize;
        let topics = (0..random.between(2, 3)).map(|number| format!("notes/{number}").parse().unwrap());
        let end = random.millis(30_000, 150_000);
        let mut plan = Self {
            tabs,
            topics: topics.collect(),
            steps: Vec::new(),
            end,
            blocked: Vec::new(),
            servers: 1,
        };
        for tab in 0..tabs {
            plan.add_tab(tab, random);
        }
        for _ in 0..random.below(6) {
            plan.add_server_fault(random);
        }
        if random.chance(1, 6) {
            let topic = plan.topic(random);
            plan.schedule(random, Step::Burst(topic, 1_200));
        }
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }

    /// Adds one loss of the log's newest events and a restart.
    pub fn add_loss(&mut self, random: &mut Random) {
        let lost = Step::LoseTail(random.between(1, 12));
        let at = self.schedule(random, lost);
        self.schedule_after(at, random.millis(0, 8_000), Step::Start(0));
        self.steps.sort_by_key(|(at, _)| *at);
    }

    /// Runs the plan on several servers, whose nodes crash and drain at any moment and are connected by a bus that fails.
    pub fn add_servers(&mut self, servers: usize, random: &mut Random) {
        self.servers = servers;
        let faults = random_bus(random);
        self.steps.push((Duration::ZERO, Step::Bus(faults)));
        for _ in 0..random.below(3) {
            let faults = random_bus(random);
            self.schedule(random, Step::Bus(faults));
        }
        for server in 0..servers {
            for _ in 0..random.below(4) {
                let (stop, pause) = match random.chance(1, 2) {
                    true => (Step::Crash(server), random.millis(0, 20_000)),
                    false => (Step::Drain(server), random.millis(0, 20_000)),
                };
                let at = self.schedule(random, stop);
                self.schedule_after(at, pause, Step::Start(server));
            }
        }
        self.steps.sort_by_key(|(at, _)| *at);
    }

    fn topic(&self, random: &mut Random) -> TopicName {
        self.topics[random.below(self.topics.len() as u64) as usize].clone()
    }

    fn schedule(&mut self, random: &mut Random, step: Step) -> Duration {
        let at = Duration::from_millis(random.below(self.end.as_millis() as u64));
        self.steps.push((at, step));
        at
    }

    fn schedule_after(&mut self, at: Duration, after: Duration, step: Step) {
        self.steps.push((at + after, step));
    }

    fn add_tab(&mut self, tab: usize, random: &mut Random) {
        for topic in self.topics.clone() {
            let fresh = true;
            self.schedule_after(
                random.millis(0, 3_000),
                Duration::ZERO,
                Step::Tab(tab, Action::Join { topic, fresh }),
            );
        }
        if random.chance(1, 3) {
            self.steps
                .push((Duration::ZERO, Step::WebSocket(tab, random_block(random))));
            let stream = random.chance(1, 2);
            if stream {
                self.steps
                    .push((Duration::ZERO, Step::EventStream(tab, random_block(random))));
            }
            if random.chance(1, 2) {
                self.blocked.push((tab, stream));
            }
        }
        for number in 0..random.between(4, 25) {
            let (topic, text) = (self.topic(random), format!("{tab}.{number}"));
            let at = self.schedule(random, Step::Tab(tab, Action::Send { topic, text }));
            if random.chance(1, 12) {
                self.schedule_after(at, random.millis(0, 100), Step::Tab(tab, Action::Cancel));
            }
        }
        for _ in 0..random.below(6) {
            self.add_tab_fault(tab, random);
        }
    }

    fn add_tab_fault(&mut self, tab: usize, random: &mut Random) {
        let duration = random.millis(200, 40_000);
        let (begin, end) = match random.below(10) {
            0 | 1 => (Step::Cut(tab), Step::Cut(tab)),
            2 | 3 => (Step::Partition(tab), Step::Heal(tab)),
            4 => (Step::Online(tab, false), Step::Online(tab, true)),
            5 => (
                Step::Tab(tab, Action::Visible(false)),
                Step::Tab(tab, Action::Visible(true)),
            ),
            6 => (
                Step::Tab(tab, Action::Frozen(true)),
                Step::Tab(tab, Action::Frozen(false)),
            ),
            7 => (Step::Slow(tab, true), Step::Slow(tab, false)),
            8 => (
                Step::WebSocket(tab, random_block(random)),
                Step::WebSocket(tab, Block::No),
            ),
            _ => {
                let topic = self.topic(random);
                let fresh = random.chance(1, 3);
                let leave = Action::Leave(topic.clone());
                (Step::Tab(tab, leave), Step::Tab(tab, Action::Join { topic, fresh }))
            }
        };
        let at = self.schedule(random, begin);
        self.schedule_after(at, duration, end);
    }

    fn add_server_fault(&mut self, random: &mut Random) {
        match random.below(7) {
            0 | 1 => {
                let at = self.schedule(random, Step::Crash(0));
                self.schedule_after(at, random.millis(0, 8_000), Step::Start(0));
            }
            2 => {
                let at = self.schedule(random, Step::Drain(0));
                self.schedule_after(at, random.millis(0, 12_000), Step::Start(0));
            }
            3 | 4 => {
                let at = self.schedule(random, Step::Unreadable(true));
                self.schedule_after(at, random.millis(100, 20_000), Step::Unreadable(false));
            }
            _ => {
                let fault = match random.below(3) {
                    0 => memory::Fault::Error(LogError::Full),
                    1 => memory::Fault::Error(LogError::Unavailable("injected by the simulation".to_owned())),
                    _ => memory::Fault::Stall,
                };
                let at = self.schedule(random, Step::Disk(fault));
                self.schedule_after(at, random.millis(100, 30_000), Step::Disk(memory::Fault::None));
            }
        }
    }
}

fn random_block(random: &mut Random) -> Block {
    [Block::Refused, Block::Silent, Block::ShortLived][random.below(3) as usize]
}

fn random_bus(random: &mut Random) -> BusFaults {
    BusFaults {
        lost: [0, 10, 50, 100][random.below(4) as usize],
        repeated: random.below(30),
        delay: [Duration::ZERO, random.millis(1, 100), random.millis(100, 3_000)][random.below(3) as usize],
    }
}

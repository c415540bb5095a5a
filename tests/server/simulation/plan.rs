//! What will happen in a simulation and when: all of it follows from the seed, before anything runs.

use std::time::Duration;

use duplex_hub::log::LogError;
use duplex_hub::log::memory;
use duplex_protocol::topic::TopicName;

use super::network::Block;
use super::random::Random;
use super::tab::Act;

#[derive(Debug, Clone)]
pub enum Step {
    Tab(usize, Act),
    /// The browser knows that there is no network, or that there is one again.
    Online(usize, bool),
    /// The connections of the tab break; nobody else notices.
    Cut(usize),
    Part(usize),
    Mend(usize),
    Websocket(usize, Block),
    Stream(usize, Block),
    Slow(usize, bool),
    /// The node is gone without a word.
    Crash,
    /// The node is gone, and the newest events of each topic with it, so many at most.
    Lose(u64),
    /// The node is told to stop.
    Drain,
    /// The next node, if there is none.
    Start,
    Disk(memory::Weather),
    /// Whether the log cannot be read.
    Blind(bool),
    /// A feed writes so many at once.
    Burst(TopicName, u64),
}

#[derive(Debug)]
pub struct Plan {
    pub tabs: usize,
    pub topics: Vec<TopicName>,
    /// By time since the beginning.
    pub steps: Vec<(Duration, Step)>,
    /// When the faults end.
    pub end: Duration,
    /// Tabs whose proxy lets no WebSocket through, to the end; and those where no stream passes either.
    pub fallen: Vec<(usize, bool)>,
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
            fallen: Vec::new(),
        };
        for tab in 0..tabs {
            plan.life_of(tab, random);
        }
        for _ in 0..random.below(6) {
            plan.trouble_at_the_server(random);
        }
        if random.chance(1, 6) {
            let topic = plan.topic(random);
            plan.put(random, Step::Burst(topic, 1_200));
        }
        plan.steps.sort_by_key(|(at, _)| *at);
        plan
    }

    /// The log loses its tail once, and goes on.
    pub fn lose(&mut self, random: &mut Random) {
        let lost = Step::Lose(random.between(1, 12));
        let at = self.put(random, lost);
        self.then(at, random.millis(0, 8_000), Step::Start);
        self.steps.sort_by_key(|(at, _)| *at);
    }

    fn topic(&self, random: &mut Random) -> TopicName {
        self.topics[random.below(self.topics.len() as u64) as usize].clone()
    }

    fn put(&mut self, random: &mut Random, step: Step) -> Duration {
        let at = Duration::from_millis(random.below(self.end.as_millis() as u64));
        self.steps.push((at, step));
        at
    }

    fn then(&mut self, at: Duration, after: Duration, step: Step) {
        self.steps.push((at + after, step));
    }

    fn life_of(&mut self, tab: usize, random: &mut Random) {
        for topic in self.topics.clone() {
            let anew = true;
            self.then(
                random.millis(0, 3_000),
                Duration::ZERO,
                Step::Tab(tab, Act::Join { topic, anew }),
            );
        }
        if random.chance(1, 3) {
            self.steps.push((Duration::ZERO, Step::Websocket(tab, blocked(random))));
            let stream = random.chance(1, 2);
            if stream {
                self.steps.push((Duration::ZERO, Step::Stream(tab, blocked(random))));
            }
            if random.chance(1, 2) {
                self.fallen.push((tab, stream));
            }
        }
        for number in 0..random.between(4, 25) {
            let (topic, text) = (self.topic(random), format!("{tab}.{number}"));
            let at = self.put(random, Step::Tab(tab, Act::Send { topic, text }));
            if random.chance(1, 12) {
                self.then(at, random.millis(0, 100), Step::Tab(tab, Act::Cancel));
            }
        }
        for _ in 0..random.below(6) {
            self.trouble_of(tab, random);
        }
    }

    fn trouble_of(&mut self, tab: usize, random: &mut Random) {
        let last = random.millis(200, 40_000);
        let (begin, end) = match random.below(10) {
            0 | 1 => (Step::Cut(tab), Step::Cut(tab)),
            2 | 3 => (Step::Part(tab), Step::Mend(tab)),
            4 => (Step::Online(tab, false), Step::Online(tab, true)),
            5 => (Step::Tab(tab, Act::Visible(false)), Step::Tab(tab, Act::Visible(true))),
            6 => (Step::Tab(tab, Act::Frozen(true)), Step::Tab(tab, Act::Frozen(false))),
            7 => (Step::Slow(tab, true), Step::Slow(tab, false)),
            8 => (Step::Websocket(tab, blocked(random)), Step::Websocket(tab, Block::No)),
            _ => {
                let topic = self.topic(random);
                let anew = random.chance(1, 3);
                let leave = Act::Leave(topic.clone());
                (Step::Tab(tab, leave), Step::Tab(tab, Act::Join { topic, anew }))
            }
        };
        let at = self.put(random, begin);
        self.then(at, last, end);
    }

    fn trouble_at_the_server(&mut self, random: &mut Random) {
        match random.below(7) {
            0 | 1 => {
                let at = self.put(random, Step::Crash);
                self.then(at, random.millis(0, 8_000), Step::Start);
            }
            2 => {
                let at = self.put(random, Step::Drain);
                self.then(at, random.millis(0, 12_000), Step::Start);
            }
            3 | 4 => {
                let at = self.put(random, Step::Blind(true));
                self.then(at, random.millis(100, 20_000), Step::Blind(false));
            }
            _ => {
                let weather = match random.below(3) {
                    0 => memory::Weather::Failing(LogError::Full),
                    1 => memory::Weather::Failing(LogError::Unavailable("the simulation says so".to_owned())),
                    _ => memory::Weather::Stalled,
                };
                let at = self.put(random, Step::Disk(weather));
                self.then(at, random.millis(100, 30_000), Step::Disk(memory::Weather::Fair));
            }
        }
    }
}

fn blocked(random: &mut Random) -> Block {
    [Block::Refused, Block::Silent, Block::Short][random.below(3) as usize]
}

//! How a node is: the figures of one moment, and of the seconds before it. The node says it to whoever runs it, in a topic.

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// The topic, of the kind `status`.
pub const STATUS: &str = "status/node";

/// Seconds between two samples.
pub const SAMPLE_SECONDS: u64 = 2;

/// Ten minutes.
pub const RETAINED_SAMPLES: usize = 300;

/// What is measured. Levels are of the sample's moment; all else is what came since the sample before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Levels: open connections by their way in.
    Endpoint,
    WebSocket,
    Sse,
    Poll,
    Simulation,
    /// Levels: topics awake, and the sessions in them.
    Topics,
    Subscribers,
    /// Accepted, and rejected.
    Commands,
    Rejected,
    /// Kept, and given to readers.
    Events,
    Delivered,
    BytesIn,
    BytesOut,
    MessagesIn,
    MessagesOut,
    /// Levels: what waits for topics, and for the log's writer.
    Waiting,
    LogWaiting,
    /// Events that slow readers were spared, and readers that were cut off.
    Conflated,
    Disconnects,
    /// Microseconds within which half and 99 % of the commits ended; 0 without a commit.
    CommitP50,
    CommitP99,
    /// Lines of the log that tell of errors.
    Errors,
    /// Levels: bytes of the log's file, and of the process.
    LogBytes,
    Memory,
}

pub const SERIES: usize = Series::Memory as usize + 1;

/// One value of each [`Series`], in their order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Point(pub [u64; SERIES]);

impl Point {
    pub fn get(&self, series: Series) -> u64 {
        self.0[series as usize]
    }

    pub fn set(&mut self, series: Series, value: u64) {
        self.0[series as usize] = value;
    }
}

/// What a node says of itself at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: u64,
    pub point: Point,
    pub detail: Detail,
}

/// Of the newest sample only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    pub node: String,
    pub version: String,
    pub uptime_seconds: u64,
    /// The busiest topics that are awake, by events and then by sessions.
    pub busiest: Vec<BusyTopic>,
    /// What the log keeps, by kind; refreshed at times.
    pub kinds: Vec<StoredKind>,
    pub feeds: Vec<TaskStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusyTopic {
    pub topic: TopicName,
    pub seq: Seq,
    pub subscribers: u64,
    /// Since the sample before.
    pub events: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKind {
    pub kind: String,
    pub topics: u64,
    pub events: u64,
}

/// Work that an application does by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    pub name: String,
    /// False while it waits to be started again.
    pub running: bool,
    pub failures: u64,
}

//! The status topic: periodic samples of a node's statistics, published to operators.

use serde::{Deserialize, Serialize};

use duplex_protocol::cursor::Seq;
use duplex_protocol::topic::TopicName;

/// The topic, of the kind `status`.
pub const STATUS: &str = "status/node";

/// Seconds between two samples.
pub const SAMPLE_SECONDS: u64 = 2;

/// Samples that are retained: ten minutes.
pub const RETAINED_SAMPLES: usize = 300;

/// The measured series. Gauges are read at the time of the sample; all others count since the previous sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Series {
    /// Gauges: open connections by transport.
    Endpoint,
    WebSocket,
    Sse,
    Poll,
    Simulation,
    /// Gauges: active topics, and subscriptions.
    Topics,
    Subscribers,
    /// Commands accepted, and rejected.
    Commands,
    Rejected,
    /// Events appended, and delivered.
    Events,
    Delivered,
    BytesIn,
    BytesOut,
    MessagesIn,
    MessagesOut,
    /// Gauges: requests queued at topics, and jobs queued at the log's writer.
    QueuedRequests,
    QueuedLogJobs,
    /// Events skipped for slow readers, and connections that the server closed.
    Conflated,
    Disconnects,
    /// Median and 99th percentile of the commits' duration in microseconds; 0 without a commit.
    CommitP50,
    CommitP99,
    /// Log lines of the level error.
    Errors,
    /// Gauges: size of the log's file, and resident memory, in bytes.
    LogBytes,
    Memory,
}

pub const SERIES: usize = Series::Memory as usize + 1;

/// One value per [`Series`], in declaration order.
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

/// A sample of a node's statistics.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since 1970.
    pub at: u64,
    pub point: Point,
    pub detail: Detail,
}

/// Details; only those of the newest sample are retained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detail {
    pub node: String,
    pub version: String,
    pub uptime_seconds: u64,
    /// The busiest active topics, by events and then by subscribers.
    pub busiest: Vec<BusyTopic>,
    /// Statistics of the log by kind; refreshed less often.
    pub kinds: Vec<StoredKind>,
    #[serde(rename = "feeds")]
    pub tasks: Vec<TaskStatus>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BusyTopic {
    pub topic: TopicName,
    pub seq: Seq,
    pub subscribers: u64,
    /// Events since the previous sample.
    pub events: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredKind {
    pub kind: String,
    pub topics: u64,
    pub events: u64,
}

/// The status of an application's background task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskStatus {
    pub name: String,
    /// False while it waits to be restarted.
    pub running: bool,
    pub failures: u64,
}

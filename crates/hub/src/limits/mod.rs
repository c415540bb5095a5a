//! Compile-time limits of the hub, the log and the quotas, each with its reason. The public ones are for callers of the crate.

#[cfg(feature = "postgres")]
pub(crate) mod postgres;
#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::time::Duration;

/// TCP connections allowed for each WebSocket: a page may hold two WebSockets and one connection for requests.
pub const TCP_CONNECTIONS_PER_WEBSOCKET: usize = 3;

/// Capacity of a session's command rate, in seconds of the rate: covers the commands that a client queued while it was offline.
pub(crate) const COMMAND_BURST_SECONDS: u32 = 6;

/// Frames per command in a session's frame rate and in its burst. No page sends as many.
pub(crate) const FRAMES_PER_COMMAND: u32 = 4;

/// The maximum number of commands per append: those that queue up while the disk is busy. Bounds a batch's memory to this many
/// times a command's size.
pub(crate) const BATCH_COMMANDS: usize = 256;

/// Subscribers served before other tasks run: some 2 ms of writes.
pub(crate) const DELIVERY_CHUNK: usize = 512;

/// Bytes that a topic writes to a session directly at a time. A client that does not read holds as many.
pub(crate) const DIRECT_BYTES: usize = 64 << 10;

/// Capacity of a topic's request queue. Further callers block on `send`, each holding one command.
pub(crate) const TOPIC_QUEUE: usize = 1024;

/// How long a command may wait for capacity in its topic's queue before it is rejected as retryable.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// What a page of history costs, in topic reads.
pub(crate) const HISTORY_READS: u32 = 10;

/// Attempts to decide a batch after append conflicts with other nodes. In each round of a contended topic one node succeeds; of
/// three nodes, one fails so often in a row once in 400,000 times, and its commands are then rejected as retryable.
pub(crate) const CONFLICT_ATTEMPTS: u32 = 32;

/// After an append of another node, how long a topic keeps its state before it decides a batch, so that a conflict costs no reload.
pub(crate) const CONTENDED: Duration = Duration::from_secs(10);

/// The most events and answers of other nodes that a topic reads at once to follow them. Beyond that it loads its snapshot.
pub(crate) const TAIL: usize = 2 * LOG_PAGE;

/// How often a node asks the log for heads that moved: the longest delay of an event whose bus message was lost.
pub(crate) const HEADS_INTERVAL: Duration = Duration::from_secs(1);

/// The largest payload of the bus: `NOTIFY` of PostgreSQL carries less than 8,000 bytes.
pub const MAX_BUS_PAYLOAD: usize = 7_999;

/// The duration of a node's lease, by the log's clock, and how often it is renewed or requested. The holder stops if it could not
/// renew it for [`LEASE_SAFE`] by its own clock, before the lease ends. Another node takes over within 5 s of a death.
pub(crate) const LEASE: Duration = Duration::from_secs(4);
pub(crate) const LEASE_SAFE: Duration = Duration::from_secs(3);
pub(crate) const LEASE_INTERVAL: Duration = Duration::from_millis(900);

/// The most messages that wait for the bus, besides the newest head of each topic. More are dropped while the bus is unavailable.
pub(crate) const BUS_MESSAGES: usize = 4096;

/// How long a closing node waits for its last messages to the other nodes.
pub(crate) const BUS_DRAIN: Duration = Duration::from_secs(1);

/// The pause before a topic retries to read its log.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// Topics awake on this node at once. Each has a state, a ring and a task.
pub(crate) const MAX_AWAKE_TOPICS: usize = 10_000;

/// The part of [`MAX_AWAKE_TOPICS`] that clients cannot use: for background tasks, their writes, and forwards.
pub(crate) const RESERVED_TOPICS: usize = 1_000;

/// Eviction, an early sleep at the topic limit: the number of idle topics that are asked to fall asleep at once, the wait for the
/// first of them, and the number of attempts.
pub(crate) const EVICTION_CANDIDATES: usize = 64;
pub(crate) const EVICTION_WAIT: Duration = Duration::from_secs(1);
pub(crate) const EVICTION_ATTEMPTS: u32 = 3;

/// The time after which a topic without readers falls asleep: longer than a page's reload or a client's reconnect.
pub(crate) const TOPIC_IDLE: Duration = Duration::from_secs(60);

/// Events after which a topic stores a snapshot, so that a starting topic replays no more than this.
pub(crate) const SNAPSHOT_EVENTS: u64 = 1000;

/// The maximum number of events read from the log at once.
pub const LOG_PAGE: usize = 500;

/// The maximum bytes of events in one answer, a page of history or of the log. Large events reduce the number per page.
pub(crate) const PAGE_BYTES: usize = 256 << 10;

/// The maximum number of events in one page of history.
pub const HISTORY_PAGE: usize = 200;

/// Capacity of a topic's ring. Readers that fall behind for a moment are served without the log.
pub(crate) const RING_EVENTS: usize = 1024;
pub(crate) const RING_BYTES: usize = 1 << 20;

/// Keys whose newest event a ring stores, under `Delivery::Latest`.
pub(crate) const RING_KEYS: usize = 4096;

/// The approximate overhead of an event in a ring in addition to its JSON: the value, its frames, their entries.
pub(crate) const EVENT_OVERHEAD: usize = 256;

/// Under `Delivery::Latest`, a reader at most this many events behind gets all of them; one further behind gets the newest of each
/// key.
pub(crate) const CONFLATE_AFTER: u64 = 64;

/// A reader that is more than this many events behind, and behind the ring, is reset to the state: a replay would take longer.
pub(crate) const MAX_REPLAY: u64 = 5000;

/// How long an activity such as `typing` is shown after it was last sent.
pub(crate) const ACTIVITY_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest presence lease of a polling client: covers a poll and the time until the next one.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(40);

/// The maximum number of sessions present by leases in one topic, because a polling client chooses its session's name.
pub(crate) const MAX_LEASES: usize = 10_000;

/// The maximum numbers of people and sessions of one address that are shown as present in one topic. High enough for an office
/// behind one address, low enough to stop a client that invents names.
pub(crate) const PRESENT_PEOPLE: usize = 250;
pub(crate) const PRESENT_SESSIONS: usize = 1_000;

/// The pause between two presence updates of a topic: [`PRESENCE_PAUSE_PER_SESSION`] times its sessions, between the minimum
/// [`PRESENCE_PAUSE`] and the maximum [`PRESENCE_PAUSE_MAX`]. A topic then sends about a thousand presence frames per second,
/// however many sessions it has.
pub(crate) const PRESENCE_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const PRESENCE_PAUSE_MAX: Duration = Duration::from_secs(5);
pub(crate) const PRESENCE_PAUSE_PER_SESSION: Duration = Duration::from_millis(1);

/// How often a node tells the others all of its people in a topic, and how long they are present on another node that hears
/// nothing more: two rounds may be lost, and a dead node's people are gone within 40 s.
pub(crate) const PRESENCE_ROUND: Duration = Duration::from_secs(10);
pub(crate) const REMOTE_PRESENCE: Duration = Duration::from_secs(35);

/// People in a message to other nodes, and the most listed sessions of one: a part must fit [`MAX_BUS_PAYLOAD`].
pub(crate) const PRESENCE_PART: usize = 16;
pub(crate) const LISTED_SESSIONS: usize = 8;

/// The maximum number of pending forwards of one topic: beyond it the topic rejects commands as retryable. All topics together hold
/// at most [`FORWARD_BYTES`]. Beyond those each topic may still have [`MIN_FORWARDS_PER_TOPIC`], so a blocked topic does not block
/// the others.
pub(crate) const MAX_FORWARDS_PER_TOPIC: usize = 4096;
pub(crate) const FORWARD_BYTES: usize = 64 << 20;
pub(crate) const MIN_FORWARDS_PER_TOPIC: usize = 32;

/// The pause before a forward that was rejected as retryable is sent again. It doubles after each rejection. Delivered forwards
/// that are still in the log are removed together after the first pause.
pub(crate) const FORWARD_PAUSE: Duration = Duration::from_millis(200);
pub(crate) const FORWARD_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often a node looks for undelivered forwards. It delivers those that it finds twice, because their node may have died.
pub(crate) const FORWARD_ADOPTION: Duration = Duration::from_secs(10);

/// How long a closing node waits for pending forwards. The rest is delivered after the next start.
pub(crate) const FORWARD_DRAIN: Duration = Duration::from_secs(2);

/// Accepted commands that a log stores for each topic to detect duplicates, and as many rejected ones; they are kept for at most
/// [`DEDUPE_AGE`]. A starting topic reads at most these. Answers beyond either bound are removed with a snapshot, rejections with
/// the next rejection.
pub const DEDUPE_ENTRIES: usize = 10_000;
/// See [`DEDUPE_ENTRIES`].
pub const DEDUPE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows that retention removes from a table per commit. It delays an append by a few milliseconds. More than a busy topic adds
/// between two snapshots, so that the commit of a snapshot also removes what the topic no longer needs.
pub const RETENTION_BATCH: usize = 1500;

/// Disk space that appends leave free for snapshots, retention, redactions and the WAL.
pub const DISK_RESERVE: u64 = 64 << 20;

/// The capacity of each quota table, and the number of overflow buckets that further keys share: at most about 5 MiB per table.
pub(crate) const QUOTA_KEYS: usize = 1 << 16;
pub(crate) const QUOTA_SHARED: usize = 64;

/// The interval in which keys with full buckets are removed.
pub(crate) const QUOTA_SWEEP: Duration = Duration::from_secs(30);

/// `Retry-After` of a client that holds as many connections, simulation participants or topics as allowed: about the duration of a
/// page visit.
pub(crate) const RESOURCE_RETRY: Duration = Duration::from_secs(10);

/// The minimum interval between two log lines about the same kind of rejection.
pub const LOG_THROTTLE_PAUSE: Duration = Duration::from_secs(60);

/// How far a command id's timestamp may be ahead of the server's clock: covers two clocks that are set over the network and a slow
/// connection between them.
pub(crate) const MAX_ID_AHEAD: Duration = Duration::from_secs(60);

/// A rejection stays in the deduplication window at least this long, twice [`MAX_ID_AHEAD`]: forgetting it would mean rejecting
/// every id of the same age. A client whose rejections fill the window is rejected as too fast, and may retry after
/// [`REJECTION_RETRY_MS`].
pub(crate) const MIN_REJECTION_AGE: Duration = Duration::from_secs(120);
pub(crate) const REJECTION_RETRY_MS: u32 = 2_000;

/// Characters of a rejection's reason that are stored: a reason may quote the client's text.
pub(crate) const MAX_STORED_REASON: usize = 120;

/// A timer that fires this late means that the process was suspended; that time does not count as silence.
pub const SUSPEND_GAP: Duration = Duration::from_secs(2);

/// The grace period of polling clients after a suspension, before they count as gone.
pub(crate) const RESUME_GRACE: Duration = Duration::from_secs(10);

/// The message rate of a simulation's participant: two for each of thirty ticks per second, and a burst of two seconds after a
/// network stall.
pub(crate) const SIMULATION_MESSAGE_INTERVAL: Duration = Duration::from_millis(16);
pub(crate) const SIMULATION_BURST: u32 = 120;

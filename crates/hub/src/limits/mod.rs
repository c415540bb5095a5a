//! The limits of the hub, the log and the quotas that are not configuration, each with its reason. Callers need the public ones.

#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::time::Duration;

/// TCP connections allowed for each WebSocket: a page holds its own socket, the vitals' socket and a connection for requests.
pub const TCP_PER_SOCKET: usize = 3;

/// Capacity of a session's command rate, in seconds of the rate: covers the commands that a client queued while it was offline.
pub(crate) const COMMAND_BURST_SECONDS: u32 = 6;

/// Frames that a session may send per command of its rate and of its burst: more than any page sends.
pub(crate) const FRAMES_PER_COMMAND: u32 = 4;

/// Commands decided together and stored in one append: those that arrive while the disk is busy. They hold at most this many
/// times the bytes of a command.
pub(crate) const BATCH_COMMANDS: usize = 256;

/// Capacity of a topic's request queue. Further callers block on `send`, each holding one command.
pub(crate) const TOPIC_QUEUE: usize = 1024;

/// The longest wait of a command for a place in its topic's queue. Then it is rejected and may be retried.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// The cost of a page of history, in topics read.
pub(crate) const HISTORY_READS: u32 = 10;

/// Attempts to decide a batch when another node appends first.
pub(crate) const CONFLICT_ATTEMPTS: u32 = 5;

/// The pause before a topic retries to read its log.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// Topics awake on this node at once. Each has a state, a ring and a task.
pub(crate) const ACTIVE_TOPICS: usize = 10_000;

/// The share of these that clients cannot use: for background tasks, their writes, and forwards.
pub(crate) const RESERVED_TOPICS: usize = 1_000;

/// Eviction at the limit of topics: the number of idle topics that are asked to sleep at once, the wait for the first of them,
/// and the number of attempts.
pub(crate) const EVICTION_CANDIDATES: usize = 64;
pub(crate) const EVICTION_WAIT: Duration = Duration::from_secs(1);
pub(crate) const EVICTION_ATTEMPTS: u32 = 3;

/// The time after which a topic without readers falls asleep: longer than a page's reload or a client's reconnect.
pub(crate) const TOPIC_IDLE: Duration = Duration::from_secs(60);

/// Events after which a topic stores a snapshot, so that a start replays no more than these.
pub(crate) const SNAPSHOT_EVENTS: u64 = 1000;

/// The most events read from the log at once.
pub const LOG_PAGE: usize = 500;

/// The maximum bytes of events in one answer, a page of history or of the log. Large events mean fewer of them.
pub(crate) const PAGE_BYTES: usize = 256 << 10;

/// The most events of one page of history.
pub const HISTORY_PAGE: usize = 200;

/// Capacity of a topic's ring. Readers that fall behind for a moment are served without the log.
pub(crate) const RING_EVENTS: usize = 1024;
pub(crate) const RING_BYTES: usize = 1 << 20;

/// Keys whose newest event a ring stores, under `Delivery::Latest`.
pub(crate) const RING_KEYS: usize = 4096;

/// The approximate overhead of an event in a ring beside its JSON: the value, its frames, their entries.
pub(crate) const EVENT_OVERHEAD: usize = 256;

/// Under `Delivery::Latest`, a reader that is no more events behind than this gets all of them; further behind, the newest of
/// each key.
pub(crate) const CONFLATE_AFTER: u64 = 64;

/// A reader that is more events behind than this, and not in the ring, gets the state: a replay would take longer.
pub(crate) const MAX_REPLAY: u64 = 5000;

/// The duration of an activity such as `typing` after it was last sent.
pub(crate) const ACTIVITY: Duration = Duration::from_secs(5);

/// The longest presence that a poll grants: the poll itself, and the time until the next.
pub(crate) const MAX_LEASE: Duration = Duration::from_secs(40);

/// The maximum number of sessions present by leases in one topic, because a polling client chooses its session's name.
pub(crate) const MAX_LEASES: usize = 10_000;

/// The maximum numbers of people and sessions of one address that are shown as present in one topic. An office is below them;
/// they stop a client that invents a thousand names.
pub(crate) const PRESENT_PEOPLE: usize = 250;
pub(crate) const PRESENT_SESSIONS: usize = 1_000;

/// The pause between two presences of a topic: at least the first, at most the second, and between them the third for each
/// session, so that a topic sends about a thousand presence frames per second, however many sessions it has.
pub(crate) const PRESENCE_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const PRESENCE_PAUSE_MAX: Duration = Duration::from_secs(5);
pub(crate) const PRESENCE_PAUSE_PER_SESSION: Duration = Duration::from_millis(1);

/// The maximum number of pending forwards of one topic: beyond it the topic rejects commands for now. All topics together hold at
/// most so many bytes. Beyond those bytes each topic may still have a few forwards, so a blocked topic does not block the others.
pub(crate) const MAX_FORWARDS_PER_TOPIC: usize = 4096;
pub(crate) const FORWARD_BYTES: usize = 64 << 20;
pub(crate) const MIN_FORWARDS_PER_TOPIC: usize = 32;

/// The pause before a forward that was rejected for now is retried. It doubles after each rejection. Delivered forwards that are
/// still in the log are removed together after the first pause.
pub(crate) const FORWARD_PAUSE: Duration = Duration::from_millis(200);
pub(crate) const FORWARD_PAUSE_MAX: Duration = Duration::from_secs(30);

/// The wait of a closing node for its forwards. The others are delivered after the next start.
pub(crate) const FORWARD_DRAIN: Duration = Duration::from_secs(2);

/// Accepted commands that a log stores for each topic to detect duplicates, and as many rejected ones; [`DEDUPE_AGE`] is the
/// longest time. A starting topic never reads more. Answers beyond either bound are removed with a snapshot, rejections with the
/// next rejection.
pub const DEDUPE_ENTRIES: usize = 10_000;
/// See [`DEDUPE_ENTRIES`].
pub const DEDUPE_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows that retention removes between two commits: a few milliseconds of work, by which an append is delayed.
pub const RETENTION_BATCH: usize = 500;

/// Bytes of the disk that appends leave free for snapshots, retention, redactions and the journal.
pub const DISK_RESERVE: u64 = 64 << 20;

/// Keys of each table of quotas, and the buckets that further keys share: at most about 5 MiB per table.
pub(crate) const QUOTA_KEYS: usize = 1 << 16;
pub(crate) const QUOTA_SHARED: usize = 64;

/// The interval in which keys with full buckets are removed.
pub(crate) const QUOTA_SWEEP: Duration = Duration::from_secs(30);

/// `Retry-After` of a client that holds as many connections, simulation seats or topics as allowed: about the duration of a page
/// visit.
pub(crate) const RESOURCE_RETRY: Duration = Duration::from_secs(10);

/// The pause between two log lines about rejections of one kind.
pub const LOG_THROTTLE_PAUSE: Duration = Duration::from_secs(60);

/// The maximum lead of the time in a command's id over the server's clock: covers two clocks that are set over the network and a
/// slow connection between them.
pub(crate) const MAX_ID_AHEAD: Duration = Duration::from_secs(60);

/// A topic does not forget a rejection whose id is younger than this, which is twice [`MAX_ID_AHEAD`], because it would then have
/// to refuse every id of that time. A client with so many rejected commands is rejected as too fast, and may retry after so many
/// milliseconds.
pub(crate) const MIN_REJECTION_AGE: Duration = Duration::from_secs(120);
pub(crate) const REJECTION_RETRY_MS: u32 = 2_000;

/// Characters of a rejection's reason that are stored: a reason may quote the client's text.
pub(crate) const MAX_STORED_REASON: usize = 120;

/// A timer that fires this much too late shows that the process did not run; silence during the pause is not counted.
pub const CLOCK_GAP: Duration = Duration::from_secs(2);

/// The time that polling clients have after such a pause before they count as gone.
pub(crate) const RESUME_GRACE: Duration = Duration::from_secs(10);

/// The message rate of a simulation's participant: two for each of thirty ticks per second, and a burst of two seconds after a
/// pause of its network.
pub(crate) const SIMULATION_EVERY: Duration = Duration::from_millis(16);
pub(crate) const SIMULATION_BURST: u32 = 120;

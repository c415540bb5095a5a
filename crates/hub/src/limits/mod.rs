//! Every limit of the hub, the log and the quotas that is not configuration, each with its reason. Those that callers need are public.

#[cfg(feature = "sqlite")]
pub(crate) mod sqlite;

use std::time::Duration;

/// TCP connections allowed for each WebSocket: a page holds its own socket, the vitals' socket and a connection for requests.
pub const TCP_PER_SOCKET: usize = 3;

/// Commands that a session may send at once, in seconds of its rate: what a client may have kept while it was offline.
pub(crate) const COMMAND_BURST_SECONDS: u32 = 6;

/// Frames of one session for each command that it may send, in a second and at once: above what any page sends.
pub(crate) const FRAMES_PER_COMMAND: u32 = 4;

/// Commands decided together and kept in one append: what waits while the disk works. At most this many times the bytes of a
/// command are held for it.
pub(crate) const BATCH_COMMANDS: usize = 256;

/// Asks that wait for one topic; more callers wait outside, each with its one command.
pub(crate) const TOPIC_QUEUE: usize = 1024;

/// How long a command waits for a place in its topic's queue before it is told to come again.
pub(crate) const QUEUE_WAIT: Duration = Duration::from_secs(5);

/// A page of history, counted as so many topics that are read.
pub(crate) const HISTORY_READS: u32 = 10;

/// Times that a batch is decided anew because another node appended first.
pub(crate) const CONFLICT_ATTEMPTS: u32 = 5;

/// The pause before a topic whose log could not be read tries again.
pub const LOG_RETRY: Duration = Duration::from_secs(1);

/// Topics awake on this node at once: each has a state, a ring and a task.
pub(crate) const ACTIVE_TOPICS: usize = 10_000;

/// Of these, places that no client takes: for the feeds, what they write, and what follows from events.
pub(crate) const RESERVED_TOPICS: usize = 1_000;

/// When all places are taken: topics that nobody reads and that are asked for theirs at once, the wait for the first of them,
/// and how often that is tried.
pub(crate) const ROOM_AT_ONCE: usize = 64;
pub(crate) const ROOM_WAIT: Duration = Duration::from_secs(1);
pub(crate) const ROOM_ATTEMPTS: u32 = 3;

/// How long a topic stays awake that nobody reads: long enough for a page's reload or a client's reconnect.
pub(crate) const TOPIC_IDLE: Duration = Duration::from_secs(60);

/// Events after which a topic's state is kept, so that a start has no more than these to go through.
pub(crate) const SNAPSHOT_EVENTS: u64 = 1000;

/// The most events read from the log at once.
pub const LOG_PAGE: usize = 500;

/// Bytes of events in one answer, be it a page of history or of the log: fewer events come if they are large.
pub(crate) const PAGE_BYTES: usize = 256 << 10;

/// The most events of one page of history.
pub const HISTORY_PAGE: usize = 200;

/// What a topic's ring holds: readers that fall behind for a moment are served without the log.
pub(crate) const RING_EVENTS: usize = 1024;
pub(crate) const RING_BYTES: usize = 1 << 20;

/// Keys of which a ring remembers the newest event, under `Delivery::Latest`.
pub(crate) const RING_KEYS: usize = 4096;

/// Beside its JSON, what an event in a ring costs, about: the value, its frames, their places.
pub(crate) const EVENT_OVERHEAD: usize = 256;

/// A reader that is no more events behind than this gets them all; beyond, under `Delivery::Latest`, the newest of each key.
pub(crate) const SLIGHTLY_BEHIND: u64 = 64;

/// A reader that is more events behind than this, and not in the ring, gets the state: to replay them would take longer.
pub(crate) const TOO_FAR: u64 = 5000;

/// How long an activity such as `typing` lasts after it was last said.
pub(crate) const ACTIVITY: Duration = Duration::from_secs(5);

/// The longest that a poll makes its session present: the poll itself, and the time until the next.
pub(crate) const LEASE: Duration = Duration::from_secs(40);

/// Sessions present by leases, in one topic: whoever polls makes up the session's name.
pub(crate) const LEASES: usize = 10_000;

/// Of one address, in one topic: people and sessions that are shown as present. An office is below; a stranger with a thousand
/// names is not a crowd.
pub(crate) const PRESENT_PEOPLE: usize = 250;
pub(crate) const PRESENT_SESSIONS: usize = 1_000;

/// Between two presences of a topic: at least the first, at most the second, and this much for each session in it between
/// them, so that a topic sends about a thousand presence frames in a second whatever the crowd.
pub(crate) const PRESENCE_PAUSE: Duration = Duration::from_millis(100);
pub(crate) const PRESENCE_PAUSE_MOST: Duration = Duration::from_secs(5);
pub(crate) const PRESENCE_PAUSE_EACH: Duration = Duration::from_millis(1);

/// Forwards of one topic that wait for their targets: past it, the topic refuses commands for now. All topics' together have at most
/// so many bytes; past those, each topic may have a few still, so that one that is held up holds up no other.
pub(crate) const FORWARDS_OF_TOPIC: usize = 4096;
pub(crate) const FORWARD_BYTES: usize = 64 << 20;
pub(crate) const FORWARDS_OF_TOPIC_AT_LEAST: usize = 32;

/// The wait before a forward that was refused for now is tried again: twice as long after each refusal. Delivered forwards that are
/// still in the log are removed together after the first.
pub(crate) const FORWARD_PAUSE: Duration = Duration::from_millis(200);
pub(crate) const FORWARD_PAUSE_MOST: Duration = Duration::from_secs(30);

/// How long a node that ends waits for its forwards; the others are delivered after the next start.
pub(crate) const FORWARD_DRAIN: Duration = Duration::from_secs(2);

/// Accepted commands that a log remembers for each topic, and as many rejected ones; [`KEPT_ANSWERS_AGE`] is for how long. What a topic
/// that wakes reads is never more. Answers beyond either are removed with a snapshot, rejections with the next one.
pub const KEPT_ANSWERS: usize = 10_000;
/// See [`KEPT_ANSWERS`].
pub const KEPT_ANSWERS_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Rows that retention removes between two commits: a few milliseconds' work, which delay an append.
pub const LOG_BITE: usize = 500;

/// Bytes of the disk that appends leave free for snapshots, retention, redactions and the journal.
pub const DISK_RESERVE: u64 = 64 << 20;

/// Keys of each table of quotas, and the buckets that further keys share: some 5 MiB a table at most.
pub(crate) const QUOTA_KEYS: usize = 1 << 16;
pub(crate) const QUOTA_SHARED: usize = 64;

/// How often the keys whose buckets are full again are forgotten.
pub(crate) const QUOTA_SWEEP: Duration = Duration::from_secs(30);

/// What a client is told to wait that holds as many connections, seats or topics as it may: about a page's stay.
pub(crate) const PLACE_RETRY: Duration = Duration::from_secs(10);

/// The pause between two log lines about rejections of one kind.
pub const REFUSALS_LOGGED: Duration = Duration::from_secs(60);

/// How far the time in a command's id may be ahead of the server's clock: what two clocks that are set over the network, and a
/// slow connection between them, may differ by.
pub(crate) const ID_AHEAD: Duration = Duration::from_secs(60);

/// A topic forgets no refusal whose id has a time that is less than this ago, [`ID_AHEAD`] and as much again: it would refuse every
/// id of that time. Who sends so many commands that are refused is too fast, and may come again after so many milliseconds.
pub(crate) const REFUSALS_YOUNG: Duration = Duration::from_secs(120);
pub(crate) const REFUSALS_RETRY: u32 = 2_000;

/// Characters of a refusal's reason that are remembered: a reason may quote what the client wrote.
pub(crate) const REMEMBERED_REASON: usize = 120;

/// A timer that fires this much too late means that the process did not run: silence from before is not counted.
pub const CLOCK_GAP: Duration = Duration::from_secs(2);

/// What those who poll have after such a pause to ask again, before they are taken for gone.
pub(crate) const RESUME_GRACE: Duration = Duration::from_secs(10);

/// Messages of a simulation's participant: two for each of thirty ticks in a second, and after a pause of its network two seconds of
/// them at once.
pub(crate) const SIMULATION_EVERY: Duration = Duration::from_millis(16);
pub(crate) const SIMULATION_BURST: u32 = 120;

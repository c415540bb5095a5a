//! Benchmark: commands to one topic and to a hundred topics over a log in a SQLite file; see benches/README.md.
//!
//! The sessions are tasks of one worker thread, as on a server with one core. Each has some commands in flight and goes round the
//! topics. `DIR` is a directory on the disk to measure: `commands DIR [ROUNDS [TOPICS...]]`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::log::{Log, WriterStats};
use duplex_hub::session::authorize_write;
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::Seq;
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};
use futures_util::FutureExt as _;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

const SESSIONS: usize = 64;
const IN_FLIGHT: usize = 16;
const WARMUP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(2);

struct Note;

/// The edit of a message, as in `benches/load`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Edit {
    seq: Seq,
    text: String,
}

impl Topic for Note {
    const KIND: &'static str = "note";
    type Command = Edit;
    type Event = Edit;
    type State = Edit;

    fn apply(state: &mut Edit, _: Seq, event: &Edit) {
        state.clone_from(event);
    }

    fn amends(event: &Edit) -> Option<Seq> {
        (event.seq > 0).then_some(event.seq)
    }
}

impl Decider for Note {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &Edit, command: Edit) -> Result<Vec<Edit>, Rejection> {
        Ok(vec![command])
    }
}

struct Session {
    hub: Hub,
    number: usize,
    topics: Arc<[TopicName]>,
    sent: usize,
    end: Instant,
    /// Answers count if the command was sent from then on.
    from: Instant,
}

impl Session {
    fn person(&self) -> Person {
        Person {
            id: PersonId(format!("{:032x}", self.number)),
            name: format!("session {}", self.number),
        }
    }

    async fn send(&mut self) -> impl Future<Output = Answer> + use<> {
        self.sent += 1;
        let topic = &self.topics[(self.number + self.sent) % self.topics.len()];
        let id = CommandId::from_bits((self.number as u128) << 96 | self.sent as u128);
        let text = format!("{:0100}", self.number * 100_000_000 + self.sent);
        let command = EncodedValue(format!(r#"{{"seq":1,"text":"{text}"}}"#).into_bytes());
        let (person, encoding) = (self.person(), Encoding::Json);
        let handle = authorize_write(&self.hub, &person, topic, None, (&command, encoding)).await;
        async move {
            match handle {
                Ok(handle) => handle.command(person, id, command, encoding).await.0,
                Err(answer) => answer,
            }
        }
    }

    /// Returns the number of accepted commands.
    async fn run(mut self) -> Result<usize, String> {
        let mut pending = FuturesUnordered::new();
        let mut accepted = 0;
        loop {
            let now = Instant::now();
            while now < self.end && pending.len() < IN_FLIGHT {
                pending.push(Box::pin(self.send().await));
            }
            let Some(mut answer) = pending.next().await else {
                return Ok(accepted);
            };
            loop {
                match answer {
                    Answer::Accepted { .. } => accepted += usize::from(now >= self.from && now < self.end),
                    Answer::Rejected(why) => return Err(why.to_string()),
                }
                match pending.next().now_or_never().flatten() {
                    Some(next) => answer = next,
                    None => break,
                }
            }
        }
    }
}

struct Measurement {
    per_second: f64,
    cpu_us: f64,
    per_commit: f64,
    per_append: f64,
}

async fn measure(dir: &Path, topics: usize) -> Result<Measurement, Box<dyn Error>> {
    let dir = tempfile::tempdir_in(dir)?;
    let log = Arc::new(SqliteLog::open(&dir.path().join("log.db"))?);
    let hub = Hub::new(log.clone(), vec![dyn_topic(Note)]);
    let names: Result<Arc<[TopicName]>, _> = (0..topics).map(|nth| format!("note/room-{nth}").parse()).collect();
    let names = names?;
    // Awake topics with one event.
    let mut handles = Vec::new();
    for (nth, name) in names.iter().enumerate() {
        let first = (CommandId::from_bits(u128::MAX - nth as u128), Edit::default());
        hub.send::<Note>(name.rest(), first.0, &first.1).await;
        handles.push(hub.open(name).await.map_err(|denial| denial.to_string())?);
    }
    let from = Instant::now() + WARMUP;
    let mut sessions = JoinSet::new();
    for number in 0..SESSIONS {
        let session = Session {
            hub: hub.clone(),
            number,
            topics: Arc::clone(&names),
            sent: 0,
            end: from + MEASURED,
            from,
        };
        sessions.spawn(session.run());
    }
    tokio::time::sleep_until(from.into()).await;
    let before = (cpu_time(), log.writer_stats());
    tokio::time::sleep_until((from + MEASURED).into()).await;
    let after = (cpu_time(), log.writer_stats());
    let mut accepted = 0;
    while let Some(session) = sessions.join_next().await {
        accepted += session??;
    }
    hub.close().await;
    log.close().await;
    let count = |of: fn(&WriterStats) -> u64| (of(&after.1) - of(&before.1)) as f64;
    let accepted = accepted as f64;
    Ok(Measurement {
        per_second: accepted / MEASURED.as_secs_f64(),
        cpu_us: (after.0 - before.0).as_secs_f64() * 1e6 / accepted,
        per_commit: accepted / count(|stats| stats.commits),
        per_append: accepted / count(|stats| stats.appends),
    })
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn median(rounds: &mut [Measurement], value: fn(&Measurement) -> f64) -> f64 {
    rounds.sort_by(|a, b| value(a).total_cmp(&value(b)));
    value(&rounds[rounds.len() / 2])
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let dir = args.next().ok_or("usage: commands DIR [ROUNDS [TOPICS...]]")?;
    let rounds: usize = args.next().map_or(Ok(5), |rounds| rounds.parse())?;
    let mut topics: Vec<usize> = args.map(|topics| topics.parse()).collect::<Result<_, _>>()?;
    if topics.is_empty() {
        topics = vec![1, 100];
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .global_queue_interval(3)
        .enable_time()
        .build()?;
    let mut results: Vec<Vec<Measurement>> = topics.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (topics, results) in topics.iter().zip(&mut results) {
            let measured = runtime.block_on(async {
                let (dir, topics) = (dir.clone(), *topics);
                let measured = tokio::spawn(async move {
                    let measured = measure(Path::new(&dir), topics).await;
                    measured.map_err(|error| error.to_string())
                });
                measured.await
            });
            results.push(measured??);
        }
    }
    println!("| topics, median of {rounds} | commands/s | CPU us per command | commands per commit | per append |");
    println!("| --- | --- | --- | --- | --- |");
    for (topics, results) in topics.iter().zip(&mut results) {
        println!(
            "| {topics} | {:.0} | {:.1} | {:.0} | {:.1} |",
            median(results, |measured| measured.per_second),
            median(results, |measured| measured.cpu_us),
            median(results, |measured| measured.per_commit),
            median(results, |measured| measured.per_append),
        );
    }
    Ok(())
}

//! Benchmark: the commands of one hot topic, sent to one node and to three nodes that share an in-memory log; see benches/README.md.
//!
//! An append takes 1 ms and a read 0.5 ms on a simulated clock, so the rates show what the protocol between the nodes costs and not
//! the machine; the CPU time is real. Each session has some commands in flight on one node: `nodes [SESSIONS...]`.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use duplex_hub::bus::{BusFaults, MemoryBus};
use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_hub::log::memory::{Fault, MemoryLog};
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::codec::{EncodedValue, Encoding};
use duplex_protocol::cursor::{Epoch, Seq};
use duplex_protocol::person::{Person, PersonId};
use duplex_protocol::session::{Answer, CommandId, Denial, Rejection};
use duplex_protocol::topic::{Topic, TopicName};
use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;
use tokio::time::Instant;

const APPEND: Duration = Duration::from_millis(1);
const MEASURED: Duration = Duration::from_secs(2);

struct Note;

impl Topic for Note {
    const KIND: &'static str = "note";
    type Command = String;
    type Event = String;
    type State = String;

    fn apply(state: &mut String, _: Seq, event: &String) {
        state.clone_from(event);
    }
}

impl Decider for Note {
    type ServerCommand = NoCommand;

    fn admit(&self, _: Principal<'_>, _: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _: Context<'_>, _: &String, command: String) -> Result<Vec<String>, Rejection> {
        Ok(vec![command])
    }
}

/// What a session saw: its accepted and rejected commands, and the latencies.
#[derive(Default)]
struct Seen {
    accepted: u64,
    rejected: u64,
    latencies: Vec<Duration>,
}

/// Sends one command after the other.
async fn run(hub: Hub, number: u128, end: Instant) -> Result<Seen, String> {
    let topic: TopicName = "note/hot".parse().map_err(|_| "no topic".to_owned())?;
    let handle = hub.open(&topic).await.map_err(|denial| denial.to_string())?;
    let person = Person {
        id: PersonId(format!("{number:032x}")),
        name: String::new(),
    };
    let mut seen = Seen::default();
    let mut sent = 0;
    while Instant::now() < end {
        sent += 1;
        let command = EncodedValue(format!(r#""{:0100}""#, number << 64 | sent).into_bytes());
        let id = CommandId::from_bits(number << 64 | sent);
        let before = Instant::now();
        match handle.command(person.clone(), id, command, Encoding::Json).await.0 {
            Answer::Accepted { .. } => seen.accepted += 1,
            Answer::Rejected(_) => seen.rejected += 1,
        }
        seen.latencies.push(before.elapsed());
    }
    Ok(seen)
}

async fn measure(nodes: usize, sessions: usize) -> Result<String, Box<dyn Error>> {
    let log = Arc::new(MemoryLog::new(Epoch::new(1)));
    let bus = MemoryBus::new(1, BusFaults::default());
    let hubs: Vec<_> = (0..nodes)
        .map(|_| Hub::new(log.clone(), vec![dyn_topic(Note)]))
        .collect();
    if nodes > 1 {
        hubs.iter().for_each(|hub| hub.connect(bus.join()));
    }
    log.set_fault(Fault::Delay(APPEND));
    let (end, cpu) = (Instant::now() + MEASURED, cpu_time());
    let mut running = JoinSet::new();
    for number in 0..sessions {
        running.spawn(run(hubs[number % nodes].clone(), number as u128, end));
    }
    let (mut total, mut by_node) = (Seen::default(), vec![0; nodes]);
    for (number, seen) in running.join_all().await.into_iter().enumerate() {
        let seen = seen?;
        total.accepted += seen.accepted;
        total.rejected += seen.rejected;
        total.latencies.extend(seen.latencies);
        by_node[number % nodes] += seen.accepted;
    }
    let cpu = cpu_time() - cpu;
    let stats: Vec<_> = hubs.iter().map(Hub::stats).collect();
    total.latencies.sort_unstable();
    let at = |percent: usize| total.latencies[(total.latencies.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    Ok(format!(
        "| {nodes} | {sessions} | {:.0} | {} | {:.1}, {:.1}, {:.1} | {:.1} | {} of {} | {} |",
        total.accepted as f64 / MEASURED.as_secs_f64(),
        total.rejected,
        at(50),
        at(99),
        at(100),
        cpu.as_secs_f64() * 1e6 / total.accepted as f64,
        stats.iter().map(|stats| stats.failed_appends).sum::<u64>(),
        stats.iter().map(|stats| stats.appends).sum::<u64>(),
        by_node.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    ))
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut sessions: Vec<usize> = std::env::args()
        .skip(1)
        .map(|count| count.parse())
        .collect::<Result<_, _>>()?;
    if sessions.is_empty() {
        sessions = vec![3, 60, 300, 1_500];
    }
    println!(
        "| nodes | sessions | commands/s | rejected | latency p50, p99, max ms | CPU us per command | conflicts of appends | by node |"
    );
    println!("| --- | --- | --- | --- | --- | --- | --- | --- |");
    for sessions in sessions {
        for nodes in [1, 3] {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()?;
            println!("{}", runtime.block_on(measure(nodes, sessions))?);
        }
    }
    Ok(())
}

//! The PostgreSQL log while its server is away, its connections are cut or silent, its connections are used up, or rows are locked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Instant;

use duplex_hub::decider::{Access, Context, Decider, NoCommand, Principal};
use duplex_hub::log::postgres::PostgresLog;
use duplex_hub::{Hub, dyn_topic};
use duplex_protocol::session::{Answer, Denial};
use duplex_protocol::topic::Topic;
use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::yield_now;
use tokio::time::timeout;

use super::*;
use crate::harness::postgres::{Cluster, Database};
use crate::harness::{TIMEOUT, wait_until, with_timeout};

/// A topic that lists the numbers that were added.
struct List;

impl Topic for List {
    const KIND: &'static str = "list";
    type Command = u64;
    type Event = u64;
    type State = Vec<u64>;

    fn apply(list: &mut Vec<u64>, _seq: Seq, added: &u64) {
        list.push(*added);
    }
}

impl Decider for List {
    type ServerCommand = NoCommand;

    fn admit(&self, _who: Principal<'_>, _topic: &TopicName) -> Result<Access, Denial> {
        Ok(Access::Write)
    }

    fn decide(&self, _context: Context<'_>, _list: &Vec<u64>, add: u64) -> Result<Vec<u64>, Rejection> {
        Ok(vec![add])
    }
}

/// Sends a command until it is accepted, as a client does. Returns its seq and the number of rejections.
async fn send(hub: &Hub, room: &str, number: u64) -> (Seq, u32) {
    let id = CommandId::from_bits(u128::from(number) + 1);
    for rejections in 0.. {
        match hub.send::<List>(room, id.clone(), &number).await {
            Answer::Accepted { seq } => return (seq, rejections),
            Answer::Rejected(Rejection::Unavailable | Rejection::Denied(Denial::Unavailable)) => {
                yield_now().await;
            }
            Answer::Rejected(other) => panic!("{other}"),
        }
    }
    unreachable!()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Forward,
    /// Forwards nothing, and closes nothing.
    Silent,
    /// Cuts each connection after some bytes of answers.
    CutSoon,
}

/// A proxy before the server.
struct Proxy {
    url: String,
    mode: watch::Sender<Mode>,
    accepted: Arc<AtomicUsize>,
}

impl Proxy {
    async fn start(database: &Database, server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mode, receiver) = watch::channel(Mode::Forward);
        let accepted = Arc::new(AtomicUsize::new(0));
        let counter = accepted.clone();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let number = counter.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(forward(client, server, receiver.clone(), number));
            }
        });
        let url = database.url.replace(&server.to_string(), &port.to_string());
        Self { url, mode, accepted }
    }

    async fn log(&self) -> PostgresLog {
        PostgresLog::open(self.url.parse().unwrap()).await.unwrap()
    }

    fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

async fn forward(client: TcpStream, server: u16, mode: watch::Receiver<Mode>, number: usize) {
    let at_first = *mode.borrow();
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    // Enough for the start of a session, and then a different place in the answers each time.
    let budget = 2_500 + (number as u64 * 1_789) % 7_000;
    let limit = if at_first == Mode::CutSoon { budget } else { u64::MAX };
    let up = async {
        let mut buffer = [0; 4096];
        loop {
            let read = from_client.read(&mut buffer).await.unwrap_or(0);
            // Bytes that arrive while the proxy is silent stay here.
            let silent = mode.clone().wait_for(|mode| *mode != Mode::Silent).await.is_err();
            if read == 0 || silent || to_server.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    let down = async {
        let mut answers = (&mut from_server).take(limit);
        let _ = copy(&mut answers, &mut to_client).await;
    };
    tokio::select! {
        () = up => {}
        () = down => {}
    }
}

async fn numbers(log: &dyn Log, room: &str) -> Vec<u64> {
    let records = all(log, &topic(&format!("list/{room}"))).await;
    assert_eq!(seqs(&records), (1..=records.len() as Seq).collect::<Vec<_>>());
    let number = |record: &Record| String::from_utf8(record.event.clone()).unwrap().parse().unwrap();
    records.iter().map(number).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_are_refused_while_the_server_is_away_and_none_is_lost_or_doubled() {
    /// Attempts to connect while the server is away. The pauses between them grow to 3 seconds.
    const ATTEMPTS: usize = 8;
    let mut cluster = Cluster::start(&["fsync=off"]);
    let database = cluster.database();
    let proxy = Proxy::start(&database, cluster.port).await;
    let log = Arc::new(proxy.log().await);
    let hub = Hub::new(log.clone(), vec![dyn_topic(List)]);
    let mut sent = 0;
    for stop in [Cluster::crash, Cluster::stop] {
        for _ in 0..10 {
            send(&hub, "a", sent).await;
            sent += 1;
        }
        stop(&mut cluster);
        let before = proxy.accepted.load(Ordering::Relaxed);
        let began = Instant::now();
        let id = CommandId::from_bits(u128::from(sent) + 1);
        while proxy.accepted.load(Ordering::Relaxed) < before + ATTEMPTS {
            let answer = with_timeout(hub.send::<List>("a", id.clone(), &sent)).await;
            assert_eq!(answer, Answer::Rejected(Rejection::Unavailable));
            yield_now().await;
        }
        assert!(began.elapsed() > Duration::from_secs(1), "too many attempts to connect");
        cluster.resume();
        assert_eq!(with_timeout(send(&hub, "a", sent)).await.0, sent + 1);
        sent += 1;
    }
    assert_eq!(numbers(&*log, "a").await, (0..sent).collect::<Vec<_>>());
    hub.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_have_one_effect_while_connections_are_cut_within_statements() {
    const CONNECTIONS: usize = 12;
    const REJECTIONS: u32 = 3;
    let database = Cluster::shared().database();
    let proxy = Arc::new(Proxy::start(&database, Cluster::shared().port).await);
    // The tables exist before connections are cut.
    proxy.log().await.close().await;
    proxy.set(Mode::CutSoon);
    let hub = Hub::new(Arc::new(proxy.log().await), vec![dyn_topic(List)]);
    let rejections = Arc::new(AtomicU32::new(0));
    let rooms = ["a", "b", "c"].map(|room| {
        let (hub, proxy, rejections) = (hub.clone(), proxy.clone(), rejections.clone());
        tokio::spawn(async move {
            let mut number = 0;
            while proxy.accepted.load(Ordering::Relaxed) < CONNECTIONS
                || rejections.load(Ordering::Relaxed) < REJECTIONS
            {
                let (seq, rejected) = send(&hub, room, number).await;
                number += 1;
                assert_eq!(seq, number, "{room}");
                rejections.fetch_add(rejected, Ordering::Relaxed);
            }
            (room, number)
        })
    });
    let finished = timeout(4 * TIMEOUT, join_all(rooms)).await.unwrap();
    let direct = PostgresLog::open(database.url.parse().unwrap()).await.unwrap();
    for finished in finished {
        let (room, count) = finished.unwrap();
        assert_eq!(numbers(&direct, room).await, (0..count).collect::<Vec<_>>());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_given_up() {
    let database = Cluster::shared().database();
    let proxy = Proxy::start(&database, Cluster::shared().port).await;
    let log = proxy.log().await;
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 1).await;
    proxy.set(Mode::Silent);
    let (appended, read) = with_timeout(futures_util::future::join(
        log.append(&lobby, 1.into(), vec![message_entry(2)]),
        log.read(&lobby, 0, 9),
    ))
    .await;
    assert!(matches!(appended, Err(LogError::Unavailable(_))), "{appended:?}");
    assert!(matches!(read, Err(LogError::Unavailable(_))), "{read:?}");
    proxy.set(Mode::Forward);
    wait_until(async || log.read(&lobby, 0, 9).await.is_ok()).await;
    // The statements that the proxy kept were not forwarded, because the client closed their connections.
    append_messages(&log, &lobby, 1, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn used_up_connections_are_reported_and_recover() {
    let cluster = Cluster::start(&["fsync=off", "max_connections=5", "superuser_reserved_connections=0"]);
    let database = cluster.database();
    let log = PostgresLog::open(database.url.parse().unwrap()).await.unwrap();
    let lobby = topic(LOBBY);
    append_messages(&log, &lobby, 0, 1).await;
    let mut others = Vec::new();
    let refused = loop {
        match PostgresLog::open(database.url.parse().unwrap()).await {
            Ok(other) => others.push(other),
            Err(error) => break error.to_string(),
        }
    };
    assert!(refused.contains("too many clients"), "{refused}");
    assert_eq!(others.len(), 4);
    let read = log.read(&lobby, 0, 9).await;
    assert!(
        matches!(&read, Err(LogError::Unavailable(cause)) if cause.contains("too many clients")),
        "{read:?}"
    );
    append_messages(&log, &lobby, 1, 1).await;
    drop(others);
    wait_until(async || log.read(&lobby, 0, 9).await.is_ok()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_topic_does_not_block_the_others_for_long() {
    let database = Cluster::shared().database();
    let log = PostgresLog::open(database.url.parse().unwrap()).await.unwrap();
    let (locked, free) = (topic("chat/locked"), topic("chat/free"));
    append_messages(&log, &locked, 0, 1).await;
    let mut holder = database.hold("SELECT FROM duplex.topics WHERE name = 'chat/locked' FOR UPDATE");
    let (rejected, appended) = with_timeout(futures_util::future::join(
        log.append(&locked, 1.into(), vec![message_entry(2)]),
        log.append(&free, 0.into(), vec![message_entry(1)]),
    ))
    .await;
    assert!(matches!(rejected, Err(LogError::Unavailable(_))), "{rejected:?}");
    assert_eq!(appended, Ok(1));
    assert_eq!(all(&log, &locked).await.len(), 1, "reads do not wait");
    holder.release();
    append_messages(&log, &locked, 1, 1).await;
}

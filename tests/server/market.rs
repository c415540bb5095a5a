//! The market on a real server: simulated feed, rendered pages, and a cost benchmark.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use duplex::apps;
use duplex::apps::market::model::chart::CandleChart;
use duplex::apps::market::model::quote_book::QuoteBook;
use duplex::apps::market::server::commands::QuotesCommand;
use duplex::apps::market::wire::{ALL, Candles, FeedStatus, Interval, Quotes, Source};
use duplex::server::site;
use duplex::server::state::{ServerState, Settings};
use duplex_hub::log::Log;
use duplex_hub::log::memory::MemoryLog;
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::session::Reader;
use duplex_hub::testing;
use duplex_hub::{Hub, ReadLimit};
use duplex_protocol::codec::Encoding;
use duplex_protocol::cursor::Epoch;
use duplex_protocol::session::{Answer, SessionId};
use duplex_protocol::topic::{Topic, TopicName};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_util::sync::CancellationToken;

use crate::harness::process::{RunningCommand, Server, duplex_command};
use crate::harness::tls::CertificateAuthority;
use crate::harness::visitor::{Transport, Visitor};
use crate::harness::{Node, routes, wait_until, with_timeout};

fn node(log: Arc<dyn Log>) -> Node {
    let options = site::options(Path::new("/nonexistent"), None, None);
    let apps = Arc::new(apps::server::Apps::default());
    let hub = Hub::new(log, apps.kinds());
    let state = ServerState::new(Settings::default(), options, hub, apps);
    Node {
        router: routes(&state),
        state,
    }
}

fn memory() -> Arc<dyn Log> {
    Arc::new(MemoryLog::new(Epoch::new(7)))
}

/// The background tasks of the market.
struct MarketTasks {
    stop: CancellationToken,
    tasks: Vec<JoinHandle<()>>,
}

impl MarketTasks {
    fn start(node: &Node, change: impl FnOnce(&mut apps::server::Options)) -> Self {
        let mut options = apps::server::Options::default();
        change(&mut options);
        let stop = CancellationToken::new();
        let background_tasks = apps::server::Apps::default().background_tasks(&options).unwrap();
        let market = background_tasks
            .into_iter()
            .filter(|task| task.name().starts_with("market"));
        let tasks = market.map(|task| tokio::spawn(task.run(node.state.hub.clone(), stop.clone())));
        Self {
            tasks: tasks.collect(),
            stop,
        }
    }

    async fn stop(self) {
        self.stop.cancel();
        for task in self.tasks {
            with_timeout(task).await.unwrap();
        }
    }
}

async fn state<T: Topic>(node: &Node, rest: &str) -> T::State {
    testing::state::<T>(&node.state.hub, rest).await
}

async fn quotes(node: &Node) -> QuoteBook {
    state::<Quotes>(node, ALL).await
}

async fn chart(node: &Node, symbol: &str) -> CandleChart {
    state::<Candles>(node, symbol).await
}

async fn wait_until_live(node: &Node) {
    wait_until(async || {
        let quotes = quotes(node).await;
        quotes.entries.len() > 50 && quotes.feed.status == FeedStatus::Live
    })
    .await;
}

/// Reads quotes as one subscriber until `count` more events arrived; returns their number.
async fn read_quotes(node: &Node, count: u64) -> u64 {
    let quotes = TopicName::of::<Quotes>(ALL).unwrap();
    let hub = &node.state.hub;
    let handle = hub.open(&quotes).await.unwrap();
    let session = SessionId("test".to_owned());
    let mut reader = Reader::for_server(hub, Encoding::Postcard, session);
    reader.subscribe(&quotes, None).await;
    let first = handle.head().seq;
    let limit = ReadLimit {
        frames: 256,
        bytes: 1 << 20,
    };
    while handle.head().seq < first + count {
        with_timeout(reader.woken()).await;
        reader.gather(limit, &mut Vec::new()).await;
    }
    handle.head().seq - first
}

#[tokio::test]
async fn a_market_page_without_quotes_says_so() {
    let page = node(memory()).get("/market").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("아직 시세가 없습니다"), "{}", page.body);
    assert!(page.body.contains(r#"data-status="off""#));
}

#[tokio::test]
async fn the_first_html_contains_the_simulated_quotes() {
    let node = node(memory());
    let market_tasks = MarketTasks::start(&node, |_| {});
    wait_until_live(&node).await;
    let page = node.get("/market").await.body;
    assert_eq!(page.matches("data-symbol=").count(), quotes(&node).await.entries.len());
    assert!(page.contains("한누리반도체") && page.contains(r#"data-simulated="true""#));
    assert!(page.contains(r#"<polyline points="0,"#), "the sparklines are missing");
    let page = node.get("/market/hnb?interval=1h").await.body;
    let drawn = |class: &str| page.contains(&format!(r#"z" class="{class}"></path>"#));
    assert!(drawn("rise") && drawn("fall"), "the candles are missing");
    assert_eq!(page.matches(r#"aria-current="true""#).count(), 1);
    for page in [page, node.get("/market/nothing-such").await.body] {
        assert!(
            !page.contains(" style="),
            "the content security policy forbids style attributes"
        );
    }
    let missing = node.get("/market/nothing-such").await;
    assert_eq!(missing.status, 404);
    assert!(missing.body.contains("존재하지 않는 종목입니다"));
    market_tasks.stop().await;
}

#[tokio::test]
async fn quotes_and_candles_are_updated() {
    let node = node(memory());
    let market_tasks = MarketTasks::start(&node, |options| options.market.market_rate = 2_000);
    wait_until_live(&node).await;
    let before = quotes(&node).await;
    for interval in Interval::ALL {
        assert!(chart(&node, "hnb").await.candles(interval).len() > 80);
    }
    read_quotes(&node, 200).await;
    wait_until(async || chart(&node, "hnb").await.trade_count > 3).await;
    let after = quotes(&node).await;
    let moved = |symbol: &String| before.entries[symbol].tick != after.entries[symbol].tick;
    assert!(before.entries.keys().filter(|symbol| moved(symbol)).count() > 20);
    market_tasks.stop().await;
}

#[tokio::test]
async fn a_restarted_market_continues_from_its_last_prices() {
    let node = node(memory());
    let market_tasks = MarketTasks::start(&node, |_| {});
    wait_until_live(&node).await;
    wait_until(async || chart(&node, "hnb").await.trade_count > 0).await;
    market_tasks.stop().await;
    let (before, candles) = (quotes(&node).await, chart(&node, "hnb").await);
    let market_tasks = MarketTasks::start(&node, |_| {});
    wait_until(async || chart(&node, "hnb").await.trade_count > candles.trade_count).await;
    let after = quotes(&node).await;
    for (symbol, entry) in &before.entries {
        let (was, is) = (entry.tick.last, after.entries[symbol].tick.last);
        assert!(is.abs_diff(was) * 20 <= was.max(20), "{symbol} was {was} and is {is}");
    }
    let first = |chart: &CandleChart| chart.candles(Interval::Day).front().copied();
    assert_eq!(
        first(&chart(&node, "hnb").await),
        first(&candles),
        "the history was regenerated"
    );
    market_tasks.stop().await;
}

#[tokio::test]
async fn visitors_cannot_write_market_topics() {
    let node = node(memory());
    let mut visitor = Visitor::new(&node, Transport::Poll).await;
    let open = QuotesCommand::Open(Source {
        name: "mine".to_owned(),
        simulated: false,
    });
    let answer = visitor.command("quotes/all", &open).await;
    assert!(matches!(answer, Answer::Rejected(_)), "{answer:?}");
    let answer = visitor.command("alerts/0000000000000000", &open).await;
    assert!(matches!(answer, Answer::Rejected(_)), "{answer:?}");
    assert_eq!(quotes(&node).await, QuoteBook::default());
}

/// Prints the cost of the market without viewers: `cargo test --release --test server market::cost -- --ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn cost() {
    const TICKS: u64 = 3_000;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("duplex.db");
    let node = node(Arc::new(SqliteLog::open(&data).unwrap()));
    let market_tasks = MarketTasks::start(&node, |_| {});
    wait_until_live(&node).await;
    read_quotes(&node, 100).await;
    let (processor, start) = (processor_millis(), std::time::Instant::now());
    let ticks = read_quotes(&node, TICKS).await;
    let (seconds, used) = (start.elapsed().as_secs_f64(), processor_millis() - processor);
    let size = |name: &str| std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len() >> 10);
    println!("{:.0} quote events/s for {seconds:.0} s", ticks as f64 / seconds);
    println!("{:.1} % of one processor", used as f64 / seconds / 10.0);
    println!(
        "{} KiB of data, {} KiB of WAL",
        size("duplex.db"),
        size("duplex.db-wal")
    );
    market_tasks.stop().await;
}

/// The CPU time of all threads of this process, in milliseconds.
fn processor_millis() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    // Linux reports hundredths of a second.
    (fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()) * 10
}

const TICKER: &str = r#"{"type":"ticker","code":"KRW-BTC","opening_price":100571000.0,"high_price":100690000.0,"low_price":99500000.0,"trade_price":100473000.0,"prev_closing_price":100571000.0,"acc_trade_volume":418.4,"trade_timestamp":1730336862047,"stream_type":"SNAPSHOT"}"#;

/// An exchange that answers each subscription with one ticker.
async fn exchange() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut socket = accept_async(stream).await.unwrap();
            let subscribe = socket.next().await.unwrap().unwrap();
            assert!(subscribe.to_text().unwrap().contains("KRW-BTC"), "{subscribe}");
            socket.send(Message::text(TICKER)).await.unwrap();
            // Until the client closes the connection.
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    addr
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn quotes_are_received_over_tls() {
    let (dir, authority) = (tempfile::tempdir().unwrap(), CertificateAuthority::new());
    let port = authority.tls_proxy(exchange().await).await;
    let mut command = duplex_command(dir.path());
    command.env("SSL_CERT_FILE", authority.root_certificate()).args([
        "--market-feed",
        "upbit",
        "--market-symbols",
        "KRW-BTC",
        "--market-url",
        &format!("wss://localhost:{port}"),
    ]);
    let server = Server::start_command(command, dir.path(), "127.0.0.1:0");
    let quotes = ["tail", "quotes/all", "--from", "start", "--url", &server.url()];
    let tail = RunningCommand::start(dir.path(), &quotes);
    while !tail.next_line().contains("krw-btc") {}
}

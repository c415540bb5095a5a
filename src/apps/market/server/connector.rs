//! The price feed of an exchange, over its WebSocket. An invalid message is counted and skipped; a lost connection is reopened with
//! exponential backoff. Meanwhile the page keeps the last prices, marked stale.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::Uri;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};
use tokio_tungstenite::{Connector as Tls, MaybeTlsStream, WebSocketStream, client_async_tls_with_config};
use tokio_util::sync::CancellationToken;

use super::super::wire::{FeedState, FeedStatus, Millis, Source, Trade};
use super::exchange::{Exchange, ExchangeMessage, ParseError};
use super::publisher::{PublishError, Publisher};
use super::quote_conflater::QuoteConflater;
use crate::server::tls::{self, ByteStream, TlsError};
use duplex_hub::{BackgroundTask, Hub, TaskFuture};

/// Timeout of DNS lookup, TCP, TLS and WebSocket handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Both exchanges close idle connections, Upbit after 120 s; the pongs also prove that the exchange is alive.
const PING_INTERVAL: Duration = Duration::from_secs(30);
/// A connection without any frame, not even a pong, for this long is closed.
const SILENCE_TIMEOUT: Duration = Duration::from_secs(75);
/// After this long without any price the feed is stale.
const FEED_STALE_AFTER: Duration = Duration::from_secs(15);
/// After this long without a price a symbol is stale.
const SYMBOL_STALE_AFTER: Millis = 120_000;
/// How often quotes are published.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Trades are published with every n-th publication of quotes.
const QUOTES_PER_TRADE_PUBLISH: u64 = 10;
/// Maximum bytes of a message; the exchanges' messages take about a hundredth of it.
const MAX_MESSAGE: usize = 256 << 10;
/// Minimum and maximum delay before a reconnect.
const MIN_BACKOFF: Duration = Duration::from_secs(1);
const MAX_BACKOFF: Duration = Duration::from_secs(60);
/// A connection that lasted this long resets the delay.
const STABLE_AFTER: Duration = Duration::from_secs(60);

pub type DialFuture = Pin<Box<dyn Future<Output = std::io::Result<Box<dyn ByteStream>>> + Send>>;
type Socket = WebSocketStream<MaybeTlsStream<Box<dyn ByteStream>>>;

/// Opens a stream to a host and port, without TLS.
pub type Dial = fn(String, u16) -> DialFuture;

pub struct ExchangeConnector<D = Dial> {
    exchange: Exchange,
    url: String,
    codes: Vec<String>,
    dial: D,
}

#[derive(Debug, thiserror::Error)]
enum ConnectionError {
    #[error("invalid URL: {0}")]
    InvalidUrl(String),
    #[error("cannot connect: {0}")]
    Unreachable(#[from] std::io::Error),
    #[error("WebSocket: {0}")]
    Socket(#[from] Box<tungstenite::Error>),
    #[error("TLS: {0}")]
    Tls(#[from] TlsError),
    #[error("timed out")]
    TimedOut,
    #[error("no frame received in time")]
    Silent,
    #[error("the exchange closed the connection")]
    Closed,
    #[error("the exchange asked to reconnect")]
    ReconnectRequested,
    #[error("stopped")]
    Stopped,
}

impl ExchangeConnector {
    pub fn new(exchange: Exchange, url: String, codes: Vec<String>) -> Self {
        Self {
            exchange,
            url,
            codes,
            dial,
        }
    }
}

fn dial(host: String, port: u16) -> DialFuture {
    Box::pin(async move {
        let stream = TcpStream::connect((host, port)).await?;
        stream.set_nodelay(true)?;
        Ok(Box::new(stream) as Box<dyn ByteStream>)
    })
}

impl<D> BackgroundTask for ExchangeConnector<D>
where
    D: Fn(String, u16) -> DialFuture + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        self.exchange.task_name()
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            match ConnectorState::open(&self, hub).await {
                Ok(state) => self.run_with_reconnects(state, &stop).await,
                Err(error) => tracing::warn!("the price feed stopped: {error}"),
            }
        })
    }
}

impl<D> ExchangeConnector<D>
where
    D: Fn(String, u16) -> DialFuture + Send + Sync + 'static,
{
    async fn run_with_reconnects(&self, mut state: ConnectorState, stop: &CancellationToken) {
        let mut backoff = MIN_BACKOFF;
        loop {
            let started_at = Instant::now();
            let error = match self.run_connection(&mut state, stop).await {
                Ok(never) => match never {},
                Err(ConnectionError::Stopped) => {
                    return state.publisher.publish_trades(&mut state.conflater, true).await;
                }
                Err(error) => error,
            };
            if started_at.elapsed() >= STABLE_AFTER {
                backoff = MIN_BACKOFF;
            }
            let wait = jittered(backoff, random_bits());
            tracing::warn!(
                seconds = wait.as_secs_f32(),
                "reconnecting to the exchange after a delay: {error}"
            );
            state.on_disconnect().await;
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(wait) => {}
            }
            backoff = next_backoff(backoff);
        }
    }

    /// Runs one connection until it fails or the task is stopped.
    async fn run_connection(
        &self,
        state: &mut ConnectorState,
        stop: &CancellationToken,
    ) -> Result<std::convert::Infallible, ConnectionError> {
        state.set_status(FeedStatus::Connecting).await;
        let mut socket = tokio::select! {
            () = stop.cancelled() => return Err(ConnectionError::Stopped),
            opened = timeout(CONNECT_TIMEOUT, self.open()) => opened.map_err(|_| ConnectionError::TimedOut)??,
        };
        let mut pings = interval(PING_INTERVAL);
        let mut publish_interval = interval(PUBLISH_INTERVAL);
        publish_interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last_frame_at, mut publish_count) = (Instant::now(), 0_u64);
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    let _ = timeout(Duration::from_secs(1), socket.close(None)).await;
                    return Err(ConnectionError::Stopped);
                }
                message = socket.next() => {
                    last_frame_at = Instant::now();
                    match message.ok_or(ConnectionError::Closed)?.map_err(Box::new)? {
                        Message::Text(text) => state.on_message(self.exchange, text.as_bytes()).await?,
                        Message::Binary(bytes) => state.on_message(self.exchange, &bytes).await?,
                        Message::Close(_) => return Err(ConnectionError::Closed),
                        Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                    }
                }
                _ = pings.tick() => {
                    let ping = socket.send(Message::Ping(tungstenite::Bytes::new()));
                    timeout(CONNECT_TIMEOUT, ping).await.map_err(|_| ConnectionError::TimedOut)?.map_err(Box::new)?;
                }
                _ = publish_interval.tick() => {
                    if last_frame_at.elapsed() >= SILENCE_TIMEOUT {
                        return Err(ConnectionError::Silent);
                    }
                    publish_count += 1;
                    state.on_publish_tick(publish_count).await;
                }
            }
        }
    }

    async fn open(&self) -> Result<Socket, ConnectionError> {
        let stream_url = self.exchange.stream_url(&self.url, &self.codes);
        let invalid = || ConnectionError::InvalidUrl(stream_url.clone());
        let uri: Uri = stream_url.parse().map_err(|_| invalid())?;
        let host = uri.host().ok_or_else(invalid)?.to_owned();
        let secure = uri.scheme_str() == Some("wss");
        let port = uri.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let stream = (self.dial)(host, port).await?;
        let tls = match secure {
            true => Tls::Rustls(tls::client(None)?),
            false => Tls::Plain,
        };
        let request = stream_url.as_str().into_client_request().map_err(Box::new)?;
        let limits = WebSocketConfig::default()
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let opened = client_async_tls_with_config(request, stream, Some(limits), Some(tls)).await;
        let (mut socket, _) = opened.map_err(Box::new)?;
        let ticket = uuid::Uuid::new_v4().to_string();
        if let Some(request) = self.exchange.subscribe_message(&ticket, &self.codes) {
            let request = Message::Text(Utf8Bytes::from(request));
            socket.send(request).await.map_err(Box::new)?;
        }
        Ok(socket)
    }
}

/// A random delay between half of the backoff and all of it, so that clients do not all reconnect at the same time.
fn jittered(backoff: Duration, random: u64) -> Duration {
    let fraction = (random >> 32) as f64 / (1_u64 << 32) as f64;
    backoff.mul_f64(0.5 + fraction / 2.0)
}

fn next_backoff(backoff: Duration) -> Duration {
    backoff.saturating_mul(2).min(MAX_BACKOFF)
}

fn random_bits() -> u64 {
    uuid::Uuid::new_v4().as_u64_pair().1
}

/// State kept across reconnects.
struct ConnectorState {
    publisher: Publisher,
    conflater: QuoteConflater,
    feed: FeedState,
    /// The feed state as last published.
    published_feed: FeedState,
    /// The id of the newest trade of each symbol: duplicate and out-of-order trades are skipped.
    newest_trades: HashMap<String, u64>,
    /// The subscribed symbols.
    symbols: Vec<String>,
    last_price_at: Instant,
}

impl ConnectorState {
    async fn open<D>(connector: &ExchangeConnector<D>, hub: Hub) -> Result<Self, PublishError> {
        let mut publisher = Publisher::new(hub)?;
        let book = publisher.quote_book().await?;
        let source = Source {
            name: connector.exchange.name().to_owned(),
            simulated: false,
        };
        let known = book.source == source;
        publisher.set_source(source).await?;
        let mut conflater = QuoteConflater::new(if known { book.entries } else { Default::default() });
        conflater.clamp_times(duplex_hub::now());
        // Prices of an earlier connection are stale until the exchange sends new ones.
        conflater.mark_stale(Millis::MAX);
        Ok(Self {
            publisher,
            conflater,
            feed: FeedState::default(),
            published_feed: book.feed,
            newest_trades: HashMap::new(),
            symbols: connector.codes.iter().map(|code| code.to_lowercase()).collect(),
            last_price_at: Instant::now(),
        })
    }

    async fn set_status(&mut self, status: FeedStatus) {
        if self.feed.status != status || self.feed.since == 0 {
            self.feed.status = status;
            self.feed.since = duplex_hub::now();
            self.publish_feed().await;
        }
    }

    async fn publish_feed(&mut self) {
        if self.published_feed != self.feed {
            self.published_feed = self.feed;
            if let Err(error) = self.publisher.publish_feed(self.feed).await {
                tracing::warn!("could not publish the feed status: {error}");
            }
        }
    }

    async fn on_disconnect(&mut self) {
        self.conflater.mark_stale(Millis::MAX);
        self.publisher.publish_quotes(&mut self.conflater).await;
        self.publisher.publish_trades(&mut self.conflater, true).await;
        self.set_status(FeedStatus::Lost).await;
    }

    async fn on_message(&mut self, exchange: Exchange, message: &[u8]) -> Result<(), ConnectionError> {
        match exchange
            .parse(message)
            .map_err(ApplyError::Invalid)
            .and_then(|message| self.apply(exchange, message))
        {
            Ok(true) => {
                self.last_price_at = Instant::now();
                self.set_status(FeedStatus::Live).await;
            }
            Ok(false) => {}
            Err(ApplyError::Reconnect) => return Err(ConnectionError::ReconnectRequested),
            Err(ApplyError::Invalid(error)) => {
                self.feed.skipped += 1;
                tracing::debug!("skipped an invalid message: {error}");
            }
        }
        Ok(())
    }

    /// Returns true if the message contained a price.
    fn apply(&mut self, exchange: Exchange, message: ExchangeMessage) -> Result<bool, ApplyError> {
        let now = duplex_hub::now();
        match message {
            ExchangeMessage::Ignored => Ok(false),
            ExchangeMessage::Reconnect => Err(ApplyError::Reconnect),
            ExchangeMessage::Trade {
                symbol,
                id,
                at,
                price,
                quantity,
                buyer_is_taker,
            } => {
                self.ensure_listed(exchange, &symbol, price, now)?;
                let newest = self.newest_trades.entry(symbol.clone()).or_default();
                if id <= *newest {
                    return Err(ApplyError::Invalid(ParseError::InvalidNumber("id")));
                }
                *newest = id;
                // The exchange's clock may be ahead of ours: clamp the trade's time to now.
                let at = at.min(now);
                let trade = Trade {
                    at,
                    price,
                    quantity,
                    buyer_is_taker,
                };
                self.conflater.add_trade(&symbol, trade);
                Ok(true)
            }
            ExchangeMessage::Day { symbol, at, day } => {
                self.ensure_listed(exchange, &symbol, day.last, now)?;
                self.feed.skipped += u64::from(!day.is_complete());
                self.conflater.apply_day_stats(&symbol, day, at.min(now));
                Ok(true)
            }
        }
    }

    fn ensure_listed(&mut self, exchange: Exchange, symbol: &str, price: u64, now: Millis) -> Result<(), ApplyError> {
        if !self.symbols.iter().any(|listed| listed == symbol) {
            return Err(ApplyError::Invalid(ParseError::InvalidSymbol));
        }
        self.conflater.list(exchange.listing(symbol, price), price, now);
        Ok(())
    }

    /// Publishes quotes; every [`QUOTES_PER_TRADE_PUBLISH`]-th call also publishes trades, stale marks and the feed status.
    async fn on_publish_tick(&mut self, publish_count: u64) {
        if publish_count.is_multiple_of(QUOTES_PER_TRADE_PUBLISH) {
            let now = duplex_hub::now();
            self.conflater.clamp_times(now);
            self.conflater.mark_stale(now.saturating_sub(SYMBOL_STALE_AFTER));
            self.publisher.publish_quotes(&mut self.conflater).await;
            self.publisher.publish_trades(&mut self.conflater, false).await;
            if self.feed.status == FeedStatus::Live && self.last_price_at.elapsed() >= FEED_STALE_AFTER {
                self.set_status(FeedStatus::Stale).await;
            }
            self.publish_feed().await;
        } else {
            self.publisher.publish_quotes(&mut self.conflater).await;
        }
    }
}

/// Why a message is not applied.
enum ApplyError {
    Reconnect,
    Invalid(ParseError),
}

impl From<ParseError> for ApplyError {
    fn from(error: ParseError) -> Self {
        Self::Invalid(error)
    }
}

#[cfg(test)]
mod tests;

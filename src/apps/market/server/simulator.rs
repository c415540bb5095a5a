//! The simulated price feed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::super::model::quote_book::QuoteBook;
use super::super::wire::{FeedState, FeedStatus, Millis, Source};
use super::generator::Generator;
use super::history::{self, SymbolHistory};
use super::instruments::INSTRUMENTS;
use super::publisher::{PublishError, Publisher};
use super::quote_conflater::QuoteConflater;
use duplex_hub::{BackgroundTask, Hub, TaskFuture};

/// Publish interval: ten times per second looks smooth and keeps the log small.
const PUBLISH_INTERVAL: Duration = Duration::from_millis(100);
/// Publications of quotes between two publications of trades.
const QUOTES_PER_TRADE_PUBLISH: u64 = 10;
/// Maximum simulated time of one step, so that prices do not jump after the machine was suspended.
const MAX_STEP: Millis = 1_000;
const DAY: Millis = 24 * 60 * 60 * 1000;

pub struct Simulator {
    pub seed: u64,
    /// Average trades per second.
    pub rate: u32,
}

impl BackgroundTask for Simulator {
    fn name(&self) -> &'static str {
        "market-simulator"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            if let Err(error) = self.simulate(hub, &stop).await {
                tracing::warn!("the simulated market stopped: {error}");
            }
        })
    }
}

pub fn source() -> Source {
    Source {
        name: "simulator".to_owned(),
        simulated: true,
    }
}

impl Simulator {
    async fn simulate(&self, hub: Hub, stop: &CancellationToken) -> Result<(), PublishError> {
        let mut publisher = Publisher::new(hub)?;
        let book = publisher.quote_book().await?;
        let (mut market, mut conflater) = if is_simulated_book(&book) {
            let mut market = Generator::new(self.seed ^ book.sampled_at, &INSTRUMENTS);
            market.resume(|symbol| book.entries.get(symbol).map_or(0, |entry| entry.tick.last));
            (market, QuoteConflater::new(book.entries))
        } else {
            generate_market(&mut publisher, self.seed).await?
        };
        let feed = FeedState {
            status: FeedStatus::Live,
            since: duplex_hub::now(),
            skipped: 0,
        };
        publisher.publish_feed(feed).await?;
        let mut interval = tokio::time::interval(PUBLISH_INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut ticks) = (Instant::now(), 0_u64);
        let mut day = duplex_hub::now() / DAY;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    publisher.publish_trades(&mut conflater, true).await;
                    return Ok(());
                }
                _ = interval.tick() => {}
            }
            let (now, passed) = (duplex_hub::now(), last.elapsed());
            last = Instant::now();
            if std::mem::replace(&mut day, now / DAY) != now / DAY {
                conflater.start_day();
            }
            let by = u64::try_from(passed.as_millis()).unwrap_or(MAX_STEP).min(MAX_STEP);
            for (symbol, trade) in market.advance_and_trade(now, by, self.rate) {
                conflater.add_trade(symbol, trade);
            }
            publisher.publish_quotes(&mut conflater).await;
            ticks += 1;
            if ticks.is_multiple_of(QUOTES_PER_TRADE_PUBLISH) {
                conflater.clamp_times(now);
                publisher.publish_trades(&mut conflater, false).await;
            }
        }
    }
}

/// Whether the published quote book is that of the simulated market, with all instruments.
fn is_simulated_book(book: &QuoteBook) -> bool {
    let listed = |instrument: &super::instruments::Instrument| {
        let entry = book.entries.get(instrument.symbol);
        entry.is_some_and(|entry| entry.listing == instrument.listing())
    };
    book.source == source() && book.entries.len() == INSTRUMENTS.len() && INSTRUMENTS.iter().all(listed)
}

/// Generates and publishes a market with a history. Candles are published before the quotes, so a start that was interrupted begins
/// again.
async fn generate_market(publisher: &mut Publisher, seed: u64) -> Result<(Generator, QuoteConflater), PublishError> {
    let generated = tokio::task::spawn_blocking(move || {
        let mut market = Generator::new(seed, &INSTRUMENTS);
        let histories = history::generate(&mut market, &INSTRUMENTS, duplex_hub::now());
        (market, histories)
    });
    let (market, histories) = generated
        .await
        .map_err(|error| PublishError::Unreadable(error.to_string()))?;
    let (entries, candles): (Vec<_>, Vec<_>) = histories
        .into_iter()
        .map(|SymbolHistory { entry, candles }| ((entry.listing.symbol.clone(), entry.clone()), (entry, candles)))
        .unzip();
    let shared: &Publisher = publisher;
    let replacements = candles
        .iter()
        .map(|(entry, candles)| shared.replace_candles(&entry.listing.symbol, candles.clone()));
    for replaced in join_all(replacements).await {
        replaced?;
    }
    publisher.set_source(source()).await?;
    let listed: Vec<_> = candles.into_iter().map(|(entry, _)| entry).collect();
    publisher.list_entries(&listed).await?;
    Ok((market, QuoteConflater::new(entries.into_iter().collect())))
}

//! The feed that invents its prices, and says so.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::super::model::quote_book::QuoteBook;
use super::super::wire::{Feed as FeedState, FeedStatus, Millis, Source};
use super::desk::Desk;
use super::generator::Generator;
use super::history::{self, Past};
use super::publisher::{PublishError, Publisher};
use super::shares::SHARES;
use duplex_hub::{BackgroundTask, Hub, TaskFuture};

/// Between two looks at the market: ten a second are as many as an eye can follow, and as few as a log is glad of.
const SLOT: Duration = Duration::from_millis(100);
/// Slots between two batches of trades for the candles.
const TRADE_SLOTS: u64 = 10;
/// The most time that passes at once: a machine that slept does not wake to a crash of the market.
const MOST: Millis = 1_000;
const DAY: Millis = 24 * 60 * 60 * 1000;

pub struct Simulator {
    pub seed: u64,
    /// Trades in a second, on the average.
    pub rate: u32,
}

impl BackgroundTask for Simulator {
    fn name(&self) -> &'static str {
        "market-simulator"
    }

    fn run(self: Arc<Self>, hub: Hub, stop: CancellationToken) -> TaskFuture {
        Box::pin(async move {
            if let Err(error) = self.simulate(hub, &stop).await {
                tracing::warn!("the market stands still: {error}");
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
        let board = publisher.board().await?;
        let (mut market, mut desk) = if is_ours(&board) {
            let mut market = Generator::new(self.seed ^ board.sampled, &SHARES);
            market.resume(|symbol| board.entries.get(symbol).map_or(0, |entry| entry.tick.last));
            (market, Desk::new(board.entries))
        } else {
            begin(&mut publisher, self.seed).await?
        };
        let feed = FeedState {
            status: FeedStatus::Live,
            since: duplex_hub::now(),
            skipped: 0,
        };
        publisher.feed(feed).await?;
        let mut slots = interval(SLOT);
        slots.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut last, mut slot) = (Instant::now(), 0_u64);
        let mut day = duplex_hub::now() / DAY;
        loop {
            tokio::select! {
                () = stop.cancelled() => {
                    publisher.trades(&mut desk, true).await;
                    return Ok(());
                }
                _ = slots.tick() => {}
            }
            let (now, passed) = (duplex_hub::now(), last.elapsed());
            last = Instant::now();
            if std::mem::replace(&mut day, now / DAY) != now / DAY {
                desk.new_day();
            }
            let by = u64::try_from(passed.as_millis()).unwrap_or(MOST).min(MOST);
            for (symbol, trade) in market.live(now, by, self.rate) {
                desk.trade(symbol, trade);
            }
            publisher.desk(&mut desk).await;
            slot += 1;
            if slot.is_multiple_of(TRADE_SLOTS) {
                desk.not_after(now);
                publisher.trades(&mut desk, false).await;
            }
        }
    }
}

/// What was published before is this market, and all of it.
fn is_ours(board: &QuoteBook) -> bool {
    let listed = |share: &super::shares::Share| {
        let entry = board.entries.get(share.symbol);
        entry.is_some_and(|entry| entry.listing == share.listing())
    };
    board.source == source() && board.entries.len() == SHARES.len() && SHARES.iter().all(listed)
}

/// A market with a past. The candles come first: a start that is cut short is made anew.
async fn begin(publisher: &mut Publisher, seed: u64) -> Result<(Generator, Desk), PublishError> {
    let made = tokio::task::spawn_blocking(move || {
        let mut market = Generator::new(seed, &SHARES);
        let past = history::tell(&mut market, &SHARES, duplex_hub::now());
        (market, past)
    });
    let (market, past) = made
        .await
        .map_err(|error| PublishError::Unreadable(error.to_string()))?;
    let (entries, candles): (Vec<_>, Vec<_>) = past
        .into_iter()
        .map(|Past { entry, candles }| ((entry.listing.symbol.clone(), entry.clone()), (entry, candles)))
        .unzip();
    let shared: &Publisher = publisher;
    let seeds = candles
        .iter()
        .map(|(entry, candles)| shared.seed(&entry.listing.symbol, candles.clone()));
    for seeded in join_all(seeds).await {
        seeded?;
    }
    publisher.open(source()).await?;
    let listed: Vec<_> = candles.into_iter().map(|(entry, _)| entry).collect();
    publisher.list(&listed).await?;
    Ok((market, Desk::new(entries.into_iter().collect())))
}

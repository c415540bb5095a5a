//! The server side of the market: options, deciders, price feeds, and the alert watcher.

mod alert_index;
mod alert_watcher;
pub mod commands;
mod connector;
mod deciders;
mod exchange;
mod generator;
mod history;
mod instruments;
mod publisher;
mod quote_conflater;
mod simulator;

use super::wire::{AlertChanges, Alerts, Candles, Quotes};
use crate::apps::server::AppServer;
use duplex_hub::dyn_topic;
use std::sync::Arc;

use clap::{Args, ValueEnum};

use self::alert_watcher::AlertWatcher;
use self::connector::ExchangeConnector;
use self::exchange::Exchange;
use self::simulator::Simulator;
use super::wire::{MAX_SYMBOLS, is_symbol};
use duplex_hub::BackgroundTask;

pub fn app() -> AppServer {
    AppServer {
        kinds: Some(|| {
            vec![
                dyn_topic(Quotes),
                dyn_topic(Candles),
                dyn_topic(Alerts),
                dyn_topic(AlertChanges),
            ]
        }),
        tasks: Some(|options| background_tasks(&options.market)),
        ..AppServer::default()
    }
}

/// Allowed values of `--market-rate`, in trades per second. A higher rate would overload the pages.
const RATES: std::ops::RangeInclusive<u32> = 1..=5_000;

#[derive(Debug, Clone, Args)]
#[group(id = "market")]
pub struct Options {
    /// Source of the prices: simulated, or the public WebSocket of an exchange
    #[arg(long, env = "DUPLEX_MARKET_FEED", value_name = "FEED", default_value = "simulator")]
    pub market_feed: FeedKind,

    /// Average trades per second of the simulated market, over all symbols
    #[arg(long, env = "DUPLEX_MARKET_RATE", value_name = "COUNT", default_value_t = 100)]
    pub market_rate: u32,

    /// Seed of the simulated market: the same seed and start time produce the same prices
    #[arg(long, env = "DUPLEX_MARKET_SEED", value_name = "NUMBER", default_value_t = 1)]
    pub market_seed: u64,

    /// WebSocket URL of the exchange [default: its public endpoint]
    #[arg(long, env = "DUPLEX_MARKET_URL", value_name = "URL")]
    pub market_url: Option<String>,

    /// Comma-separated symbols to follow, as the exchange names them [default: 12 symbols with a high volume]
    #[arg(long, env = "DUPLEX_MARKET_SYMBOLS", value_name = "SYMBOL", value_delimiter = ',')]
    pub market_symbols: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FeedKind {
    Simulator,
    Upbit,
    Binance,
    /// No prices
    Off,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            market_feed: FeedKind::Simulator,
            market_rate: 100,
            market_seed: 1,
            market_url: None,
            market_symbols: Vec::new(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum OptionsError {
    #[error("--market-rate {0} is outside {min} to {max}", min = RATES.start(), max = RATES.end())]
    Rate(u32),
    #[error("--market-url {0:?} does not begin with ws:// or wss://")]
    Url(String),
    #[error("--market-symbols: {0:?} is not a valid symbol")]
    Symbol(String),
    #[error("--market-symbols: at most {MAX_SYMBOLS} symbols")]
    TooMany,
}

pub fn background_tasks(options: &Options) -> Result<Vec<Arc<dyn BackgroundTask>>, String> {
    let price_feed = price_feed(options).map_err(|error| error.to_string())?;
    let watcher: Arc<dyn BackgroundTask> = Arc::new(AlertWatcher);
    Ok(price_feed.into_iter().chain([watcher]).collect())
}

fn price_feed(options: &Options) -> Result<Option<Arc<dyn BackgroundTask>>, OptionsError> {
    if !RATES.contains(&options.market_rate) {
        return Err(OptionsError::Rate(options.market_rate));
    }
    Ok(match options.market_feed {
        FeedKind::Simulator => Some(Arc::new(Simulator {
            seed: options.market_seed,
            rate: options.market_rate,
        })),
        FeedKind::Upbit => Some(Arc::new(connector(Exchange::Upbit, options)?)),
        FeedKind::Binance => Some(Arc::new(connector(Exchange::Binance, options)?)),
        FeedKind::Off => None,
    })
}

fn connector(exchange: Exchange, options: &Options) -> Result<ExchangeConnector, OptionsError> {
    let url = options.market_url.as_deref().unwrap_or(exchange.url());
    if !["ws://", "wss://"].iter().any(|scheme| url.starts_with(scheme)) {
        return Err(OptionsError::Url(url.to_owned()));
    }
    let mut codes: Vec<String> = options
        .market_symbols
        .iter()
        .map(|code| code.trim().to_owned())
        .collect();
    codes.retain(|code| !code.is_empty());
    if codes.is_empty() {
        codes = exchange.default_codes().iter().map(|code| (*code).to_owned()).collect();
    }
    if codes.len() > MAX_SYMBOLS {
        return Err(OptionsError::TooMany);
    }
    match codes.iter().find(|code| !is_symbol(&code.to_lowercase())) {
        Some(invalid) => Err(OptionsError::Symbol(invalid.clone())),
        None => Ok(ExchangeConnector::new(exchange, url.to_owned(), codes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        background_tasks(&options).err().unwrap()
    }

    #[test]
    fn invalid_options_are_rejected_with_the_reason() {
        assert!(rejected(|o| o.market_rate = 0).contains("outside 1 to 5000"));
        let upbit = |o: &mut Options| o.market_feed = FeedKind::Upbit;
        assert!(
            rejected(|o| {
                upbit(o);
                o.market_url = Some("http://x".to_owned());
            })
            .contains("ws://")
        );
        assert!(
            rejected(|o| {
                upbit(o);
                o.market_symbols = vec!["A/B".to_owned()];
            })
            .contains("A/B")
        );
        assert!(
            rejected(|o| {
                upbit(o);
                o.market_symbols = vec!["A".to_owned(); MAX_SYMBOLS + 1];
            })
            .contains("200")
        );
    }

    #[test]
    fn each_feed_has_its_task_and_alerts_are_always_watched() {
        for (name, names) in [
            (FeedKind::Simulator, vec!["market-simulator", "market-alerts"]),
            (FeedKind::Upbit, vec!["market-upbit", "market-alerts"]),
            (FeedKind::Binance, vec!["market-binance", "market-alerts"]),
            (FeedKind::Off, vec!["market-alerts"]),
        ] {
            let options = Options {
                market_feed: name,
                ..Options::default()
            };
            let tasks = background_tasks(&options).unwrap();
            assert_eq!(tasks.iter().map(|task| task.name()).collect::<Vec<_>>(), names);
        }
    }
}

//! The server's process: opens the log, and serves until Ctrl-C or SIGTERM.

use std::env;
use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use duplex_axum::listen::{self, Server};
use duplex_axum::{Gateway, Settings};
use duplex_hub::log::sqlite::SqliteLog;
use duplex_hub::{Hub, dyn_topic};
use leptos::config::get_configuration;
use tally::model::Tally;
use tally::server::routes;
use tally::visitor::Visitors;

/// `cargo leptos` sets the address and the front end's directory (`LEPTOS_SITE_ADDR`, `LEPTOS_SITE_ROOT`); `TALLY_DATA` names the
/// log's file.
#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = get_configuration(None)?.leptos_options;
    let data = env::var_os("TALLY_DATA").map_or_else(|| PathBuf::from("data/tally.db"), PathBuf::from);
    let hub = Hub::new(Arc::new(SqliteLog::open(&data)?), vec![dyn_topic(Tally)]);
    let gateway = Gateway::new(hub.clone(), Settings::default(), Visitors(hub));
    gateway.shutdown.begin_on_signal()?;
    let listener = listen::bind(options.site_addr)?;
    println!("http://{}", listener.local_addr()?);
    Server::new(routes(gateway.clone(), options), gateway)
        .serve(listener)
        .await;
    Ok(())
}

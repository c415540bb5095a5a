//! `cargo leptos`: the entry point of the published program, on the same library.

use cargo_leptos::{config::Cli, logger, run};
use clap::Parser;

#[tokio::main]
async fn main() -> color_eyre::Result<()> {
    color_eyre::install()?;
    // Cargo passes the subcommand's name as the first argument.
    let args = std::env::args()
        .enumerate()
        .filter(|(i, arg)| !(*i == 1 && arg == "leptos"));
    let cli = Cli::parse_from(args.map(|(_, arg)| arg));
    logger::setup(cli.opts().map_or(0, |opts| opts.verbose), &cli.log);
    run(cli).await
}

//! The binary: reads the configuration, serves, and goes away when it is told to. Or runs a command beside a server.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use duplex::apps::server::Apps;
use duplex::server::access::link;
use duplex::server::config::Config;
use duplex::server::site::{self, LeptosEnv};
use duplex::server::state::{ServerState, Settings};
use duplex::server::{limits, run, telemetry};
use duplex_axum::listen::{self, Tls};
use duplex_axum::shutdown;
use duplex_hub::Hub;
use duplex_hub::log::sqlite::Sqlite;

use cli::output::err;

/// A real-time web app in one binary: its pages and its WebSockets. Without a command it serves.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
struct Arguments {
    #[command(flatten)]
    config: Config,

    #[command(subcommand)]
    command: Option<cli::Command>,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    if let Err(error) = shutdown::ignore_sigxfsz() {
        err!("duplex: the file size limit would end this process: {error}");
    }
    let done = match command {
        None => start(&config),
        Some(command) => command.run(&config),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !cli::is_unread(error.as_ref()) {
                err!("duplex: {error}");
            }
            cli::exit_code(error.as_ref())
        }
    }
}

fn start(config: &Config) -> Result<(), Box<dyn Error>> {
    let telemetry = telemetry::start(&config.log, config.log_format, config.otlp_endpoint.as_deref())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // By default a busy worker looks at what other threads woke so seldom that the slowest waits 57 ms, not 8 ms.
        .global_queue_interval(3)
        .build()?;
    runtime.block_on(async { shutdown::ignore_sighup() })?;
    let addrs = config.addr(std::env::var("LEPTOS_SITE_ADDR").ok())?.resolve()?;
    addrs.iter().try_for_each(|addr| config.check_addr(*addr))?;
    let settings = Settings {
        token: config.legacy_token()?,
        ..config.settings()?
    };
    let tls = settings.tls.clone().map(Tls::load).transpose()?;
    let apps = Arc::new(Apps::default());
    let (tasks, simulations) = (apps.background_tasks(&config.apps)?, apps.simulations(&config.apps));
    let executable = std::env::current_exe()?;
    let folder = executable.parent().unwrap_or(&executable);
    let options = site::find(config.site.as_deref(), folder, &LeptosEnv::read())?;
    let log = Sqlite::open(&config.data).map_err(|error| format!("--data {}: {error}", config.data.display()))?;
    let log = log.with_room(config.max_data.0, limits::DISK_RESERVE);
    // Each connection is a file descriptor, and the usual soft limit of 1,024 is soon reached.
    rlimit::increase_nofile_limit(u64::MAX)?;
    runtime.block_on(async {
        let hub = Hub::new(Arc::new(log), apps.kinds());
        let state = ServerState::new(settings, options, hub, apps);
        let mut state = state
            .with_tasks(tasks)
            .with_simulations(simulations)
            .with_access_beside(&config.keys())
            .with_tls(tls);
        state.error_counter = telemetry.error_counter.clone();
        serve(&addrs, state).await
    })
}

async fn serve(addrs: &[SocketAddr], state: ServerState) -> Result<(), Box<dyn Error>> {
    let listener = listen::bind_first(addrs)?;
    let addr = listener.local_addr()?;
    let scheme = if state.tls.is_some() { "https" } else { "http" };
    tell(format_args!("{scheme}://{addr}"));
    greet_operator(&state, &state.settings.base_url(reachable(addr)));
    state.shutdown.begin_at_stop_signal()?;
    run(listener, state).await;
    Ok(())
}

/// Where a browser of this machine finds a server that listens everywhere.
const fn reachable(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), addr.port()),
        _ => addr,
    }
}

/// A server whose output nobody reads goes on.
fn tell(text: fmt::Arguments<'_>) {
    if let Err(error) = cli::output::unless_unread(cli::output::line(text)) {
        tracing::warn!("{error}");
    }
}

/// What whoever started the server should know. A sign-in link goes to a terminal only: what is piped may be kept.
fn greet_operator(state: &ServerState, base: &str) {
    if state.access.takes_legacy().unwrap_or_default() {
        tracing::warn!(
            "the token of --token, or of the file beside the data, has all roles; give programs tokens with one (duplex token \
             create), then revoke it (duplex token revoke legacy)"
        );
    }
    if state.settings.trust_local {
        tracing::warn!("--trust-local: whoever reaches this server under a loopback name is its operator");
    }
    if state.settings.demo {
        tell(format_args!(
            "--demo: every visitor may give orders to devices and set their thresholds"
        ));
    }
    if io::stdout().is_terminal() {
        match state.access.links().create() {
            Ok(code) => tell(format_args!(
                "To sign in as operator, once and within ten minutes: {}",
                link(base, &code)
            )),
            Err(error) => tracing::error!("no sign-in link: {error}"),
        }
    }
}

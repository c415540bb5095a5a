//! The binary: reads the configuration and serves until it is stopped, or runs one subcommand.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::error::Error;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZero;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;

use clap::Parser;
use duplex::apps::server::Apps;
use duplex::server::access::sign_in_url;
use duplex::server::config::Config;
use duplex::server::site::{self, LeptosEnv};
use duplex::server::state::{ServerState, Settings};
use duplex::server::{limits, run, telemetry};
use duplex_axum::listen::{self, Tls};
use duplex_axum::shutdown;
use duplex_hub::Hub;
use duplex_hub::log::Log;
use duplex_hub::log::postgres::PostgresLog;
use duplex_hub::log::sqlite::SqliteLog;
use tokio::runtime::{Builder, Runtime};

use cli::output::err;

/// A real-time web app in one binary: its pages and its WebSockets. Without a subcommand, runs the server.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 110)]
struct Arguments {
    #[command(flatten)]
    config: Config,

    #[command(subcommand)]
    command: Option<cli::Subcommand>,
}

fn main() -> ExitCode {
    let Arguments { config, command } = Arguments::parse();
    if let Err(error) = shutdown::ignore_sigxfsz() {
        err!("duplex: cannot ignore SIGXFSZ, so a file size limit can kill this process: {error}");
    }
    let result = match command {
        None => run_server(&config),
        Some(command) => command.run(&config),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !cli::is_output_closed(error.as_ref()) {
                err!("duplex: {error}");
            }
            cli::exit_code(error.as_ref())
        }
    }
}

fn run_server(config: &Config) -> Result<(), Box<dyn Error>> {
    let telemetry = telemetry::start(&config.log, config.log_format, config.otlp_endpoint.as_deref())?;
    let runtime = runtime()?;
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
    let executable_dir = executable.parent().unwrap_or(&executable);
    let options = site::find(config.site.as_deref(), executable_dir, &LeptosEnv::read())?;
    let log = runtime.block_on(open_log(config))?;
    // Each connection takes a file descriptor, and the usual soft limit is 1,024.
    rlimit::increase_nofile_limit(u64::MAX)?;
    runtime.block_on(async {
        let bus = log.bus();
        let hub = Hub::new(log, apps.kinds());
        if let Some(bus) = bus {
            hub.connect(bus);
        }
        let state = ServerState::new(settings, options, hub, apps);
        let mut state = state
            .with_tasks(tasks)
            .with_simulations(simulations)
            .with_access_files(&config.credential_base_path())
            .with_tls(tls);
        state.error_counter = telemetry.error_counter.clone();
        serve(&addrs, state).await
    })
}

async fn open_log(config: &Config) -> Result<Arc<dyn Log>, Box<dyn Error>> {
    let failed = |error: &dyn Error| format!("--data {}: {error}", config.data);
    let database = config.data.database().transpose().map_err(|error| failed(&error))?;
    Ok(match database {
        None => {
            let log = SqliteLog::open(config.data.file()?).map_err(|error| failed(&error))?;
            Arc::new(log.with_size_limit(config.max_data.0, limits::DISK_RESERVE))
        }
        Some(database) => {
            let log = PostgresLog::open(database).await.map_err(|error| failed(&error))?;
            Arc::new(log.with_size_limit(config.max_data.0))
        }
    })
}

/// A runtime with a thread for each core. On one core, the runtime of one thread: it runs tasks in the order in which they become
/// ready. A worker of the other has room for 256 of them, and the rest waits longer in a second queue.
fn runtime() -> io::Result<Runtime> {
    let cores = thread::available_parallelism().map_or(1, NonZero::get);
    let mut builder = match cores {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    // Poll the global queue every 3 tasks: with tokio's default, p99 under load was 57 ms instead of 8 ms.
    builder.enable_all().global_queue_interval(3).build()
}

async fn serve(addrs: &[SocketAddr], state: ServerState) -> Result<(), Box<dyn Error>> {
    let listener = listen::bind_first(addrs)?;
    let addr = listener.local_addr()?;
    let scheme = if state.tls.is_some() { "https" } else { "http" };
    print_line(format_args!("{scheme}://{addr}"));
    print_startup_notes(&state, &state.settings.base_url(browsable_addr(addr)));
    state.shutdown.begin_on_signal()?;
    run(listener, state).await;
    Ok(())
}

/// An address that a browser on this machine can open: an unspecified IP address becomes the loopback address.
const fn browsable_addr(addr: SocketAddr) -> SocketAddr {
    match addr.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(IpAddr::V6(Ipv6Addr::LOCALHOST), addr.port()),
        _ => addr,
    }
}

/// Prints a line on standard output. A failure to write does not stop the server.
fn print_line(text: fmt::Arguments<'_>) {
    if let Err(error) = cli::output::ignore_closed(cli::output::line(text)) {
        tracing::warn!("{error}");
    }
}

/// Prints warnings about the configuration and, on a terminal, a sign-in link. Piped output may be stored, so no link is printed
/// there.
fn print_startup_notes(state: &ServerState, base: &str) {
    if state.access.accepts_legacy().unwrap_or_default() {
        tracing::warn!(
            "the token of --token, or of the file next to the data file, has all roles; create a token with one role for each \
             program (duplex token create), then revoke this one (duplex token revoke legacy)"
        );
    }
    if state.settings.trust_local {
        tracing::warn!(
            "--trust-local: every client that reaches this server under a loopback name has operator rights"
        );
    }
    if state.settings.demo {
        print_line(format_args!(
            "--demo: every visitor may send commands to devices and set their thresholds"
        ));
    }
    if io::stdout().is_terminal() {
        match state.access.links().create() {
            Ok(code) => print_line(format_args!(
                "Sign in as operator (the link works once, for ten minutes): {}",
                sign_in_url(base, &code)
            )),
            Err(error) => tracing::error!("cannot create a sign-in link: {error}"),
        }
    }
}

//! `duplex doctor`: checks what a server with this configuration needs, and prints one line for each check. Read-only.

mod database;

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _};
use std::path::Path;
use std::time::Duration;

use duplex::apps::server::Apps;
use duplex::server::config::Config;
use duplex::server::site::{self, LeptosEnv};
use duplex::server::size::Size;
use duplex_axum::listen::Tls;
use duplex_hub::log::sqlite::{Unfinished, check_writable, unfinished, verify};
use duplex_hub::now;

use super::ExitError;
use super::output::{self, OutputError, out};

/// Timeout for connections to peers, and for the health check of a running server.
const PEER_TIMEOUT: Duration = Duration::from_secs(3);

/// Free disk space in bytes below which the check warns, and below which it fails.
const LOW_FREE_DISK: u64 = 1 << 30;
const MIN_FREE_DISK: u64 = 64 << 20;

/// The start of 2025; an earlier time means that the clock was never set.
const MIN_CLOCK: u64 = 1_735_689_600;

/// Tolerated clock difference in seconds.
const MAX_CLOCK_SKEW: u64 = 300;

/// The result of a check.
enum Outcome {
    Pass(String),
    Warn(String),
    Fail(String),
}

use Outcome::{Fail, Pass, Warn};

#[derive(Default)]
struct Report {
    failures: u32,
    warnings: u32,
}

impl Report {
    fn print(&mut self, check: impl Display, outcome: Outcome) -> Result<(), OutputError> {
        let (label, text) = match outcome {
            Pass(text) => ("ok  ", text),
            Warn(text) => {
                self.warnings += 1;
                ("warn", text)
            }
            Fail(text) => {
                self.failures += 1;
                ("fail", text)
            }
        };
        output::ignore_closed(out!("{label} {check}: {text}"))
    }
}

pub fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    let mut report = Report::default();
    report.print("configuration", configuration(config))?;
    report.print("front end", front_end(config))?;
    match config.data.database() {
        Some(database) => {
            for (check, outcome) in database::checks(database, config.max_data) {
                report.print(check, outcome)?;
            }
        }
        None => {
            let path = config.data.file()?;
            report.print("data file", data(path, config.max_data))?;
            report.print("free disk", disk(path))?;
            report.print("clock", clock(path))?;
        }
    }
    report.print("token", token(config))?;
    report.print("address", address(config))?;
    for (what, host) in Apps::default().peers(&config.apps) {
        report.print(what, check_upstream(&host))?;
    }
    match report {
        Report { failures: 0, .. } => Ok(()),
        Report { failures, warnings } => {
            let text = format!("{failures} failed, {warnings} warnings");
            Err(ExitError { code: 1, text }.into())
        }
    }
}

fn configuration(config: &Config) -> Outcome {
    let applications = Apps::default().background_tasks(&config.apps).map(drop);
    let tls = config
        .settings()
        .map(|settings| settings.tls.map(Tls::load).transpose());
    if let Ok(Err(error)) = tls {
        return Fail(error.to_string());
    }
    match (config.settings(), applications) {
        (Ok(settings), Ok(())) if settings.trust_local || settings.demo => {
            Warn("valid, but --trust-local and --demo grant rights without a token".to_owned())
        }
        (Ok(_), Ok(())) => Pass("valid".to_owned()),
        (Err(error), _) => Fail(error.to_string()),
        (_, Err(error)) => Fail(error),
    }
}

fn front_end(config: &Config) -> Outcome {
    let found = std::env::current_exe().map(|executable| {
        let executable_dir = executable.parent().unwrap_or(&executable);
        site::find(config.site.as_deref(), executable_dir, &LeptosEnv::read())
    });
    match found {
        Ok(Ok(options)) => Pass(options.site_root.to_string()),
        Ok(Err(error)) => Fail(error.to_string()),
        Err(error) => Fail(error.to_string()),
    }
}

fn data(path: &Path, limit: Size) -> Outcome {
    if let Err(error) = check_writable(path) {
        return Fail(error.to_string());
    }
    match unfinished(path) {
        Err(error) => return Fail(format!("{}: {error}", path.display())),
        Ok(Some(lost @ (Unfinished::Replaced(_) | Unfinished::Journal))) => {
            return Fail(format!("{}: {lost}", path.display()));
        }
        Ok(Some(unfinished)) => return Warn(format!("{}: {unfinished}", path.display())),
        Ok(None) if !path.exists() => {
            return Pass(format!(
                "{} does not exist yet; it is created at the first start",
                path.display()
            ));
        }
        Ok(None) => {}
    }
    match verify(path) {
        Err(error) => Fail(error.to_string()),
        Ok(integrity) => {
            let used = if integrity.in_use {
                "in use by a server"
            } else {
                "not in use"
            };
            let (bytes, topics) = (integrity.bytes, integrity.topics);
            let text = format!(
                "{} passes the integrity check: {bytes} bytes of at most {limit}, {topics} topics, {used}",
                path.display()
            );
            if bytes >= limit.0 { Warn(text) } else { Pass(text) }
        }
    }
}

fn token(config: &Config) -> Outcome {
    let path = duplex::server::token::path(&config.credential_base_path());
    let tokens = match config.tokens().list() {
        Ok(tokens) => tokens,
        Err(error) => return Fail(error.to_string()),
    };
    let valid = tokens.iter().filter(|token| token.end(now()).is_none()).count();
    let with_roles = format!("{valid} with a role");
    if config.token.is_none() && !path.exists() {
        return match config.tokens().is_legacy_enabled() {
            Ok(true) => Pass(format!(
                "{with_roles}; {} is created at the first start",
                path.display()
            )),
            _ => Pass(with_roles),
        };
    }
    match config.legacy_token() {
        Ok(None) => Pass(with_roles),
        Ok(Some(_)) if config.token.is_some() => {
            Pass(format!("{with_roles}, and that of --token, which has all roles"))
        }
        Ok(Some(_)) => Pass(format!("{with_roles}, and {}, which has all roles", path.display())),
        Err(error) => Fail(error.to_string()),
    }
}

/// Checks the disk of the nearest existing ancestor directory.
fn disk(path: &Path) -> Outcome {
    let dir = path.ancestors().skip(1).find(|dir| dir.is_dir());
    let dir = dir.unwrap_or(Path::new("."));
    match rustix::fs::statvfs(dir) {
        Err(error) => Warn(format!("{}: {error}", dir.display())),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // File systems without an inode limit report zero inodes.
            if disk.f_files > 0 && disk.f_favail == 0 {
                return Fail(format!("no free inodes at {}", dir.display()));
            }
            let text = format!("{} MiB at {}", free >> 20, dir.display());
            match free {
                ..MIN_FREE_DISK => Fail(text),
                MIN_FREE_DISK..LOW_FREE_DISK => Warn(text),
                LOW_FREE_DISK.. => Pass(text),
            }
        }
    }
}

/// Checks that the clock is set, and that it is not behind the newest event.
fn clock(data: &Path) -> Outcome {
    let now = now() / 1000;
    let newest = data
        .exists()
        .then(|| verify(data).ok()?.newest)
        .flatten()
        .map(|millis| millis / 1000);
    match newest {
        _ if now < MIN_CLOCK => Fail(format!("not set: {now} s since 1970")),
        Some(newest) if newest > now + MAX_CLOCK_SKEW => Warn(format!("{} s behind the newest event", newest - now)),
        _ => Pass("set, and not behind the log".to_owned()),
    }
}

fn address(config: &Config) -> Outcome {
    let addrs = config.addr(std::env::var("LEPTOS_SITE_ADDR").ok());
    let addrs = match addrs.and_then(|addr| Ok(addr.resolve()?)) {
        Ok(addrs) => addrs,
        Err(error) => return Fail(error.to_string()),
    };
    if let Some(error) = addrs.iter().find_map(|addr| config.check_addr(*addr).err()) {
        return Fail(error.to_string());
    }
    // Like the server, uses the first address that belongs to this machine.
    let mut tried = addrs.into_iter().map(|addr| (addr, TcpListener::bind(addr)));
    let (addr, bound) = match tried.find(|(_, bound)| bound.is_ok() || in_use(bound)) {
        Some(found) => found,
        None => return Fail("none of the addresses belongs to this machine".to_owned()),
    };
    match bound {
        Ok(_) => Pass(format!("{addr} is free")),
        Err(_) => match is_healthy(addr) {
            Ok(true) => Warn(format!("a server already runs at {addr}")),
            Ok(false) | Err(_) => Fail(format!(
                "{addr} is in use by another program; choose another with --addr"
            )),
        },
    }
}

fn in_use(bound: &io::Result<TcpListener>) -> bool {
    matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Whether a Duplex server answers the health check at this address.
fn is_healthy(mut addr: SocketAddr) -> io::Result<bool> {
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&addr, PEER_TIMEOUT)?;
    stream.set_read_timeout(Some(PEER_TIMEOUT))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.ends_with("ok\n"))
}

fn check_upstream(host: &str) -> Outcome {
    let reached = host.to_socket_addrs().and_then(|mut addrs| {
        let addr = addrs.next().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        TcpStream::connect_timeout(&addr, PEER_TIMEOUT)
    });
    match reached {
        Ok(_) => Pass(format!("{host} accepts connections")),
        Err(error) => Fail(format!("{host}: {error}")),
    }
}

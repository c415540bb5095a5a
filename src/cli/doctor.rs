//! `duplex doctor`: looks at everything that a server of this configuration would need, and says what it finds, a line each.
//! Changes nothing.

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
use duplex_hub::log::sqlite::{Unfinished, check, unfinished, writable};
use duplex_hub::now;

use super::Failed;
use super::output::{self, OutputError, out};

/// For somebody else's server to take a connection, and for ours to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Bytes that a log should find free: fewer are a matter of days.
const ROOM: u64 = 1 << 30;
const LITTLE_ROOM: u64 = 64 << 20;

/// 2025: before it, a machine's clock was not set.
const EARLIEST: u64 = 1_735_689_600;

/// Seconds by which clocks may differ.
const DRIFT: u64 = 300;

/// How a look went.
enum Found {
    Fine(String),
    Doubtful(String),
    Wrong(String),
}

use Found::{Doubtful, Fine, Wrong};

#[derive(Default)]
struct Report {
    wrong: u32,
    doubtful: u32,
}

impl Report {
    fn line(&mut self, what: impl Display, found: Found) -> Result<(), OutputError> {
        let (word, text) = match found {
            Fine(text) => ("ok  ", text),
            Doubtful(text) => {
                self.doubtful += 1;
                ("warn", text)
            }
            Wrong(text) => {
                self.wrong += 1;
                ("fail", text)
            }
        };
        output::unless_unread(out!("{word} {what}: {text}"))
    }
}

pub fn run(config: &Config) -> Result<(), Box<dyn Error>> {
    let mut report = Report::default();
    report.line("configuration", configuration(config))?;
    report.line("front end", front_end(config))?;
    report.line("data file", data(&config.data, config.max_data))?;
    report.line("token", token(config))?;
    report.line("free disk", disk(&config.data))?;
    report.line("clock", clock(&config.data))?;
    report.line("address", address(config))?;
    for (what, host) in Apps::default().peers(&config.apps) {
        report.line(what, peer(&host))?;
    }
    match report {
        Report { wrong: 0, .. } => Ok(()),
        Report { wrong, doubtful } => {
            let text = format!("{wrong} wrong, {doubtful} doubtful");
            Err(Failed { code: 1, text }.into())
        }
    }
}

fn configuration(config: &Config) -> Found {
    let applications = Apps::default().background_tasks(&config.apps).map(drop);
    let tls = config
        .settings()
        .map(|settings| settings.tls.map(Tls::load).transpose());
    if let Ok(Err(error)) = tls {
        return Wrong(error.to_string());
    }
    match (config.settings(), applications) {
        (Ok(settings), Ok(())) if settings.trust_local || settings.demo => {
            Doubtful("can be served with, but --trust-local and --demo give strangers rights".to_owned())
        }
        (Ok(_), Ok(())) => Fine("can be served with".to_owned()),
        (Err(error), _) => Wrong(error.to_string()),
        (_, Err(error)) => Wrong(error),
    }
}

fn front_end(config: &Config) -> Found {
    let found = std::env::current_exe().map(|executable| {
        let folder = executable.parent().unwrap_or(&executable);
        site::find(config.site.as_deref(), folder, &LeptosEnv::read())
    });
    match found {
        Ok(Ok(options)) => Fine(options.site_root.to_string()),
        Ok(Err(error)) => Wrong(error.to_string()),
        Err(error) => Wrong(error.to_string()),
    }
}

fn data(path: &Path, most: Size) -> Found {
    if let Err(error) = writable(path) {
        return Wrong(error.to_string());
    }
    match unfinished(path) {
        Err(error) => return Wrong(format!("{}: {error}", path.display())),
        Ok(Some(lost @ (Unfinished::Aside(_) | Unfinished::Journal))) => {
            return Wrong(format!("{}: {lost}", path.display()));
        }
        Ok(Some(unfinished)) => return Doubtful(format!("{}: {unfinished}", path.display())),
        Ok(None) if !path.exists() => {
            return Fine(format!(
                "{} is not there yet; it is made at the first start",
                path.display()
            ));
        }
        Ok(None) => {}
    }
    match check(path) {
        Err(error) => Wrong(error.to_string()),
        Ok(found) => {
            let used = if found.in_use { "in use by a server" } else { "free" };
            let (bytes, topics) = (found.bytes, found.topics);
            let text = format!(
                "{} is sound: {bytes} bytes of {most} that it may have, {topics} topics, {used}",
                path.display()
            );
            if bytes >= most.0 { Doubtful(text) } else { Fine(text) }
        }
    }
}

fn token(config: &Config) -> Found {
    let path = duplex::server::token::path(&config.keys());
    let tokens = match config.tokens().list() {
        Ok(tokens) => tokens,
        Err(error) => return Wrong(error.to_string()),
    };
    let good = tokens.iter().filter(|token| token.end(now()).is_none()).count();
    let with_roles = format!("{good} with a role");
    if config.token.is_none() && !path.exists() {
        return match config.tokens().keeps_legacy() {
            Ok(true) => Fine(format!("{with_roles}; {} is made at the first start", path.display())),
            _ => Fine(with_roles),
        };
    }
    match config.legacy_token() {
        Ok(None) => Fine(with_roles),
        Ok(Some(_)) if config.token.is_some() => Fine(format!("{with_roles}, and the chosen one, which has all roles")),
        Ok(Some(_)) => Fine(format!("{with_roles}, and {}, which has all roles", path.display())),
        Err(error) => Wrong(error.to_string()),
    }
}

/// Of the nearest folder that is there.
fn disk(path: &Path) -> Found {
    let folder = path.ancestors().skip(1).find(|folder| folder.is_dir());
    let folder = folder.unwrap_or(Path::new("."));
    match rustix::fs::statvfs(folder) {
        Err(error) => Doubtful(format!("{}: {error}", folder.display())),
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            // A file system may count its files; one that does not says that it has none.
            if disk.f_files > 0 && disk.f_favail == 0 {
                return Wrong(format!("no file can be made at {}", folder.display()));
            }
            let text = format!("{} MiB at {}", free >> 20, folder.display());
            match free {
                ..LITTLE_ROOM => Wrong(text),
                LITTLE_ROOM..ROOM => Doubtful(text),
                ROOM.. => Fine(text),
            }
        }
    }
}

/// Events carry the time: one of the future, or a clock that was never set, confuses whoever reads them.
fn clock(data: &Path) -> Found {
    let now = now() / 1000;
    let newest = data
        .exists()
        .then(|| check(data).ok()?.newest)
        .flatten()
        .map(|millis| millis / 1000);
    match newest {
        _ if now < EARLIEST => Wrong(format!("{now} s since 1970: it is not set")),
        Some(newest) if newest > now + DRIFT => Doubtful(format!("the newest event is {} s ahead of it", newest - now)),
        _ => Fine("set, and not behind the log".to_owned()),
    }
}

fn address(config: &Config) -> Found {
    let addrs = config.addr(std::env::var("LEPTOS_SITE_ADDR").ok());
    let addrs = match addrs.and_then(|addr| Ok(addr.resolve()?)) {
        Ok(addrs) => addrs,
        Err(error) => return Wrong(error.to_string()),
    };
    if let Some(error) = addrs.iter().find_map(|addr| config.check_addr(*addr).err()) {
        return Wrong(error.to_string());
    }
    // As the server does: the first that this machine has.
    let mut tried = addrs.into_iter().map(|addr| (addr, TcpListener::bind(addr)));
    let (addr, bound) = match tried.find(|(_, bound)| bound.is_ok() || in_use(bound)) {
        Some(found) => found,
        None => return Wrong("none of its addresses is of this machine".to_owned()),
    };
    match bound {
        Ok(_) => Fine(format!("{addr} is free")),
        Err(_) => match ask_health(addr) {
            Ok(true) => Doubtful(format!("a server answers at {addr} already")),
            Ok(false) | Err(_) => Wrong(format!(
                "{addr} is in use by another program; choose another with --addr"
            )),
        },
    }
}

fn in_use(bound: &io::Result<TcpListener>) -> bool {
    matches!(bound, Err(error) if error.kind() == io::ErrorKind::AddrInUse)
}

/// Whether a server of ours is alive there.
fn ask_health(mut addr: SocketAddr) -> io::Result<bool> {
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    let mut stream = TcpStream::connect_timeout(&addr, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer.ends_with("ok\n"))
}

fn peer(host: &str) -> Found {
    let reached = host.to_socket_addrs().and_then(|mut addrs| {
        let addr = addrs.next().ok_or(io::Error::from(io::ErrorKind::NotFound))?;
        TcpStream::connect_timeout(&addr, PATIENCE)
    });
    match reached {
        Ok(_) => Fine(format!("{host} takes connections")),
        Err(error) => Wrong(format!("{host}: {error}")),
    }
}

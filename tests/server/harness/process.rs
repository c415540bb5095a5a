//! Runs the built binary: servers and other subcommands.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::TIMEOUT;

pub struct Server {
    process: Child,
    pub addr: SocketAddr,
}

impl Server {
    /// Starts a server on a free port, with its front end and its data in `dir`.
    pub fn start(dir: &Path) -> Self {
        Self::start_with_args(dir, "127.0.0.1:0", &[])
    }

    pub fn start_with_args(dir: &Path, addr: &str, args: &[&str]) -> Self {
        let mut command = duplex_command(dir);
        command.args(args);
        Self::start_command(command, dir, addr)
    }

    /// Starts `command` with the address, the log level and the site added.
    pub fn start_command(mut command: Command, dir: &Path, addr: &str) -> Self {
        let mut process = command
            .args(["--addr", addr, "--log", "warn", "--site"])
            .arg(minimal_site(dir))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let (_, addr) = line.trim().split_once("://").unwrap();
        let addr = addr.parse().unwrap();
        Self { process, addr }
    }

    /// Sends SIGKILL and waits for the exit.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Sends a signal by its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args(["-s", name])
            .arg(self.process.id().to_string())
            .status();
        assert!(status.unwrap().success());
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Writes the smallest front end that a server accepts; returns its directory.
pub fn minimal_site(dir: &Path) -> PathBuf {
    let site = dir.join("site");
    fs::create_dir_all(site.join("pkg")).unwrap();
    fs::write(site.join("pkg/duplex.js"), "").unwrap();
    site
}

/// The binary, linked into a separate directory. Next to the built binary, `make dev` writes a file list that a server
/// would read.
fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let (built, target) = (env!("CARGO_BIN_EXE_duplex"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let (link, binary) = (target.join(std::process::id().to_string()), target.join("duplex"));
        fs::hard_link(built, &link)
            .or_else(|_| fs::copy(built, &link).map(drop))
            .unwrap();
        fs::rename(link, &binary).unwrap();
        binary
    });
    &BINARY
}

/// The command line of the binary, with `duplex.db` in `dir` as its data file.
pub fn duplex_command(dir: &Path) -> Command {
    duplex_with_data(&dir.join("duplex.db"))
}

pub fn duplex_with_data(data: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DUPLEX_") || name.starts_with("LEPTOS_")) {
        command.env_remove(name);
    }
    command.env("DUPLEX_LIMITS", "off").arg("--data").arg(data);
    command
}

/// Runs a subcommand and returns its output.
pub fn run(dir: &Path, arguments: &[&str]) -> Output {
    duplex_command(dir).args(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A long-running subcommand and the lines of its stdout.
pub struct RunningCommand {
    process: Child,
    lines: Receiver<String>,
}

impl RunningCommand {
    pub fn start(dir: &Path, arguments: &[&str]) -> Self {
        let mut command = duplex_command(dir);
        command.args(arguments);
        Self::start_command(command)
    }

    pub fn start_command(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let (sender, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines() {
                if sender.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    pub fn next_line(&self) -> String {
        self.lines.recv_timeout(TIMEOUT).unwrap()
    }
}

impl Drop for RunningCommand {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

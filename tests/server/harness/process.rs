//! The real binary: a server of its own file, and commands beside it.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{Receiver, channel};
use std::thread;

use super::PATIENCE;

pub struct Server {
    process: Child,
    pub addr: SocketAddr,
}

impl Server {
    /// With its front end and its data in `folder`.
    pub fn start(folder: &Path) -> Self {
        Self::start_at(folder, "127.0.0.1:0", &[])
    }

    pub fn start_at(folder: &Path, addr: &str, more: &[&str]) -> Self {
        let mut command = duplex(folder);
        command.args(more);
        Self::start_as(command, folder, addr)
    }

    /// As `command` says, and nothing else but where it is.
    pub fn start_as(mut command: Command, folder: &Path, addr: &str) -> Self {
        let mut process = command
            .args(["--addr", addr, "--log", "warn", "--site"])
            .arg(site(folder))
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

    /// SIGKILL: nothing in the process can hear it.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// By its name, such as `HUP`.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill")
            .args(["-s", name])
            .arg(self.process.id().to_string())
            .status();
        assert!(told.unwrap().success());
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

/// A front end of the least files.
pub fn site(folder: &Path) -> PathBuf {
    let site = folder.join("site");
    fs::create_dir_all(site.join("pkg")).unwrap();
    fs::write(site.join("pkg/duplex.js"), "").unwrap();
    site
}

/// In a folder of its own: `make dev` leaves the names of its files beside the binary, and a server goes by them.
fn binary() -> &'static Path {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        let (built, folder) = (env!("CARGO_BIN_EXE_duplex"), Path::new(env!("CARGO_TARGET_TMPDIR")));
        let (link, own) = (folder.join(std::process::id().to_string()), folder.join("duplex"));
        fs::hard_link(built, &link)
            .or_else(|_| fs::copy(built, &link).map(drop))
            .unwrap();
        fs::rename(link, &own).unwrap();
        own
    });
    &BINARY
}

/// The binary, for the data in `folder`.
pub fn duplex(folder: &Path) -> Command {
    duplex_at(&folder.join("duplex.db"))
}

pub fn duplex_at(data: &Path) -> Command {
    let mut command = Command::new(binary());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("DUPLEX_") || name.starts_with("LEPTOS_")) {
        command.env_remove(name);
    }
    command.env("DUPLEX_LIMITS", "off").arg("--data").arg(data);
    command
}

/// Runs a command to its end.
pub fn run(folder: &Path, arguments: &[&str]) -> Output {
    duplex(folder).args(arguments).output().unwrap()
}

pub fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A command that goes on, and the lines that it prints.
pub struct Running {
    process: Child,
    lines: Receiver<String>,
}

impl Running {
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = duplex(folder);
        command.args(arguments);
        Self::start_as(command)
    }

    pub fn start_as(mut command: Command) -> Self {
        let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(process.stdout.take().unwrap());
        let (said, lines) = channel();
        thread::spawn(move || {
            for line in out.lines() {
                if said.send(line.unwrap()).is_err() {
                    return;
                }
            }
        });
        Self { process, lines }
    }

    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

//! A PostgreSQL server for tests: a cluster in a temporary directory, run as an unprivileged user, with a database for each test.
//! A watchdog stops the server and removes the directory when the test's process ends in any way.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use super::TIMEOUT;
use super::tls::CertificateAuthority;

/// An unprivileged user and group id: PostgreSQL refuses to run as root.
const NOBODY: u32 = 65534;

/// The superuser of the cluster.
const USER: &str = "duplex";

/// Waits until the test's process has ended, stops the server and removes the directory.
const WATCHDOG: &str = r#"
    trap '' INT TERM HUP
    cat >/dev/null
    pid=$(head -n 1 "$1/data/postmaster.pid" 2>/dev/null) && kill -QUIT "$pid"
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.05; done
    rm -rf "$1"
"#;

pub struct Cluster {
    dir: PathBuf,
    pub port: u16,
    settings: Vec<&'static str>,
    server: Option<Child>,
    watchdog: Child,
}

/// A database of a cluster; dropped with this value.
pub struct Database {
    admin_url: String,
    name: String,
    pub url: String,
}

impl Cluster {
    /// The cluster of all tests that do not stop or change it.
    pub fn shared() -> &'static Self {
        static SHARED: LazyLock<Cluster> = LazyLock::new(|| Cluster::start(&["max_connections=200", "fsync=off"]));
        &SHARED
    }

    /// Creates and starts a cluster with these settings.
    pub fn start(settings: &[&'static str]) -> Self {
        let mut cluster = Self::create(settings);
        cluster.resume();
        cluster
    }

    /// Creates and starts a cluster with TLS and a role `secret`, which must use TLS and the password "a:b".
    pub fn start_with_tls(authority: &CertificateAuthority) -> Self {
        let mut cluster = Self::create(&["fsync=off", "ssl=on"]);
        for (from, to) in [(authority.certificate(), "server.crt"), (authority.key(), "server.key")] {
            let to = cluster.dir.join("data").join(to);
            fs::copy(from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).unwrap();
            let owner = fs::metadata(&cluster.dir).unwrap().uid();
            chown(&to, Some(owner), None).unwrap();
        }
        let rules = cluster.dir.join("data/pg_hba.conf");
        let others = fs::read_to_string(&rules).unwrap();
        let first = "hostssl all secret all scram-sha-256\nhostnossl all secret all reject\n";
        fs::write(&rules, format!("{first}{others}")).unwrap();
        cluster.resume();
        run(
            &cluster.url("postgres"),
            "CREATE ROLE secret LOGIN SUPERUSER PASSWORD 'a:b'",
        );
        cluster
    }

    fn create(settings: &[&'static str]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("duplex-postgres-{}-{number}", std::process::id()));
        fs::create_dir(&dir).unwrap();
        if fs::metadata(&dir).unwrap().uid() == 0 {
            chown(&dir, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let watchdog = unprivileged(Command::new("sh"), &dir)
            .args(["-c", WATCHDOG, "watchdog"])
            .arg(&dir)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut initdb = unprivileged(Command::new(program("initdb")), &dir);
        initdb.args(["--no-sync", "--auth=trust", "--encoding=UTF8", "--username", USER]);
        let made = initdb.arg("-D").arg(dir.join("data")).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        Self {
            dir,
            port: free_port(),
            settings: settings.to_vec(),
            server: None,
            watchdog,
        }
    }

    /// Starts the stopped server, and waits until it accepts connections.
    pub fn resume(&mut self) {
        let mut server = unprivileged(Command::new(program("postgres")), &self.dir);
        server.arg("-D").arg(self.dir.join("data")).arg("-k").arg(&self.dir);
        server.args(["-p", &self.port.to_string(), "-c", "shared_buffers=16MB"]);
        for setting in &self.settings {
            server.args(["-c", setting]);
        }
        self.server = Some(server.spawn().unwrap());
        let deadline = Instant::now() + TIMEOUT;
        while !psql(&self.url("postgres"), "SELECT 1").0 {
            assert!(Instant::now() < deadline, "PostgreSQL does not start: {}", self.log());
        }
    }

    /// Ends the server without a shutdown, as a crash does. Its clients' connections are closed.
    pub fn crash(&mut self) {
        self.end("QUIT");
    }

    /// Shuts the server down. Its clients' connections are closed.
    pub fn stop(&mut self) {
        self.end("INT");
    }

    fn end(&mut self, signal: &str) {
        if let Some(mut server) = self.server.take() {
            let pid = server.id().to_string();
            let _ = Command::new("kill").args(["-s", signal, &pid]).status();
            let _ = server.wait();
        }
    }

    /// A URL of a database, with the cluster's superuser.
    pub fn url(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }

    /// Creates a database.
    pub fn database(&self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let admin_url = self.url("postgres");
        run(&admin_url, &format!("CREATE DATABASE {name} TEMPLATE template0"));
        Database {
            url: self.url(&name),
            admin_url,
            name,
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.crash();
        drop(self.watchdog.stdin.take());
        let _ = self.watchdog.wait();
    }
}

/// An open transaction.
pub struct Holder(Child);

impl Holder {
    /// Ends the transaction.
    pub fn release(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.release();
    }
}

impl Database {
    /// Runs SQL in a transaction that stays open.
    pub fn hold(&self, sql: &str) -> Holder {
        let mut process = Command::new("psql")
            .args(["-XqAt", "-d", &self.url])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let script = format!("BEGIN;\n{sql};\n\\echo held\n");
        process.stdin.as_mut().unwrap().write_all(script.as_bytes()).unwrap();
        let mut line = String::new();
        let mut output = BufReader::new(process.stdout.take().unwrap());
        while !line.contains("held") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "psql ended");
        }
        Holder(process)
    }

    /// Runs SQL and returns its rows, with `|` between columns.
    pub fn run(&self, sql: &str) -> String {
        run(&self.url, sql)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let _ = psql(&self.admin_url, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn run(url: &str, sql: &str) -> String {
    let (succeeded, output) = psql(url, sql);
    assert!(succeeded, "{sql}: {output}");
    output
}

/// Whether the SQL succeeded, and its rows or its error.
fn psql(url: &str, sql: &str) -> (bool, String) {
    let output = Command::new("psql")
        .args(["-XqAt", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .output();
    let output = output.unwrap();
    let text = if output.status.success() {
        output.stdout
    } else {
        output.stderr
    };
    (
        output.status.success(),
        String::from_utf8_lossy(&text).trim().to_owned(),
    )
}

/// Sets the user, and appends the output to the file `log` of the directory.
fn unprivileged(mut command: Command, dir: &Path) -> Command {
    if fs::metadata(dir).unwrap().uid() == NOBODY {
        command.uid(NOBODY).gid(NOBODY);
    }
    let log = fs::File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"))
        .unwrap();
    command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command
}

/// A program of the newest installed server; Debian does not put them into PATH.
fn program(name: &str) -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let mut installed: Vec<_> = versions
        .filter_map(|version| {
            let path = version.ok()?.path();
            let number: u32 = path.file_name()?.to_str()?.parse().ok()?;
            Some((number, path.join("bin").join(name)))
        })
        .filter(|(_, program)| program.exists())
        .collect();
    installed.sort();
    installed.pop().map_or_else(|| name.into(), |(_, program)| program)
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

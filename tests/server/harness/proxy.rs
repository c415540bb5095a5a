//! The reverse proxies of `docs/proxies`, started from the documented files with the test's ports and certificates, in a temporary
//! directory and as an unprivileged user.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use super::tls::CertificateAuthority;
use super::{wait_until, with_timeout};

/// The host name in the documented files and in the certificate of [`CertificateAuthority`].
pub const NAME: &str = "duplex.example";
pub const URL: &str = "https://duplex.example";

/// The address of the proxy's clients; it differs from the address from which the proxy connects to the server.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// An unprivileged user and group id.
const NOBODY: u32 = 65534;

pub struct Proxy {
    dir: TempDir,
    authority: CertificateAuthority,
    port: u16,
    process: Option<Child>,
}

impl Proxy {
    /// Starts nginx with `docs/proxies/nginx.conf`.
    pub async fn nginx(server: SocketAddr) -> Self {
        let example = include_str!("../../../docs/proxies/nginx.conf");
        Self::start_nginx(server, example).await
    }

    /// Starts nginx with a bare `proxy_pass`, as in a naive first configuration.
    pub async fn minimal_nginx(server: SocketAddr) -> Self {
        let minimal = "server { listen 443 ssl; ssl_certificate /etc/ssl/duplex.example/fullchain.pem;\n\
                    ssl_certificate_key /etc/ssl/duplex.example/privkey.pem;\n\
                    location / { proxy_pass http://127.0.0.1:3000; } }";
        Self::start_nginx(server, minimal).await
    }

    async fn start_nginx(server: SocketAddr, site: &str) -> Self {
        let mut proxy = Self::new();
        let redirect_port = free_port();
        let site = site
            .replace("127.0.0.1:3000", &server.to_string())
            .replace("listen 443", &format!("listen 127.0.0.1:{}", proxy.port))
            .replace("listen 80;", &format!("listen 127.0.0.1:{redirect_port};"))
            .replace("/etc/ssl/duplex.example", &proxy.dir.path().display().to_string());
        fs::write(proxy.file("duplex.conf"), site).unwrap();
        let path = proxy.dir.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {path}/{kind};\n"))
            .collect();
        let main = format!(
            "daemon off;\npid {path}/nginx.pid;\nerror_log {path}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
             include {path}/duplex.conf;\n}}\n"
        );
        fs::write(proxy.file("nginx.conf"), main).unwrap();
        let log = proxy.file("error.log");
        let (dir, main) = (proxy.dir.path().to_owned(), proxy.file("nginx.conf"));
        proxy.process = spawn_unprivileged("nginx", &dir, |command| {
            command.arg("-e").arg(log).arg("-c").arg(main).arg("-p").arg(&dir);
        });
        proxy.wait_until_listening().await
    }

    /// Starts Caddy with `docs/proxies/Caddyfile`.
    pub async fn caddy(server: SocketAddr) -> Self {
        let mut proxy = Self::new();
        let (port, path) = (proxy.port, proxy.dir.path().display());
        let site = include_str!("../../../docs/proxies/Caddyfile")
            .replace("127.0.0.1:3000", &server.to_string())
            .replace(
                "\nduplex.example {",
                &format!(
                    "\nhttps://duplex.example:{port} {{\n\tbind 127.0.0.1\n\ttls {path}/fullchain.pem {path}/privkey.pem"
                ),
            );
        let options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n";
        fs::write(proxy.file("Caddyfile"), format!("{options}{site}")).unwrap();
        let config = proxy.file("Caddyfile");
        let dir = proxy.dir.path().to_owned();
        proxy.process = spawn_unprivileged("caddy", &dir, |command| {
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
            command.env("HOME", &dir);
        });
        proxy.wait_until_listening().await
    }

    fn new() -> Self {
        let (dir, authority) = (tempfile::tempdir().unwrap(), CertificateAuthority::new());
        fs::set_permissions(dir.path(), Permissions::from_mode(0o777)).unwrap();
        for (from, to) in [
            (authority.certificate(), "fullchain.pem"),
            (authority.key(), "privkey.pem"),
        ] {
            fs::copy(from, dir.path().join(to)).unwrap();
            fs::set_permissions(dir.path().join(to), Permissions::from_mode(0o644)).unwrap();
        }
        Self {
            dir,
            authority,
            port: free_port(),
            process: None,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    async fn wait_until_listening(self) -> Self {
        wait_until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok()).await;
        self
    }

    /// A TLS connection from [`CLIENT`] that negotiates HTTP/1.1.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((CLIENT, 0).into()).unwrap();
        let stream = with_timeout(socket.connect((Ipv4Addr::LOCALHOST, self.port).into())).await;
        self.authority.connect(stream.unwrap(), NAME, &["http/1.1"]).await
    }
}

/// Starts a program from PATH or an sbin directory, as `nobody` if the test runs as root.
fn spawn_unprivileged(program: &str, dir: &std::path::Path, configure: impl FnOnce(&mut Command)) -> Option<Child> {
    let candidates = [
        program.to_owned(),
        format!("/usr/sbin/{program}"),
        format!("/usr/local/sbin/{program}"),
    ];
    let found = candidates.iter().find(|candidate| {
        let version = Command::new(candidate)
            .arg(if program == "nginx" { "-v" } else { "version" })
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status();
        version.is_ok()
    });
    let found = found
        .unwrap_or_else(|| panic!("{program} is not installed: run tools/setup.sh test, or apt-get install {program}"));
    let mut command = Command::new(found);
    configure(&mut command);
    if fs::metadata(dir).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
    Some(command.spawn().unwrap())
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            if self.file("nginx.conf").exists() {
                // SIGTERM: an nginx master that is killed with SIGKILL leaves its workers running.
                let _ = Command::new("kill").arg(process.id().to_string()).status();
            } else {
                // On SIGTERM, Caddy waits for open connections.
                let _ = process.kill();
            }
            let _ = process.wait();
        }
    }
}

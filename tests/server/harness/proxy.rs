//! The proxies of `docs/proxies`: started from the very files, with ports and certificates of a test's own, in a folder that goes with the
//! test and by a user without rights.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::net::{TcpSocket, TcpStream};
use tokio_rustls::client::TlsStream;

use super::tls::Authority;
use super::{until, within};

/// As in the files, and in the certificate of [`Authority`].
pub const NAME: &str = "duplex.example";
pub const URL: &str = "https://duplex.example";

/// From where clients come to a proxy: not the address that the server sees the proxy under.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

const NOBODY: u32 = 65534;

pub struct Proxy {
    folder: TempDir,
    authority: Authority,
    port: u16,
    process: Option<Child>,
}

impl Proxy {
    /// From `docs/proxies/nginx.conf`.
    pub async fn nginx(server: SocketAddr) -> Self {
        let example = include_str!("../../../docs/proxies/nginx.conf");
        Self::start_nginx(server, example).await
    }

    /// What somebody writes who reads no example.
    pub async fn bare_nginx(server: SocketAddr) -> Self {
        let bare = "server { listen 443 ssl; ssl_certificate /etc/ssl/duplex.example/fullchain.pem;\n\
                    ssl_certificate_key /etc/ssl/duplex.example/privkey.pem;\n\
                    location / { proxy_pass http://127.0.0.1:3000; } }";
        Self::start_nginx(server, bare).await
    }

    async fn start_nginx(server: SocketAddr, site: &str) -> Self {
        let mut proxy = Self::new();
        let redirects = free_port();
        let site = site
            .replace("127.0.0.1:3000", &server.to_string())
            .replace("listen 443", &format!("listen 127.0.0.1:{}", proxy.port))
            .replace("listen 80;", &format!("listen 127.0.0.1:{redirects};"))
            .replace("/etc/ssl/duplex.example", &proxy.folder.path().display().to_string());
        fs::write(proxy.file("duplex.conf"), site).unwrap();
        let at = proxy.folder.path().display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .map(|kind| format!("{kind}_temp_path {at}/{kind};\n"))
            .collect();
        let main = format!(
            "daemon off;\npid {at}/nginx.pid;\nerror_log {at}/error.log;\nevents {{}}\nhttp {{\naccess_log off;\n{temporary}\
             include {at}/duplex.conf;\n}}\n"
        );
        fs::write(proxy.file("nginx.conf"), main).unwrap();
        let log = proxy.file("error.log");
        let (folder, main) = (proxy.folder.path().to_owned(), proxy.file("nginx.conf"));
        proxy.process = started("nginx", &folder, |command| {
            command.arg("-e").arg(log).arg("-c").arg(main).arg("-p").arg(&folder);
        });
        proxy.once_up().await
    }

    /// From `docs/proxies/Caddyfile`.
    pub async fn caddy(server: SocketAddr) -> Self {
        let mut proxy = Self::new();
        let (port, at) = (proxy.port, proxy.folder.path().display());
        let site = include_str!("../../../docs/proxies/Caddyfile")
            .replace("127.0.0.1:3000", &server.to_string())
            .replace(
                "\nduplex.example {",
                &format!(
                    "\nhttps://duplex.example:{port} {{\n\tbind 127.0.0.1\n\ttls {at}/fullchain.pem {at}/privkey.pem"
                ),
            );
        let options = "{\n\tadmin off\n\tauto_https disable_redirects\n\tservers {\n\t\tprotocols h1 h2\n\t}\n}\n";
        fs::write(proxy.file("Caddyfile"), format!("{options}{site}")).unwrap();
        let config = proxy.file("Caddyfile");
        let folder = proxy.folder.path().to_owned();
        proxy.process = started("caddy", &folder, |command| {
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(config);
            command.env("HOME", &folder);
        });
        proxy.once_up().await
    }

    fn new() -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
        fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
        for (from, to) in [
            (authority.certificate(), "fullchain.pem"),
            (authority.key(), "privkey.pem"),
        ] {
            fs::copy(from, folder.path().join(to)).unwrap();
            fs::set_permissions(folder.path().join(to), Permissions::from_mode(0o644)).unwrap();
        }
        Self {
            folder,
            authority,
            port: free_port(),
            process: None,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    async fn once_up(self) -> Self {
        until(async || TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).await.is_ok()).await;
        self
    }

    /// A connection by TLS, from [`CLIENT`], that speaks HTTP/1.1.
    pub async fn connect(&self) -> TlsStream<TcpStream> {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((CLIENT, 0).into()).unwrap();
        let stream = within(socket.connect((Ipv4Addr::LOCALHOST, self.port).into())).await;
        self.authority.connect(stream.unwrap(), NAME, &["http/1.1"]).await
    }
}

/// Without rights, if the test has some.
fn started(program: &str, folder: &std::path::Path, arguments: impl FnOnce(&mut Command)) -> Option<Child> {
    let places = [
        program.to_owned(),
        format!("/usr/sbin/{program}"),
        format!("/usr/local/sbin/{program}"),
    ];
    let found = places.iter().find(|place| {
        let version = Command::new(place)
            .arg(if program == "nginx" { "-v" } else { "version" })
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status();
        version.is_ok()
    });
    let found =
        found.unwrap_or_else(|| panic!("no {program} here: run tools/setup.sh test, or apt-get install {program}"));
    let mut command = Command::new(found);
    arguments(&mut command);
    if fs::metadata(folder).unwrap().uid() == 0 {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
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
                // A master that is killed leaves its workers behind.
                let _ = Command::new("kill").arg(process.id().to_string()).status();
            } else {
                // Caddy would wait for the connections that are open.
                let _ = process.kill();
            }
            let _ = process.wait();
        }
    }
}

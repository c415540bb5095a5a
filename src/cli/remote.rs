//! Which server a command talks to, and what it shows there.

use std::error::Error;

use duplex::server::config::Config;
use duplex::server::token;

#[derive(Debug, clap::Args)]
pub struct Remote {
    /// The server. It is spoken to in the clear: for one behind TLS, run this on its machine and name its own address
    #[arg(
        long,
        env = "DUPLEX_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    url: String,
}

/// Where a server listens, and the token to show there, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `host:port`
    pub host: String,
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotAServer {
    #[error("{0:?} is not an address such as http://127.0.0.1:3000")]
    Malformed(String),
    #[error(
        "{0:?}: this command speaks http only; behind TLS, run it on the server's machine with --url http://127.0.0.1:3000"
    )]
    Tls(String),
}

impl Remote {
    /// The token that was chosen; or, on this machine, the one that is kept beside the data file. None is made.
    pub fn server(&self, config: &Config) -> Result<Server, Box<dyn Error>> {
        let host = host(&self.url)?;
        let name = host.rsplit_once(':').map_or(&*host, |(name, _)| name);
        let is_here = ["127.0.0.1", "localhost", "[::1]"].contains(&name);
        let token = match &config.token {
            Some(token) => Some(token.clone()),
            None if is_here && token::path(&config.data).exists() => Some(config.token()?.as_str().to_owned()),
            None => None,
        };
        Ok(Server { host, token })
    }
}

fn host(url: &str) -> Result<String, NotAServer> {
    let malformed = || NotAServer::Malformed(url.to_owned());
    let (scheme, rest) = url.split_once("://").ok_or_else(malformed)?;
    let host = rest.trim_end_matches('/');
    match scheme {
        "http" | "ws" => {}
        "https" | "wss" => return Err(NotAServer::Tls(url.to_owned())),
        _ => return Err(malformed()),
    }
    let authority: axum::http::uri::Authority = host.parse().map_err(|_| malformed())?;
    match authority.port() {
        Some(_) => Ok(authority.to_string()),
        None => Ok(format!("{authority}:80")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_by_its_address() {
        assert_eq!(host("http://127.0.0.1:3000/").unwrap(), "127.0.0.1:3000");
        assert_eq!(host("ws://[::1]:3000").unwrap(), "[::1]:3000");
        assert_eq!(host("http://example.com").unwrap(), "example.com:80");
        assert!(matches!(host("https://example.com"), Err(NotAServer::Tls(_))));
        for wrong in ["", "127.0.0.1:3000", "ftp://a", "http://", "http://a/b"] {
            assert!(matches!(host(wrong), Err(NotAServer::Malformed(_))), "{wrong}");
        }
    }
}

//! The server that a command connects to, and the token it authenticates with.

use std::error::Error;

use axum::http::Uri;
use duplex::server::config::Config;
use duplex::server::token;

#[derive(Debug, clap::Args)]
pub struct Remote {
    /// Server URL, http or https; SSL_CERT_FILE replaces the system's CA certificates
    #[arg(
        long,
        env = "DUPLEX_URL",
        value_name = "URL",
        default_value = "http://127.0.0.1:3000"
    )]
    url: String,
}

/// The address of a server, and the token for it, if any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Whether to use TLS.
    pub secure: bool,
    /// A name or an IP address, IPv6 without brackets.
    pub host: String,
    pub port: u16,
    /// The value of the `Host` header: the host, and the port if it is not the default one.
    pub authority: String,
    pub token: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an address such as http://127.0.0.1:3000 or https://duplex.example")]
pub struct InvalidServerUrl(String);

impl Remote {
    /// Returns the server and its token. The token is that of `--token` or, for a server on this machine, the one stored next to
    /// the data file, which is never created here.
    pub fn server(&self, config: &Config) -> Result<Server, Box<dyn Error>> {
        let mut server = parse_server(&self.url).ok_or_else(|| InvalidServerUrl(self.url.clone()))?;
        let is_loopback = ["127.0.0.1", "localhost", "::1"].contains(&server.host.as_str());
        server.token = match &config.token {
            Some(token) => Some(token.clone()),
            None if is_loopback && token::path(&config.credential_base_path()).exists() => {
                config.legacy_token()?.map(|token| token.as_str().to_owned())
            }
            None => None,
        };
        Ok(server)
    }
}

/// The base URL of a server, without a path.
pub fn base_url(url: &str) -> Result<String, InvalidServerUrl> {
    let server = parse_server(url).ok_or_else(|| InvalidServerUrl(url.to_owned()))?;
    let scheme = if server.secure { "https" } else { "http" };
    Ok(format!("{scheme}://{}", server.authority))
}

fn parse_server(url: &str) -> Option<Server> {
    let uri: Uri = url.parse().ok()?;
    let secure = match uri.scheme_str()? {
        "http" | "ws" => false,
        "https" | "wss" => true,
        _ => return None,
    };
    let plain = matches!(uri.path(), "" | "/") && uri.query().is_none();
    let authority = uri
        .authority()
        .filter(|authority| plain && !authority.as_str().contains('@'))?;
    Some(Server {
        secure,
        host: authority.host().trim_matches(['[', ']']).to_owned(),
        port: authority.port_u16().unwrap_or(if secure { 443 } else { 80 }),
        authority: authority.to_string(),
        token: None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::Parser;
    use duplex::server::token::Token;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        config: Config,
        #[command(flatten)]
        remote: Remote,
    }

    #[test]
    fn server_urls_are_parsed() {
        let found =
            |url: &str| parse_server(url).map(|server| (server.secure, server.host, server.port, server.authority));
        let expected =
            |secure, host: &str, port, authority: &str| Some((secure, host.to_owned(), port, authority.to_owned()));
        let here = expected(false, "127.0.0.1", 3000, "127.0.0.1:3000");
        assert_eq!(found("http://127.0.0.1:3000/"), here);
        assert_eq!(found("ws://[::1]:3000"), expected(false, "::1", 3000, "[::1]:3000"));
        assert_eq!(
            found("http://example.com"),
            expected(false, "example.com", 80, "example.com")
        );
        assert_eq!(
            found("https://example.com"),
            expected(true, "example.com", 443, "example.com")
        );
        assert_eq!(
            found("wss://example.com:8443"),
            expected(true, "example.com", 8443, "example.com:8443")
        );
        for wrong in [
            "",
            "127.0.0.1:3000",
            "ftp://a",
            "http://",
            "http://a/b",
            "http://a/?b",
            "http://a@b",
        ] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_stored_token_is_sent_only_to_this_machine() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("duplex.db");
        let data = data.to_str().unwrap();
        let token_for = |url: &str, more: &[&str]| {
            let arguments = [&["duplex", "--url", url, "--data", data], more].concat();
            let Line { config, remote } = Line::try_parse_from(arguments).unwrap();
            remote.server(&config).unwrap().token
        };
        let here = "http://127.0.0.1:3000";
        assert_eq!(token_for(here, &[]), None, "none is created");
        let stored = Token::load_or_create(Path::new(data)).unwrap();
        assert_eq!(token_for(here, &[]).as_deref(), Some(stored.as_str()));
        assert_eq!(token_for("https://[::1]:3000", &[]).as_deref(), Some(stored.as_str()));
        assert_eq!(token_for("https://duplex.example", &[]), None);
        let chosen = token_for("https://duplex.example", &["--token", "a-token-for-the-tests"]);
        assert_eq!(chosen.as_deref(), Some("a-token-for-the-tests"));
    }
}

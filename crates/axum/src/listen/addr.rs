//! [`ListenAddr`]: a socket address or a host name with a port, parsed from the command line.

use std::fmt;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::str::FromStr;

/// An address to listen on: `127.0.0.1:3000`, `[::1]:3000` or `localhost:3000`. Parsing does not resolve the name.
///
/// ```
/// use duplex_axum::listen::ListenAddr;
///
/// let addr: ListenAddr = "127.0.0.1:3000".parse()?;
/// assert_eq!(addr.resolve_first()?.port(), 3000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListenAddr(String);

/// Returned when a string is not a [`ListenAddr`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "not an address; write an IP address or a name, and a port, such as 127.0.0.1:3000, [::1]:3000 or localhost:3000"
)]
pub struct ParseListenAddrError;

/// A host name that cannot be resolved. The message includes the reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} cannot be resolved: {reason}")]
pub struct ResolveError {
    name: String,
    reason: String,
}

impl FromStr for ListenAddr {
    type Err = ParseListenAddrError;

    fn from_str(text: &str) -> Result<Self, ParseListenAddrError> {
        let named = || {
            let (name, port) = text.split_once(':')?;
            let letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
            let digits = !port.is_empty() && port.bytes().all(|digit| digit.is_ascii_digit());
            (!name.is_empty() && name.chars().all(letters) && digits && port.parse::<u16>().is_ok()).then_some(())
        };
        if text.parse::<SocketAddr>().is_ok() || named().is_some() {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseListenAddrError)
        }
    }
}

impl fmt::Display for ListenAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<SocketAddr> for ListenAddr {
    fn from(addr: SocketAddr) -> Self {
        Self(addr.to_string())
    }
}

impl ListenAddr {
    /// Resolves the name and returns its first address.
    ///
    /// # Errors
    ///
    /// If the name cannot be resolved.
    pub fn resolve_first(&self) -> Result<SocketAddr, ResolveError> {
        let addrs = self.resolve()?;
        addrs
            .first()
            .copied()
            .ok_or_else(|| self.resolve_error("it has no address"))
    }

    fn resolve_error(&self, reason: impl ToString) -> ResolveError {
        ResolveError {
            name: self.0.clone(),
            reason: reason.to_string(),
        }
    }

    /// The addresses of the name, at least one, IPv4 first. Blocks on the system's resolver.
    ///
    /// # Errors
    ///
    /// If the name cannot be resolved.
    pub fn resolve(&self) -> Result<Vec<SocketAddr>, ResolveError> {
        let found = self.0.to_socket_addrs().map_err(|error| self.resolve_error(error))?;
        let mut found: Vec<_> = found.collect();
        found.sort_by_key(SocketAddr::is_ipv6);
        found.dedup();
        match found.is_empty() {
            true => Err(self.resolve_error("it has no address")),
            false => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_or_a_name_with_a_port_is_accepted() {
        for text in [
            "127.0.0.1:3000",
            "[::1]:0",
            "0.0.0.0:65535",
            "localhost:3000",
            "my-host.example:1",
            "host_1:80",
        ] {
            assert_eq!(
                text.parse::<ListenAddr>().map(|addr| addr.to_string()),
                Ok(text.to_owned())
            );
        }
        for text in [
            "",
            ":3000",
            "localhost",
            "localhost:",
            "localhost:65536",
            "localhost:+1",
            "::1:3000",
            "http://a:1",
            "a b:1",
            "a:1:2",
        ] {
            assert_eq!(text.parse::<ListenAddr>(), Err(ParseListenAddrError), "{text}");
        }
    }

    #[test]
    fn a_name_resolves_to_its_addresses() {
        let resolve = |text: &str| text.parse::<ListenAddr>().unwrap().resolve();
        assert_eq!(resolve("127.0.0.1:3000"), Ok(vec!["127.0.0.1:3000".parse().unwrap()]));
        let local = resolve("localhost:3000").unwrap();
        assert!(
            local.iter().all(|addr| addr.ip().is_loopback() && addr.port() == 3000),
            "{local:?}"
        );
        assert!(local.is_sorted_by_key(SocketAddr::is_ipv6), "{local:?}");
        // RFC 6761: .invalid never resolves.
        let error = resolve("nothing.invalid:3000").unwrap_err().to_string();
        assert!(error.contains("nothing.invalid:3000"), "{error}");
    }
}

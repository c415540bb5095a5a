//! The client's address and scheme, taken from the connection or from a trusted proxy's headers.
//!
//! Only peers in [`Settings::trusted_proxies`](crate::Settings::trusted_proxies) are trusted. Their `X-Forwarded-For` or
//! `Forwarded` (RFC 7239) is walked from the right, past trusted addresses, to the first that is not trusted; any other peer's
//! headers are ignored. A proxy passes the header that it does not set through unchanged, so a client can forge it. If the two
//! headers name different clients, neither is trusted.

use std::convert::Infallible;
use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::{ConnectInfo, FromRequestParts, Request, State};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::middleware::Next;
use axum::response::Response;
use ipnet::{IpNet, Ipv4Net};

use super::forwarded::{self, Hop};
use super::origin::Scheme;
use crate::gateway::Gateway;
use crate::limits;
use duplex_hub::quota::LogThrottle;

/// The client's address, in the extensions of every request that came over the network. IPv4-mapped IPv6 addresses are IPv4 here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddr(pub IpAddr);

/// The scheme with which the client reached the site, in the extensions of every request. As an extractor it never fails: without the
/// middleware it is `http`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientScheme(pub Scheme);

impl<S: Send + Sync> FromRequestParts<S> for ClientScheme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Addresses and networks of proxies whose `Forwarded` headers are trusted. By default none, not even loopback addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// Returned when a string is neither an IP address nor a CIDR network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a network; write 127.0.0.1, 10.0.0.0/8 or fd00::/8")]
pub struct ParseNetworkError;

impl TrustedProxies {
    /// Parses addresses and networks, such as `127.0.0.1`, `10.0.0.0/8` or `fd00::/8`.
    ///
    /// # Errors
    ///
    /// Returns the first string that does not parse, with its error.
    pub fn new<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, (String, ParseNetworkError)> {
        let networks = networks.into_iter().map(str::trim);
        networks
            .map(|text| network(text).map_err(|error| (text.to_owned(), error)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `address` is one of these proxies.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, ParseNetworkError> {
    let network = match IpAddr::from_str(text) {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| ParseNetworkError)?,
    };
    // IPv4-mapped networks become IPv4, like the addresses that are compared with them.
    let mapped = match network {
        IpNet::V6(net) if net.prefix_len() >= 96 => {
            net.addr().to_ipv4_mapped().map(|addr| (addr, net.prefix_len() - 96))
        }
        _ => None,
    };
    match mapped {
        Some((addr, prefix)) => Ipv4Net::new(addr, prefix).map(IpNet::V4).map_err(|_| ParseNetworkError),
        None => Ok(network),
    }
}

/// The client of a request, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ResolvedClient {
    address: IpAddr,
    /// Whether a trusted proxy reports https; `None` without a report.
    https: Option<bool>,
    /// Whether the two headers of a trusted proxy name different clients.
    conflicting: bool,
}

fn client(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> ResolvedClient {
    let peer = peer.to_canonical();
    let direct = ResolvedClient {
        address: peer,
        https: None,
        conflicting: false,
    };
    if !trusted.contains(peer) {
        return direct;
    }
    let x_forwarded = nearest_untrusted(peer, &forwarded::x_forwarded_for(headers), trusted);
    let forwarded = nearest_untrusted(peer, &forwarded::forwarded(headers), trusted);
    let conflicting = matches!(
        (x_forwarded, forwarded),
        (Some((from_x_forwarded_for, _)), Some((from_forwarded, _))) if from_x_forwarded_for != from_forwarded
    );
    let reported = x_forwarded.or(forwarded).filter(|_| !conflicting);
    let schemes = [
        forwarded::x_forwarded_proto(headers),
        forwarded.and_then(|(_, hop)| hop.https),
    ];
    ResolvedClient {
        address: reported.map_or(peer, |(address, _)| address),
        // If the reports differ, one of them does not come from the proxy: http takes precedence.
        https: schemes.into_iter().flatten().reduce(|one, other| one && other),
        conflicting,
    }
}

/// The nearest untrusted address, or the furthest known one, with the hop that reports it.
fn nearest_untrusted(peer: IpAddr, hops: &[Hop], trusted: &TrustedProxies) -> Option<(IpAddr, Hop)> {
    let mut client = (peer, *hops.first()?);
    for hop in hops {
        let Some(address) = hop.address else {
            return Some((client.0, *hop));
        };
        client = (address, *hop);
        if !trusted.contains(address) {
            break;
        }
    }
    Some(client)
}

/// Middleware: inserts [`ClientScheme`], and [`ClientAddr`] if the request came over a connection that
/// [`listen`](crate::listen) serves.
pub async fn insert_client_addr(State(state): State<Gateway>, mut request: Request, next: Next) -> Response {
    static CONFLICTS: LogThrottle = LogThrottle::new(limits::LOG_THROTTLE_PAUSE);

    let settings = &state.settings;
    let peer = peer(request.extensions());
    let client = peer.map(|peer| client(peer.ip(), request.headers(), &settings.trusted_proxies));
    if let Some(client) = client {
        if client.conflicting
            && let Some(suppressed) = CONFLICTS.try_log()
        {
            tracing::warn!(
                proxy = %client.address, suppressed,
                "X-Forwarded-For and Forwarded name different clients: the proxy must remove the one that it does not write"
            );
        }
        request.extensions_mut().insert(ClientAddr(client.address));
    }
    let reported = client.and_then(|client| client.https).map(Scheme::from_https);
    request
        .extensions_mut()
        .insert(ClientScheme(state.scheme().or(reported).unwrap_or_default()));
    next.run(request).await
}

/// The connection's peer.
fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| *peer)
}

/// The client as logs and records show it: its address, with the port if it is the connection's peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LoggedClient(IpAddr, Option<u16>);

impl LoggedClient {
    pub(crate) fn from_extensions(extensions: &Extensions) -> Option<Self> {
        let ClientAddr(address) = *extensions.get()?;
        let port = peer(extensions).filter(|peer| peer.ip().to_canonical() == address);
        Some(Self(address, port.map(|peer| peer.port())))
    }
}

impl Display for LoggedClient {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match *self {
            Self(address, Some(port)) => SocketAddr::new(address, port).fmt(f),
            Self(address, None) => address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::*;

    const PROXY: &str = "127.0.0.1";

    fn trusted() -> TrustedProxies {
        TrustedProxies::new([PROXY, "10.0.0.0/8"]).unwrap()
    }

    fn client_of(peer: &str, pairs: &[(&'static str, &str)]) -> ResolvedClient {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_bytes(value.as_bytes()).unwrap(),
            );
        }
        client(peer.parse().unwrap(), &headers, &trusted())
    }

    fn address(peer: &str, pairs: &[(&'static str, &str)]) -> String {
        client_of(peer, pairs).address.to_string()
    }

    #[test]
    fn only_a_trusted_peers_headers_count() {
        for header in ["x-forwarded-for", "forwarded"] {
            let value = if header == "forwarded" {
                "for=9.9.9.9;proto=https"
            } else {
                "9.9.9.9"
            };
            let pairs = [(header, value), ("x-forwarded-proto", "https")];
            let untrusted = client_of("8.8.8.8", &pairs);
            assert_eq!(
                (untrusted.address.to_string(), untrusted.https),
                ("8.8.8.8".to_owned(), None)
            );
            let proxied = client_of(PROXY, &pairs);
            assert_eq!(
                (proxied.address.to_string(), proxied.https),
                ("9.9.9.9".to_owned(), Some(true))
            );
        }
        assert_eq!(
            address("::ffff:127.0.0.1", &[("x-forwarded-for", "::ffff:9.9.9.9")]),
            "9.9.9.9"
        );
        assert_eq!(address("::ffff:8.8.8.8", &[("x-forwarded-for", "9.9.9.9")]), "8.8.8.8");
    }

    #[test]
    fn trusted_addresses_are_skipped_from_the_right() {
        for (header, client) in [
            ("1.1.1.1, 9.9.9.9", "9.9.9.9"),
            ("1.1.1.1, 9.9.9.9, 10.1.1.1, 10.2.2.2", "9.9.9.9"),
            ("10.1.1.1, 10.2.2.2", "10.1.1.1"),
            ("9.9.9.9, _hidden, 10.2.2.2", "10.2.2.2"),
            ("unknown", PROXY),
            (",", PROXY),
        ] {
            assert_eq!(address(PROXY, &[("x-forwarded-for", header)]), client, "{header}");
        }
    }

    #[test]
    fn conflicting_headers_are_ignored() {
        for (one, other) in [
            ("9.9.9.9", "for=1.1.1.1"),
            ("1.1.1.1", "for=9.9.9.9"),
            ("9.9.9.9", "for=\"1.1.1.1"),
        ] {
            let client = client_of(PROXY, &[("x-forwarded-for", one), ("forwarded", other)]);
            assert_eq!(
                (client.address.to_string(), client.conflicting),
                (PROXY.to_owned(), true)
            );
        }
        let agreed = [("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=\"9.9.9.9:80\"")];
        assert_eq!(address(PROXY, &agreed), "9.9.9.9");
    }

    #[test]
    fn conflicting_schemes_are_not_https() {
        let https = |pairs: &[(&'static str, &str)]| client_of(PROXY, pairs).https;
        assert_eq!(https(&[("x-forwarded-proto", "https")]), Some(true));
        assert_eq!(https(&[("x-forwarded-proto", "https, http")]), Some(false));
        assert_eq!(
            https(&[("x-forwarded-proto", "http"), ("forwarded", "for=9.9.9.9;proto=https")]),
            Some(false)
        );
        // The scheme of the hop that reports the client, not of a hop that the client forged.
        assert_eq!(
            https(&[("forwarded", "for=1.1.1.1;proto=https, for=9.9.9.9;proto=http")]),
            Some(false)
        );
        assert_eq!(https(&[]), None);
    }

    #[test]
    fn networks_are_parsed_or_named_in_the_error() {
        let trusted = TrustedProxies::new([" fd00::/8", "::1", "::ffff:192.0.2.0/120"]).unwrap();
        for (address, inside) in [
            ("fd12::1", true),
            ("::1", true),
            ("192.0.2.7", true),
            ("192.0.3.7", false),
        ] {
            assert_eq!(trusted.contains(address.parse().unwrap()), inside, "{address}");
        }
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.0/8/8"] {
            assert_eq!(
                TrustedProxies::new(["::1", wrong]),
                Err((wrong.to_owned(), ParseNetworkError))
            );
        }
        assert!(
            !TrustedProxies::default().contains(PROXY.parse().unwrap()),
            "loopback addresses are not trusted by default"
        );
    }

    fn headers() -> impl Strategy<Value = HeaderMap> {
        let name = prop::sample::select(vec!["x-forwarded-for", "forwarded", "x-forwarded-proto"]);
        let value = prop_oneof![
            "[for=proto0-9a-f:.,;\"\\[\\] _]{0,80}",
            "(for=)?[0-9.]{7,15}(, ?10\\.1\\.1\\.1){0,3}"
        ];
        prop::collection::vec((name, value), 0..5).prop_map(|pairs| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.append(name, value.parse().unwrap());
            }
            headers
        })
    }

    proptest! {
        #[test]
        fn an_untrusted_peer_is_its_own_client_whatever_it_sends(headers in headers(), peer in any::<IpAddr>()) {
            prop_assume!(!trusted().contains(peer.to_canonical()));
            let client = client(peer, &headers, &trusted());
            prop_assert_eq!((client.address, client.https), (peer.to_canonical(), None));
        }

        /// Behind a proxy that appends, a client cannot choose its address: the result is the client itself or, if it sends a
        /// conflicting second header, the proxy.
        #[test]
        fn a_client_of_an_appending_proxy_cannot_spoof_an_address(headers in headers(), at in any::<IpAddr>()) {
            let at = at.to_canonical();
            prop_assume!(!trusted().contains(at));
            let proxy: IpAddr = PROXY.parse().unwrap();
            let mut headers = headers;
            headers.append("x-forwarded-for", at.to_string().parse().unwrap());
            let client = client(proxy, &headers, &trusted());
            prop_assert!([at, proxy].contains(&client.address));
            prop_assert_eq!(client.address == proxy, client.conflicting);
        }
    }
}

//! The client's address and scheme, as the connection shows them or as a trusted proxy reports them.
//!
//! Only peers in [`Settings::trusted_proxies`](crate::Settings::trusted_proxies) are believed. Their `X-Forwarded-For` or `Forwarded`
//! (RFC 7239) is walked from the right, past trusted addresses, to the first that is not trusted; any other peer's headers are ignored.
//! A proxy passes on the header that it does not write itself as its client sent it: where the two name different clients, neither is
//! believed.

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

/// The scheme by which the client reached the site, in the extensions of every request. As an extractor it never fails: without the
/// middleware it is `http`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ClientScheme(pub Scheme);

impl<S: Send + Sync> FromRequestParts<S> for ClientScheme {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().copied().unwrap_or_default())
    }
}

/// Addresses and networks of proxies whose reports of their clients are believed. By default none, not even loopback addresses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither an IP address nor a network in CIDR notation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not an address or a network; write 127.0.0.1, 10.0.0.0/8 or fd00::/8")]
pub struct ParseNetworkError;

impl TrustedProxies {
    /// Parses addresses and networks, such as `127.0.0.1`, `10.0.0.0/8` or `fd00::/8`.
    ///
    /// # Errors
    ///
    /// The first text that is neither.
    pub fn new<'a>(networks: impl IntoIterator<Item = &'a str>) -> Result<Self, (String, ParseNetworkError)> {
        let networks = networks.into_iter().map(str::trim);
        networks
            .map(|text| network(text).map_err(|error| (text.to_owned(), error)))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether `address` is one of these proxies.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

fn network(text: &str) -> Result<IpNet, ParseNetworkError> {
    let network = match IpAddr::from_str(text) {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| ParseNetworkError)?,
    };
    // IPv4-mapped networks become IPv4, as the addresses that are compared with them.
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
struct Client {
    address: IpAddr,
    /// Whether a trusted proxy reports https.
    https: Option<bool>,
    /// The two headers of a trusted proxy name different clients.
    contradicted: bool,
}

fn client(peer: IpAddr, headers: &HeaderMap, trusted: &TrustedProxies) -> Client {
    let peer = peer.to_canonical();
    let direct = Client {
        address: peer,
        https: None,
        contradicted: false,
    };
    if !trusted.contain(peer) {
        return direct;
    }
    let listed = walk(peer, &forwarded::x_forwarded_for(headers), trusted);
    let elements = walk(peer, &forwarded::forwarded(headers), trusted);
    let contradicted = matches!((listed, elements), (Some((one, _)), Some((other, _))) if one != other);
    let told = listed.or(elements).filter(|_| !contradicted);
    let schemes = [
        forwarded::x_forwarded_proto(headers),
        elements.and_then(|(_, hop)| hop.https),
    ];
    Client {
        address: told.map_or(peer, |(address, _)| address),
        // If the reports differ, one of them is not the proxy's own: the weaker one counts.
        https: schemes.into_iter().flatten().reduce(|one, other| one && other),
        contradicted,
    }
}

/// The nearest address that is not trusted, or the furthest known one, with the hop that reports it.
fn walk(peer: IpAddr, hops: &[Hop], trusted: &TrustedProxies) -> Option<(IpAddr, Hop)> {
    let mut client = (peer, *hops.first()?);
    for hop in hops {
        let Some(address) = hop.address else {
            return Some((client.0, *hop));
        };
        client = (address, *hop);
        if !trusted.contain(address) {
            break;
        }
    }
    Some(client)
}

/// Middleware: inserts [`ClientScheme`], and [`ClientAddr`] if the request came over a connection that
/// [`listen`](crate::listen) serves.
pub async fn insert(State(state): State<Gateway>, mut request: Request, next: Next) -> Response {
    static CONTRADICTIONS: LogThrottle = LogThrottle::new(limits::REFUSALS_LOGGED);

    let settings = &state.settings;
    let peer = peer(request.extensions());
    let client = peer.map(|peer| client(peer.ip(), request.headers(), &settings.trusted_proxies));
    if let Some(client) = client {
        if client.contradicted
            && let Some(unlogged) = CONTRADICTIONS.due()
        {
            tracing::warn!(
                proxy = %client.address, unlogged,
                "X-Forwarded-For and Forwarded name different clients: the proxy has to remove the one that it does not write"
            );
        }
        request.extensions_mut().insert(ClientAddr(client.address));
    }
    let told = client.and_then(|client| client.https).map(Scheme::from_https);
    request
        .extensions_mut()
        .insert(ClientScheme(state.scheme().or(told).unwrap_or_default()));
    next.run(request).await
}

/// The connection's peer.
fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(peer)| *peer)
}

/// The client's name in logs and records: its address, with the port if it is the connection's peer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientName(IpAddr, Option<u16>);

impl ClientName {
    pub(crate) fn of(extensions: &Extensions) -> Option<Self> {
        let ClientAddr(address) = *extensions.get()?;
        let port = peer(extensions).filter(|peer| peer.ip().to_canonical() == address);
        Some(Self(address, port.map(|peer| peer.port())))
    }
}

impl Display for ClientName {
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

    fn seen(peer: &str, pairs: &[(&'static str, &str)]) -> Client {
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
        seen(peer, pairs).address.to_string()
    }

    #[test]
    fn only_a_trusted_peer_is_believed() {
        for header in ["x-forwarded-for", "forwarded"] {
            let value = if header == "forwarded" {
                "for=9.9.9.9;proto=https"
            } else {
                "9.9.9.9"
            };
            let pairs = [(header, value), ("x-forwarded-proto", "https")];
            let stranger = seen("8.8.8.8", &pairs);
            assert_eq!(
                (stranger.address.to_string(), stranger.https),
                ("8.8.8.8".to_owned(), None)
            );
            let proxied = seen(PROXY, &pairs);
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
    fn trusted_addresses_are_passed_from_the_right() {
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
    fn where_the_two_headers_differ_neither_is_believed() {
        for (one, other) in [
            ("9.9.9.9", "for=1.1.1.1"),
            ("1.1.1.1", "for=9.9.9.9"),
            ("9.9.9.9", "for=\"1.1.1.1"),
        ] {
            let client = seen(PROXY, &[("x-forwarded-for", one), ("forwarded", other)]);
            assert_eq!(
                (client.address.to_string(), client.contradicted),
                (PROXY.to_owned(), true)
            );
        }
        let agreed = [("x-forwarded-for", "9.9.9.9"), ("forwarded", "for=\"9.9.9.9:80\"")];
        assert_eq!(address(PROXY, &agreed), "9.9.9.9");
    }

    #[test]
    fn a_scheme_that_is_contradicted_is_not_https() {
        let https = |pairs: &[(&'static str, &str)]| seen(PROXY, pairs).https;
        assert_eq!(https(&[("x-forwarded-proto", "https")]), Some(true));
        assert_eq!(https(&[("x-forwarded-proto", "https, http")]), Some(false));
        assert_eq!(
            https(&[("x-forwarded-proto", "http"), ("forwarded", "for=9.9.9.9;proto=https")]),
            Some(false)
        );
        // Of the hop that reports the client, not of one that the client invented.
        assert_eq!(
            https(&[("forwarded", "for=1.1.1.1;proto=https, for=9.9.9.9;proto=http")]),
            Some(false)
        );
        assert_eq!(https(&[]), None);
    }

    #[test]
    fn networks_are_read_or_named_in_the_refusal() {
        let trusted = TrustedProxies::new([" fd00::/8", "::1", "::ffff:192.0.2.0/120"]).unwrap();
        for (address, inside) in [
            ("fd12::1", true),
            ("::1", true),
            ("192.0.2.7", true),
            ("192.0.3.7", false),
        ] {
            assert_eq!(trusted.contain(address.parse().unwrap()), inside, "{address}");
        }
        for wrong in ["", "localhost", "10.0.0.0/33", "10.0.0.1:80", "10.0.0.0/8/8"] {
            assert_eq!(
                TrustedProxies::new(["::1", wrong]),
                Err((wrong.to_owned(), ParseNetworkError))
            );
        }
        assert!(
            !TrustedProxies::default().contain(PROXY.parse().unwrap()),
            "loopback has to be named"
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
        fn a_stranger_is_its_connection_whatever_it_sends(headers in headers(), peer in any::<IpAddr>()) {
            prop_assume!(!trusted().contain(peer.to_canonical()));
            let client = client(peer, &headers, &trusted());
            prop_assert_eq!((client.address, client.https), (peer.to_canonical(), None));
        }

        /// Behind a proxy that appends, a client can choose nobody's address: it is seen as itself, or, by a second header that
        /// contradicts, as the proxy.
        #[test]
        fn a_client_of_a_proxy_that_appends_cannot_take_anothers_address(headers in headers(), at in any::<IpAddr>()) {
            let at = at.to_canonical();
            prop_assume!(!trusted().contain(at));
            let proxy: IpAddr = PROXY.parse().unwrap();
            let mut headers = headers;
            headers.append("x-forwarded-for", at.to_string().parse().unwrap());
            let client = client(proxy, &headers, &trusted());
            prop_assert!([at, proxy].contains(&client.address));
            prop_assert_eq!(client.address == proxy, client.contradicted);
        }
    }
}

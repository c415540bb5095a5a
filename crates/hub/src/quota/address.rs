//! The key of per-address quotas.

use std::fmt::{self, Display, Formatter};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An IPv4 address, or the /64 of an IPv6 address, because a host may use any number of addresses of its /64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Address {
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// The first 64 bits of an IPv6 address.
    V6(u64),
}

impl From<IpAddr> for Address {
    /// An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) is the IPv4 address.
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::V4(address) => address.fmt(f),
            Self::V6(network) => write!(f, "{}/64", Ipv6Addr::from_bits(u128::from(*network) << 64)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Address {
        Address::from(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        assert_eq!(address("::ffff:192.0.2.1"), address("192.0.2.1"));
        assert_ne!(address("::ffff:192.0.2.1"), address("::ffff:192.0.2.2"));
        assert_eq!(address("192.0.2.1").to_string(), "192.0.2.1");
    }

    #[test]
    fn addresses_of_one_64_network_are_equal() {
        assert_eq!(address("2001:db8::1"), address("2001:db8::ffff:0:0:1"));
        assert_ne!(address("2001:db8::1"), address("2001:db8:0:1::1"));
        assert_eq!(address("2001:db8:0:7::1").to_string(), "2001:db8:0:7::/64");
    }

    proptest! {
        #[test]
        fn two_addresses_of_one_64_are_equal(network: u64, one: u64, two: u64) {
            // The network of the mapped addresses.
            prop_assume!(network != 0);
            let [one, two] = [one, two].map(|host| {
                Address::from(IpAddr::V6(Ipv6Addr::from_bits(u128::from(network) << 64 | u128::from(host))))
            });
            prop_assert_eq!(one, two);
        }

        #[test]
        fn each_ipv4_address_is_distinct(one: u32, two: u32) {
            let [a, b] = [one, two].map(|bits| Address::from(IpAddr::V4(Ipv4Addr::from_bits(bits))));
            prop_assert_eq!(a == b, one == two);
            prop_assert_eq!(a, Address::from(IpAddr::V6(Ipv4Addr::from_bits(one).to_ipv6_mapped())));
        }
    }
}

//! Listen addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where a service that listens on this address is reached from its own machine: the best address first.
///
/// `[::]` is IPv4 as well. In a container without IPv6 that is the only address that works: it has no `[::1]`.
pub fn on_this_machine(listen: SocketAddr) -> Vec<SocketAddr> {
    let addresses: Vec<IpAddr> = match listen.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => vec![Ipv4Addr::LOCALHOST.into()],
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
        address => vec![address],
    };
    addresses.into_iter().map(|address| SocketAddr::new(address, listen.port())).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::on_this_machine;

    #[test]
    fn a_service_that_listens_everywhere_is_reached_on_loopback() {
        for (listen, expected) in [
            ("0.0.0.0:8787", vec!["127.0.0.1:8787"]),
            ("[::]:80", vec!["127.0.0.1:80", "[::1]:80"]),
            ("192.0.2.7:8787", vec!["192.0.2.7:8787"]),
        ] {
            let expected: Vec<SocketAddr> =
                expected.into_iter().map(|address| address.parse().unwrap()).collect();
            assert_eq!(on_this_machine(listen.parse().unwrap()), expected);
        }
    }
}

//! Which addresses may be requested: public ones, and networks that the operator allows.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

const MAX_URL_BYTES: usize = 8 << 10;

/// Which addresses may be requested, against server-side request forgery.
#[derive(Debug, Clone, Default)]
pub struct FetchPolicy {
    /// Networks that may be requested although they are not public.
    pub allowed_networks: Vec<IpNet>,
}

/// Why a host is not requested.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AddressError {
    /// The address is neither public nor in an allowed network.
    #[error(
        "{host} ({address}) is not a public address; to allow it, pass its network with --fetch-allow, or --allow of quilt run"
    )]
    NotPublic {
        /// The host in the URL.
        host: String,
        /// The first address that the host resolves to.
        address: IpAddr,
    },
    /// The resolver returned an error or no address.
    #[error("cannot resolve {host}: {reason}")]
    Unresolved {
        /// The host in the URL.
        host: String,
        /// The resolver's error.
        reason: String,
    },
}

/// Not public, according to IANA's registry of special-purpose IPv4 addresses.
const NOT_PUBLIC_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // Link-local, including the metadata services of cloud providers.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
    // Azure's platform services.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// The only IPv6 block with public addresses (global unicast).
const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// Exceptions within [`PUBLIC_V6`]: protocol assignments such as Teredo, documentation, and 6to4, which embeds IPv4 addresses.
const NOT_PUBLIC_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_public(address: IpAddr) -> bool {
    let is_in = |network: IpAddr, prefix| IpNet::new(network, prefix).is_ok_and(|network| network.contains(&address));
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|(network, prefix)| is_in((*network).into(), *prefix)),
        IpAddr::V6(_) => {
            is_in(PUBLIC_V6.0.into(), PUBLIC_V6.1)
                && !NOT_PUBLIC_V6.iter().any(|(network, prefix)| is_in((*network).into(), *prefix))
        }
    }
}

impl FetchPolicy {
    /// Whether a connection to an address is allowed. IPv4-mapped IPv6 addresses count as IPv4.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed_networks.iter().any(|network| network.contains(&address))
    }

    /// Checks a URL whose host is an IP address. [`PolicyResolver`] checks host names.
    pub(super) fn check(&self, url: &Url) -> Result<(), AddressError> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        if self.allows(address) { Ok(()) } else { Err(AddressError::NotPublic { host, address }) }
    }
}

/// Parses an http or https URL without credentials.
pub(super) fn parse_url(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL_BYTES {
        return Err(format!("the URL has {} bytes; at most {MAX_URL_BYTES} are allowed", text.len()));
    }
    let url = Url::parse(text).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => format!("'{text}' is not a URL; start it with https://"),
        error => format!("'{text}' is not a URL: {error}"),
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("'{text}' is not an http or https URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the URL must not contain a user name or password".into());
    }
    Ok(url)
}

/// Resolves host names to their allowed addresses, and fails if none is allowed. The HTTP client connects to these, so a second lookup cannot
/// return a different address (DNS rebinding).
pub(super) struct PolicyResolver(pub(super) Arc<FetchPolicy>);

impl Resolve for PolicyResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let unresolved = |reason: String| AddressError::Unresolved { host: host.clone(), reason };
            let addresses =
                tokio::net::lookup_host((host.as_str(), 0)).await.map_err(|error| unresolved(error.to_string()))?;
            let addresses: Vec<SocketAddr> = addresses.collect();
            let first = addresses.first().ok_or_else(|| unresolved("the host has no address".into()))?.ip();
            let allowed: Vec<SocketAddr> =
                addresses.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(AddressError::NotPublic { host, address: first }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_addresses_are_refused_in_every_notation() {
        for host in [
            "127.0.0.1",
            "127.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "169.254.169.254",
            "168.63.129.16",
            "172.31.255.255",
            "192.168.0.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "[::]",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:a00:1]",
            "[::127.0.0.1]",
            "[64:ff9b::7f00:1]",
            "[64:ff9b:1::1]",
            "[100::1]",
            "[2001::1]",
            "[2001:db8::1]",
            "[2002:7f00:1::]",
            "[fc00::1]",
            "[fd00:ec2::254]",
            "[fe80::1]",
            "[fec0::1]",
            "[ff02::1]",
            "[5f00::1]",
        ] {
            let url = Url::parse(&format!("http://{host}/")).expect("a URL");
            assert!(FetchPolicy::default().check(&url).is_err(), "{host}");
        }
    }

    #[test]
    fn public_and_allowed_addresses_pass() {
        for host in ["1.1.1.1", "172.32.0.1", "8.8.8.8", "[2606:4700::1111]", "[2a00:1450::1]", "example.org"] {
            let url = Url::parse(&format!("http://{host}/")).expect("a URL");
            assert_eq!(FetchPolicy::default().check(&url), Ok(()), "{host}");
        }
        let policy = FetchPolicy { allowed_networks: vec!["127.0.0.0/8".parse().expect("a network")] };
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
            assert!(policy.check(&Url::parse(&format!("http://{host}/")).expect("a URL")).is_ok(), "{host}");
        }
        assert!(policy.check(&Url::parse("http://[::1]/").expect("a URL")).is_err());
    }

    #[tokio::test]
    async fn resolver_returns_only_allowed_addresses() {
        let name = || "localhost".parse::<Name>().expect("a name");
        let refused = PolicyResolver(Arc::default()).resolve(name()).await.err().expect("a loopback address");
        assert!(matches!(refused.downcast_ref(), Some(AddressError::NotPublic { .. })), "{refused}");
        let policy = FetchPolicy { allowed_networks: vec!["127.0.0.0/8".parse().expect("a network")] };
        let resolved: Vec<SocketAddr> =
            PolicyResolver(Arc::new(policy)).resolve(name()).await.expect("allowed").collect();
        assert!(
            !resolved.is_empty() && resolved.iter().all(|address| address.ip() == Ipv4Addr::LOCALHOST),
            "{resolved:?}"
        );
    }
}

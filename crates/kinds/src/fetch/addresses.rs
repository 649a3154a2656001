//! Which addresses may be asked: those of the public internet, and what the operator allows besides.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use ipnet::IpNet;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use thiserror::Error;
use url::{Host, Url};

/// The longest address, in bytes.
const MAX_URL: usize = 8 << 10;

/// Which networks may be asked for pages.
#[derive(Debug, Clone, Default)]
pub struct Policy {
    /// Networks that may be asked though they are not public.
    pub allowed: Vec<IpNet>,
}

/// Why an address is not asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// It is not public, and the operator has not allowed it.
    #[error("{host} is at {address}, which is not public")]
    NotPublic {
        /// The host as the address names it.
        host: String,
        /// Where it is.
        address: IpAddr,
    },
    /// It has no address at all.
    #[error("{host} has no address: {reason}")]
    Unknown {
        /// The host as the address names it.
        host: String,
        /// What the resolver says.
        reason: String,
    },
}

/// Networks of the fourth version that are not public: see the registry of special-purpose addresses.
const NOT_PUBLIC_V4: [(Ipv4Addr, u8); 16] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    // With the addresses at which clouds tell a machine its secrets.
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
    // Answered inside a cloud.
    (Ipv4Addr::new(168, 63, 129, 16), 32),
];

/// Of the sixth version only these are public at all.
const PUBLIC_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// And of those not these, some of which lead to addresses of the fourth version.
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

impl Policy {
    /// Whether an address may be asked.
    #[must_use]
    pub fn allows(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }

    /// Checks an address that names its host by numbers. One that has a name is checked when that is resolved.
    pub(super) fn check(&self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(address)) => IpAddr::V4(address),
            Some(Host::Ipv6(address)) => IpAddr::V6(address),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        let host = url.host_str().unwrap_or_default().to_owned();
        if self.allows(address) { Ok(()) } else { Err(Refused::NotPublic { host, address }) }
    }
}

/// An address that can be asked for.
pub(super) fn address(text: &str) -> Result<Url, String> {
    if text.len() > MAX_URL {
        return Err(format!("an address of {} bytes is longer than {MAX_URL}", text.len()));
    }
    let url = Url::parse(text).map_err(|error| format!("'{text}' is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("'{text}' is no http or https address"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not hold a user's name or password".into());
    }
    Ok(url)
}

/// Resolves names, and gives out nothing but addresses that may be asked: no connection is ever made to another one.
pub(super) struct Resolver(pub(super) Arc<Policy>);

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = Arc::clone(&self.0);
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let unknown = |reason: String| Refused::Unknown { host: host.clone(), reason };
            let found =
                tokio::net::lookup_host((host.as_str(), 0)).await.map_err(|error| unknown(error.to_string()))?;
            let found: Vec<SocketAddr> = found.collect();
            let first = found.first().ok_or_else(|| unknown("there is none".into()))?.ip();
            // One that is not allowed among others that are is no reason to refuse those.
            let allowed: Vec<SocketAddr> = found.into_iter().filter(|address| policy.allows(address.ip())).collect();
            if allowed.is_empty() {
                return Err(Refused::NotPublic { host, address: first }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_public_is_refused_however_it_is_written() {
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
            let url = Url::parse(&format!("http://{host}/")).expect("an address");
            assert!(Policy::default().check(&url).is_err(), "{host}");
        }
    }

    #[test]
    fn what_is_public_or_allowed_may_be_asked() {
        for host in ["1.1.1.1", "172.32.0.1", "8.8.8.8", "[2606:4700::1111]", "[2a00:1450::1]", "example.org"] {
            let url = Url::parse(&format!("http://{host}/")).expect("an address");
            assert_eq!(Policy::default().check(&url), Ok(()), "{host}");
        }
        let policy = Policy { allowed: vec!["127.0.0.0/8".parse().expect("a network")] };
        for host in ["127.0.0.1", "[::ffff:127.0.0.1]"] {
            assert!(policy.check(&Url::parse(&format!("http://{host}/")).expect("an address")).is_ok(), "{host}");
        }
        assert!(policy.check(&Url::parse("http://[::1]/").expect("an address")).is_err());
    }

    #[tokio::test]
    async fn a_name_leads_to_no_address_that_may_not_be_asked() {
        let name = || "localhost".parse::<Name>().expect("a name");
        let refused = Resolver(Arc::default()).resolve(name()).await.err().expect("it is this machine");
        assert!(matches!(refused.downcast_ref(), Some(Refused::NotPublic { .. })), "{refused}");
        let policy = Policy { allowed: vec!["127.0.0.0/8".parse().expect("a network")] };
        let found: Vec<SocketAddr> = Resolver(Arc::new(policy)).resolve(name()).await.expect("allowed").collect();
        assert!(!found.is_empty() && found.iter().all(|address| address.ip() == Ipv4Addr::LOCALHOST), "{found:?}");
    }
}

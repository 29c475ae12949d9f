//! What a trusted proxy says of its own client: `X-Forwarded-For` and `X-Forwarded-Proto`.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

use super::dispatch::{ConnInfo, Peer};
use super::head::RequestHead;

/// A client as its proxy describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Forwarded {
    /// Its address.
    pub client: Option<IpAddr>,
    /// `http` or `https`, as the client used it.
    pub scheme: Option<&'static str>,
}

/// Reads what the fields of a request say, if its connection comes from a trusted proxy.
pub fn forwarded(head: &RequestHead, conn: &ConnInfo) -> Forwarded {
    match &conn.proxies {
        Some(proxies) => Forwarded { client: client(head, proxies), scheme: scheme(head) },
        None => Forwarded::default(),
    }
}

/// The address of who sent a request: as a trusted proxy tells it, else that of the connection.
/// `None` on a Unix socket.
pub fn client_of(head: &RequestHead, conn: &ConnInfo) -> Option<IpAddr> {
    forwarded(head, conn).client.or(match &conn.peer {
        Peer::Tcp(address) => Some(address.ip().to_canonical()),
        Peer::Unix(_) => None,
    })
}

/// Each proxy adds its client at the end: the last one that is no trusted proxy itself is the
/// client; what stands before it anyone may have made up.
fn client(head: &RequestHead, trusted: &[IpNet]) -> Option<IpAddr> {
    let mut found = None;
    let fields: Vec<_> = values(head, b"x-forwarded-for").collect();
    for item in fields.iter().rev().flat_map(|value| value.rsplit(|&b| b == b',')) {
        if item.trim_ascii().is_empty() {
            continue;
        }
        let Some(address) = address(item) else { break };
        found = Some(address);
        if !trusted.iter().any(|net| net.contains(&address)) {
            break;
        }
    }
    found
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]` or `[2001:db8::1]:80`.
fn address(item: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(item).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()))
        .ok()
        .map(|ip| ip.to_canonical())
}

fn scheme(head: &RequestHead) -> Option<&'static str> {
    let last = values(head, b"x-forwarded-proto").last()?;
    let item = last.rsplit(|&b| b == b',').next()?.trim_ascii();
    [("http", "http"), ("https", "https"), ("ws", "http"), ("wss", "https")]
        .into_iter()
        .find(|(name, _)| item.eq_ignore_ascii_case(name.as_bytes()))
        .map(|(_, scheme)| scheme)
}

fn values<'a>(head: &'a RequestHead, name: &'static [u8]) -> impl Iterator<Item = &'a [u8]> {
    head.fields().filter(move |field| field.name == name).map(|field| field.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    fn read(fields: &[(&str, &str)], trusted: bool) -> Forwarded {
        let mut builder = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        for (name, value) in fields {
            builder.field(name.as_bytes(), value.as_bytes());
        }
        let peer: SocketAddr = "127.0.0.1:9".parse().expect("an address");
        let mut conn = ConnInfo::new(Peer::Tcp(peer), Peer::Tcp(peer), "http");
        let nets = ["127.0.0.0/8", "10.0.0.0/8"].map(|net| net.parse().expect("a net"));
        conn.proxies = trusted.then(|| nets.into());
        forwarded(&builder.build(), &conn)
    }

    fn client(value: &str) -> Option<String> {
        read(&[("x-forwarded-for", value)], true).client.map(|ip| ip.to_string())
    }

    #[test]
    fn the_last_address_that_is_no_proxy_is_the_client() {
        assert_eq!(client("192.0.2.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(client("6.6.6.6, 192.0.2.1, 10.1.1.1").as_deref(), Some("192.0.2.1"));
        assert_eq!(client("10.2.2.2, 10.1.1.1").as_deref(), Some("10.2.2.2"));
        assert_eq!(client("[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
        assert_eq!(client("192.0.2.1:1234").as_deref(), Some("192.0.2.1"));
        assert_eq!(client("6.6.6.6, nonsense"), None);
        assert_eq!(client("6.6.6.6, , 192.0.2.1,").as_deref(), Some("192.0.2.1"));
    }

    #[test]
    fn repeated_fields_are_one_list() {
        let fields = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.7")];
        assert_eq!(read(&fields, true).client, "192.0.2.7".parse().ok());
    }

    #[test]
    fn the_scheme_is_one_of_two() {
        let scheme = |value| read(&[("x-forwarded-proto", value)], true).scheme;
        assert_eq!(scheme("HTTPS"), Some("https"));
        assert_eq!(scheme("http, https"), Some("https"));
        assert_eq!(scheme("javascript"), None);
    }

    #[test]
    fn others_are_not_believed() {
        let fields = [("x-forwarded-for", "192.0.2.1"), ("x-forwarded-proto", "https")];
        assert_eq!(read(&fields, false), Forwarded::default());
    }
}

//! Which content codings a client takes (RFC 9110 section 12.5.3).

use super::head::RequestHead;

/// How much a client wants each of these codings, in thousandths. 0: not, or less than none at all.
pub(crate) fn coding_weights<const N: usize>(head: &RequestHead, codings: [&[u8]; N]) -> [u16; N] {
    let mut weights = [None; N];
    let (mut others, mut identity) = (None, None);
    for field in head.fields().filter(|field| field.name == b"accept-encoding") {
        for member in field.value.split(|&b| b == b',') {
            let mut parts = member.split(|&b| b == b';').map(<[u8]>::trim_ascii);
            let name = parts.next().unwrap_or_default();
            let weight = Some(parts.next().map_or(1000, parse_weight));
            // `x-gzip` is an old name of the same (section 8.4.1.3).
            let name = if name.eq_ignore_ascii_case(b"x-gzip") { b"gzip" } else { name };
            if name == b"*" {
                others = weight;
            } else if name.eq_ignore_ascii_case(b"identity") {
                identity = weight;
            } else if let Some(at) =
                codings.iter().position(|coding| coding.eq_ignore_ascii_case(name))
            {
                weights[at] = weight;
            }
        }
    }
    weights.map(|weight| {
        let weight = weight.or(others).unwrap_or(0);
        if weight < identity.unwrap_or(0) { 0 } else { weight }
    })
}

/// `q=0.8` in thousandths; 0 for what is none (RFC 9110 section 12.4.2).
fn parse_weight(parameter: &[u8]) -> u16 {
    let Some(value) = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="))
    else {
        return 0;
    };
    let (whole, fraction) = match value {
        [whole] => (whole, &[][..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return 0,
    };
    let mut weight = match whole {
        b'0' => 0,
        b'1' => 1000,
        _ => return 0,
    };
    for (digit, unit) in fraction.iter().zip([100, 10, 1]) {
        if !digit.is_ascii_digit() {
            return 0;
        }
        weight += u16::from(digit - b'0') * unit;
    }
    if weight > 1000 { 0 } else { weight }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    fn of(values: &[&str]) -> [u16; 3] {
        let mut builder = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        builder.target(b"/");
        for value in values {
            builder.field(b"accept-encoding", value.as_bytes());
        }
        coding_weights(&builder.build(), [b"br", b"zstd", b"gzip"])
    }

    #[test]
    fn weights_are_what_the_client_says() {
        // br, zstd, gzip
        for (values, expected) in [
            (&[][..], [0, 0, 0]),
            (&[""], [0, 0, 0]),
            (&["gzip, deflate, br, zstd"], [1000, 1000, 1000]),
            (&["GZIP"], [0, 0, 1000]),
            (&["x-gzip"], [0, 0, 1000]),
            (&["gzip", "br"], [1000, 0, 1000]),
            (&["br;q=0.5, gzip ; q=0.75"], [500, 0, 750]),
            (&["*"], [1000, 1000, 1000]),
            (&["*;q=0.1, br;q=0"], [0, 100, 100]),
            (&["identity"], [0, 0, 0]),
            (&["identity;q=0.5, br;q=0.4, gzip"], [0, 0, 1000]),
            (&["br;q=1.000, gzip;q=0.001"], [1000, 0, 1]),
            (&["br;q=1.001, gzip;q=2, zstd;q=0.0001"], [0, 0, 0]),
            (&["br;q=, gzip;q=a, zstd;level=1"], [0, 0, 0]),
            (&["brotli, gz"], [0, 0, 0]),
        ] {
            assert_eq!(of(values), expected, "{values:?}");
        }
    }
}

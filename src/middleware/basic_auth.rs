//! Names and passwords in the request (RFC 7617).

use data_encoding::BASE64;
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use super::{Layer, Misuse, Verdict, refuse_with};
use crate::http::{Request, RequestHead, ResponseHead, ResponseWriter};

/// What a client says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name, without colons.
    pub name: Vec<u8>,
    /// The password.
    pub password: Vec<u8>,
}

impl Credentials {
    /// Those of a request; `None` if there are none, or they cannot be read.
    pub fn of(head: &RequestHead) -> Option<Self> {
        let mut fields = head.fields().filter(|field| field.name == b"authorization");
        let value = fields.next()?.value;
        if fields.next().is_some() {
            return None;
        }
        let (scheme, token) = value.split_at_checked(b"basic ".len())?;
        if !scheme.eq_ignore_ascii_case(b"basic ") {
            return None;
        }
        let both = BASE64.decode(token.trim_ascii()).ok()?;
        let colon = memchr::memchr(b':', &both)?;
        Some(Self { name: both[..colon].to_vec(), password: both[colon + 1..].to_vec() })
    }
}

/// How those are asked for who may not come in.
#[derive(Debug, Clone)]
pub struct Challenge(Vec<u8>);

impl Challenge {
    /// `realm`: what browsers show.
    ///
    /// # Errors
    /// If that cannot stand in a header.
    pub fn new(realm: &str) -> Result<Self, Misuse> {
        if !realm.bytes().all(|b| b == b' ' || b.is_ascii_graphic()) {
            return Err(Misuse(format!("a realm is visible ASCII and spaces, not {realm:?}")));
        }
        let realm = realm.replace('\\', "\\\\").replace('"', "\\\"");
        Ok(Self(format!("Basic realm=\"{realm}\", charset=\"UTF-8\"").into_bytes()))
    }

    /// Answers 401. `head`: of the request, which is noted if it has tried to come in.
    pub fn refuse(&self, request: &Request, writer: &mut ResponseWriter) -> Verdict {
        if request.head.get(b"authorization").is_some() {
            let client = crate::http::client_of(&request.head, request.conn());
            log::info!(
                target: "gohttp.request",
                "401 for a request from {}: wrong name or password",
                client.map_or_else(|| "a Unix socket".to_owned(), |client| client.to_string()),
            );
        }
        let mut response = ResponseHead::new(401);
        response.push_raw(b"www-authenticate", &self.0);
        refuse_with(response, "401 Unauthorized\n", writer)
    }
}

/// Lets known users in, and asks others for name and password with 401.
///
/// It takes the same time for any name and password: all users are compared with, by digests.
#[derive(Debug)]
pub struct BasicAuth {
    challenge: Challenge,
    users: Digests,
}

struct Digests(Vec<[u8; 32]>);

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} users", self.0.len())
    }
}

impl BasicAuth {
    /// `users`: names and passwords, of which digests are kept.
    ///
    /// # Errors
    /// If there is none, or a name holds a colon, which the standard has no place for.
    pub fn new<'a>(
        challenge: Challenge,
        users: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Misuse> {
        let digest = |(name, password): (&str, &str)| match name.contains(':') {
            true => Err(Misuse(format!("a user's name cannot hold a colon (RFC 7617): {name:?}"))),
            false => Ok(digest(name.as_bytes(), password.as_bytes())),
        };
        let users = users.into_iter().map(digest).collect::<Result<Vec<_>, _>>()?;
        if users.is_empty() {
            return Err(Misuse("no user is named: nobody could come in".to_owned()));
        }
        Ok(Self { challenge, users: Digests(users) })
    }

    fn knows(&self, credentials: &Credentials) -> bool {
        let digest = digest(&credentials.name, &credentials.password);
        let found = |found: Choice, user: &[u8; 32]| found | user.ct_eq(&digest);
        self.users.0.iter().fold(Choice::from(0), found).into()
    }
}

fn digest(name: &[u8], password: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(name).chain_update(b":").chain_update(password).finalize().into()
}

impl Layer for BasicAuth {
    fn enter(&self, request: &mut Request, writer: &mut ResponseWriter) -> Verdict {
        match Credentials::of(&request.head) {
            Some(credentials) if self.knows(&credentials) => Verdict::Pass,
            _ => self.challenge.refuse(request, writer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{RequestHeadBuilder, Version};

    fn sent(values: &[&str]) -> Option<(String, String)> {
        let mut builder = RequestHeadBuilder::new(b"GET", Version::Http11, 64);
        for value in values {
            builder.field(b"authorization", value.as_bytes());
        }
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        Credentials::of(&builder.build()).map(|c| (text(c.name), text(c.password)))
    }

    #[test]
    fn credentials_are_read_strictly() {
        let both = |name: &str, password: &str| Some((name.to_owned(), password.to_owned()));
        assert_eq!(sent(&["Basic YWRhOng6eQ=="]), both("ada", "x:y"));
        assert_eq!(sent(&["BASIC   YWRhOg=="]), both("ada", ""));
        assert_eq!(sent(&["Basic Og=="]), both("", ""));
        for bad in
            ["", "Basic", "Basic ", "Basic YWRh", "Basic YWRhOg", "Basic !", "Bearer YWRhOg=="]
        {
            assert_eq!(sent(&[bad]), None, "{bad}");
        }
        assert_eq!(sent(&["Basic YWRhOg==", "Basic YWRhOg=="]), None);
        assert_eq!(sent(&[]), None);
    }

    #[test]
    fn only_whole_pairs_are_known() {
        let challenge = Challenge::new("x").expect("a realm");
        let users = [("ada", "secret"), ("bob", "")];
        let auth = BasicAuth::new(challenge.clone(), users).expect("users");
        for (name, password, known) in [
            ("ada", "secret", true),
            ("bob", "", true),
            ("ada", "", false),
            ("ada", "secretx", false),
            ("bob", "secret", false),
            ("", "", false),
            ("ada:secret", "", false),
        ] {
            let credentials = Credentials { name: name.into(), password: password.into() };
            assert_eq!(auth.knows(&credentials), known, "{name} {password}");
        }
        assert!(!format!("{auth:?}").contains("secret"));
        assert!(BasicAuth::new(challenge.clone(), [("a:b", "")]).is_err());
        assert!(BasicAuth::new(challenge, []).is_err());
        assert!(Challenge::new("a\r\nb").is_err());
    }
}

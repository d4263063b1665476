//! Keys as PEM, in every form that a variable can carry: with literal `\n`, with spaces instead of line breaks, in base64. If it is not a
//! key of the required kind, the error says what it is and how to convert it. No message contains any part of a key.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use jsonwebtoken::{Algorithm, AlgorithmFamily};
use thiserror::Error;

/// A single key, read from a PEM.
#[derive(Clone)]
pub struct Pem {
    label: &'static str,
    der: Vec<u8>,
}

/// Why a text is not the required key; the message follows the variable's name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidKey(String);

impl InvalidKey {
    fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}

const BEGIN: &str = "-----BEGIN ";

/// The object identifiers of key types, as DER, and their names. Curves come first: their keys also contain the identifier of all
/// elliptic curves.
const KINDS: [(&[u8], &str); 8] = [
    (&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7], P256),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x22], "P-384"),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x23], "P-521"),
    (&[6, 5, 0x2b, 0x81, 4, 0, 0x0a], "secp256k1"),
    (&[6, 3, 0x2b, 0x65, 0x70], ED25519),
    (&[6, 3, 0x2b, 0x65, 0x71], "Ed448"),
    (&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0a], "RSA-PSS"),
    (&[6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 1], RSA),
];

const P256: &str = "P-256";
const ED25519: &str = "Ed25519";
const RSA: &str = "RSA";

impl Pem {
    /// Reads the public key in `text`, of the kind that `algorithm` needs.
    ///
    /// # Errors
    /// It is something else.
    pub fn public(text: &str, algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let pem = Self::read(text)?;
        match pem.label {
            "PUBLIC KEY" | "RSA PUBLIC KEY" => pem.of_kind(algorithm),
            "CERTIFICATE" => Err(InvalidKey::new(
                "is a certificate: extract its public key (openssl x509 -pubkey -noout -in certificate.pem)",
            )),
            _ => Err(InvalidKey::new(
                "is a private key, which only the signer may have: use the public key (openssl pkey -pubout -in key.pem)",
            )),
        }
    }

    /// Reads the private key in `text`, of the kind that `algorithm` needs. SEC1 becomes PKCS#8.
    ///
    /// # Errors
    /// It is something else.
    pub fn private(text: &str, algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let pem = Self::read(text)?;
        match pem.label {
            "PRIVATE KEY" | "RSA PRIVATE KEY" => pem.of_kind(algorithm),
            "EC PRIVATE KEY" => pem.of_kind(algorithm).map(Self::into_pkcs8),
            "CERTIFICATE" => Err(InvalidKey::new("is a certificate: use the private key that belongs to it")),
            _ => Err(InvalidKey::new("is a public key: use the private key, which signs")),
        }
    }

    fn read(text: &str) -> Result<Self, InvalidKey> {
        let text = text.trim().trim_matches(['"', '\'']).replace("\\r", "").replace("\\n", "\n");
        if text.contains(BEGIN) {
            return Self::first_key(&text);
        }
        let packed: String = text.split_whitespace().collect();
        match BASE64_STANDARD.decode(&packed) {
            Ok(bytes) => match String::from_utf8(bytes) {
                Ok(inner) if inner.contains(BEGIN) => Self::first_key(&inner),
                _ => Err(InvalidKey::new(
                    "has no `-----BEGIN …-----` line: use the complete PEM (openssl pkey -inform DER converts DER)",
                )),
            },
            Err(_) => Err(InvalidKey::new(what_else(&text))),
        }
    }

    /// The first block that is a key or a certificate; openssl writes a curve's parameters before it.
    fn first_key(text: &str) -> Result<Self, InvalidKey> {
        let mut rest = text;
        while let Some((_, block)) = rest.split_once(BEGIN) {
            let (label, block) = block.split_once("-----").ok_or_else(broken)?;
            let (body, after) = block.split_once("-----END ").ok_or_else(broken)?;
            rest = after;
            if label.trim() != "EC PARAMETERS" {
                return Self::block(label.trim(), body);
            }
        }
        Err(broken())
    }

    fn block(label: &str, body: &str) -> Result<Self, InvalidKey> {
        if label.contains("ENCRYPTED") || body.contains("ENCRYPTED") {
            return Err(InvalidKey::new(
                "is protected by a passphrase: remove it (openssl pkey -in key.pem -out plain.pem)",
            ));
        }
        let known = [
            "PUBLIC KEY",
            "RSA PUBLIC KEY",
            "PRIVATE KEY",
            "RSA PRIVATE KEY",
            "EC PRIVATE KEY",
            "CERTIFICATE",
        ];
        let label = match label {
            "OPENSSH PRIVATE KEY" => {
                return Err(InvalidKey::new(
                    "is an OpenSSH key: convert it to PKCS#8 (ssh-keygen -p -m PKCS8 -f key)",
                ));
            }
            "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => "CERTIFICATE",
            label => *known.iter().find(|known| **known == label).ok_or_else(|| {
                InvalidKey::new(
                    "is a PEM, but not a PUBLIC KEY, PRIVATE KEY, RSA PRIVATE KEY or EC PRIVATE KEY",
                )
            })?,
        };
        let packed: String = body.split_whitespace().collect();
        let der = BASE64_STANDARD.decode(packed).map_err(|_| broken())?;
        Ok(Self { label, der })
    }

    fn kind(&self) -> Option<&'static str> {
        if self.label.starts_with("RSA") {
            return Some(RSA);
        }
        // Near the beginning, before any bit of the key itself; in a SEC1 key it follows the number.
        let head = if self.label == "EC PRIVATE KEY" {
            &self.der[..]
        } else {
            self.der.get(..40).unwrap_or(&self.der)
        };
        let is_there = |identifier: &[u8]| head.windows(identifier.len()).any(|window| window == identifier);
        KINDS.iter().find(|(identifier, _)| is_there(identifier)).map(|(_, kind)| *kind)
    }

    fn of_kind(self, algorithm: Algorithm) -> Result<Self, InvalidKey> {
        let wanted = match algorithm.family() {
            AlgorithmFamily::Rsa => RSA,
            AlgorithmFamily::Ec => P256,
            _ => ED25519,
        };
        match self.kind() {
            Some(kind) if kind == wanted => Ok(self),
            Some(kind) => Err(InvalidKey::new(format!(
                "is a key of the kind {kind}, and {algorithm:?} needs one of {wanted}"
            ))),
            None => Err(InvalidKey::new(format!(
                "is not a key that {algorithm:?} can use: it needs one of {wanted}"
            ))),
        }
    }

    /// RFC 5958 around RFC 5915, for the curve P-256.
    fn into_pkcs8(self) -> Self {
        let algorithm = [
            [0x30, 0x13].as_slice(),
            &[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1],
            &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        ]
        .concat();
        let content = [[2, 1, 0].to_vec(), algorithm, der(4, &self.der)].concat();
        Self { label: "PRIVATE KEY", der: der(0x30, &content) }
    }
}

/// A DER element; lengths beyond 64 KiB do not occur.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let [_, _, high, low] = u32::try_from(content.len()).unwrap_or(u32::MAX).to_be_bytes();
    let length = match (high, low) {
        (0, 0..0x80) => vec![low],
        (0, _) => vec![0x81, low],
        _ => vec![0x82, high, low],
    };
    [[tag].to_vec(), length, content.to_vec()].concat()
}

fn broken() -> InvalidKey {
    InvalidKey::new("is a PEM that is truncated or damaged")
}

fn what_else(text: &str) -> &'static str {
    if text.starts_with('{') {
        "is a JSON Web Key: it must be a PEM"
    } else if text.starts_with("ssh-") || text.starts_with("ecdsa-") {
        "is an OpenSSH key: convert it to a PEM (ssh-keygen -e -m PKCS8 -f key.pub)"
    } else if text.starts_with('/') || text.ends_with(".pem") {
        "is the path of a file: put it into the variable of the same name with the suffix _FILE"
    } else {
        "is not a PEM: a PEM begins with `-----BEGIN PUBLIC KEY-----` or `-----BEGIN PRIVATE KEY-----`"
    }
}

impl fmt::Display for Pem {
    /// The PEM as in a file, including the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = BASE64_STANDARD.encode(&self.der);
        writeln!(f, "{BEGIN}{}-----", self.label)?;
        let mut rest = text.as_str();
        while !rest.is_empty() {
            let (line, after) = rest.split_at(rest.len().min(64));
            writeln!(f, "{line}")?;
            rest = after;
        }
        writeln!(f, "-----END {}-----", self.label)
    }
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pem({})", self.label)
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::{DecodingKey, EncodingKey, Header};

    use super::*;

    // Made with openssl for these tests: ecparam -genkey -noout, and pkey.
    const SEC1: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBoWfIMiCHyyXUOgUhcNOrqMRQm/KMCp0uQS6QGsvu1+oAoGCCqGSM49
AwEHoUQDQgAE2J4y6Gz2KBKNtTsqBb0t3VfVEZL+vQuYRhycsTkd8R+fc0V2RUzI
eI1GdmqXpBLmAipyBFgkJ0cILA4xUYKaRQ==
-----END EC PRIVATE KEY-----";
    const PKCS8: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgGhZ8gyIIfLJdQ6BS
Fw06uoxFCb8owKnS5BLpAay+7X6hRANCAATYnjLobPYoEo21OyoFvS3dV9URkv69
C5hGHJyxOR3xH59zRXZFTMh4jUZ2apekEuYCKnIEWCQnRwgsDjFRgppF
-----END PRIVATE KEY-----";
    const PUBLIC: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE2J4y6Gz2KBKNtTsqBb0t3VfVEZL+
vQuYRhycsTkd8R+fc0V2RUzIeI1GdmqXpBLmAipyBFgkJ0cILA4xUYKaRQ==
-----END PUBLIC KEY-----";
    const P384: &str = "\
-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDAXGs+C4oTmPGsEgQBN
cdchvLYPSSrjXb2nQvKfWvqrwBI+IEiM60hE/glh5cv7Av2hZANiAAQn+kzuGrge
tAho6Ny2xv/C8j3vNed2qwnEbyMQlx1NbpPNh1c4vrd/Qn9EMbtxvhN90F2dmOMc
U/nka9NKPDle5dkK14dwEKVYQWbf84W0EyoFPfLceN8lx4bvi/BCRG0=
-----END PRIVATE KEY-----";
    const CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBcDCCARWgAwIBAgIUDsR0SWT6iHUnghODlY8z5jAC1VAwCgYIKoZIzj0EAwIw
DDEKMAgGA1UEAwwBeDAgFw0yNjExMjYwMTU0NTJaGA8yMTI2MTEwMjAxNTQ1Mlow
DDEKMAgGA1UEAwwBeDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABNieMuhs9igS
jbU7KgW9Ld1X1RGS/r0LmEYcnLE5HfEfn3NFdkVMyHiNRnZql6QS5gIqcgRYJCdH
CCwOMVGCmkWjUzBRMB0GA1UdDgQWBBRSpnMpOAJGLxxJxFwWe2tbv3j41jAfBgNV
HSMEGDAWgBRSpnMpOAJGLxxJxFwWe2tbv3j41jAPBgNVHRMBAf8EBTADAQH/MAoG
CCqGSM49BAMCA0kAMEYCIQCwXe9Hq1JEHn8u9swmhtCIeO5yHBl0qRyKH85pFuj2
BAIhAOr97OhVOyxoNEOtJBeVeJNjU50NZQ5HHeWVXHW3Y5pJ
-----END CERTIFICATE-----";
    const ENCRYPTED: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAgGnWX4GajRPwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKWSOPqDg6VkLIiCFx6WIPcEgZDJ
cwGPtr44jZ4vDK3Xv0a1ESTbZsyJ0x6oE4lc2vS8Fj4ZDhijgBY3qdwTp/grq2cP
i4mv2DaEFYmXpF79t79Bh7idP5S8mcAbpyIsYqSx3yFXAAujcqtpYjcrNqA90hYt
HhWcGWTUZwr5LC/daAglOlbSbbGyDFKcCiK+5ztDruMgdTaaQHYS3Anyal/9A5I=
-----END ENCRYPTED PRIVATE KEY-----";
    const PARAMETERS: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIBoWfIMiCHyyXUOgUhcNOrqMRQm/KMCp0uQS6QGsvu1+oAoGCCqGSM49
AwEHoUQDQgAE2J4y6Gz2KBKNtTsqBb0t3VfVEZL+vQuYRhycsTkd8R+fc0V2RUzI
eI1GdmqXpBLmAipyBFgkJ0cILA4xUYKaRQ==
-----END EC PRIVATE KEY-----";

    /// The ways in which a variable carries a PEM.
    fn spellings(pem: &str) -> Vec<String> {
        let pem = pem.trim();
        vec![
            pem.to_owned(),
            format!("{pem}\n"),
            format!("  \"{pem}\"  "),
            pem.replace('\n', "\\n"),
            pem.replace('\n', "\\r\\n"),
            pem.replace('\n', "\r\n"),
            pem.replace('\n', " "),
            BASE64_STANDARD.encode(pem),
            BASE64_STANDARD.encode(pem).replace("LS0tLS1", "LS0tLS1\n"),
        ]
    }

    #[test]
    fn every_spelling_of_a_key_signs_and_verifies() {
        let claims = serde_json::json!({ "sub": "somebody" });
        let public = Pem::public(PUBLIC, Algorithm::ES256).unwrap().to_string();
        for private in spellings(SEC1).into_iter().chain(spellings(PKCS8)).chain(spellings(PARAMETERS)) {
            let private = Pem::private(&private, Algorithm::ES256).unwrap().to_string();
            let key = EncodingKey::from_ec_pem(private.as_bytes()).unwrap();
            let token = jsonwebtoken::encode(&Header::new(Algorithm::ES256), &claims, &key).unwrap();
            let key = DecodingKey::from_ec_pem(public.as_bytes()).unwrap();
            let (message, signature) = token.rsplit_once('.').unwrap();
            assert!(
                jsonwebtoken::crypto::verify(signature, message.as_bytes(), &key, Algorithm::ES256).unwrap()
            );
        }
        for text in spellings(PUBLIC) {
            assert_eq!(Pem::public(&text, Algorithm::ES256).unwrap().to_string(), public, "{text}");
        }
    }

    #[test]
    fn what_is_not_the_wanted_key_is_told_and_nothing_of_it() {
        let public = |text: &str| Pem::public(text, Algorithm::ES256).unwrap_err().to_string();
        let private = |text: &str| Pem::private(text, Algorithm::ES256).unwrap_err().to_string();
        for (told, word) in [
            (public(SEC1), "is a private key"),
            (public(&PKCS8.replace('\n', "\\n")), "is a private key"),
            (public(CERTIFICATE), "openssl x509 -pubkey"),
            (private(CERTIFICATE), "is a certificate"),
            (private(PUBLIC), "is a public key"),
            (private(ENCRYPTED), "protected by a passphrase"),
            (private(P384), "is a key of the kind P-384, and ES256 needs one of P-256"),
            (Pem::private(PKCS8, Algorithm::RS256).unwrap_err().to_string(), "needs one of RSA"),
            (Pem::public(PUBLIC, Algorithm::EdDSA).unwrap_err().to_string(), "needs one of Ed25519"),
            (public(PUBLIC.split_at(90).0), "truncated or damaged"),
            (public("{\"kty\":\"EC\"}"), "JSON Web Key"),
            (public("ssh-ed25519 AAAA me@here"), "OpenSSH"),
            (public("/run/secrets/key.pem"), "_FILE"),
            (public("s3cret!"), "is not a PEM"),
            (public("MFkwEwYHKoZIzj0CAQYI"), "has no `-----BEGIN"),
        ] {
            assert!(told.contains(word) && told.lines().count() == 1 && !told.contains("MF"), "{told}");
        }
    }
}

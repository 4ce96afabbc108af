//! Kinds of keys that Farrier does not sign with, but other repositories do. Only with the features `ecdsa` and `rsa`.

#[cfg(any(feature = "ecdsa", feature = "rsa"))]
use alloc::string::String;
use alloc::vec::Vec;

/// A key of another kind than Ed25519.
pub(crate) enum Verifier {
    #[cfg(feature = "ecdsa")]
    P256(p256::ecdsa::VerifyingKey),
    #[cfg(feature = "rsa")]
    Rsa(rsa_keys::Verifier),
}

/// What verifies with a key of another kind than Ed25519, if that kind is known here.
pub(crate) fn verifier(keytype: &str, scheme: &str, public: &str) -> Option<Verifier> {
    match (keytype, scheme) {
        #[cfg(feature = "ecdsa")]
        ("ecdsa" | "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp256") => {
            use p256::pkcs8::DecodePublicKey;
            p256::ecdsa::VerifyingKey::from_public_key_pem(&strict(public)?).ok().map(Verifier::P256)
        }
        #[cfg(feature = "rsa")]
        ("rsa", _) => rsa_keys::Verifier::new(scheme, public).map(Verifier::Rsa),
        _ => {
            let _ = public;
            None
        }
    }
}

/// PEM as the strictest reader takes it (RFC 7468, section 3): other programs break its lines elsewhere.
#[cfg(any(feature = "ecdsa", feature = "rsa"))]
fn strict(pem: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
    const END: &str = "-----END PUBLIC KEY-----";
    let body: String = pem.split(BEGIN).nth(1)?.split(END).next()?.split_ascii_whitespace().collect();
    let lines: Vec<&str> = body.as_bytes().chunks(64).filter_map(|line| core::str::from_utf8(line).ok()).collect();
    Some(alloc::format!("{BEGIN}\n{}\n{END}\n", lines.join("\n")))
}

impl Verifier {
    pub(crate) fn identity(&self) -> Vec<u8> {
        match *self {
            #[cfg(feature = "ecdsa")]
            Self::P256(ref key) => key.to_encoded_point(true).as_bytes().to_vec(),
            #[cfg(feature = "rsa")]
            Self::Rsa(ref key) => key.identity(),
        }
    }

    #[cfg_attr(not(any(feature = "ecdsa", feature = "rsa")), expect(unused_variables, reason = "there is no kind"))]
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match *self {
            #[cfg(feature = "ecdsa")]
            Self::P256(ref key) => {
                use p256::ecdsa::{Signature, signature::Verifier};
                Signature::from_der(signature).is_ok_and(|signature| key.verify(message, &signature).is_ok())
            }
            #[cfg(feature = "rsa")]
            Self::Rsa(ref key) => key.verify(message, signature),
        }
    }
}

#[cfg(feature = "rsa")]
mod rsa_keys {
    use alloc::vec::Vec;
    use rsa::pkcs8::DecodePublicKey;
    use rsa::sha2::{Digest as _, Sha256};
    use rsa::traits::PublicKeyParts;
    use rsa::{Pkcs1v15Sign, Pss, RsaPublicKey};

    /// Bits of a modulus, at least (section 4.2.2).
    const MIN_BITS: usize = 2048;

    pub(crate) struct Verifier {
        key: RsaPublicKey,
        scheme: Scheme,
    }

    enum Scheme {
        Pss,
        Pkcs1v15,
    }

    impl Verifier {
        pub(crate) fn new(scheme: &str, public: &str) -> Option<Self> {
            let scheme = match scheme {
                "rsassa-pss-sha256" => Scheme::Pss,
                "rsa-pkcs1v15-sha256" => Scheme::Pkcs1v15,
                _ => return None,
            };
            let key = RsaPublicKey::from_public_key_pem(&super::strict(public)?).ok()?;
            (key.n().bits() >= MIN_BITS).then_some(Self { key, scheme })
        }

        pub(crate) fn identity(&self) -> Vec<u8> {
            [self.key.n().to_bytes_be(), self.key.e().to_bytes_be()].concat()
        }

        pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
            let digest = Sha256::digest(message);
            match self.scheme {
                Scheme::Pkcs1v15 => self.key.verify(Pkcs1v15Sign::new::<Sha256>(), &digest, signature).is_ok(),
                // The salt is as long as the digest, or as long as there is room for: signers differ.
                Scheme::Pss => [Sha256::output_size(), self.key.size() - Sha256::output_size() - 2]
                    .into_iter()
                    .any(|salt| self.key.verify(Pss::new_with_salt::<Sha256>(salt), &digest, signature).is_ok()),
            }
        }
    }
}

#[cfg(all(test, feature = "ecdsa", feature = "rsa"))]
mod tests {
    use super::verifier;
    use alloc::format;
    use alloc::string::{String, ToString};
    use alloc::vec::Vec;

    #[test]
    fn it_does_not_matter_where_the_lines_of_pem_are_broken() {
        let root = include_bytes!("../../tests/data/python-tuf/1.root.json");
        let root: serde_json::Value = serde_json::from_slice(root).unwrap();
        let mut seen = 0;
        for key in root["signed"]["keys"].as_object().unwrap().values() {
            let text = |member: &str| key[member].as_str().unwrap();
            let public = key["keyval"]["public"].as_str().unwrap();
            let identity = |public: &str| Some(verifier(text("keytype"), text("scheme"), public)?.identity());
            let Some(expected) = identity(public) else { continue };
            seen += 1;
            let lines: Vec<&str> = public.trim().lines().collect();
            let (begin, end) = (lines[0], lines[lines.len() - 1]);
            let body: String = lines[1..lines.len() - 1].concat();
            let wide = format!("{}\n{}", &body[..76], &body[76..]);
            for body in [body.clone(), wide, body[..40].to_string() + "\r\n" + &body[40..]] {
                let pem = format!("\n{begin}\n{body}\n{end}\n\n");
                assert_eq!(identity(&pem), Some(expected.clone()), "{pem}");
            }
            assert_eq!(identity(&format!("{begin}\n{}\n{end}", &body[1..])), None);
            assert_eq!(identity(begin), None);
        }
        assert!(seen > 1, "{seen} keys");
    }
}

//! Exchanges by the RFC's and Kafka's own words, and what must not pass.

use std::sync::OnceLock;

use super::{Client, Mechanism, Server, nonce};
use crate::auth::credential::{Credential, MIN_ITERATIONS};
use crate::auth::{AuthError, MAX_STEP};

struct Vector {
    mechanism: Mechanism,
    user: &'static str,
    password: &'static str,
    salt: &'static [u8],
    nonces: (&'static str, &'static str),
    messages: [&'static str; 4],
}

/// The first is RFC 7677's, section 3; the others were made by Apache Kafka 4.3.1's own message classes.
const VECTORS: &[Vector] = &[
    Vector {
        mechanism: Mechanism::Sha256,
        user: "user",
        password: "pencil",
        salt: &[91, 109, 153, 104, 157, 18, 53, 142, 236, 160, 75, 20, 18, 54, 250, 129],
        nonces: ("rOprNGfwEbeRWgbNEkqO", "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"),
        messages: [
            "n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ],
    },
    Vector {
        mechanism: Mechanism::Sha256,
        user: "us,er=1",
        password: "p@ss,w=rd \u{e9}",
        salt: b"saltSALTsalt",
        nonces: ("clientNONCE", "serverNONCE"),
        messages: [
            "n,,n=us=2Cer=3D1,r=clientNONCE",
            "r=clientNONCEserverNONCE,s=c2FsdFNBTFRzYWx0,i=4096",
            "c=biws,r=clientNONCEserverNONCE,p=t4Dx1ArugmNRYhkWaDGNA94c8UVyEeYo/H2OogW7aM0=",
            "v=SNr2MKnmFZr56Kj0pKyRpFEKwyHDSIP6GJ9z4UiC6oE=",
        ],
    },
    Vector {
        mechanism: Mechanism::Sha512,
        user: "us,er=1",
        password: "p@ss,w=rd \u{e9}",
        salt: b"saltSALTsalt",
        nonces: ("clientNONCE", "serverNONCE"),
        messages: [
            "n,,n=us=2Cer=3D1,r=clientNONCE",
            "r=clientNONCEserverNONCE,s=c2FsdFNBTFRzYWx0,i=4096",
            "c=biws,r=clientNONCEserverNONCE,p=gDCLtxmoAg49QTTX/sbHeHZMo1lxkGmd837Pg1UzsxE7NJVKHD0sOn\
             /WIzO86xPPirdn4X9P8mzgUjiH6BZOsw==",
            "v=0LmNB5L+MAWn1JeoIa8wLbpJN44I6o0bxITcnqrh/CItl6OnsMdzKwiSbAnnUkhl5VP7BOsuOrYaizzlSL80pw==",
        ],
    },
];

/// What is kept of `secret`; made once, since it is work.
fn kept() -> Credential {
    static KEPT: OnceLock<Credential> = OnceLock::new();
    KEPT.get_or_init(|| {
        Credential::of_password(Mechanism::Sha256, b"secret", b"saltSALTsalt", MIN_ITERATIONS)
    })
    .clone()
}

/// A server that has sent its challenge to a client whose nonce is `abc`.
fn waiting() -> Server {
    let mut server = Server::new(Mechanism::Sha256);
    assert_eq!(server.first(b"n,,n=alice,r=abc").unwrap(), "alice");
    assert_eq!(server.challenge(kept(), "def").unwrap(), b"r=abcdef,s=c2FsdFNBTFRzYWx0,i=4096");
    server
}

/// A server that has sent its challenge, and the client's answer to it.
fn challenged(password: &str) -> (Server, Client, Vec<u8>) {
    let mut client = Client::new(Mechanism::Sha256, "alice", password, "abc".to_owned());
    let proof = client.next(b"r=abcdef,s=c2FsdFNBTFRzYWx0,i=4096").unwrap().unwrap();
    (waiting(), client, proof)
}

#[test]
fn both_sides_speak_word_for_word_as_written() {
    for vector in VECTORS {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let mut client =
            Client::new(vector.mechanism, vector.user, vector.password, vector.nonces.0.to_owned());
        let mut server = Server::new(vector.mechanism);
        let first = client.first();
        assert_eq!(server.first(&first).unwrap(), vector.user);
        let kept = Credential::of_password(vector.mechanism, vector.password.as_bytes(), vector.salt, 4096);
        let challenge = server.challenge(kept, vector.nonces.1).unwrap();
        let proof = client.next(&challenge).unwrap().unwrap();
        assert_eq!(server.user(), None);
        let last = server.last(&proof).unwrap();
        assert_eq!(server.user(), Some(vector.user));
        assert_eq!(client.next(&last), Ok(None));
        assert_eq!([text(first), text(challenge), text(proof), text(last)], vector.messages);
    }
}

#[test]
fn a_wrong_password_and_a_made_up_credential_fail_alike() {
    let (mut server, ..) = challenged("secret");
    let (_, _, wrong) = challenged("Secret");
    assert_eq!(server.last(&wrong), Err(AuthError::BadCredentials));
    assert_eq!(server.user(), None);

    let mut client = Client::new(Mechanism::Sha256, "nobody", "secret", "abc".to_owned());
    let mut server = Server::new(Mechanism::Sha256);
    server.first(&client.first()).unwrap();
    let none = Credential::made_up(Mechanism::Sha256, "nobody", b"node", None);
    let proof = client.next(&server.challenge(none, "def").unwrap()).unwrap().unwrap();
    assert_eq!(server.last(&proof), Err(AuthError::BadCredentials));
}

#[test]
fn steps_come_once_and_in_order() {
    let (mut server, mut client, proof) = challenged("secret");
    let last = server.last(&proof).unwrap();
    // A replay, on the same connection and on another.
    assert_eq!(server.last(&proof), Err(AuthError::WrongStep));
    assert_eq!(server.user(), None, "a replay takes away what was shown");
    let mut other = waiting();
    let answer = other.last(&[&b"c=biws,r=abcdeg"[..], &proof[14..]].concat());
    assert!(matches!(answer, Err(AuthError::Malformed(_))), "{answer:?}");
    assert_eq!(other.last(&proof), Err(AuthError::WrongStep), "there is no second try");

    let mut server = Server::new(Mechanism::Sha256);
    assert_eq!(server.last(&proof), Err(AuthError::WrongStep));
    assert!(!server.is_new());
    assert_eq!(server.first(b"n,,n=a,r=b").unwrap_err(), AuthError::WrongStep);
    let mut server = Server::new(Mechanism::Sha256);
    assert!(server.challenge(kept(), "y").is_err());
    let mut server = Server::new(Mechanism::Sha256);
    server.first(b"n,,n=a,r=b").unwrap();
    assert_eq!(server.first(b"n,,n=a,r=b"), Err(AuthError::WrongStep));

    client.next(&last).unwrap();
    assert_eq!(client.next(&last), Err(AuthError::WrongStep));
}

#[test]
fn a_cut_or_twisted_step_is_refused() {
    let first = b"n,,n=alice,r=abc";
    for cut in 0..first.len() - 2 {
        assert!(Server::new(Mechanism::Sha256).first(&first[..cut]).is_err(), "{cut}");
    }
    for bad in [
        "p=tls-unique,,n=a,r=b",
        "x,,n=a,r=b",
        "n,,m=x,n=a,r=b",
        "n,,n=,r=b",
        "n,,n=a",
        "n,,n=a,r=",
        "n,,n=a=2D,r=b",
        "n,,n=a=,r=b",
        "n,,r=b,n=a",
        "n,,n=a,r=b c",
        "n,,n=a,r=b,what",
        "n,,n=a,r=b,tokenauth=true",
        "n,a=c,n=a,r=b",
        "n,c,n=a,r=b",
        "n,,n=a\0,r=b",
    ] {
        assert!(Server::new(Mechanism::Sha256).first(bad.as_bytes()).is_err(), "{bad}");
    }
    for good in ["y,,n=a,r=b", "n,a=a=2Cb,n=a=2Cb,r=b,x=1,y=2", "n,,n=\u{e9},r=b"] {
        assert!(Server::new(Mechanism::Sha256).first(good.as_bytes()).is_ok(), "{good}");
    }
    let long = vec![b'a'; MAX_STEP + 1];
    assert_eq!(Server::new(Mechanism::Sha256).first(&long), Err(AuthError::TooLong(MAX_STEP + 1)));
    let proof = challenged("secret").2;
    for cut in 0..proof.len() {
        let mut server = waiting();
        assert!(server.last(&proof[..cut]).is_err(), "{cut}");
        assert_eq!(server.user(), None);
    }
    let (mut server, _, proof) = challenged("secret");
    let other_binding = [&b"c=eSws"[..], &proof[6..]].concat();
    assert!(matches!(server.last(&other_binding), Err(AuthError::Malformed(_))));
}

#[test]
fn a_client_believes_no_server_that_does_not_know_the_password() {
    let (_, mut client, _) = challenged("secret");
    assert_eq!(client.next(b"v=AAAA"), Err(AuthError::ServerUnproven));
    let (_, mut client, _) = challenged("secret");
    assert_eq!(client.next(b"e=unknown-user"), Err(AuthError::Refused("unknown-user".to_owned())));
    let new = || Client::new(Mechanism::Sha256, "alice", "secret", "abc".to_owned());
    let refused = |message: &str| new().next(message.as_bytes()).unwrap_err();
    assert_eq!(refused("r=abcd,s=c2E=,i=4095"), AuthError::Iterations(4_095));
    assert_eq!(refused("r=abcd,s=c2E=,i=2000000000"), AuthError::Iterations(2_000_000_000));
    for bad in [
        "r=abc,s=c2E=,i=4096",
        "r=xabc,s=c2E=,i=4096",
        "r=abcd,s=c2E,i=4096",
        "r=abcd,i=4096",
        "r=abcd,s=c2E=,i=-1",
        "",
    ] {
        assert!(matches!(refused(bad), AuthError::Malformed(_)), "{bad}");
    }
}

#[test]
fn nonces_may_stand_in_messages() {
    let text = nonce(&[0xff; 16]);
    assert_eq!(text.len(), 22);
    assert!(super::message::check_nonce(&text).is_ok());
}

/// librdkafka before 2.6 says its part of the nonce twice; the proof is over what it says.
#[test]
fn a_nonce_with_more_before_it_passes_and_no_other() {
    let mechanism = Mechanism::Sha256;
    for (said, passes) in
        [("cnonce1snonce2", true), ("cnonce1cnonce1snonce2", true), ("cnonce1", false), ("snonce2x", false)]
    {
        let mut server = Server::new(mechanism);
        server.first(b"n,,n=user,r=cnonce1").unwrap();
        let first = String::from_utf8(server.challenge(kept(), "snonce2").unwrap()).unwrap();
        let without_proof = format!("c=biws,r={said}");
        let transcript = format!("n=user,r=cnonce1,{first},{without_proof}");
        let salted = mechanism.salted_password(b"secret", b"saltSALTsalt", MIN_ITERATIONS);
        let client_key = mechanism.hmac(&salted, &[b"Client Key"]);
        let signed = mechanism.hmac(&kept().stored_key, &[transcript.as_bytes()]);
        let proof: Vec<u8> = client_key.iter().zip(&signed).map(|(key, sign)| key ^ sign).collect();
        let last = format!("{without_proof},p={}", super::message::base64(&proof));
        assert_eq!(server.last(last.as_bytes()).is_ok(), passes, "{said}");
    }
}

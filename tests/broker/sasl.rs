//! Authentication through its APIs: what passes, and that whatever does not leaves nothing behind.

use bytes::Bytes;
use klog::auth::plain;
use klog::auth::scram::{Client, Mechanism};
use klog::broker::Peer;
use klog::broker::api::{self, Outcome};
use klog::wire::error::ErrorCode;
use klog::wire::messages::metadata::MetadataRequest;
use klog::wire::messages::sasl_authenticate::{SaslAuthenticateRequest, SaslAuthenticateResponse};
use klog::wire::messages::sasl_handshake::{SaslHandshakeRequest, SaslHandshakeResponse};

use crate::access::{ENFORCED, alter_users, anonymous, call, outcome, upsertion};
use crate::rig::{Rig, joined, response};

/// A client on a listener that demands SASL.
fn stranger() -> Peer {
    let mut peer = anonymous();
    peer.security.sasl = true;
    peer
}

async fn rig() -> Rig {
    let rig = Rig::with(ENFORCED);
    alter_users(&rig, Vec::new(), vec![upsertion("alice", "secret"), upsertion("bob", "bob's")]).await;
    rig
}

async fn handshake(rig: &Rig, peer: &Peer, mechanism: &str, version: i16) -> SaslHandshakeResponse {
    call(rig, peer, &SaslHandshakeRequest { mechanism: mechanism.to_owned() }, version).await
}

/// A step, and whether the connection ends with its answer.
async fn step(rig: &Rig, peer: &Peer, message: &[u8]) -> (SaslAuthenticateResponse, bool) {
    let request = SaslAuthenticateRequest { auth_bytes: Bytes::copy_from_slice(message) };
    let answer = outcome(rig, peer, &request, 2).await;
    let last = matches!(answer, Outcome::Last(..));
    (response::<SaslAuthenticateRequest>(answer, 2).await, last)
}

fn client(user: &str, password: &str) -> Client {
    Client::new(Mechanism::Sha256, user, password, "abc".to_owned())
}

/// Goes all the way; answers the last step's error, and whether it ended the connection.
async fn log_in(rig: &Rig, peer: &Peer, user: &str, password: &str) -> (ErrorCode, bool) {
    assert_eq!(handshake(rig, peer, "SCRAM-SHA-256", 1).await.error_code, ErrorCode::NONE);
    let mut client = client(user, password);
    let (challenge, last) = step(rig, peer, &client.first()).await;
    assert_eq!((challenge.error_code, last), (ErrorCode::NONE, false));
    let proof = client.next(&challenge.auth_bytes).unwrap().unwrap();
    let (verdict, last) = step(rig, peer, &proof).await;
    if verdict.error_code == ErrorCode::NONE {
        assert_eq!(client.next(&verdict.auth_bytes), Ok(None));
    } else {
        assert!(verdict.auth_bytes.is_empty());
    }
    (verdict.error_code, last)
}

async fn is_let_in(rig: &Rig, peer: &Peer) -> bool {
    !matches!(outcome(rig, peer, &MetadataRequest::default(), 12).await, Outcome::Close(_))
}

#[tokio::test]
async fn users_get_in_by_every_mechanism() {
    let rig = rig().await;
    let peer = stranger();
    assert!(!is_let_in(&rig, &peer).await);
    assert_eq!(log_in(&rig, &peer, "alice", "secret").await, (ErrorCode::NONE, false));
    assert_eq!(peer.principal(), "User:alice");
    assert!(is_let_in(&rig, &peer).await);

    let peer = stranger();
    let offered = handshake(&rig, &peer, "PLAIN", 1).await.mechanisms;
    assert_eq!(offered, ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]);
    let (answer, last) = step(&rig, &peer, &plain::client_message("bob", "bob's").unwrap()).await;
    assert_eq!((answer.error_code, last, answer.session_lifetime_ms), (ErrorCode::NONE, false, 0));
    assert_eq!(peer.principal(), "User:bob");
    // It is over: a step more is refused, and changes nothing.
    let (again, last) = step(&rig, &peer, &plain::client_message("alice", "secret").unwrap()).await;
    assert_eq!((again.error_code, last), (ErrorCode::ILLEGAL_SASL_STATE, false));
    assert_eq!(peer.principal(), "User:bob");
}

#[tokio::test]
async fn a_wrong_password_and_a_user_that_there_is_not_are_told_the_same() {
    let rig = rig().await;
    let mut said = Vec::new();
    for (user, password) in [("alice", "Secret"), ("nobody", "secret")] {
        let peer = stranger();
        let failed = log_in(&rig, &peer, user, password).await;
        assert_eq!(failed, (ErrorCode::SASL_AUTHENTICATION_FAILED, true));
        assert!(!is_let_in(&rig, &peer).await);
        assert_eq!(peer.principal(), "User:ANONYMOUS");
        let peer = stranger();
        handshake(&rig, &peer, "PLAIN", 1).await;
        let (answer, last) = step(&rig, &peer, &plain::client_message(user, password).unwrap()).await;
        assert!(last && !is_let_in(&rig, &peer).await);
        said.push((answer.error_code, answer.error_message));
        // The challenge looks like those of users.
        let peer = stranger();
        handshake(&rig, &peer, "SCRAM-SHA-256", 1).await;
        let (challenge, _) = step(&rig, &peer, &client(user, password).first()).await;
        let text = String::from_utf8(challenge.auth_bytes.to_vec()).unwrap();
        assert!(text.ends_with(",i=4096"), "{text}");
        assert_eq!(text.split(",s=").nth(1).unwrap().len(), "c29tZSBzYWx0,i=4096".len());
    }
    assert_eq!(said[0], said[1]);
}

#[tokio::test]
async fn a_replayed_or_reordered_step_ends_the_exchange() {
    let rig = rig().await;
    // A proof that was good once, on a new connection.
    let first = stranger();
    handshake(&rig, &first, "SCRAM-SHA-256", 1).await;
    let mut alice = client("alice", "secret");
    let (challenge, _) = step(&rig, &first, &alice.first()).await;
    let proof = alice.next(&challenge.auth_bytes).unwrap().unwrap();
    let second = stranger();
    handshake(&rig, &second, "SCRAM-SHA-256", 1).await;
    step(&rig, &second, &alice.first()).await;
    let (replayed, last) = step(&rig, &second, &proof).await;
    assert_eq!((replayed.error_code, last), (ErrorCode::SASL_AUTHENTICATION_FAILED, true));
    let (more, last) = step(&rig, &second, &proof).await;
    assert_eq!((more.error_code, last), (ErrorCode::ILLEGAL_SASL_STATE, true));
    assert!(!is_let_in(&rig, &second).await);
    // The first message twice.
    let (twice, last) = step(&rig, &first, &alice.first()).await;
    assert_eq!((twice.error_code, last), (ErrorCode::SASL_AUTHENTICATION_FAILED, true));
    let (late, _) = step(&rig, &first, &proof).await;
    assert_eq!(late.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    assert!(!is_let_in(&rig, &first).await);
    // A step before the handshake; a handshake in the middle; a mechanism that there is not; too long a step.
    let peer = stranger();
    assert_eq!(step(&rig, &peer, &alice.first()).await.0.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    handshake(&rig, &peer, "SCRAM-SHA-256", 1).await;
    assert_eq!(handshake(&rig, &peer, "PLAIN", 1).await.error_code, ErrorCode::ILLEGAL_SASL_STATE);
    let answer = handshake(&rig, &peer, "GSSAPI", 1).await;
    assert_eq!((answer.error_code, answer.mechanisms.len()), (ErrorCode::UNSUPPORTED_SASL_MECHANISM, 3));
    for mechanism in ["PLAIN", "SCRAM-SHA-512"] {
        let peer = stranger();
        handshake(&rig, &peer, mechanism, 1).await;
        let (long, last) = step(&rig, &peer, &vec![b'a'; 20_000]).await;
        assert_eq!((long.error_code, last), (ErrorCode::SASL_AUTHENTICATION_FAILED, true));
    }
}

#[tokio::test]
async fn messages_without_a_head_follow_the_first_version_of_the_handshake() {
    let rig = rig().await;
    let peer = stranger();
    assert_eq!(handshake(&rig, &peer, "SCRAM-SHA-256", 0).await.error_code, ErrorCode::NONE);
    assert!(peer.speaks_raw());
    let raw = |message: Vec<u8>| api::call_raw(&rig.broker, &peer, message.into());
    let mut alice = client("alice", "secret");
    let Outcome::Reply(challenge) = raw(alice.first()).await else { panic!("no challenge") };
    let proof = alice.next(&joined(&challenge)).unwrap().unwrap();
    let Outcome::Reply(last) = raw(proof).await else { panic!("refused") };
    assert_eq!(alice.next(&joined(&last)), Ok(None));
    assert!(!peer.speaks_raw() && is_let_in(&rig, &peer).await);

    let peer = stranger();
    handshake(&rig, &peer, "PLAIN", 0).await;
    let wrong = Bytes::from_static(b"\0alice\0wrong");
    assert!(matches!(api::call_raw(&rig.broker, &peer, wrong).await, Outcome::Close(_)));
    assert!(!peer.speaks_raw() && !is_let_in(&rig, &peer).await);
}

#[tokio::test]
async fn a_session_ends_and_is_renewed_by_the_same_user_alone() {
    let settings = [ENFORCED, &[("connections.max.reauth.ms", "60000")]].concat();
    let rig = Rig::with(&settings);
    alter_users(&rig, Vec::new(), vec![upsertion("alice", "secret"), upsertion("bob", "bob's")]).await;
    let peer = stranger();
    handshake(&rig, &peer, "PLAIN", 1).await;
    let (answer, _) = step(&rig, &peer, &plain::client_message("alice", "secret").unwrap()).await;
    assert_eq!(answer.session_lifetime_ms, 60_000);
    rig.clock.advance(std::time::Duration::from_millis(60_001));
    assert!(!is_let_in(&rig, &peer).await);
    assert_eq!(log_in(&rig, &peer, "alice", "secret").await, (ErrorCode::NONE, false));
    assert!(is_let_in(&rig, &peer).await);
    assert_eq!(log_in(&rig, &peer, "bob", "bob's").await, (ErrorCode::SASL_AUTHENTICATION_FAILED, true));
    assert_eq!(peer.principal(), "User:alice");
}

#[tokio::test]
async fn more_logins_at_once_than_can_be_judged_are_turned_away_and_may_come_again() {
    let rig = rig().await;
    let auth_bytes = Bytes::from(plain::client_message("bob", "bob's").unwrap());
    let request = SaslAuthenticateRequest { auth_bytes };
    let mut peers = Vec::new();
    for _ in 0..210 {
        let peer = stranger();
        handshake(&rig, &peer, "PLAIN", 1).await;
        peers.push(peer);
    }
    let (mut waiting, mut turned_away) = (Vec::new(), 0);
    for peer in &peers {
        let mut login = Box::pin(outcome(&rig, peer, &request, 2));
        // Looked at once, so that it has its place; those without one are told so after the pause for failures.
        match tokio::time::timeout(std::time::Duration::ZERO, &mut login).await {
            Ok(Outcome::Close(_)) => turned_away += 1,
            Ok(other) => assert!(matches!(other, Outcome::Reply(_))),
            Err(_) => waiting.push(login),
        }
    }
    // Those that were turned away are told so after a pause; the others wait for ever for turns that nobody gives back.
    for login in waiting.iter_mut().rev().take(8) {
        let told = tokio::time::timeout(std::time::Duration::from_millis(100), login).await;
        turned_away += usize::from(matches!(told, Ok(Outcome::Close(_))));
    }
    drop(waiting);
    assert!(turned_away > 0, "two hundred may wait, and no more");
    let peer = stranger();
    handshake(&rig, &peer, "PLAIN", 1).await;
    let (answer, last) = step(&rig, &peer, &request.auth_bytes).await;
    assert_eq!((answer.error_code, last), (ErrorCode::NONE, false), "the places are free again");
}

//! What the log says of clients that are refused: who, what for and from where, and never a password.

use std::io::Write;
use std::sync::{Arc, Mutex};

use klog::auth::acl::{CLUSTER, Operation, ResourceType};
use klog::auth::plain;
use klog::broker::Peer;
use klog::wire::error::ErrorCode;
use klog::wire::messages::metadata::MetadataRequest;
use klog::wire::messages::sasl_authenticate::SaslAuthenticateRequest;
use klog::wire::messages::sasl_handshake::SaslHandshakeRequest;

use crate::access::{ENFORCED, alter_users, anonymous, call, outcome, upsertion};
use crate::rig::Rig;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// What is logged on this thread at INFO, until the guard goes.
    fn begin() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let own = lines.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).with_writer(move || own.clone()).finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn taken(&self) -> Vec<String> {
        let bytes = std::mem::take(&mut *self.0.lock().unwrap());
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    }
}

fn alice() -> Peer {
    anonymous().known_as("User:alice".to_owned())
}

#[tokio::test]
async fn a_refused_request_is_one_line_with_who_what_and_where() {
    let rig = Rig::with(ENFORCED);
    let (lines, _guard) = Lines::begin();
    let peer = alice();
    // It says its client id; listing what one may see refuses nothing.
    let all = MetadataRequest { topics: None, ..Default::default() };
    call(&rig, &peer, &all, 12).await;
    assert_eq!(lines.taken(), Vec::<String>::new());
    for _ in 0..3 {
        assert!(rig.broker.may(&peer, Operation::Write, ResourceType::Topic, "t").is_err());
    }
    assert!(!rig.broker.would_let(&peer, Operation::Alter, ResourceType::Cluster, CLUSTER));
    let told = lines.taken();
    let [line] = told.as_slice() else { panic!("{told:?}") };
    for part in [
        " INFO ",
        "refused",
        "principal=\"User:alice\"",
        "operation=\"Write\"",
        "resource=\"Topic\"",
        "name=\"t\"",
        "client=/127.0.0.1",
        "client_id=\"test\"",
        "rule=\"none allows\"",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(rig.broker.may(&peer, Operation::Read, ResourceType::Topic, &"é".repeat(400)).is_err());
    assert!(lines.taken()[0].len() < 700);
}

#[tokio::test]
async fn a_failed_login_is_told_with_the_name_and_without_the_password() {
    let rig = Rig::with(ENFORCED);
    alter_users(&rig, Vec::new(), vec![upsertion("alice", "secret")]).await;
    let (lines, _guard) = Lines::begin();
    for (mechanism, name) in [("PLAIN", "alice"), ("PLAIN", "nobody"), ("SCRAM-SHA-256", "alice")] {
        let mut peer = anonymous();
        peer.security.sasl = true;
        call(&rig, &peer, &SaslHandshakeRequest { mechanism: mechanism.to_owned() }, 1).await;
        let step = async |message: Vec<u8>| {
            call(&rig, &peer, &SaslAuthenticateRequest { auth_bytes: message.into() }, 2).await
        };
        let answer = if mechanism == "PLAIN" {
            step(plain::client_message(name, "hunter2").unwrap()).await
        } else {
            use klog::auth::scram::{Client, Mechanism};
            let mut client = Client::new(Mechanism::Sha256, name, "hunter2", "abc".to_owned());
            let challenge = step(client.first()).await;
            step(client.next(&challenge.auth_bytes).unwrap().unwrap()).await
        };
        assert_eq!(answer.error_code, ErrorCode::SASL_AUTHENTICATION_FAILED);
        let told = lines.taken();
        let [line] = told.as_slice() else { panic!("{told:?}") };
        assert!(line.contains(&format!("user=\"{name}\"")), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
    }
    // A message that is none names nobody.
    let mut peer = anonymous();
    peer.security.sasl = true;
    call(&rig, &peer, &SaslHandshakeRequest { mechanism: "PLAIN".to_owned() }, 1).await;
    let request = SaslAuthenticateRequest { auth_bytes: b"hunter2".as_slice().into() };
    outcome(&rig, &peer, &request, 2).await;
    let told = lines.taken();
    assert!(told.len() == 1 && !told[0].contains("user=") && !told[0].contains("hunter2"), "{told:?}");
}

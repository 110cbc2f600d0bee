//! What peers say before they are known: SCRAM and PLAIN from both ends, certificates and keys as text, and access rules.
//! Nobody gets in without the password, however the messages are bent, and rules say what a plain reading of them says.
//!
//! The first byte chooses; texts follow, parted by the byte 0xff.

use klog::auth::acl::{Operation, PatternType, Permission, ResourceType};
use klog::auth::credential::Credential;
use klog::auth::rules::{Caller, EVERYONE, Filter, PatternFilter, Rule, Rules, Verdict};
use klog::auth::scram::{Client, Mechanism, Server};
use klog::auth::{MAX_STEP, certificate, plain};
use klog::net::tls::{ClientAuth, Identity, Pem, ServerTls, ServerTlsOptions, Spoken};

const SALT: &[u8] = b"salt and pepper";
const ITERATIONS: i32 = 4096;

pub(crate) fn run(data: &[u8]) {
    let Some((choice, data)) = data.split_first() else { return };
    match choice % 6 {
        0 => server(data, *choice),
        1 => client(data, *choice),
        2 => plainly(data),
        3 => {
            if let Ok(subject) = certificate::subject(data) {
                assert!(subject.len() <= 16 * data.len() + 16, "a subject of {} letters", subject.len());
            }
        }
        4 => pem(data),
        _ => rules(data),
    }
}

fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut parts = data.splitn(N, |&byte| byte == 0xff);
    [(); N].map(|()| parts.next().unwrap_or_default())
}

fn mechanism(choice: u8) -> Mechanism {
    if choice & 64 == 0 { Mechanism::Sha256 } else { Mechanism::Sha512 }
}

/// A server whose user has a password that no message here knows.
fn server(data: &[u8], choice: u8) {
    let [first, last, extra] = parts(data);
    let mechanism = mechanism(choice);
    let mut server = Server::new(mechanism);
    let Ok(user) = server.first(first).map(str::to_owned) else { return refuses(&mut server) };
    assert!(first.len() <= MAX_STEP && user.len() <= first.len());
    // Keys of random bytes: nothing salted leads to them.
    let credential = Credential::made_up(mechanism, &user, b"of this node", None);
    let challenge = server.challenge(credential, "a nonce of the server's").expect("a name was taken");
    assert!(std::str::from_utf8(&challenge).is_ok_and(|text| text.starts_with("r=")));
    let proof = server.last(last);
    assert!(proof.is_err() && server.user().is_none(), "{user:?} came in without a password");
    let _ = server.last(extra);
    refuses(&mut server);
}

/// An exchange that is over stays over.
fn refuses(server: &mut Server) {
    assert!(server.first(b"n,,n=a,r=b").is_err() && server.last(b"c=biws,r=b,p=eA==").is_err());
    assert!(server.user().is_none());
}

/// A client believes no server that does not know the password; its own messages are taken by a server that does.
fn client(data: &[u8], choice: u8) {
    let [name, first, last] = parts(data);
    let mechanism = mechanism(choice);
    let (name, password) = (String::from_utf8_lossy(name), "a password");
    let mut client = Client::new(mechanism, &name, password, "clients".to_owned());
    let rounds = String::from_utf8_lossy(first);
    // A million rounds are allowed and take their time: not here.
    if !rounds.contains("i=") || rounds.contains(&format!("i={ITERATIONS}")) {
        match client.next(first) {
            Ok(None) => panic!("the client believed the server at its first message"),
            Ok(Some(_)) => assert!(client.next(last).is_err(), "the client believed the server"),
            Err(_) => {}
        }
        assert!(client.next(b"v=").is_err());
    }
    if choice & 128 != 0 && !name.is_empty() && !name.contains('\0') && name.len() < 1000 {
        exchange(mechanism, &name, password);
    }
}

fn exchange(mechanism: Mechanism, name: &str, password: &str) {
    let mut client = Client::new(mechanism, name, password, "clients".to_owned());
    let mut server = Server::new(mechanism);
    let said = server.first(&client.first()).expect("a client's own message is taken").to_owned();
    assert_eq!(said, name, "the name is another on the other side");
    let credential = Credential::of_password(mechanism, password.as_bytes(), SALT, ITERATIONS);
    let challenge = server.challenge(credential, "servers").expect("a name was taken");
    let proof = client.next(&challenge).expect("a challenge is answered").expect("a proof");
    let verdict = server.last(&proof).expect("the password is right");
    assert_eq!(client.next(&verdict), Ok(None));
    assert_eq!(server.user(), Some(name));
}

fn plainly(data: &[u8]) {
    if let Ok(login) = plain::parse(data) {
        let again = plain::client_message(&login.username, &login.password).expect("what was read is said");
        assert_eq!(plain::parse(&again), Ok(login));
    }
    let [name, password] = parts(data);
    let (name, password) = (String::from_utf8_lossy(name), String::from_utf8_lossy(password));
    if let Ok(message) = plain::client_message(&name, &password) {
        let login = plain::parse(&message).expect("what is said is read");
        assert_eq!((login.username, login.password), (name.into_owned(), password.into_owned()));
    }
}

fn pem(data: &[u8]) {
    let text = String::from_utf8_lossy(data).into_owned();
    let pem = |name| Pem::Text(name, text.clone());
    let identity = Identity { chain: pem("ssl.keystore.certificate.chain"), key: pem("ssl.keystore.key") };
    let (trust, client_auth) = (Some(pem("ssl.truststore.certificates")), ClientAuth::Requested);
    let options = ServerTlsOptions { identity, trust, client_auth, spoken: Spoken::default() };
    if let Err(error) = ServerTls::load(options) {
        assert!(!error.to_string().is_empty());
    }
}

/// Names that meet, and some that nearly do.
const NAMES: [&str; 8] = ["*", "a", "ab", "abc", "b", "", "\u{e9}", "\u{e9}a"];
const PRINCIPALS: [&str; 4] = [EVERYONE, "User:a", "User:b", "User:"];
const HOSTS: [&str; 5] = ["*", "127.0.0.1", "::1", "::ffff:127.0.0.1", "host"];

fn rule(bytes: &[u8; 4]) -> Rule {
    let of = |byte: u8, len: usize| usize::from(byte) % len;
    let [one, two, three, four] = *bytes;
    Rule {
        resource: ResourceType::ALL[of(one & 15, 2)],
        pattern: if one & 16 == 0 { PatternType::Literal } else { PatternType::Prefixed },
        name: NAMES[of(two, NAMES.len())].to_owned(),
        principal: PRINCIPALS[of(three, PRINCIPALS.len())].to_owned(),
        host: HOSTS[of(three >> 4, HOSTS.len())].to_owned(),
        operation: Operation::ALL[of(four, Operation::ALL.len())],
        permission: if one & 32 == 0 { Permission::Allow } else { Permission::Deny },
    }
}

/// Rules are added and taken away; what is left says what it says when it is read one rule after the other.
fn rules(data: &[u8]) {
    let mut rules = Rules::default();
    let (drawn, rest) = data.as_chunks::<4>();
    for (number, bytes) in drawn.iter().take(64).enumerate() {
        let id = [number as u8 % 16; 16];
        if bytes[0] & 192 == 192 {
            let gone = rules.remove(&id);
            assert!(gone.is_none() || rules.all().all(|(other, _)| *other != id));
        } else {
            let rule = rule(bytes);
            rules.add(id, rule.clone());
            assert!(rules.holds(&rule));
        }
    }
    let left: Vec<Rule> = rules.all().map(|(_, rule)| rule.clone()).collect();
    let operation = Operation::ALL[rest.first().map_or(3, |&byte| usize::from(byte) % Operation::ALL.len())];
    for name in NAMES {
        for (principal, host) in [("User:a", "127.0.0.1"), ("User:b", "::1"), ("User:", "host")] {
            let caller = Caller { principal, host };
            for resource in [ResourceType::ALL[0], ResourceType::ALL[1]] {
                let found = rules.verdict(caller, operation, resource, name);
                assert_eq!(
                    found,
                    read_plainly(&left, caller, operation, resource, name),
                    "{name:?} {left:?}"
                );
                if found == Verdict::Allowed && name != "*" {
                    assert!(rules.allows_some(caller, operation, resource), "{name:?} {left:?}");
                }
            }
        }
    }
    let filter = Filter {
        resource: None,
        pattern: PatternFilter::Match,
        name: Some("ab".to_owned()),
        principal: None,
        host: None,
        operation: None,
        permission: None,
    };
    for rule in &left {
        let covers = match rule.pattern {
            PatternType::Literal => rule.name == "ab" || rule.name == "*",
            PatternType::Prefixed => "ab".starts_with(&rule.name),
        };
        assert_eq!(filter.takes(rule), covers);
    }
}

fn read_plainly(
    rules: &[Rule],
    caller: Caller<'_>,
    operation: Operation,
    resource: ResourceType,
    name: &str,
) -> Verdict {
    let about = rules.iter().filter(|rule| rule.resource == resource).filter(|rule| match rule.pattern {
        PatternType::Literal => rule.name == name || rule.name == "*",
        PatternType::Prefixed => name.starts_with(&rule.name),
    });
    let about: Vec<&Rule> = about.collect();
    let host = |rule: &Rule| match rule.host.as_str() {
        "*" => true,
        "::ffff:127.0.0.1" => caller.host == "127.0.0.1",
        host => host == caller.host,
    };
    let whom = |rule: &Rule| rule.principal == EVERYONE || rule.principal == caller.principal;
    let implied = |rule: &Rule| match operation {
        Operation::Describe => {
            let by = [Operation::Read, Operation::Write, Operation::Delete, Operation::Alter];
            rule.permission == Permission::Allow && by.contains(&rule.operation)
        }
        Operation::DescribeConfigs => {
            rule.permission == Permission::Allow && rule.operation == Operation::AlterConfigs
        }
        _ => false,
    };
    let says = |rule: &Rule| [operation, Operation::All].contains(&rule.operation) || implied(rule);
    let speaking = |permission| {
        about.iter().any(|rule| rule.permission == permission && says(rule) && whom(rule) && host(rule))
    };
    match (about.is_empty(), speaking(Permission::Deny), speaking(Permission::Allow)) {
        (true, ..) => Verdict::NoRule,
        (_, false, true) => Verdict::Allowed,
        _ => Verdict::Denied,
    }
}

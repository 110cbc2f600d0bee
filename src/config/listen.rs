//! Where the daemon listens: `--listen` and Kafka's `listeners` family as plain values; never binds anything.

use std::fmt;

use crate::net::Address;

/// One listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// Its name, `PLAINTEXT` where none was given.
    pub name: String,
    /// Where to bind; port 0 takes a free one.
    pub address: Address,
    /// Host and port that clients are told, where it is not the bound one.
    pub advertised: Option<(String, u16)>,
    /// Connections are encrypted.
    pub tls: bool,
    /// Clients have to authenticate by SASL.
    pub sasl: bool,
}

/// Why a listener is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListenError {
    /// The address can't be read.
    Address {
        /// The whole listener as written.
        text: String,
        /// What is wrong.
        reason: String,
    },
    /// A protocol that there is not.
    Protocol {
        /// The whole listener as written.
        text: String,
        /// The protocol asked for.
        protocol: String,
    },
    /// TLS or SASL on a Unix socket.
    Unix {
        /// The whole listener as written.
        text: String,
    },
    /// A word after the address that nobody knows.
    Word {
        /// The whole listener as written.
        text: String,
        /// The word.
        word: String,
    },
    /// A listener of a name that no protocol belongs to.
    Name {
        /// The name.
        name: String,
    },
    /// Two listeners of one name.
    Twice {
        /// The name.
        name: String,
    },
    /// An advertised listener that does not exist.
    Advertised {
        /// The name.
        name: String,
    },
}

impl fmt::Display for ListenError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address { text, reason } => write!(out, "listener {text:?}: {reason}"),
            Self::Protocol { text, protocol } => {
                write!(
                    out,
                    "listener {text:?} asks for {protocol}; there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
                )
            }
            Self::Unix { text } => write!(
                out,
                "listener {text:?}: a Unix socket has neither tls nor sasl; its file's permissions say who may come in"
            ),
            Self::Word { text, word } => {
                write!(
                    out,
                    "listener {text:?}: there is no {word:?}; after the address go tls, sasl and advertise=HOST:PORT"
                )
            }
            Self::Name { name } => write!(
                out,
                "listener.security.protocol.map has no protocol for the listener {name}; there are PLAINTEXT, SSL, SASL_PLAINTEXT and SASL_SSL"
            ),
            Self::Twice { name } => write!(out, "two listeners are named {name}"),
            Self::Advertised { name } => {
                write!(out, "advertised.listeners names {name}, which is not among the listeners")
            }
        }
    }
}

impl std::error::Error for ListenError {}

/// Kafka's settings that say where to listen, as given.
#[derive(Debug, Clone, Copy, Default)]
pub struct KafkaListeners<'a> {
    /// `listeners`
    pub listeners: Option<&'a str>,
    /// `advertised.listeners`
    pub advertised: Option<&'a str>,
    /// `listener.security.protocol.map`
    pub protocols: Option<&'a str>,
    /// `controller.listener.names`: those are left out, klog has no controllers to talk to.
    pub controllers: Option<&'a str>,
}

/// Reads `--http ADDR`: `HOST:PORT`, or a port alone, which is one of this machine's own address.
pub fn parse_http(text: &str) -> Result<Listen, ListenError> {
    let bad = |reason: String| ListenError::Address { text: text.to_owned(), reason };
    let port = text.strip_prefix(':').unwrap_or(text);
    let alone = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let whole = if alone { format!("127.0.0.1:{port}") } else { bare_host(text) };
    match whole.parse::<Address>() {
        Ok(Address::Unix(_)) => {
            Err(bad("metrics have a socket in the data folder; give HOST:PORT".to_owned()))
        }
        Ok(address) => {
            Ok(Listen { name: "HTTP".to_owned(), address, advertised: None, tls: false, sasl: false })
        }
        Err(error) => Err(bad(error.to_string())),
    }
}

/// Reads one `--listen [NAME=]ADDR[,tls][,sasl][,advertise=HOST:PORT]`. An unnamed one is called after its protocol;
/// `index` numbers those after the first.
pub fn parse_listen(text: &str, index: usize) -> Result<Listen, ListenError> {
    let bad = |reason: String| ListenError::Address { text: text.to_owned(), reason };
    let mut words = text.split(',');
    let first = words.next().unwrap_or_default();
    let (name, address) = match first.split_once('=') {
        Some((name, address)) => (Some(name.to_owned()), address),
        None => (None, first),
    };
    let address = bare_host(address).parse::<Address>().map_err(|error| bad(error.to_string()))?;
    let (mut advertised, mut tls, mut sasl) = (None, false, false);
    for word in words {
        match word.split_once('=') {
            Some(("advertise", value)) => match value.parse::<Address>() {
                Ok(Address::Tcp { host, port }) if port != 0 => advertised = Some((host, port)),
                _ => return Err(bad(format!("advertise={value} is not HOST:PORT"))),
            },
            None if word == "tls" => tls = true,
            None if word == "sasl" => sasl = true,
            _ => return Err(ListenError::Word { text: text.to_owned(), word: word.to_owned() }),
        }
    }
    if address.is_unix() && (tls || sasl) {
        return Err(ListenError::Unix { text: text.to_owned() });
    }
    let name = name.unwrap_or_else(|| match index {
        0 => protocol_name(tls, sasl).to_owned(),
        _ => format!("{}{index}", protocol_name(tls, sasl)),
    });
    Ok(Listen { name, address, advertised, tls, sasl })
}

/// Kafka's name of a security protocol.
fn protocol_name(tls: bool, sasl: bool) -> &'static str {
    match (tls, sasl) {
        (false, false) => "PLAINTEXT",
        (true, false) => "SSL",
        (false, true) => "SASL_PLAINTEXT",
        (true, true) => "SASL_SSL",
    }
}

/// `:9092` listens on this machine only: anything else is to be said.
fn bare_host(address: &str) -> String {
    if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() }
}

/// Reads Kafka's listener settings. An empty host is 127.0.0.1 here.
pub fn parse_kafka(settings: &KafkaListeners<'_>) -> Result<Vec<Listen>, ListenError> {
    let mut found: Vec<Listen> = Vec::new();
    let controllers: Vec<&str> = settings.controllers.unwrap_or_default().split(',').map(str::trim).collect();
    for text in items(settings.listeners) {
        let (name, address) = name_and_address(text)?;
        if controllers.contains(&name) {
            continue;
        }
        let protocol = protocol_of(name, settings.protocols)?;
        let (tls, sasl) = match protocol.as_str() {
            "PLAINTEXT" => (false, false),
            "SSL" => (true, false),
            "SASL_PLAINTEXT" => (false, true),
            "SASL_SSL" => (true, true),
            _ => return Err(ListenError::Protocol { text: text.to_owned(), protocol }),
        };
        if address.is_unix() && (tls || sasl) {
            return Err(ListenError::Unix { text: text.to_owned() });
        }
        if found.iter().any(|other| other.name == name) {
            return Err(ListenError::Twice { name: name.to_owned() });
        }
        found.push(Listen { name: name.to_owned(), address, advertised: None, tls, sasl });
    }
    for text in items(settings.advertised) {
        let (name, address) = name_and_address(text)?;
        if controllers.contains(&name) {
            continue;
        }
        let listen = found.iter_mut().find(|listen| listen.name == name);
        let listen = listen.ok_or_else(|| ListenError::Advertised { name: name.to_owned() })?;
        if let Address::Tcp { host, port } = address {
            listen.advertised = Some((host, port));
        }
    }
    Ok(found)
}

fn items(list: Option<&str>) -> impl Iterator<Item = &str> {
    list.unwrap_or_default().split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn name_and_address(text: &str) -> Result<(&str, Address), ListenError> {
    let bad = |reason: String| ListenError::Address { text: text.to_owned(), reason };
    let (name, address) = text.split_once("://").ok_or_else(|| bad("it is not NAME://HOST:PORT".into()))?;
    let address =
        bare_host(address).parse().map_err(|error: crate::net::AddressError| bad(error.to_string()))?;
    Ok((name.trim(), address))
}

/// The protocol of a listener: what the map says, else its name where that is a protocol.
fn protocol_of(name: &str, map: Option<&str>) -> Result<String, ListenError> {
    let mapped = items(map).filter_map(|item| item.split_once(':')).find(|(key, _)| key.trim() == name);
    match mapped {
        Some((_, protocol)) => Ok(protocol.trim().to_ascii_uppercase()),
        None if matches!(name, "PLAINTEXT" | "SSL" | "SASL_PLAINTEXT" | "SASL_SSL") => Ok(name.to_owned()),
        None => Err(ListenError::Name { name: name.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp(host: &str, port: u16) -> Address {
        Address::Tcp { host: host.into(), port }
    }

    #[test]
    fn the_flag_reads() {
        let plain = parse_listen("127.0.0.1:0", 0).unwrap();
        assert_eq!(
            plain,
            Listen {
                name: "PLAINTEXT".into(),
                address: tcp("127.0.0.1", 0),
                advertised: None,
                tls: false,
                sasl: false
            }
        );
        let full = parse_listen("OUT=0.0.0.0:9092,advertise=k.example:19092", 1).unwrap();
        assert_eq!(full.name, "OUT");
        assert_eq!(full.address, tcp("0.0.0.0", 9092));
        assert_eq!(full.advertised, Some(("k.example".into(), 19092)));
        assert_eq!(parse_listen(":9092", 0).unwrap().address, tcp("127.0.0.1", 9092));
        assert_eq!(parse_listen("unix:/x/y", 2).unwrap().name, "PLAINTEXT2");
        let safe = parse_listen(":9094,sasl,tls,advertise=k:1", 0).unwrap();
        assert_eq!((safe.name.as_str(), safe.tls, safe.sasl), ("SASL_SSL", true, true));
        assert_eq!(safe.advertised, Some(("k".into(), 1)));
        let named = parse_listen("OUT=:9094,tls", 1).unwrap();
        assert_eq!((named.name.as_str(), named.tls, named.sasl), ("OUT", true, false));
        assert_eq!(parse_listen(":9094,sasl", 1).unwrap().name, "SASL_PLAINTEXT1");
    }

    #[test]
    fn the_flag_refuses() {
        for (text, part) in [
            ("unix:/x,tls", "a Unix socket has neither tls nor sasl"),
            ("127.0.0.1:0,nonsense", "there is no \"nonsense\""),
            ("127.0.0.1:0,advertise=x", "advertise=x is not HOST:PORT"),
            ("localhost", "listener \"localhost\": "),
        ] {
            let error = parse_listen(text, 0).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn kafkas_own_settings_read() {
        let stock = KafkaListeners {
            listeners: Some("PLAINTEXT://:9092,CONTROLLER://:9093"),
            advertised: Some("PLAINTEXT://localhost:9092,CONTROLLER://localhost:9093"),
            protocols: Some("CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SSL:SSL"),
            controllers: Some("CONTROLLER"),
        };
        let found = parse_kafka(&stock).unwrap();
        assert_eq!(
            found,
            [Listen {
                name: "PLAINTEXT".into(),
                address: tcp("127.0.0.1", 9092),
                advertised: Some(("localhost".into(), 9092)),
                tls: false,
                sasl: false
            }]
        );
        let safe = KafkaListeners {
            listeners: Some("SSL://:1,OUT://:2,SASL_PLAINTEXT://:3"),
            protocols: Some("OUT:SASL_SSL"),
            ..KafkaListeners::default()
        };
        let kinds: Vec<_> = parse_kafka(&safe).unwrap().iter().map(|one| (one.tls, one.sasl)).collect();
        assert_eq!(kinds, [(true, false), (true, true), (false, true)]);
        assert_eq!(parse_kafka(&KafkaListeners::default()), Ok(Vec::new()));
    }

    #[test]
    fn kafkas_own_settings_refuse() {
        let listeners = |text| KafkaListeners { listeners: Some(text), ..KafkaListeners::default() };
        for (settings, part) in [
            (listeners("SSL://unix:/x"), "a Unix socket has neither"),
            (listeners("OUT://:9092"), "no protocol for the listener OUT"),
            (listeners("PLAINTEXT://a:1,PLAINTEXT://b:2"), "two listeners are named PLAINTEXT"),
            (listeners("localhost:9092"), "it is not NAME://HOST:PORT"),
            (KafkaListeners { protocols: Some("OUT:TLS"), ..listeners("OUT://:1") }, "asks for TLS"),
            (
                KafkaListeners { advertised: Some("OUT://x:1"), ..listeners("PLAINTEXT://:1") },
                "names OUT, which is not among",
            ),
        ] {
            let error = parse_kafka(&settings).unwrap_err().to_string();
            assert!(error.contains(part), "{settings:?}: {error}");
        }
    }
}

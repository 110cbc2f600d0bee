//! What people write: config files, addresses, settings, sizes, names and patterns. Read or refused in words, and what was
//! read is shown so that it is read again.
//!
//! The first byte chooses, the rest is text.

use std::path::Path;
use std::time::Duration;

use klog::broker::{settings, topic_settings};
use klog::cli::glob;
use klog::client::patterns::Patterns;
use klog::client::{ClientOptions, Compression};
use klog::config::listen::{KafkaListeners, parse_http, parse_kafka, parse_listen};
use klog::config::{file, properties};
use klog::model::id::{TopicId, TopicPartition};
use klog::model::name;
use klog::model::units::{parse_duration, parse_size, show_duration, show_size};
use klog::net::Address;
use klog::storage::folder::partition_name;
use klog::storage::scan::split_name;

pub(crate) fn run(data: &[u8]) {
    let Some((choice, text)) = data.split_first() else { return };
    let text = String::from_utf8_lossy(text);
    match choice % 8 {
        0 => files(&text, "klog.toml"),
        1 => files(&text, "server.properties"),
        2 => listeners(&text),
        3 => small(&text),
        4 => daemon(&text),
        5 => client(&text),
        6 => patterns(&text),
        _ => names(&text),
    }
}

fn files(text: &str, name: &str) {
    match file::parse(Path::new(name), text) {
        Ok(file) => {
            let lines = text.lines().count();
            let profiles = file.profiles.iter().flat_map(|profile| &profile.entries);
            for entry in file.broker.iter().chain(&file.flat).chain(profiles).chain(&file.profile) {
                assert!((1..=lines.max(1)).contains(&entry.line), "{entry:?} of {lines} lines");
            }
        }
        Err(error) => assert!(!error.to_string().is_empty() && error.next().len() < 100_000),
    }
    for entry in properties::parse(text) {
        assert!((1..=text.lines().count()).contains(&entry.line));
        assert!(entry.name.len() + entry.value.len() <= 2 * text.len());
    }
}

fn listeners(text: &str) {
    for index in 0..2 {
        if let Ok(listen) = parse_listen(text, index) {
            assert!(!(listen.address.is_unix() && (listen.tls || listen.sasl)));
        }
    }
    let _ = parse_http(text);
    let mut lines = text.split('\n');
    let mut next = || lines.next().filter(|line| !line.is_empty());
    let settings =
        KafkaListeners { listeners: next(), advertised: next(), protocols: next(), controllers: next() };
    if let Ok(found) = parse_kafka(&settings) {
        let mut names: Vec<_> = found.iter().map(|listen| &listen.name).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), found.len(), "two listeners of one name");
    }
    if let Ok(addresses) = Address::parse_list(text) {
        for address in addresses {
            assert_eq!(address.to_string().parse(), Ok(address));
        }
    }
}

fn small(text: &str) {
    if let Ok(duration) = parse_duration(text) {
        assert_eq!(parse_duration(&show_duration(duration)), Ok(duration), "{text}");
        assert!(duration <= Duration::from_millis(u64::MAX));
    }
    if let Ok(size) = parse_size(text) {
        let shown = show_size(size);
        assert!(shown.contains('.') || parse_size(&shown) == Ok(size), "{text} is shown as {shown}");
    }
    if let Ok(compression) = text.parse::<Compression>() {
        assert!(text.starts_with(compression.codec.name()));
    }
}

fn daemon(text: &str) {
    let pairs: Vec<(&str, &str)> = text.lines().filter_map(|line| line.split_once('=')).collect();
    if let Ok(parsed) = settings::Settings::parse(pairs.iter().copied()) {
        let _ = (parsed.node_id(), parsed.without_effect(), parsed.super_users().count());
    }
    let broker = settings::Settings::default();
    for (name, value) in pairs {
        // What is kept is what is kept of it.
        if let Ok((name, kept)) = topic_settings::check(name, value) {
            assert_eq!(topic_settings::check(name, &kept), Ok((name, kept.clone())), "{name}={value:?}");
            let given = [(name.to_owned(), kept)].into_iter().collect();
            if topic_settings::check_together(&given, &broker).is_ok() {
                let _ = topic_settings::TopicSettings::of(given, &broker);
            }
        }
        if let Ok((name, kept)) = settings::check_dynamic(name, value) {
            assert_eq!(settings::check_dynamic(name, &kept), Ok((name, kept.clone())), "{name}={value:?}");
        }
    }
}

fn client(text: &str) {
    let mut options = ClientOptions::new(Vec::new());
    for (name, value) in text.lines().filter_map(|line| line.split_once('=')) {
        if let Err(error) = options.set(name, value) {
            assert!(!error.to_string().is_empty());
        }
    }
    let _ = (options.check(), options.compression());
}

fn patterns(text: &str) {
    let (pattern, name) = text.split_once('\n').unwrap_or((text, "t"));
    // A plain word matches itself alone; a star matches all.
    let plain = !pattern.contains(['*', '?', '[', '\\']);
    assert!(!plain || glob::matches(pattern, name) == (pattern == name), "{pattern:?} and {name:?}");
    assert!(glob::matches("*", name));
    let _ = glob::matches(pattern, name);
    if pattern.len() < 200
        && let Ok(found) = Patterns::new(&[pattern.to_owned()])
    {
        let _ = found.matches(name);
    }
}

fn names(text: &str) {
    if name::check_topic(text).is_ok() {
        let partition = TopicPartition::new(text, 3);
        let shown = partition.to_string();
        assert_eq!(partition_name(&shown), Some(partition), "{shown}");
    }
    if let Some(partition) = partition_name(text) {
        assert_eq!(partition_name(&partition.to_string()), Some(partition));
    }
    if let Ok(id) = text.parse::<TopicId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    if let Some((base, extension)) = split_name(text) {
        assert!(base >= 0 && text.ends_with(extension), "{text}");
    }
}

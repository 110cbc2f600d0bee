//! kcat as it comes from its package, both ways, over TCP.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use klog::net::Address;

use crate::real::Real;

fn installed() -> bool {
    Command::new("kcat").arg("-V").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
}

/// Runs kcat against the server. None, with the reason printed, where it is not installed.
fn kcat(address: &Address, arguments: &[&str], input: &[u8]) -> Option<Output> {
    if !installed() {
        println!("skipped: kcat is not installed");
        return None;
    }
    let mut child = Command::new("timeout")
        .args(["60", "kcat", "-b", &address.to_string()])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let _ = stdin.write_all(input); // kcat -C and -L do not read it
        });
        child.wait_with_output().unwrap()
    });
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(output)
}

fn lines(range: std::ops::Range<u32>) -> Vec<u8> {
    range
        .flat_map(|n| format!("line {n} of a log that is piped through kcat and back\n").into_bytes())
        .collect()
}

#[test]
fn what_kcat_produces_it_consumes_again_after_a_restart_too() {
    let mut real = Real::start();
    let input = lines(0..50_000);
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let topic = format!("through-{codec}");
        let Some(_) = kcat(&real.tcp(), &["-P", "-t", &topic, "-z", codec], &input) else { return };
        let output = kcat(&real.tcp(), &["-C", "-q", "-e", "-t", &topic], b"").unwrap();
        assert!(output.stdout == input, "{codec}: {} bytes of {}", output.stdout.len(), input.len());
    }
    real.restart();
    let output = kcat(&real.tcp(), &["-C", "-q", "-e", "-t", "through-none", "-o", "49998"], b"").unwrap();
    assert_eq!(output.stdout, lines(49_998..50_000));
    let listed = kcat(&real.tcp(), &["-L"], b"").unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.contains(&format!("broker 1 at {}", real.tcp())), "{listed}");
    assert!(listed.contains("topic \"through-zstd\" with 1 partitions"), "{listed}");
    real.stop();
}

#[test]
fn kcat_reads_as_a_group() {
    let real = Real::start();
    let Some(_) = kcat(&real.tcp(), &["-P", "-t", "grouped"], &lines(0..1000)) else { return };
    let read = |count| {
        let earliest = "auto.offset.reset=earliest";
        kcat(&real.tcp(), &["-G", "readers", "-q", "-c", count, "-X", earliest, "grouped"], b"").unwrap()
    };
    let first = read("1000");
    assert_eq!(first.stdout, lines(0..1000));
    kcat(&real.tcp(), &["-P", "-t", "grouped"], &lines(1000..1001)).unwrap();
    let second = read("1");
    assert_eq!(second.stdout, lines(1000..1001));
}

//! Readers that ask for much and take nothing: what they may make the server hold, in plain text and over TLS.

use std::time::Duration;

use klog::net::tls::{ClientTls, ClientTlsOptions, Pem, Spoken};
use klog::net::{Address, Stream, dial};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::child::{FILE_BYTES, Server};
use crate::peer::{DEADLINE, frame};
use crate::stand_in::{FILE, VIRTUAL};

const READERS: usize = 50;
/// Answers of 256 MiB each that every reader asks for at once.
const ASKED: i32 = 10;
/// What one of them may cost, in KiB: a piece of a file in hand, TLS records of it, buffers of requests.
const MOST: usize = 512;

async fn connect(server: &Server, tls: bool) -> Stream {
    let stream = dial(&server.address, DEADLINE).await.unwrap();
    if !tls {
        return stream;
    }
    let Address::Tcp { host, .. } = &server.address else { panic!("TCP is dialled") };
    let trust = Some(Pem::File(server.folder.path().join("ca.pem")));
    let options = ClientTlsOptions { trust, identity: None, verify_name: true, spoken: Spoken::default() };
    ClientTls::load(&options).unwrap().connect(stream, host).await.unwrap()
}

/// What each reader costs in KiB while it takes nothing.
async fn cost(kind: &str, tls: bool) -> usize {
    let server = Server::start(kind);
    let mut readers = Vec::new();
    for _ in 0..READERS {
        readers.push(connect(&server, tls).await);
    }
    let at_rest = server.memory("VmRSS");
    let asked: Vec<u8> =
        (0..ASKED).flat_map(|n| frame(18, 0, n, &[if n % 2 == 0 { FILE } else { VIRTUAL }])).collect();
    for reader in &mut readers {
        reader.write_all(&asked).await.unwrap();
        reader.flush().await.unwrap();
    }
    // Each takes a little, so that the answers are surely under way, and then nothing more.
    for reader in &mut readers {
        assert!(u64::from(reader.read_u32().await.unwrap()) > FILE_BYTES);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let most = server.memory("VmHWM");
    let each = most.saturating_sub(at_rest) / READERS;
    println!("{kind}: at rest with {READERS} readers {at_rest} KiB, most {most} KiB, {each} KiB a reader");
    // Nobody else is held up by them.
    let mut other = connect(&server, tls).await;
    other.write_all(&frame(18, 0, 7, b"e")).await.unwrap();
    other.flush().await.unwrap();
    assert_eq!(other.read_u32().await.unwrap(), 5);
    each
}

#[test]
fn a_reader_that_takes_nothing_holds_little_memory() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for (kind, tls) in [("files_plain", false), ("files_over_tls", true)] {
            let each = tokio::time::timeout(DEADLINE * 2, cost(kind, tls)).await.expect("it takes too long");
            assert!(each < MOST, "{kind}: {each} KiB a reader");
        }
    });
}

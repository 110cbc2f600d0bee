//! Framings that other clients write and klog's own compressor does not, and compression as text.

use super::*;

#[test]
fn a_zstd_window_over_the_streams_limit_is_still_read() {
    let mut input = vec![7; 9 << 20];
    for (i, byte) in input.iter_mut().enumerate().step_by(911) {
        *byte = (i / 911) as u8;
    }
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    std::io::Write::write_all(&mut encoder, &input).unwrap();
    let compressed = encoder.finish().unwrap();
    let (mut inflate, mut out) = (Decompressor::new(), Vec::new());
    inflate.inflate(Codec::Zstd, &compressed, 10 << 20, &mut out).unwrap();
    assert_eq!(out, input);
    assert!(inflate.inflate(Codec::Zstd, &compressed, 1 << 20, &mut out).is_err());
    // And the context works on after both.
    inflate.inflate(Codec::Zstd, &zstd::encode_all(&b"next"[..], 3).unwrap(), 100, &mut out).unwrap();
    assert_eq!(out, b"next");
}

#[test]
fn snappy_is_read_bare_and_joined() {
    let mut out = Vec::new();
    let bare = snap::raw::Encoder::new().compress_vec(b"bare block").unwrap();
    Decompressor::new().inflate(Codec::Snappy, &bare, 100, &mut out).unwrap();
    assert_eq!(out, b"bare block");

    let mut framed = Vec::new();
    Compressor::new().compress(Codec::Snappy.into(), b"one,", &mut framed).unwrap();
    Compressor::new().compress(Codec::Snappy.into(), b"two", &mut framed).unwrap();
    Decompressor::new().inflate(Codec::Snappy, &framed, 100, &mut out).unwrap();
    assert_eq!(out, b"one,two");
    // An announced length that the input can not hold is refused before memory is asked for.
    let liar = [0xff, 0xff, 0xff, 0xff, 0x0f, 0x00];
    let result = Decompressor::new().inflate(Codec::Snappy, &liar, usize::MAX, &mut out);
    assert_eq!(result, Err(RecordError::BadCompression { codec: "snappy" }));
}

#[test]
fn compression_as_text() {
    assert_eq!("none".parse(), Ok(Compression::NONE));
    assert_eq!("lz4".parse(), Ok(Compression::from(Codec::Lz4)));
    assert_eq!("zstd:19".parse(), Ok(Compression { codec: Codec::Zstd, level: Some(19) }));
    for bad in ["", "zip", "zstd:", "zstd:23", "gzip:0", "none:1", "snappy:1"] {
        assert!(bad.parse::<Compression>().is_err(), "{bad}");
    }
}

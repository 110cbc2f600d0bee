//! What surrounds a message: the length prefix, and the headers of requests and responses; never a body.

use bytes::Bytes;
use thiserror::Error;

use super::api::ApiKey;
use super::limits::LENGTH_PREFIX;
use super::{Message, Request};
use crate::codec::{DecodeError, EncodeError, Reader, Version, Writer};

/// A length prefix that no frame may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Less than nothing.
    #[error("a frame of {length} bytes was announced")]
    Negative {
        /// The length announced.
        length: i32,
    },
    /// More than is accepted.
    #[error("a frame of {length} bytes was announced, {limit} allowed")]
    TooLarge {
        /// The length announced, in bytes.
        length: usize,
        /// The most accepted, in bytes (of a broker: `socket.request.max.bytes`).
        limit: usize,
    },
}

/// The length of the frame that follows `prefix`, in bytes; at most `limit`.
pub fn frame_length(prefix: [u8; LENGTH_PREFIX], limit: usize) -> Result<usize, FrameError> {
    let announced = i32::from_be_bytes(prefix);
    match usize::try_from(announced) {
        Err(_) => Err(FrameError::Negative { length: announced }),
        Ok(length) if length > limit => Err(FrameError::TooLarge { length, limit }),
        Ok(length) => Ok(length),
    }
}

/// What comes before a request's body: header version 1, or 2 when the request is flexible.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestHeader {
    /// Key of the API asked for; may be none that is known.
    pub api_key: i16,
    /// Version of the request; may be none that is known.
    pub api_version: i16,
    /// What the answer is to be marked with.
    pub correlation_id: i32,
    /// What the client calls itself.
    pub client_id: Option<String>,
}

impl RequestHeader {
    /// A header for a request of `key` in `version`.
    pub fn new(key: ApiKey, version: i16, correlation_id: i32, client_id: Option<String>) -> Self {
        Self { api_key: key.code(), api_version: version, correlation_id, client_id }
    }

    /// The API asked for, if it is a known one.
    pub fn key(&self) -> Option<ApiKey> {
        ApiKey::from_code(self.api_key)
    }

    fn flexible(&self) -> bool {
        self.key().is_some_and(|key| key.is_flexible(self.api_version))
    }

    /// Takes a header; the body follows it in `reader`.
    ///
    /// A key or version that is not known still gives a header, so that it can be refused by name (an
    /// ApiVersions request of a later version is answered in version 0).
    pub fn decode(reader: &mut Reader) -> Result<Self, DecodeError> {
        // The client id keeps its two-byte length in header version 2 as well.
        let header = Self {
            api_key: reader.i16()?,
            api_version: reader.i16()?,
            correlation_id: reader.i32()?,
            client_id: reader.nullable_string(Version { number: 1, flexible: false })?,
        };
        if header.flexible() {
            reader.skip_tagged_fields()?;
        }
        Ok(header)
    }

    /// Puts the header.
    pub fn encode(&self, writer: &mut Writer) -> Result<(), EncodeError> {
        writer.i16(self.api_key);
        writer.i16(self.api_version);
        writer.i32(self.correlation_id);
        writer.nullable_string(self.client_id.as_deref(), Version { number: 1, flexible: false })?;
        if self.flexible() {
            writer.uvarint(0);
        }
        Ok(())
    }
}

/// What comes before a response's body: header version 0, or 1 when the response is flexible. ApiVersions
/// always has version 0, so that a client that does not know the broker yet can read it (KIP-511).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ResponseHeader {
    /// What the request was marked with.
    pub correlation_id: i32,
}

impl ResponseHeader {
    fn flexible(key: ApiKey, version: i16) -> bool {
        key != ApiKey::ApiVersions && key.is_flexible(version)
    }

    /// Takes the header of an answer to `key` in `version`.
    pub fn decode(reader: &mut Reader, key: ApiKey, version: i16) -> Result<Self, DecodeError> {
        let header = Self { correlation_id: reader.i32()? };
        if Self::flexible(key, version) {
            reader.skip_tagged_fields()?;
        }
        Ok(header)
    }

    /// Puts the header of an answer to `key` in `version`.
    pub fn encode(&self, writer: &mut Writer, key: ApiKey, version: i16) {
        writer.i32(self.correlation_id);
        if Self::flexible(key, version) {
            writer.uvarint(0);
        }
    }
}

/// A request's frame, without its length prefix, as its header and its body; the body is a slice of the frame.
///
/// # Errors
/// [`DecodeError`] when the header is cut short or malformed; the body is not looked at.
pub fn split_request(frame: Bytes) -> Result<(RequestHeader, Bytes), DecodeError> {
    let mut reader = Reader::new(frame);
    let header = RequestHeader::decode(&mut reader)?;
    Ok((header, reader.rest()))
}

/// A body on its own. Bytes behind it are not looked at.
///
/// # Errors
/// Any [`DecodeError`].
pub fn decode_body<M: Message>(body: Bytes, version: i16) -> Result<M, DecodeError> {
    M::decode(&mut Reader::new(body), version)
}

/// A whole request frame, its length prefix included.
///
/// # Errors
/// [`EncodeError`] of the body, or [`EncodeError::TooLong`] past what a length prefix can say.
pub fn request_frame<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
) -> Result<Vec<u8>, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    writer.i32(0);
    RequestHeader::new(R::KEY, version, correlation_id, client_id.map(str::to_owned)).encode(&mut writer)?;
    request.encode(&mut writer, version)?;
    Ok(prefixed(writer, 0)?.into_vec())
}

/// A response's header and body, without the length prefix.
///
/// # Errors
/// [`EncodeError`] of the body.
pub fn response_bytes<M: Message>(
    response: &M,
    version: i16,
    correlation_id: i32,
) -> Result<Bytes, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    ResponseHeader { correlation_id }.encode(&mut writer, M::KEY, version);
    response.encode(&mut writer, version)?;
    Ok(writer.into_bytes())
}

/// The body of an answer's frame (without the length prefix), its header passed over.
///
/// # Errors
/// Any [`DecodeError`].
pub fn response_body<M: Message>(frame: Bytes, version: i16) -> Result<M, DecodeError> {
    let mut reader = Reader::new(frame);
    ResponseHeader::decode(&mut reader, M::KEY, version)?;
    M::decode(&mut reader, version)
}

/// A whole request frame, its length prefix included, in pieces: what the request's bytes fields hold (`records`,
/// in the order of the fields) stays where it is and is not copied. The fields themselves may be left `None`.
///
/// # Errors
/// [`EncodeError`] of the body, or [`EncodeError::TooLong`] past what a length prefix can say.
pub fn request_pieces<R: Request>(
    request: &R,
    version: i16,
    correlation_id: i32,
    client_id: Option<&str>,
    records: &[Bytes],
) -> Result<Vec<Bytes>, EncodeError> {
    let mut writer = Writer::with_capacity(256);
    writer.i32(0);
    RequestHeader::new(R::KEY, version, correlation_id, client_id.map(str::to_owned)).encode(&mut writer)?;
    let lengths: Vec<usize> = records.iter().map(Bytes::len).collect();
    let holes = writer.with_holes(&lengths, |writer| request.encode(writer, version))?;
    let supplied: usize = lengths.iter().sum();
    let writer = prefixed(writer, supplied)?;
    let mut supplied = records.iter().filter(|bytes| !bytes.is_empty()).cloned();
    let pieces = writer.into_pieces(&holes).into_iter();
    Ok(pieces.flat_map(|piece| [Some(piece), supplied.next()]).flatten().collect())
}

/// Says the length of what `writer` holds, and of `supplied` bytes more, in the prefix left at its start.
fn prefixed(writer: Writer, supplied: usize) -> Result<Writer, EncodeError> {
    let mut frame = writer.into_vec();
    let length = frame.len() - LENGTH_PREFIX + supplied;
    let prefix =
        i32::try_from(length).map_err(|_| EncodeError::TooLong { length, limit: i32::MAX as usize })?;
    frame.splice(..LENGTH_PREFIX, prefix.to_be_bytes());
    Ok(Writer::append_to(frame))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_prefixes_are_checked() {
        assert_eq!(frame_length([0, 0, 0, 5], 5), Ok(5));
        assert_eq!(frame_length([0; 4], 5), Ok(0));
        assert_eq!(frame_length([0, 0, 0, 6], 5), Err(FrameError::TooLarge { length: 6, limit: 5 }));
        assert_eq!(frame_length([0xff; 4], 5), Err(FrameError::Negative { length: -1 }));
        assert_eq!(
            frame_length([0x7f, 0xff, 0xff, 0xff], 100),
            Err(FrameError::TooLarge { length: i32::MAX as usize, limit: 100 })
        );
    }

    #[test]
    fn headers_end_with_tagged_fields_only_when_flexible() {
        for (version, length) in [(11, 8 + 2 + 2), (12, 8 + 2 + 2 + 1)] {
            let header = RequestHeader::new(ApiKey::Fetch, version, 7, Some("me".to_owned()));
            let mut writer = Writer::new();
            header.encode(&mut writer).unwrap();
            assert_eq!(writer.len(), length);
            let mut reader = Reader::new(writer.into_bytes());
            assert_eq!(RequestHeader::decode(&mut reader), Ok(header));
            assert_eq!(reader.remaining(), 0);
        }
        for (key, version, length) in
            [(ApiKey::Fetch, 11, 4), (ApiKey::Fetch, 12, 5), (ApiKey::ApiVersions, 3, 4)]
        {
            let mut writer = Writer::new();
            ResponseHeader { correlation_id: 9 }.encode(&mut writer, key, version);
            assert_eq!(writer.len(), length);
            let mut reader = Reader::new(writer.into_bytes());
            assert_eq!(ResponseHeader::decode(&mut reader, key, version).unwrap().correlation_id, 9);
            assert_eq!(reader.remaining(), 0);
        }
    }

    #[test]
    fn a_header_with_tagged_fields_of_a_later_kafka_is_read() {
        let mut writer = Writer::new();
        for half in [1i16, 12, 0, 7, -1] {
            writer.i16(half);
        }
        writer.raw(&[2, 0, 1, 0xaa, 9, 2, 0xbb, 0xcc, 0x55]);
        let mut reader = Reader::new(writer.into_bytes());
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!(header, RequestHeader::new(ApiKey::Fetch, 12, 7, None));
        assert_eq!(reader.rest().as_ref(), [0x55]);
    }

    #[test]
    fn an_unknown_key_still_gives_a_header() {
        let mut reader = Reader::new(Bytes::from_static(&[0x7f, 0xff, 0, 0, 0, 0, 0, 1, 0xff, 0xff]));
        let header = RequestHeader::decode(&mut reader).unwrap();
        assert_eq!((header.key(), header.correlation_id), (None, 1));
    }

    #[test]
    fn a_request_in_pieces_is_the_request_in_one() {
        use crate::wire::messages::produce::{PartitionProduceData, ProduceRequest, TopicProduceData};
        let records = [Bytes::from_static(b"one"), Bytes::from_static(b"three")];
        for version in [3, 8, 9, 12] {
            let request = |records: [Option<Bytes>; 2]| ProduceRequest {
                topic_data: vec![TopicProduceData {
                    name: "t".to_owned(),
                    partition_data: (0..)
                        .zip(records)
                        .map(|(index, records)| PartitionProduceData { index, records })
                        .collect(),
                    ..TopicProduceData::default()
                }],
                ..ProduceRequest::default()
            };
            let whole = request_frame(&request(records.clone().map(Some)), version, 5, Some("c")).unwrap();
            let pieces = request_pieces(&request([None, None]), version, 5, Some("c"), &records).unwrap();
            assert_eq!(pieces.len(), 5);
            assert_eq!(pieces.concat(), whole, "version {version}");
        }
    }
}

//! Every API that klog defines, as functions over bytes; a test that lists APIs by hand would miss the next one.

use bytes::Bytes;
use klog::codec::{DecodeError, EncodeError, Reader, Shape, Version, Wire, Writer};
use klog::wire::Message;
use klog::wire::api::ApiKey;

/// Bytes left over, and what the message was encoded to.
type Again = Result<(usize, Result<Vec<u8>, EncodeError>), DecodeError>;

/// A request or a response of an API.
#[allow(dead_code)]
pub(crate) struct Kind {
    pub(crate) word: &'static str,
    pub(crate) key: ApiKey,
    /// Decodes and drops; gives the bytes left over.
    pub(crate) decode: fn(Bytes, i16) -> Result<usize, DecodeError>,
    /// Decodes and encodes again; gives the bytes left over as well.
    pub(crate) again: fn(Bytes, i16) -> Again,
    /// The layout in a version.
    pub(crate) shape: fn(i16) -> Shape,
}

#[allow(dead_code)]
impl Kind {
    pub(crate) fn versions(&self) -> std::ops::RangeInclusive<i16> {
        self.key.min_version()..=self.key.max_version()
    }

    pub(crate) fn is_request(&self) -> bool {
        self.word == "request"
    }
}

fn decode<M: Message>(bytes: Bytes, version: i16) -> Result<usize, DecodeError> {
    let mut reader = Reader::new(bytes);
    M::decode(&mut reader, version).map(|_| reader.remaining())
}

fn again<M: Message>(bytes: Bytes, version: i16) -> Again {
    let mut reader = Reader::new(bytes);
    let message = M::decode(&mut reader, version)?;
    let mut writer = Writer::new();
    let encoded = message.encode(&mut writer, version).map(|()| writer.into_vec());
    Ok((reader.remaining(), encoded))
}

fn shape<M: Message + Wire>(version: i16) -> Shape {
    M::shape(Version::new(version, M::KEY.first_flexible()))
}

/// Calls a macro with every API: its module and the names of its request and response.
macro_rules! each_api {
    ($call:ident) => {
        $call! {
            api_versions ApiVersionsRequest ApiVersionsResponse,
            create_topics CreateTopicsRequest CreateTopicsResponse,
            delete_topics DeleteTopicsRequest DeleteTopicsResponse,
            describe_configs DescribeConfigsRequest DescribeConfigsResponse,
            describe_groups DescribeGroupsRequest DescribeGroupsResponse,
            fetch FetchRequest FetchResponse,
            find_coordinator FindCoordinatorRequest FindCoordinatorResponse,
            heartbeat HeartbeatRequest HeartbeatResponse,
            init_producer_id InitProducerIdRequest InitProducerIdResponse,
            join_group JoinGroupRequest JoinGroupResponse,
            leave_group LeaveGroupRequest LeaveGroupResponse,
            list_groups ListGroupsRequest ListGroupsResponse,
            list_offsets ListOffsetsRequest ListOffsetsResponse,
            metadata MetadataRequest MetadataResponse,
            offset_commit OffsetCommitRequest OffsetCommitResponse,
            offset_fetch OffsetFetchRequest OffsetFetchResponse,
            produce ProduceRequest ProduceResponse,
            sync_group SyncGroupRequest SyncGroupResponse
        }
    };
}

macro_rules! kinds {
    ($($module:ident $request:ident $response:ident),*) => {
        /// All of them.
        pub(crate) fn kinds() -> Vec<Kind> {
            use klog::wire::messages::*;
            vec![$(
                Kind {
                    word: "request",
                    key: $module::$request::KEY,
                    decode: decode::<$module::$request>,
                    again: again::<$module::$request>,
                    shape: shape::<$module::$request>,
                },
                Kind {
                    word: "response",
                    key: $module::$response::KEY,
                    decode: decode::<$module::$response>,
                    again: again::<$module::$response>,
                    shape: shape::<$module::$response>,
                },
            )*]
        }
    };
}

each_api!(kinds);

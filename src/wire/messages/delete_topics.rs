//! DeleteTopics (20): topics to remove.

use crate::codec::structs;
use crate::model::id::TopicId;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Topics to remove: names up to version 5, names or ids after that.
    pub struct DeleteTopicsRequest {
        topics: Vec<DeleteTopicState> [6..],
        topic_names: Vec<String> [..=5, ignorable],
        timeout_ms: i32,
    }

    /// A topic to remove, by name or, where that is `None`, by id.
    pub struct DeleteTopicState {
        name: Option<String>,
        topic_id: TopicId,
    }

    /// What became of each topic.
    pub struct DeleteTopicsResponse {
        throttle_time_ms: i32,
        responses: Vec<DeletableTopicResult>,
    }

    /// What became of one topic.
    pub struct DeletableTopicResult {
        name: Option<String> [0.., null 6..],
        topic_id: TopicId [6.., ignorable],
        error_code: ErrorCode,
        error_message: Option<String> [5.., ignorable],
    }
}

api!(DeleteTopics: DeleteTopicsRequest => DeleteTopicsResponse);

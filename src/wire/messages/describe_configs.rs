//! DescribeConfigs (32): settings of topics, brokers and groups.

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Asks for settings.
    pub struct DescribeConfigsRequest {
        resources: Vec<DescribeConfigsResource>,
        include_synonyms: bool,
        include_documentation: bool [3..],
    }

    /// Whose settings: type 2 a topic, 4 a broker, 8 a broker's logger, 16 client metrics, 32 a group. Keys
    /// `None` means all.
    pub struct DescribeConfigsResource {
        resource_type: i8,
        resource_name: String,
        configuration_keys: Option<Vec<String>>,
    }

    /// The settings of each resource.
    pub struct DescribeConfigsResponse {
        throttle_time_ms: i32,
        results: Vec<DescribeConfigsResult>,
    }

    /// The settings of one resource.
    pub struct DescribeConfigsResult {
        error_code: ErrorCode,
        error_message: Option<String>,
        resource_type: i8,
        resource_name: String,
        configs: Vec<DescribeConfigsResourceResult>,
    }

    /// A setting and where its value comes from.
    pub struct DescribeConfigsResourceResult {
        name: String,
        value: Option<String>,
        read_only: bool,
        config_source: i8 = -1,
        is_sensitive: bool,
        synonyms: Vec<DescribeConfigsSynonym>,
        config_type: i8 [3.., ignorable],
        documentation: Option<String> [3.., ignorable],
    }

    /// Another place where the setting has a value, strongest first.
    pub struct DescribeConfigsSynonym {
        name: String,
        value: Option<String>,
        source: i8,
    }
}

api!(DescribeConfigs: DescribeConfigsRequest => DescribeConfigsResponse);

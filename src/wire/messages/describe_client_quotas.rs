//! DescribeClientQuotas (48): quotas of users and clients (KIP-546).

use crate::codec::structs;
use crate::wire::error::ErrorCode;
use crate::wire::message::api;

structs! {
    /// Which: parts of an entity, and whether it may have others.
    pub struct DescribeClientQuotasRequest {
        components: Vec<ComponentData>,
        strict: bool,
    }

    /// A part of an entity: match type 0 exact, 1 the default, 2 any.
    pub struct ComponentData {
        entity_type: String,
        match_type: i8,
        r#match: Option<String>,
    }

    /// The quotas; `None` with an error.
    pub struct DescribeClientQuotasResponse {
        throttle_time_ms: i32,
        error_code: ErrorCode,
        error_message: Option<String>,
        entries: Option<Vec<EntryData>>,
    }

    /// The quotas of one entity.
    pub struct EntryData {
        entity: Vec<EntityData>,
        values: Vec<ValueData>,
    }

    /// A part of an entity; `None` is the default.
    pub struct EntityData {
        entity_type: String,
        entity_name: Option<String>,
    }

    /// A quota.
    pub struct ValueData {
        key: String,
        value: f64,
    }
}

api!(DescribeClientQuotas: DescribeClientQuotasRequest => DescribeClientQuotasResponse);

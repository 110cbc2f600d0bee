//! The APIs of the node and the cluster; a table, no behaviour of its own.

use super::super::api_versions;
use super::family;

family! { broker, peer, header:
    ApiVersions => |asked| api_versions::handle(header.api_version, asked);
}

//! The APIs of settings; a table, no behaviour of its own.

use super::super::describe_configs;
use super::family;

family! { broker, peer, header:
    DescribeConfigs => |asked| describe_configs::handle(broker, header.api_version, asked);
}

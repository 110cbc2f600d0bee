//! The APIs of settings; a table, no behaviour of its own.

use super::super::{alter_configs, describe_configs, incremental_alter_configs, list_config_resources};
use super::family;

family! { broker, peer, header:
    DescribeConfigs => |asked| describe_configs::handle(broker, peer, header.api_version, asked);
    AlterConfigs => |asked| alter_configs::handle(broker, peer, asked);
    IncrementalAlterConfigs => |asked| incremental_alter_configs::handle(broker, peer, asked);
    ListConfigResources => |asked| list_config_resources::handle(broker, peer, header.api_version, asked);
}

//! The APIs of the node and the cluster; a table, no behaviour of its own.

use super::super::{
    alter_replica_log_dirs, api_versions, describe_cluster, describe_log_dirs, describe_quorum,
    update_features,
};
use super::family;

family! { broker, peer, header:
    ApiVersions => |asked| api_versions::handle(broker, header.api_version, asked);
    AlterReplicaLogDirs => |asked| alter_replica_log_dirs::handle(broker, peer, asked);
    DescribeLogDirs => |asked| describe_log_dirs::handle(broker, peer, asked);
    DescribeQuorum => |asked| describe_quorum::handle(broker, peer, header.api_version, asked);
    UpdateFeatures => |asked| update_features::handle(broker, peer, header.api_version, asked);
    DescribeCluster => |asked| describe_cluster::handle(broker, peer, header.api_version, asked);
}

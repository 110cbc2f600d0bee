//! The APIs of who a client is and what it may do; a table, no behaviour of its own.

use super::super::{
    alter_user_scram_credentials, create_acls, delete_acls, describe_acls, describe_client_quotas,
    describe_user_scram_credentials,
};
use super::family;

family! { broker, peer, header:
    DescribeAcls => |asked| describe_acls::handle(broker, peer, asked);
    CreateAcls => |asked| create_acls::handle(broker, peer, asked);
    DeleteAcls => |asked| delete_acls::handle(broker, peer, asked);
    DescribeClientQuotas => |asked| describe_client_quotas::handle(broker, peer, asked);
    DescribeUserScramCredentials => |asked| describe_user_scram_credentials::handle(broker, peer, asked);
    AlterUserScramCredentials => |asked| alter_user_scram_credentials::handle(broker, peer, asked);
}

//! What access rules speak of: resources, operations, and their numbers on the wire and on disk; it decides nothing
//! about any request.
//!
//! Numbers and names are Kafka's (`org.apache.kafka.common.resource.ResourceType`, `PatternType`,
//! `org.apache.kafka.common.acl.AclOperation`, `AclPermissionType`); 0 (unknown) and 1 (any) are no values of a rule.

macro_rules! numbered {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $code:literal, $text:literal;)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant = $code,)*
        }

        impl $name {
            /// All of them, by number.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// Its number.
            pub fn code(self) -> i8 {
                self as i8
            }

            /// The one of that number.
            pub fn from_code(code: i8) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.code() == code)
            }

            /// Its name in Kafka.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)*
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(self.name())
            }
        }
    };
}

numbered! {
    /// What a rule is about.
    ResourceType {
        /// A topic, by name.
        Topic = 2, "Topic";
        /// A group, by id.
        Group = 3, "Group";
        /// The cluster; its one name is [`CLUSTER`].
        Cluster = 4, "Cluster";
        /// A transactional id.
        TransactionalId = 5, "TransactionalId";
        /// A delegation token.
        DelegationToken = 6, "DelegationToken";
        /// A user, by principal.
        User = 7, "User";
    }
}

numbered! {
    /// What is to be done.
    Operation {
        /// Every operation.
        All = 2, "All";
        /// Fetch, join a group, commit.
        Read = 3, "Read";
        /// Produce.
        Write = 4, "Write";
        /// Make it.
        Create = 5, "Create";
        /// Take it away, or its records.
        Delete = 6, "Delete";
        /// Change it.
        Alter = 7, "Alter";
        /// See that it is there.
        Describe = 8, "Describe";
        /// What brokers do among themselves.
        ClusterAction = 9, "ClusterAction";
        /// See its settings.
        DescribeConfigs = 10, "DescribeConfigs";
        /// Change its settings.
        AlterConfigs = 11, "AlterConfigs";
        /// Produce idempotently.
        IdempotentWrite = 12, "IdempotentWrite";
        /// Make delegation tokens for a user.
        CreateTokens = 13, "CreateTokens";
        /// See a user's delegation tokens.
        DescribeTokens = 14, "DescribeTokens";
        /// Commit in two phases.
        TwoPhaseCommit = 15, "TwoPhaseCommit";
    }
}

numbered! {
    /// How a rule's name is held against a resource's.
    PatternType {
        /// The same name; `*` is every name.
        Literal = 3, "Literal";
        /// Every name that begins so.
        Prefixed = 4, "Prefixed";
    }
}

numbered! {
    /// Whether a rule allows or forbids.
    Permission {
        /// Forbids, whatever another rule allows.
        Deny = 2, "Deny";
        /// Allows.
        Allow = 3, "Allow";
    }
}

/// The name of the one resource of type [`ResourceType::Cluster`].
pub const CLUSTER: &str = "kafka-cluster";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_kafkas_and_come_back() {
        assert_eq!((ResourceType::Topic.code(), ResourceType::User.code()), (2, 7));
        assert_eq!((Operation::Read.code(), Operation::TwoPhaseCommit.code()), (3, 15));
        for operation in Operation::ALL {
            assert_eq!(Operation::from_code(operation.code()), Some(*operation));
        }
        assert_eq!(Operation::from_code(1), None);
        assert_eq!(PatternType::from_code(4), Some(PatternType::Prefixed));
        assert_eq!(Permission::Deny.code(), 2);
    }
}

//! Access rules and filters as the APIs say them: numbers become words here, or are refused with one.

use crate::auth::USER;
use crate::auth::acl::{CLUSTER, Operation, PatternType, Permission, ResourceType};
use crate::auth::rules::{Filter, PatternFilter, Rule};
use crate::wire::error::ErrorCode;
use crate::wire::messages::create_acls::AclCreation;
use crate::wire::messages::delete_acls::DeleteAclsFilter;
use crate::wire::messages::describe_acls::DescribeAclsRequest;

/// "Any", in every number of a filter.
const ANY: i8 = 1;
/// The pattern type of a filter that takes whatever covers the name.
const MATCH: i8 = 2;
/// Longest name, principal or host of a rule, in bytes.
const LONGEST: usize = 1024;

/// The filter of a DeleteAcls.
pub(super) fn filter(asked: DeleteAclsFilter) -> Result<Filter, String> {
    let pattern = match asked.pattern_type_filter {
        ANY => PatternFilter::Any,
        MATCH => PatternFilter::Match,
        code => PatternFilter::Exactly(number(code, "pattern type", PatternType::from_code)?),
    };
    Ok(Filter {
        resource: any_or(asked.resource_type_filter, "resource type", ResourceType::from_code)?,
        pattern,
        name: asked.resource_name_filter,
        principal: asked.principal_filter,
        host: asked.host_filter,
        operation: any_or(asked.operation, "operation", Operation::from_code)?,
        permission: any_or(asked.permission_type, "permission type", Permission::from_code)?,
    })
}

/// The filter of a DescribeAcls.
pub(super) fn described(asked: DescribeAclsRequest) -> Result<Filter, String> {
    filter(DeleteAclsFilter {
        resource_type_filter: asked.resource_type_filter,
        resource_name_filter: asked.resource_name_filter,
        pattern_type_filter: asked.pattern_type_filter,
        principal_filter: asked.principal_filter,
        host_filter: asked.host_filter,
        operation: asked.operation,
        permission_type: asked.permission_type,
    })
}

/// The rule that a CreateAcls wants.
pub(super) fn rule(asked: AclCreation) -> Result<Rule, (ErrorCode, String)> {
    let bad = |text: String| (ErrorCode::INVALID_REQUEST, text);
    let rule = Rule {
        resource: number(asked.resource_type, "resource type", ResourceType::from_code).map_err(bad)?,
        pattern: number(asked.resource_pattern_type, "pattern type", PatternType::from_code).map_err(bad)?,
        name: asked.resource_name,
        principal: asked.principal,
        host: asked.host,
        operation: number(asked.operation, "operation", Operation::from_code).map_err(bad)?,
        permission: number(asked.permission_type, "permission type", Permission::from_code).map_err(bad)?,
    };
    if rule.resource == ResourceType::Cluster && rule.name != CLUSTER {
        return Err(bad(format!("the one name of the resource Cluster is {CLUSTER}")));
    }
    if rule.name.is_empty() || rule.host.is_empty() {
        return Err(bad("a rule has neither an empty resource name nor an empty host".to_owned()));
    }
    if rule.principal.strip_prefix(USER).is_none_or(str::is_empty) {
        return Err((
            if rule.principal.contains(':') {
                ErrorCode::INVALID_PRINCIPAL_TYPE
            } else {
                ErrorCode::INVALID_REQUEST
            },
            format!("{:?} is no principal; one is User:NAME, and User:* is everyone", rule.principal),
        ));
    }
    if [&rule.name, &rule.principal, &rule.host].iter().any(|text| text.len() > LONGEST) {
        return Err(bad(format!("a name, principal or host is longer than {LONGEST} bytes")));
    }
    Ok(rule)
}

fn number<T>(code: i8, what: &str, of: fn(i8) -> Option<T>) -> Result<T, String> {
    of(code).ok_or_else(|| format!("{code} is no {what}"))
}

fn any_or<T>(code: i8, what: &str, of: fn(i8) -> Option<T>) -> Result<Option<T>, String> {
    if code == ANY { Ok(None) } else { number(code, what, of).map(Some) }
}

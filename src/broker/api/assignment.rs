//! Which brokers a partition may be assigned to by hand: to the one there is, once; it assigns nothing.

use super::operations::Refused;
use crate::wire::error::ErrorCode;

/// Holds the brokers of one partition against the one there is.
pub(super) fn check(brokers: &[i32], node: i32) -> Result<(), Refused> {
    let text = match brokers {
        [] => "the list of brokers is empty".to_owned(),
        [only] if *only == node => return Ok(()),
        _ => match brokers.iter().find(|broker| **broker != node) {
            Some(other) => format!("broker {other} is assigned; the only broker is {node}"),
            None => format!("broker {node} is assigned more than once"),
        },
    };
    Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_broker_once() {
        assert!(check(&[1], 1).is_ok());
        for wrong in [&[][..], &[2], &[1, 1], &[1, 2], &[-1]] {
            assert_eq!(check(wrong, 1).unwrap_err().0, ErrorCode::INVALID_REPLICA_ASSIGNMENT, "{wrong:?}");
        }
    }
}

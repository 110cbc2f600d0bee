//! The mechanism PLAIN (RFC 4616): name and password in one message, each behind a NUL; it must never print either.

use super::{AuthError, MAX_STEP};

/// Who says he is whom.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The name.
    pub username: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Login {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Login").field("username", &self.username).finish_non_exhaustive()
    }
}

/// What a client sends.
///
/// # Errors
/// `Malformed`: a name or password that is empty or holds a NUL.
pub fn client_message(username: &str, password: &str) -> Result<Vec<u8>, AuthError> {
    let message = format!("\0{username}\0{password}").into_bytes();
    parse(&message).map(|_| message)
}

/// Reads what a client sent. A name to act for must be the name itself, as in Kafka.
///
/// # Errors
/// `TooLong`, `Malformed`, `Unsupported`.
pub fn parse(message: &[u8]) -> Result<Login, AuthError> {
    if message.len() > MAX_STEP {
        return Err(AuthError::TooLong(message.len()));
    }
    let text = std::str::from_utf8(message).map_err(|_| AuthError::Malformed("the message is not UTF-8"))?;
    let mut parts = text.split('\0');
    let (Some(acting_for), Some(username), Some(password), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err(AuthError::Malformed("the message is not name and password, each behind a NUL"));
    };
    if username.is_empty() {
        return Err(AuthError::Malformed("the name is empty"));
    }
    if password.is_empty() {
        return Err(AuthError::Malformed("the password is empty"));
    }
    if !acting_for.is_empty() && acting_for != username {
        return Err(AuthError::Unsupported("nobody may act for another user"));
    }
    Ok(Login { username: username.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_message_has_name_and_password() {
        assert_eq!(client_message("alice", "s,e=c").unwrap(), b"\0alice\0s,e=c");
        for said in [&b"\0alice\0pw"[..], b"alice\0alice\0pw"] {
            let login = parse(said).unwrap();
            assert_eq!((login.username.as_str(), login.password.as_str()), ("alice", "pw"));
            assert!(!format!("{login:?}").contains("pw"));
        }
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(parse(b"bob\0alice\0pw"), Err(AuthError::Unsupported("nobody may act for another user")));
        for bad in [&b""[..], b"alice", b"\0alice", b"\0alice\0", b"\0\0pw", b"\0a\0b\0c", b"\0\xff\0pw"] {
            assert!(matches!(parse(bad), Err(AuthError::Malformed(_))), "{bad:?}");
        }
        let long = [&b"\0a\0"[..], &vec![b'x'; MAX_STEP]].concat();
        assert_eq!(parse(&long), Err(AuthError::TooLong(MAX_STEP + 3)));
        assert!(client_message("a\0b", "c").is_err());
    }
}

//! Why a step of an authentication is refused; it must never carry a password, a key or a proof.

use super::MAX_STEP;
use super::credential::MIN_ITERATIONS;

/// A refused step, or a certificate that can not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// A step is larger than any may be.
    #[error("a step of {0} bytes; allowed are {MAX_STEP}")]
    TooLong(usize),
    /// A step does not have the form of its mechanism.
    #[error("{0}")]
    Malformed(&'static str),
    /// A step came that is not the next one: repeated, left out, or after the end.
    #[error("this step of the exchange was not the next one")]
    WrongStep,
    /// The step asks for what is not done here.
    #[error("{0}")]
    Unsupported(&'static str),
    /// No such user, or another password: nobody is told which.
    #[error("no such user, or a wrong password")]
    BadCredentials,
    /// The server asks for fewer rounds than are safe, or for so many that it must mean harm.
    #[error("the server asks for {0} iterations; allowed are {MIN_ITERATIONS} to 1000000")]
    Iterations(u64),
    /// The server does not know the password either: it is not the one it seems to be.
    #[error("the server could not show that it knows the password")]
    ServerUnproven,
    /// The server says no.
    #[error("the server refused: {0}")]
    Refused(String),
    /// A certificate whose subject can not be read.
    #[error("the certificate can not be read: {0}")]
    Certificate(&'static str),
}

//! What requests and responses have in common; never knows a particular one.

use super::api::ApiKey;
use crate::codec::{DecodeError, EncodeError, Reader, Writer};

/// A request's or response's body.
pub trait Message: Sized {
    /// The API it belongs to.
    const KEY: ApiKey;

    /// Takes a body of `version`. Bytes that follow it are left.
    ///
    /// # Errors
    /// Any [`DecodeError`]; [`DecodeError::Version`] where [`ApiKey::supports`] says no.
    fn decode(reader: &mut Reader, version: i16) -> Result<Self, DecodeError>;

    /// Puts a body of `version`.
    ///
    /// # Errors
    /// Any [`EncodeError`]; what was written until then is not taken back.
    fn encode(&self, writer: &mut Writer, version: i16) -> Result<(), EncodeError>;
}

/// A request's body.
pub trait Request: Message {
    /// What answers it, in the same version.
    type Response: Message;
}

/// Makes two structs the request and the response of an API.
macro_rules! api {
    ($key:ident: $request:ident => $response:ident) => {
        $crate::wire::message::api!(impl $key, $request, reader => {});
        $crate::wire::message::api!(impl $key, $response, reader => {
            reader.widen($crate::wire::limits::RESPONSE_MEMORY_FACTOR);
        });

        impl $crate::wire::Request for $request {
            type Response = $response;
        }
    };
    (impl $key:ident, $name:ident, $reader:ident => $before:block) => {
        impl $crate::wire::Message for $name {
            const KEY: $crate::wire::api::ApiKey = $crate::wire::api::ApiKey::$key;

            fn decode(
                $reader: &mut $crate::codec::Reader,
                version: i16,
            ) -> Result<Self, $crate::codec::DecodeError> {
                if !Self::KEY.supports(version) {
                    return Err($crate::codec::DecodeError::Version { version });
                }
                $before
                let version = $crate::codec::Version::new(version, Self::KEY.first_flexible());
                $crate::codec::Wire::read($reader, version)
            }

            fn encode(
                &self,
                writer: &mut $crate::codec::Writer,
                version: i16,
            ) -> Result<(), $crate::codec::EncodeError> {
                if !Self::KEY.supports(version) {
                    return Err($crate::codec::EncodeError::Version { version });
                }
                let version = $crate::codec::Version::new(version, Self::KEY.first_flexible());
                $crate::codec::Wire::write(self, writer, version)
            }
        }
    };
}

pub(super) use api;

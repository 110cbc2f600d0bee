//! Who may do what, and the steps by which someone shows who he is; it must never know a socket or a file.

pub mod acl;

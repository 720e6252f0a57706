//! What requests to the Commands API are signed with, where a target checks signatures.

use std::fmt;

/// An access key of AWS's kind, and a session token if the key is a temporary one. They go into the signer and
/// nowhere else: no output may hold them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Names the key; travels with each request.
    pub access_key_id: String,
    /// What signatures are made with; never travels.
    pub secret_access_key: String,
    /// Travels with each request that a temporary key signs.
    pub session_token: Option<String>,
}

impl Credentials {
    /// What stands in outputs where they would.
    pub const HIDDEN: &'static str = "***";
}

/// Without any of them: what is printed for debugging is kept in logs.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credentials").field(&Self::HIDDEN).finish()
    }
}

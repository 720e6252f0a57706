//! The content security policy of a page: its own scripts and styles, by their hashes, and nothing else. A
//! name that got into the page as markup could run nothing and call nobody.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest as _, Sha256};

/// The policy of a page with these scripts and styles; a live one may also talk to its own server.
pub(super) fn of(scripts: &[&str], styles: &[&str], live: bool) -> String {
    let connect = if live { "; connect-src 'self'" } else { "" };
    format!(
        "default-src 'none'; script-src {}; style-src {}; base-uri 'none'; form-action 'none'{connect}",
        hashes(scripts),
        hashes(styles)
    )
}

/// The hashes of texts, as a policy names them.
pub(super) fn hashes(texts: &[&str]) -> String {
    let hash = |text: &&str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text.as_bytes())));
    texts.iter().map(hash).collect::<Vec<_>>().join(" ")
}

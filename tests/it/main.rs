//! The one integration binary: layers, scenarios, the wire, whole runs.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod tidy;

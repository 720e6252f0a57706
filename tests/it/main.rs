//! The one integration binary: layers, scenarios, the wire, whole runs.

mod tidy;

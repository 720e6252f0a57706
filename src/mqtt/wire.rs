//! The two directions of a connection that hold nothing while it is idle.
//!
//! Both are polled rather than awaited: an async function would keep its buffer in its state. Reading
//! goes through one scratch buffer per thread and keeps only a packet that is not complete; writing
//! borrows a buffer from the thread while there is something to write.
//!
//! Not here: timers, acknowledgements and bounds on what is queued; the ends of a connection know those.

mod inbound;
mod outbound;

pub use inbound::{Inbound, InboundEnd};
pub use outbound::Outbound;

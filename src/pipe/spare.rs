//! The buffers of a thread that no pipe uses now: a few, small ones.

use std::cell::RefCell;
use std::collections::VecDeque;

/// Spare buffers kept per thread: enough for the pipes between two of whose polls no other runs, at most
/// 128 KiB in all.
const BUFFERS: usize = 8;

/// A buffer that has grown beyond this is not kept: one burst must not stay in memory.
const CAPACITY: usize = 16 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<VecDeque<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer, of some capacity if the thread has a spare one.
pub(super) fn take() -> VecDeque<u8> {
    SPARE.try_with(|spare| spare.borrow_mut().pop()).ok().flatten().unwrap_or_default()
}

/// Keeps a buffer for the next pipe of this thread, or frees it.
pub(super) fn give_back(mut buffer: VecDeque<u8>) {
    if buffer.capacity() > CAPACITY {
        return;
    }
    buffer.clear();
    // A thread that is ending has no spares any more; the buffer ends with it.
    let _ = SPARE.try_with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < BUFFERS {
            spare.push(buffer);
        }
    });
}

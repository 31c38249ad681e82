//! Memory that starts on a cache line, so no vector of an aligned row straddles two lines.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

/// The size of a cache line, and of the widest vector, in bytes.
const LINE: usize = 64;

/// The size of a huge page in bytes. Buffers of at least four such pages are aligned to it.
///
/// On ordinary pages, gathering rows from all over a large matrix misses the TLB at every row.
const HUGE_PAGE: usize = 2 << 20;

/// A fixed number of `f32`, initially zero and aligned to a cache line. Large buffers request huge
/// pages.
pub(in crate::linalg) struct Buffer {
    start: NonNull<f32>,
    len: usize,
}

// SAFETY: a buffer is the only owner of its memory, like a `Vec`.
unsafe impl Send for Buffer {}
// SAFETY: as above.
unsafe impl Sync for Buffer {}

impl Buffer {
    /// `len` zeros.
    ///
    /// # Panics
    /// If they do not fit the address space.
    pub(in crate::linalg) fn zeros(len: usize) -> Self {
        if len == 0 {
            return Self { start: NonNull::dangling(), len };
        }
        let layout = Self::layout(len);
        // SAFETY: the layout is not empty; the memory is written before it is read.
        unsafe {
            let bytes = if layout.align() == HUGE_PAGE {
                let bytes = alloc(layout);
                if !bytes.is_null() {
                    // The request comes before the first write, which is what maps the pages.
                    ask_for_huge_pages(bytes, layout.size());
                    bytes.write_bytes(0, layout.size());
                }
                bytes
            } else {
                alloc_zeroed(layout)
            };
            let Some(start) = NonNull::new(bytes.cast()) else { handle_alloc_error(layout) };
            Self { start, len }
        }
    }

    fn layout(len: usize) -> Layout {
        let bytes = len.checked_mul(size_of::<f32>());
        let align = if bytes.is_some_and(|b| b >= 4 * HUGE_PAGE) { HUGE_PAGE } else { LINE };
        let layout = bytes.and_then(|bytes| Layout::from_size_align(bytes, align).ok());
        assert!(layout.is_some(), "{len} numbers do not fit memory");
        layout.unwrap_or(Layout::new::<f32>())
    }
}

/// Requests huge pages. It is only a hint, so a failure changes nothing.
#[cfg(target_os = "linux")]
unsafe fn ask_for_huge_pages(start: *mut u8, bytes: usize) {
    // SAFETY: the advice changes no contents; the caller owns the range.
    let _ = unsafe { rustix::mm::madvise(start.cast(), bytes, rustix::mm::Advice::LinuxHugepage) };
}

#[cfg(not(target_os = "linux"))]
unsafe fn ask_for_huge_pages(_: *mut u8, _: usize) {}

impl Drop for Buffer {
    fn drop(&mut self) {
        if self.len > 0 {
            // SAFETY: the memory was allocated in `zeros` with this layout.
            unsafe { dealloc(self.start.as_ptr().cast(), Self::layout(self.len)) }
        }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        // SAFETY: `len` numbers are owned and initialised (none where the pointer dangles).
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        // SAFETY: as above, and the buffer is borrowed for writing.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut copy = Self::zeros(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl PartialEq for Buffer {
    fn eq(&self, other: &Self) -> bool {
        self[..] == other[..]
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self[..].fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_zero_aligned_and_independent() {
        for len in [0, 1, 16, 1000, HUGE_PAGE + 7] {
            let mut buffer = Buffer::zeros(len);
            assert!(buffer.len() == len && buffer.iter().all(|&v| v == 0.0));
            assert!(len == 0 || buffer.as_ptr().addr().is_multiple_of(LINE));
            let copy = buffer.clone();
            buffer.fill(1.0);
            assert!(copy.iter().all(|&v| v == 0.0) && (len == 0 || copy != buffer));
        }
    }
}

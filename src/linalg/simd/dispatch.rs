//! Calls of kernels by instruction set.

/// Calls the kernel `$name` that is compiled for the level `$level`.
macro_rules! dispatch {
    ($level:expr, $name:ident $(::<$($flag:literal),+>)? ($($arg:expr),*)) => {
        // SAFETY: a `Kernels` only has a level that `Level::available` found on this processor, and
        // the caller has checked the bounds that the kernel documents.
        unsafe {
            match $level {
                $crate::linalg::simd::Level::Portable => {
                    $crate::linalg::simd::portable::$name$(::<$($flag),+>)?($($arg),*)
                }
                #[cfg(target_arch = "x86_64")]
                $crate::linalg::simd::Level::Avx2 => {
                    $crate::linalg::simd::x86::avx2::$name$(::<$($flag),+>)?($($arg),*)
                }
                #[cfg(target_arch = "x86_64")]
                $crate::linalg::simd::Level::Avx512 => {
                    $crate::linalg::simd::x86::avx512::$name$(::<$($flag),+>)?($($arg),*)
                }
                #[cfg(not(target_arch = "x86_64"))]
                $crate::linalg::simd::Level::Avx2 | $crate::linalg::simd::Level::Avx512 => {
                    $crate::linalg::simd::portable::$name$(::<$($flag),+>)?($($arg),*)
                }
            }
        }
    };
}

pub(super) use dispatch;

#pragma once
/// Build mode of the library, seen by every header.
///
/// `MICRODOT_EXCEPTIONS` is 1 where the compiler has exceptions on. Programs built with and without
/// exceptions get different inline namespaces, so that mixing them is a link error instead of a crash.

#if defined(__cpp_exceptions) && __cpp_exceptions
#define MICRODOT_EXCEPTIONS 1
#define MICRODOT_ABI v0
#else
#define MICRODOT_EXCEPTIONS 0
#define MICRODOT_ABI v0_noexcept
#endif

/// 1 on systems with an operating system and a heap (Linux, macOS, Windows); 0 on bare metal.
#ifndef MICRODOT_HOSTED
#if defined(__linux__) || defined(__APPLE__) || defined(_WIN32) || defined(__unix__)
#define MICRODOT_HOSTED 1
#else
#define MICRODOT_HOSTED 0
#endif
#endif

/// Storage for what is "current" in one thread; a plain global where there are no threads.
#if MICRODOT_HOSTED
#define MICRODOT_THREAD_LOCAL thread_local
#else
#define MICRODOT_THREAD_LOCAL
#endif

/// Marks a small function with many callers: called, not inlined, where the compiler is told to save space.
/// It compares a call with the body at each place, and not what a call spares around it at all of them.
#ifdef __OPTIMIZE_SIZE__
#define MICRODOT_CALLED [[gnu::noinline]]
#else
#define MICRODOT_CALLED
#endif

#pragma once
/// What a request goes through is one translation unit where the compiler optimises: the UNITY_GROUP of
/// cmake/MicrodotLibrary.cmake, which defines `MICRODOT_REQUEST_UNIT` for it.

/// A step of it that another source of the unit calls. In the one unit it is inlined there, like a function
/// that nobody else can call, and nothing of it is left to link with: so nothing outside of the unit may call
/// it, no other source of the library, no test and no benchmark. Apart it is a function like any other.
#if defined(MICRODOT_REQUEST_UNIT)
#define MICRODOT_STEP inline
#else
#define MICRODOT_STEP
#endif

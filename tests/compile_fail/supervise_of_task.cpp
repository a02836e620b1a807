// expect-error: this takes a coroutine function and its arguments, \(f, a, b\), not the Task of a call, f\(a,
// b\)
#include <microdot/microdot.hpp>

using namespace microdot;

Task<> sample();

void start() { supervise("sensor", {}, sample()); }

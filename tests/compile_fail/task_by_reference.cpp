// expect-error: the function of a task takes a reference, but arguments are copied: pass std::ref\(argument\)
#include <microdot/microdot.hpp>

using namespace microdot;

struct Hub {};
Task<> sample(Hub& hub);

void start(Hub& hub) { create_task("sensor", sample, hub); }

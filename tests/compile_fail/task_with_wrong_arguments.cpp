// expect-error: the function of a task can't be called with copies of these arguments
#include <microdot/microdot.hpp>

using namespace microdot;

Task<> sample(int channel);

void start() { create_task("sensor", sample, "first"); }

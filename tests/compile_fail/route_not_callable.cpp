// expect-error: a route handler must be a function
#include "route.hpp"

int main() { get("/", 42); }

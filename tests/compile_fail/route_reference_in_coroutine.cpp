// expect-error: a coroutine must take path arguments by value
#include <microdot/async/task.hpp>
#include "route.hpp"

Task<> handler(Request&, const std::string&) { co_return; }

int main() { get("/users/<name>", handler); }

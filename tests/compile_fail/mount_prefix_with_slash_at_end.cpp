// expect-error: prefix_must_not_end_with_a_slash
#include "route.hpp"

int main() { mount("/api/"); }

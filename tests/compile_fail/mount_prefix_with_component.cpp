// expect-error: prefix_must_not_have_components
#include "route.hpp"

int main() { mount("/users/<id>"); }

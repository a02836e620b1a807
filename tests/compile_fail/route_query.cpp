// expect-error: pattern_must_not_have_a_query_or_fragment
#include "route.hpp"

int main() {
  get("/users?id=1", [](Request&) {});
}

// expect-ok
// The twin of harness_example.cpp, right: shows that the folder's flags and paths work.
template <int Number>
consteval int checked() {
  static_assert(Number > 0, "the number must be positive");
  return Number;
}

int main() { return checked<1>() - 1; }

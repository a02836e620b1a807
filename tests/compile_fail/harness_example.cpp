// expect-error: the number must be positive
// The least case there is: shows that the runner sees a reason in what the compilers say.
template <int Number>
consteval int checked() {
  static_assert(Number > 0, "the number must be positive");
  return Number;
}

int main() { return checked<0>(); }

// What App::get checks, without the rest of it: so that the cases compile fast.
#pragma once
#include <microdot/route.hpp>

using namespace microdot;

template <typename F>
void get(std::type_identity_t<RoutePattern<std::decay_t<F>>>, F&&) {}
inline void mount(RoutePrefix) {}

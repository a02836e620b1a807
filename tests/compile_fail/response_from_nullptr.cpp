// expect-error: nullptr is no body
#include <microdot/response.hpp>

using namespace microdot;

Response answer() { return Response(nullptr); }

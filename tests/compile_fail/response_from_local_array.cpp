// expect-error: a local array would be gone before it is sent
#include <microdot/response.hpp>

using namespace microdot;

Response answer() {
  char text[16] = "gone";
  return Response(text);
}

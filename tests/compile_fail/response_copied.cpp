// expect-error: use of deleted function|deleted constructor|call to (implicitly-)?deleted
#include <microdot/response.hpp>

using namespace microdot;

Response twice(const Response& response) { return response; }

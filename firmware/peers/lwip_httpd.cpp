// lwIP's own web server on the same boards, to compare with.
#include <lwip/apps/httpd.h>

#include <microdot/port/port.hpp>

int main() {
  httpd_init();
  for (;;) microdot::system_port().poller().poll(microdot::Duration{-1});
}

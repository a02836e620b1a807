// lwIP's own web server on the same boards, to compare with.
#include <lwip/apps/httpd.h>
#include <lwip/timeouts.h>

#include "firmware.hpp"

int main() {
  httpd_init();
  for (;;) {
    firmware::poll();
    sys_check_timeouts();
    firmware::idle();
  }
}

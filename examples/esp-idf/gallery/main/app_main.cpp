#include <wifi.hpp>

int gallery_main(int argc, char** argv);  // the main of examples/gallery/main.cpp

extern "C" void app_main() {
  start_wifi();
  char arguments[][10] = {"gallery", "--host", "0.0.0.0", "--port", "80"};
  char* argv[] = {arguments[0], arguments[1], arguments[2], arguments[3], arguments[4], nullptr};
  gallery_main(5, argv);
}

#pragma once
struct StubWiFi {
  int begin(const char* ssid, const char* passphrase);
};
extern StubWiFi WiFi;

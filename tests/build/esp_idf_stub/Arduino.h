#pragma once
// What a sketch has before its first line, for microdot's headers to stand beside: Arduino's macros.
#include <cstddef>
#include <cstdint>
#define B0 0
#define B1 1
#define CHANGE 3
#define DEFAULT 1
#define DEG_TO_RAD 0.017453292519943295
#define DISPLAY 1
#define EULER 2.718281828459045
#define EXTERNAL 0
#define F(text) (text)
#define FALLING 2
#define HIGH 1
#define INPUT 1
#define LOW 0
#define LSBFIRST 0
#define MSBFIRST 1
#define OUTPUT 3
#define PI 3.141592653589793
#define RISING 1
#define SERIAL 0
#define _BV(b) (1UL << (b))
#define _abs(x) ((x) > 0 ? (x) : -(x))
#define _max(a, b) ((a) > (b) ? (a) : (b))
#define _min(a, b) ((a) < (b) ? (a) : (b))
#define bit(b) (1UL << (b))
#define bitClear(value, bit) ((value) &= ~(1UL << (bit)))
#define bitRead(value, bit) (((value) >> (bit)) & 1)
#define bitSet(value, bit) ((value) |= (1UL << (bit)))
#define cli()
#define constrain(x, low, high) ((x) < (low) ? (low) : ((x) > (high) ? (high) : (x)))
#define degrees(x) ((x) * 57.29577951308232)
#define highByte(w) (static_cast<std::uint8_t>((w) >> 8))
#define interrupts()
#define lowByte(w) (static_cast<std::uint8_t>((w) & 0xff))
#define noInterrupts()
#define radians(x) ((x) * DEG_TO_RAD)
#define sei()
#define sq(x) ((x) * (x))
#define word(...) (__VA_ARGS__)
using boolean = bool;
using byte = std::uint8_t;
void pinMode(std::uint8_t pin, std::uint8_t mode);
void digitalWrite(std::uint8_t pin, std::uint8_t value);
struct StubSerial {
  void println(const char* text);
};
extern StubSerial Serial;
void setup();
void loop();

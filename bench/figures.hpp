#pragma once
/// What is measured of a server in rounds.

#include <algorithm>
#include <vector>

#include "load.hpp"
#include "system.hpp"

namespace bench {

struct Figures {
  std::vector<double> cpu;   // µs for a request, by round
  std::vector<double> rate;  // requests per second
  double user = 0;           // seconds
  long requests = 0;

  static double median(std::vector<double> values) {
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
  }
  double user_micros() const { return user * 1e6 / static_cast<double>(requests); }
};

inline void run_round(const Child& server, Load& load, double duration, Figures& figures) {
  const double began = seconds();
  const double cpu = server.cpu_seconds();
  const double user = server.user_seconds();
  const long requests = load.run(duration);
  figures.user += server.user_seconds() - user;
  figures.cpu.push_back((server.cpu_seconds() - cpu) * 1e6 / static_cast<double>(requests));
  figures.rate.push_back(static_cast<double>(requests) / (seconds() - began));
  figures.requests += requests;
}

}  // namespace bench

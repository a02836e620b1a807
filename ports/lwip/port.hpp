#pragma once
/// The port for lwIP's raw API without an operating system (`NO_SYS`): docs/design/lwip.md.

#include <microdot/port/port.hpp>

#include "board.hpp"
#include "network.hpp"

namespace microdot::inline MICRODOT_ABI {

/// lwIP, and a board below it. There is one, since lwIP has but one state; it lives as long as the program.
///
///     Port& microdot::system_port() noexcept {
///       static MyBoard board;
///       static LwipPort port(board);  // lwIP is ready: interfaces can be added from now on
///       return port;
///     }
class LwipPort final : public Port {
 public:
  /// Initialises lwIP. `board` must outlive the port.
  explicit LwipPort(LwipBoard& board) noexcept : board_(board), network_(board) {}
  LwipPort(const LwipPort&) = delete;
  LwipPort& operator=(const LwipPort&) = delete;

  Clock& clock() noexcept override { return clock_; }
  Poller& poller() noexcept override { return poller_; }
  Network& network() noexcept override { return network_; }
  Files& files() noexcept override { return files_; }
  Entropy& entropy() noexcept override { return entropy_; }
  Log& log() noexcept override { return log_; }
  /// Of lwIP's pools: frames that have come, segments under way, and its heap.
  Pressure pressure() noexcept override;

 private:
  class BoardClock final : public Clock {
   public:
    explicit BoardClock(LwipBoard& board) noexcept : board_(board) {}
    TimePoint now() noexcept override { return board_.now(); }
    std::int64_t unix_seconds() noexcept override { return board_.unix_seconds(); }

   private:
    LwipBoard& board_;
  };
  class BoardPoller final : public Poller {
   public:
    BoardPoller(LwipBoard& board, LwipNetwork& network) noexcept : board_(board), network_(network) {}
    void poll(Duration timeout) noexcept override;
    void wake() noexcept override { board_.wake(); }

   private:
    LwipBoard& board_;
    LwipNetwork& network_;
  };
  class BoardEntropy final : public Entropy {
   public:
    explicit BoardEntropy(LwipBoard& board) noexcept : board_(board) {}
    void fill(std::span<unsigned char> bytes) noexcept override { board_.fill_random(bytes); }

   private:
    LwipBoard& board_;
  };
  class BoardLog final : public Log {
   public:
    explicit BoardLog(LwipBoard& board) noexcept : board_(board) {}
    void write(LogLevel level, std::string_view line) noexcept override { board_.write_log(level, line); }

   private:
    LwipBoard& board_;
  };
  /// There are none.
  class NoFiles final : public Files {
   public:
    Result<File> open(std::string_view, std::string_view) noexcept override { return Error::not_found; }
    Result<void> check_root(std::string_view) noexcept override { return Error::not_found; }
    Result<std::size_t> read(Handle, std::uint64_t, std::span<char>) noexcept override { return Error::io; }
    void close(Handle) noexcept override {}
  };

  LwipBoard& board_;
  LwipNetwork network_;
  BoardClock clock_{board_};
  BoardPoller poller_{board_, network_};
  BoardEntropy entropy_{board_};
  BoardLog log_{board_};
  NoFiles files_;
};

}  // namespace microdot::inline MICRODOT_ABI

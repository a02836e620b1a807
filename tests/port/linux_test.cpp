// What only the Linux port has to get right: real signals, threads, descriptors, families, sendfile.

#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "descriptors.hpp"
#include "worlds.hpp"

namespace microdot_test {
namespace {

class LinuxPortTest : public testing::Test {
 protected:
  Port& port_ = system_port();
  Acceptor acceptor_{port_};

  /// The server's descriptor of the client's connection.
  static int server_end(const SocketClient& client) {
    for (int fd = 3; fd < 256; ++fd) {
      sockaddr_storage address{};
      socklen_t length = sizeof address;
      if (getpeername(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
          ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port) == client.local_port() && fd != client.fd())
        return fd;
    }
    return -1;
  }
};

TEST_F(LinuxPortTest, EachThreadHasItsPort) {
  Port* other = nullptr;
  std::thread([&] { other = &system_port(); }).join();
  EXPECT_NE(other, &port_);
  EXPECT_EQ(&system_port(), &port_);
}

// The whole pages of what is given back are the system's again, whatever kind of memory it is; what lies
// beside it stays.
TEST_F(LinuxPortTest, DiscardedPagesAreGivenBack) {
  constexpr std::size_t kPage = 4096;
  constexpr std::size_t kSize = 16 * kPage;
  alignas(kPage) static std::byte data[kSize] = {std::byte{1}};  // not .bss
  alignas(kPage) static std::byte bss[kSize];
  void* const mapped = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(mapped, MAP_FAILED);
  for (std::byte* memory : {static_cast<std::byte*>(mapped), data, bss}) {
    const auto is_full = [memory](std::size_t from, std::size_t to) {
      return std::all_of(memory + from, memory + to, [](std::byte byte) { return byte == std::byte{7}; });
    };
    madvise(memory, kSize, MADV_NOHUGEPAGE);
    std::fill_n(memory, kSize, std::byte{7});
    port_.discard({memory + kPage + 100, kPage - 100});  // no whole page
    port_.discard({memory + kPage + 1, 2 * kPage - 2});
    port_.discard({memory, 0});
    EXPECT_TRUE(is_full(0, kSize));
    port_.discard({memory + 4 * kPage - 1, 8 * kPage + 2});
    EXPECT_TRUE(is_full(0, 4 * kPage - 1));
    EXPECT_TRUE(is_full(12 * kPage + 1, kSize));
    if (memory != data) {  // whose file may be in memory
      unsigned char pages[kSize / kPage];
      ASSERT_EQ(mincore(memory, kSize, pages), 0);
      EXPECT_TRUE(std::none_of(pages + 4, pages + 12, [](unsigned char page) { return page & 1; }));
    }
    EXPECT_EQ(std::count(memory + 4 * kPage, memory + 12 * kPage, std::byte{7}), 0);
    std::fill_n(memory, kSize, std::byte{7});
    EXPECT_TRUE(is_full(0, kSize));
  }
  munmap(mapped, kSize);
}

TEST_F(LinuxPortTest, AThreadThatEndsClosesItsDescriptors) {
  const int next = next_descriptor();
  std::thread([] {
    system_port().poller().watch_exit_signals();
    (void)system_port().files().open("/etc", "passwd");
    system_port().poller().poll(0ms);
  }).join();
  const int after = next_descriptor();
  EXPECT_EQ(after, next);
}

TEST_F(LinuxPortTest, AWakeFromAnotherThreadEndsThePoll) {
  for (int round = 0; round < 200; ++round) {
    std::atomic<bool> posted{false};
    std::thread other([&] {
      posted = true;
      port_.poller().wake();
    });
    while (!posted) port_.poller().poll(20s);  // a lost wake is a test that times out
    other.join();
  }
  port_.poller().poll(0ms);
}

TEST_F(LinuxPortTest, SignalsAreCountedInWhateverThreadTheyCome) {
  port_.poller().watch_exit_signals();
  const unsigned before = port_.poller().exit_signals();
  for (const int number : {SIGINT, SIGTERM}) {
    std::thread other([&] { pthread_kill(pthread_self(), number); });  // a thread that blocks no signals
    const TimePoint start = port_.clock().now();
    port_.poller().poll(10s);
    other.join();
    EXPECT_LT(port_.clock().now() - start, 5s);
  }
  port_.poller().poll(0ms);
  EXPECT_EQ(port_.poller().exit_signals(), before + 2);
  port_.poller().unwatch_exit_signals();
}

TEST_F(LinuxPortTest, UnwatchingRestoresTheProgramsOwnHandlers) {
  static std::atomic<int> own;
  own = 0;
  struct sigaction mine {};
  struct sigaction before {};
  mine.sa_handler = [](int) { ++own; };
  sigaction(SIGTERM, &mine, &before);
  port_.poller().watch_exit_signals();
  raise(SIGTERM);
  EXPECT_EQ(own, 0);
  port_.poller().unwatch_exit_signals();
  raise(SIGTERM);
  EXPECT_EQ(own, 1);
  sigaction(SIGTERM, &before, nullptr);
  port_.poller().poll(0ms);
}

TEST_F(LinuxPortTest, AProgramsOwnSigpipeHandlingStays) {
  const pid_t child = fork();
  if (child == 0) {
    signal(SIGPIPE, [](int) {});
    struct sigaction action {};
    std::thread([] { (void)system_port(); }).join();
    sigaction(SIGPIPE, nullptr, &action);
    const bool kept = action.sa_handler != SIG_IGN;
    signal(SIGPIPE, SIG_DFL);
    std::thread([] { (void)system_port(); }).join();
    sigaction(SIGPIPE, nullptr, &action);
    _exit(kept && action.sa_handler == SIG_IGN ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(LinuxPortTest, SendsAFileWithoutReadingItAndNeverDiesOfIt) {
  char name[] = "/tmp/microdot_sendfile_XXXXXX";
  const int out = mkstemp(name);
  std::string content;
  for (int i = 0; content.size() < 3'000'000; ++i) content += std::to_string(i) + '\n';
  ASSERT_EQ(write(out, content.data(), content.size()), static_cast<ssize_t>(content.size()));
  auto file = port_.files().open("", name);
  ASSERT_TRUE(file);
  ASSERT_TRUE(acceptor_.listen());
  SocketClient client(acceptor_.number());
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  constexpr std::size_t kStart = 1000;
  std::size_t at = kStart;
  const auto send_on = [&] {
    while (at < content.size()) {
      const auto sent = peer.transport->write_file(*file, at, content.size() - at);
      if (!sent) {
        EXPECT_EQ(sent.error(), Error::would_block);
        return;
      }
      at += *sent;
    }
    peer.transport->set_interest(true, false);
  };
  peer.when_writable = send_on;
  peer.transport->set_interest(true, true);
  EXPECT_TRUE(poll_until(port_, [&] { return client.received().size() >= content.size() - kStart; }));
  EXPECT_TRUE(client.received() == content.substr(kStart));

  EXPECT_EQ(peer.transport->write_file(*file, content.size(), 10).error(), Error::io) << "beyond the end";
  ASSERT_EQ(ftruncate(out, 0), 0);
  EXPECT_EQ(peer.transport->write_file(*file, 0, 10).error(), Error::io) << "it has become shorter";
  ASSERT_EQ(write(out, "x", 1), 1);

  // A handle of another port is no descriptor here.
  SimPort sim;
  sim.add_file("f", "content");
  const auto foreign = sim.files().open("", "f");
  EXPECT_EQ(peer.transport->write_file(*foreign, 0, 7).error(), Error::unsupported);

  client.reset();
  ASSERT_TRUE(poll_until(port_, [&] { return peer.gone == 1; }));
  for (int i = 0; i < 3; ++i)  // sendfile raises SIGPIPE here
    EXPECT_EQ(peer.transport->write_file(*file, 0, 10).error(), Error::closed);
  peer.close();
  close(out);
  unlink(name);
}

TEST_F(LinuxPortTest, TheSystemHoldsLittleOfWhatAClientDoesNotRead) {
  ASSERT_TRUE(acceptor_.listen());
  SocketClient client(acceptor_.number());
  client.stop_reading();
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  const std::string piece(16 * 1024, 'x');
  const ConstBuffer buffer{piece.data(), piece.size()};
  std::size_t taken = 0;
  const auto send_on = [&] {
    while (const auto sent = peer.transport->write({&buffer, 1}, false)) taken += *sent;
  };
  peer.when_writable = send_on;
  peer.transport->set_interest(false, true);
  for (int i = 0; i < 20; ++i) port_.poller().poll(20ms);
  EXPECT_GT(taken, 64U * 1024);
  EXPECT_LT(taken, 512U * 1024);  // with what is in the client's own window
  peer.close();
}

TEST_F(LinuxPortTest, ServesBothFamiliesAndCallsIpv4ByItsName) {
  for (std::string_view host : {"", "::"}) {
    Acceptor both(port_);
    ASSERT_TRUE(both.listen({.host = host}));
    EXPECT_EQ(both.listener->local().family, Endpoint::Family::ipv6);
    SocketClient four(both.number()), six(both.number(), true);
    std::vector<std::string> names;
    for (int i = 0; i < 2; ++i) {
      Peer peer;
      ASSERT_TRUE(both.accept(peer));
      char text[Endpoint::kMaxText];
      names.emplace_back(peer.transport->peer().format_address(text));
      EXPECT_NE(peer.transport->peer().port, 0);
      peer.close();
    }
    EXPECT_EQ(names, (std::vector<std::string>{"127.0.0.1", "::1"}));
  }
}

TEST_F(LinuxPortTest, OneFamilyAloneWhenItIsNamed) {
  ASSERT_TRUE(acceptor_.listen({.host = "::1"}));
  EXPECT_TRUE(SocketClient(acceptor_.number()).was_reset());
  EXPECT_FALSE(SocketClient(acceptor_.number(), true).was_reset());
  Acceptor four(port_);
  ASSERT_TRUE(four.listen({.host = "0.0.0.0"}));
  EXPECT_TRUE(SocketClient(four.number(), true).was_reset());
  EXPECT_FALSE(SocketClient(four.number()).was_reset());
  Acceptor local(port_);
  ASSERT_TRUE(local.listen({.host = "localhost"}));
  EXPECT_FALSE(SocketClient(local.number()).was_reset());
}

TEST_F(LinuxPortTest, AnAddressOfAnotherMachineIsUnavailable) {
  EXPECT_EQ(acceptor_.listen({.host = "192.0.2.1"}).error(), Error::address_unavailable);
  EXPECT_EQ(acceptor_.listen({.host = "no.such.host.invalid"}).error(), Error::invalid);
  EXPECT_EQ(acceptor_.listen({.host = std::string(1000, 'a')}).error(), Error::invalid);
}

TEST_F(LinuxPortTest, AcceptedSocketsDoNotDelayAndDoNotLeakToChildren) {
  ASSERT_TRUE(acceptor_.listen());
  SocketClient client(acceptor_.number());
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  const int fd = server_end(client);
  ASSERT_GE(fd, 0);
  int value = 0;
  socklen_t length = sizeof value;
  ASSERT_EQ(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &length), 0);
  EXPECT_NE(value, 0);
  EXPECT_NE(fcntl(fd, F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_NE(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  peer.close();
}

TEST_F(LinuxPortTest, WithoutDescriptorsAcceptSaysSoAndTheConnectionWaits) {
  ASSERT_TRUE(acceptor_.listen());
  Error accepted = Error::none;
  Error opened = Error::none;
  Error listened = Error::none;
  const auto try_all = [&] {
    Peer peer;
    accepted = acceptor_.accept(peer).error();
    if (accepted == Error::none) peer.close();
    opened = port_.files().open("", "/etc/passwd").error();
    Acceptor other(port_);
    listened = other.listen().error();
  };
  // With descriptors all goes well. (UBSan needs one itself when it sees a type for the first time.)
  SocketClient first(acceptor_.number());
  try_all();
  EXPECT_EQ(accepted, Error::none);
  EXPECT_EQ(opened, Error::none);
  EXPECT_EQ(listened, Error::none);

  SocketClient client(acceptor_.number());
  {
    const DescriptorsLeft none(0);
    try_all();
  }
  EXPECT_EQ(accepted, Error::no_descriptors);
  EXPECT_EQ(opened, Error::no_descriptors);
  EXPECT_EQ(listened, Error::no_descriptors);
  Peer peer;
  EXPECT_TRUE(acceptor_.accept(peer));
  peer.close();
}

TEST_F(LinuxPortTest, AFileThatIsOnlyKeptGivesItsDescriptorToANewcomer) {
  ASSERT_TRUE(acceptor_.listen());
  const SocketClient clients[] = {SocketClient(acceptor_.number()), SocketClient(acceptor_.number())};
  char folder[] = "/tmp/microdot_kept_XXXXXX";
  ASSERT_NE(mkdtemp(folder), nullptr);
  const std::string path = std::string(folder) + "/fresh";  // so what it holds is not kept, which needs none
  std::ofstream(path) << "fresh";
  in_batch(port_, [&] {
    // First with enough: see above.
    for (const unsigned count : {50U, 0U}) {
      (void)port_.files().open(folder, "fresh");
      const DescriptorsLeft left(count);
      Peer peer;
      const bool accepted(acceptor_.accept(peer));
      EXPECT_TRUE(accepted) << count;
      if (accepted) peer.close();
    }
  });
  unlink(path.c_str());
  rmdir(folder);
}

TEST_F(LinuxPortTest, FilesThatAreOpenForLongLeaveSharingToOthers) {
  char root[] = "/tmp/microdot_shared_XXXXXX";
  ASSERT_NE(mkdtemp(root), nullptr);
  std::vector<std::string> names;
  for (int i = 0; i < 20; ++i) {
    names.push_back(std::to_string(i));
    std::ofstream(std::string(root) + "/" + names.back()) << names.back();
  }
  {
    std::vector<File> downloads;
    for (const std::string& name : names)
      in_batch(port_, [&] { downloads.push_back(port_.files().open(root, name).value()); });
    in_batch(port_, [&] {
      const auto first = port_.files().open(root, "0");
      const auto second = port_.files().open(root, "0");
      EXPECT_EQ(first->handle(), second->handle());
    });
    for (std::size_t i = 0; i < downloads.size(); ++i) {
      char buffer[8];
      EXPECT_EQ(std::string(buffer, downloads[i].read(0, buffer).value_or(0)), names[i]);
    }
  }
  std::filesystem::remove_all(root);
}

struct Watcher final : NetworkEvents {
  void on_network_changed() noexcept override { ++changes; }
  int changes = 0;
};

TEST_F(LinuxPortTest, KnowsItsAddressesWhileItWatches) {
  Network& network = port_.network();
  const auto check = [&](std::initializer_list<std::uint8_t> bytes) {
    Endpoint endpoint;
    endpoint.family = bytes.size() == 4 ? Endpoint::Family::ipv4 : Endpoint::Family::ipv6;
    std::copy(bytes.begin(), bytes.end(), endpoint.address.begin());
    return network.check_address(endpoint);
  };
  port_.poller().poll(0ms);
  const int next = next_descriptor();
  EXPECT_EQ(check({127, 0, 0, 1}), Error::unsupported);
  Watcher first, second;
  network.watch(first);
  network.watch(second);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(check({127, 0, 0, 1}), Error::none);
    EXPECT_EQ(check({127, 1, 2, 3}), Error::none);
    EXPECT_EQ(check({192, 0, 2, 1}), Error::address_unavailable);
    EXPECT_EQ(check({0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}), Error::address_unavailable);
    network.unwatch(i % 2 == 0 ? first : second);
    network.watch(i % 2 == 0 ? first : second);
  }
  network.unwatch(first);
  EXPECT_EQ(check({127, 0, 0, 1}), Error::none);
  network.unwatch(second);
  EXPECT_EQ(check({127, 0, 0, 1}), Error::unsupported);
  const int after = next_descriptor();
  EXPECT_EQ(after, next) << "a descriptor was left";
}

/// The socket for questions: the one of netlink that gets no news.
int question_socket() {
  for (int fd = 3; fd < 256; ++fd) {
    sockaddr_nl address{};
    socklen_t length = sizeof address;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
        address.nl_family == AF_NETLINK && address.nl_groups == 0)
      return fd;
  }
  return -1;
}

// As after a question whose answer could not be read to its end.
TEST_F(LinuxPortTest, AnAnswerToAnEarlierQuestionIsNotTakenForThatToTheNext) {
  port_.poller().poll(0ms);
  Watcher watcher;
  port_.network().watch(watcher);
  const int fd = question_socket();
  ASSERT_GE(fd, 0);
  struct {
    nlmsghdr header;
    ifaddrmsg message;
  } earlier{};
  earlier.header.nlmsg_len = sizeof earlier;
  earlier.header.nlmsg_type = RTM_GETADDR;
  earlier.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  earlier.message.ifa_family = AF_INET6;  // the answer knows nothing of 127.0.0.1
  const Endpoint loopback = Endpoint::from_address("127.0.0.1");
  for (int i = 0; i < 3; ++i) {
    ASSERT_GT(send(fd, &earlier, sizeof earlier, 0), 0);
    EXPECT_EQ(port_.network().check_address(loopback), Error::none);
  }
  EXPECT_EQ(port_.network().check_address(Endpoint::from_address("192.0.2.1")), Error::address_unavailable);
  port_.network().unwatch(watcher);
}

TEST_F(LinuxPortTest, WatchingLeavesTheLastDescriptorToAClient) {
  ASSERT_TRUE(acceptor_.listen());
  const SocketClient clients[] = {SocketClient(acceptor_.number()), SocketClient(acceptor_.number()),
                                  SocketClient(acceptor_.number()), SocketClient(acceptor_.number())};
  Watcher watcher;
  // First with enough: UBSan needs a descriptor itself when it sees a type for the first time.
  for (const unsigned count : {50U, 3U, 2U, 1U, 0U}) {
    Peer peer;
    bool accepted = false;
    {
      const DescriptorsLeft left(count);
      port_.network().watch(watcher);
      accepted = count != 0 && bool(acceptor_.accept(peer));
    }
    port_.network().unwatch(watcher);
    EXPECT_EQ(accepted, count != 0);
    if (accepted) peer.close();
  }
}

TEST_F(LinuxPortTest, RaisesTheDescriptorLimitAsFarAsItGoes) {
  const pid_t child = fork();
  if (child == 0) {
    rlimit limit{64, 300};
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0) _exit(10);
    if (port_.network().reserve_connections(10) != 10) _exit(11);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < 10 + 64 || limit.rlim_cur > 300) _exit(12);
    const std::size_t most = port_.network().reserve_connections(1000);
    getrlimit(RLIMIT_NOFILE, &limit);
    _exit(limit.rlim_cur == 300 && most < 300 && most > 200 ? 0 : 13);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST_F(LinuxPortTest, AConnectionInheritedByAChildIsStillForgotten) {
  // A child that holds the descriptor keeps the kernel's registration alive, unless the port takes it away.
  ASSERT_TRUE(acceptor_.listen());
  SocketClient client(acceptor_.number());
  Peer peer;
  ASSERT_TRUE(acceptor_.accept(peer));
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  peer.close();
  client.send("to whom?");
  poll_on(port_);
  EXPECT_EQ(peer.readable, 0);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
}

TEST_F(LinuxPortTest, LogsLinesToStandardError) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const int saved = dup(2);
  dup2(ends[1], 2);
  port_.log().write(LogLevel::error, "one line");
  dup2(saved, 2);
  char buffer[32];
  const ssize_t size = read(ends[0], buffer, sizeof buffer);
  EXPECT_EQ(std::string(buffer, static_cast<std::size_t>(size)), "one line\n");
  for (const int fd : {ends[0], ends[1], saved}) close(fd);
}

}  // namespace
}  // namespace microdot_test

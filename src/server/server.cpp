#include "server.hpp"

#include <algorithm>
#include <cassert>
#include <new>

#include <microdot/base/format.hpp>
#include <microdot/base/text.hpp>
#include <microdot/http/response_writer.hpp>

#include "workers.hpp"

namespace microdot::inline MICRODOT_ABI::detail {

static_assert(sizeof(Server) <= kServerBytes);

// So much of the body's window serves for what clients send at once, however large it is: a request with a
// body may have to be moved to the front, and what lies behind it with it.
constexpr std::size_t kReadAhead = 32 * 1024;

Server::Server(App& app, std::span<std::byte> block) noexcept : app_(&app) {
  const Limits& limits = app.limits();
  connections_ = block.data() + kServerBytes;
  exchanges_ = connections_ + connections_bytes(limits);
  streams_ = exchanges_ + limits.exchanges * limits.exchange_memory();
  std::byte* at = streams_ + limits.streams * limits.stream_memory();
  for (std::size_t i = 0; MICRODOT_HOSTED && i < limits.ws_compressed; ++i) {
    free_compression(at);
    at += limits.compression_memory();
  }
}

Server* Server::create(App& app, std::span<std::byte> block) noexcept {
  return ::new (static_cast<void*>(block.data())) Server(app, block);
}

void Server::destroy() noexcept {
  stop();
  for (std::size_t i = 0; i < exchanges_made_; ++i) exchange(i).~Exchange();
  for (std::size_t i = 0; i < streams_made_; ++i) stream_slot(i).~StreamSlot();
  for (std::size_t i = 0; i < connections_made_; ++i) connection(i).~Connection();
  this->~Server();
}

Connection& Server::take_free_connection() noexcept {
  if (!free_.empty()) return free_.pop_front();
  assert(connections_made_ < connection_slots(limits()));
  auto* made = ::new (connections_ + connections_made_ * kConnectionBytes) Connection(*this);
  ++connections_made_;
  return *made;
}

Exchange* Server::take_free_exchange() noexcept {
  if (!free_exchanges_.empty()) return &free_exchanges_.pop_front();
  assert(exchanges_made_ < limits().exchanges);
  std::byte* const place = exchanges_ + exchanges_made_ * limits().exchange_memory();
  std::byte* at = place + kExchangeBytes;
  const auto take = [&at](std::size_t size) {
    std::byte* memory = at;
    at += align_up(size);
    return memory;
  };
  Exchange::Memory memory;
  // The arena first: what it keeps for good is followed by what is of no use while nobody is served.
  memory.arena = {take(limits().arena_bytes), limits().arena_bytes};
  memory.fields = {reinterpret_cast<HeaderField*>(take(limits().header_count * kHeaderFieldBytes)),
                   limits().header_count};
  auto* const head = reinterpret_cast<char*>(take(limits().head_bytes));
  const auto window = static_cast<std::size_t>(body_window_bytes(limits()));
  memory.body = {reinterpret_cast<char*>(take(window)), window};
  memory.in = {head, memory.body.data() + std::min(window, kReadAhead)};
  memory.response = {reinterpret_cast<char*>(take(limits().response_bytes)), limits().response_bytes};
  auto* made = ::new (static_cast<void*>(place)) Exchange(*this, memory);
  publish_shared(exchanges_made_, exchanges_made_ + 1);
  return made->start() ? made : nullptr;
}

StreamSlot& Server::take_free_stream() noexcept {
  if (!free_streams_.empty()) return free_streams_.pop_front();
  assert(streams_made_ < limits().streams);
  std::byte* const place = streams_ + streams_made_ * limits().stream_memory();
  const std::span<std::byte> memory(place + kStreamBytes, limits().stream_memory() - kStreamBytes);
  auto* made = ::new (static_cast<void*>(place)) StreamSlot(memory);
  publish_shared(streams_made_, streams_made_ + 1);
  return *made;
}

Connection& Server::connection(std::size_t i) const noexcept {
  return *std::launder(reinterpret_cast<Connection*>(connections_ + i * kConnectionBytes));
}

Exchange& Server::exchange(std::size_t i) const noexcept {
  return *std::launder(reinterpret_cast<Exchange*>(exchanges_ + i * limits().exchange_memory()));
}

StreamSlot& Server::stream_slot(std::size_t i) const noexcept {
  return *std::launder(reinterpret_cast<StreamSlot*>(streams_ + i * limits().stream_memory()));
}

Result<void> Server::start(const ServerOptions& options, Place place) noexcept {
  loop_ = &Loop::current();
#if MICRODOT_HOSTED
  is_first_ = place.worker == 0;
#endif
  stats_.started = loop_->now();
  log_ = options.debug.log_;
  trusted_proxies_ = options.trusted_proxies;
#if MICRODOT_HOSTED
  drain_ = options.drain;
#endif
  Port& port = loop_->port();
  FixedText<256> line;
  const auto refuse = [&](Error error) -> Result<void> {
    port.log().write(LogLevel::error, line.view());
    return Result<void>::logged(error);
  };
  if (!trusted_proxies_.is_valid()) {
    line.append("ServerOptions::trusted_proxies: \"").append(trusted_proxies_.text().substr(0, 128));
    line.append("\" is no list of addresses and networks");
    return refuse(Error::invalid);
  }
  // The routes are everybody's.
  const RegistrationError error = is_first_ ? app_->prepare(port.files()) : RegistrationError{};
  if (error.reason != nullptr) {
    if (!error.subject.empty()) line.append("\"").append(error.subject).append("\": ");
    line.append(error.reason);
    return refuse(Error::invalid);
  }
  Exchange* const first = take_free_exchange();
  if (first == nullptr) {
    line.append("Limits::arena_bytes is too small for the server's own coroutine");
    return refuse(Error::no_memory);
  }
  free_exchanges_.push_front(*first);
  pressure_ = port.pressure();
  const std::size_t possible =
      port.network().reserve_connections(std::size_t{limits().connections} * place.workers);
  usable_ = static_cast<std::uint32_t>(possible / place.workers);
  if (usable_ < limits().connections && is_first_) {
    line.append("the system's descriptor limit allows only ").append(usable_);
    line.append(" of Limits::connections = ").append(limits().connections);
    port.log().write(LogLevel::warning, line.view());
    line.clear();
  }
  const PortSharing sharing = place.workers == 1 ? PortSharing::none
                              : is_first_        ? PortSharing::first
                                                 : PortSharing::others;
  if (const Result<void> listening = listening_.start(options.host, options.port, sharing); !listening) {
    line.append("cannot listen on ").append(options.host.empty() ? "*" : options.host).append(":");
    line.append(options.port).append(": ");
    line.append(listening.error() == Error::invalid ? "no such address or name"
                                                    : to_string(listening.error()));
    return refuse(listening.error());
  }
  loop_->exit_listeners().push_back(*this);
  running_ = true;
  if (place.workers == 1) announce();
  if (loop_->exit_requested()) on_exit_requested();  // asked before there was a server to tell
  return {};
}

void Server::announce() noexcept {
  FixedText<256> line;
  char address[IntoText<Endpoint>::max_size];
  line.append("listening on http://").append(IntoText<Endpoint>::make(listening_.local(), address));
  loop_->port().log().write(LogLevel::info, line.append("/").view());
}

void Server::on_exit_requested() noexcept {
#if MICRODOT_HOSTED
  Workers* const workers = app_->workers_.load(std::memory_order_relaxed);
  if (workers != nullptr && workers->shutdown(true)) return;
#endif
  shutdown();
}

void Server::shutdown() noexcept {
  if (!running_ || to_end_) return;
  store_shared(to_end_, true);
  if (drain_ == Duration{0}) return close_down();
  loop_->timers().arm(*this, loop_->now() + drain_);
}

void Server::close_down() noexcept {
  store_shared(shutting_down_, true);
  listening_.close();
  while (!idle_.empty()) idle_.front().close(false);
  while (!fresh_.empty()) fresh_.front().close(false);
  for (std::size_t i = 0; i < streams_made_; ++i) {
    if (LiveStream* stream = stream_slot(i).stream) stream->shutdown();
  }
  while (!draining_.empty()) draining_.front().close_politely();
  loop_->timers().arm(*this, loop_->now() + Duration(limits().shutdown_timeout));
  check_ended();
}

void Server::stop() noexcept {
  running_ = false;
  disarm();
  review_.disarm();
  ExitListener::unlink();
  listening_.stop();
  for (std::size_t i = 0; i < exchanges_made_; ++i) exchange(i).stop();
  for (std::size_t i = 0; i < streams_made_; ++i) {
    if (LiveStream* stream = stream_slot(i).stream) stream->stop();
  }
  for (std::size_t i = 0; i < connections_made_; ++i) connection(i).close(true);
}

void Server::check_ended() noexcept {
  if (shutting_down_ && open_ == 0) ended_.set();
}

// The end of the drain, then the shutdown's deadline; before anybody asks for these, time to tidy up.
void Server::on_timer() noexcept {
  if (MICRODOT_HOSTED && !to_end_) return tidy();
  if (!shutting_down_) return close_down();
  stop();
  ended_.set();
}

void Server::make_usual_head() noexcept {
  date_due_ = loop_->now() + std::chrono::milliseconds(50);
  const std::int64_t seconds = loop_->port().clock().unix_seconds();
  date_line_ = seconds != 0 ? date_.at(seconds) : std::string_view{};
  constexpr std::string_view kName = "Content-Type: ";
  const std::string_view type = app_->default_content_type;
  ResponseHead head(usual_head_);
  head.status(200).raw(date_line_);
  usual_head_type_at_ = static_cast<std::uint8_t>(head.size() + kName.size());
  head.text_type(type).raw("Content-Length: ");
  const bool fits = head.error() == Error::none;
  usual_head_type_size_ = fits ? static_cast<std::uint8_t>(type.size()) : 0;
  usual_head_size_ = fits ? static_cast<std::uint8_t>(head.size()) : 0;
}

Stats Server::stats() const noexcept {
  Stats stats = copy_shared(stats_);
  stats.tier = tiers_.tier();
  stats.draining = load_shared(to_end_) && !load_shared(shutting_down_);
  stats.connections = load_shared(open_);
  stats.idle = load_shared(idling_);
  stats.exchanges = load_shared(busy_);
  stats.queued = load_shared(queued_);
  for (std::size_t i = 0; i < load_published(exchanges_made_); ++i) {
    const auto high = static_cast<std::uint32_t>(exchange(i).arena().high_water());
    if (high > stats.arena_high_water) stats.arena_high_water = high;
  }
  stats.streams = load_shared(live_);
  for (std::size_t i = 0; i < load_published(streams_made_); ++i) {
    const auto high = static_cast<std::uint32_t>(stream_slot(i).arena.high_water());
    if (high > stats.stream_high_water) stats.stream_high_water = high;
  }
  if (loop_ != nullptr) {
    stats.longest_turn = loop_->longest_turn();
    stats.longest_turn_by = loop_->longest_turn_by();
    stats.times_blocked = loop_->times_blocked();
    stats.task_restarts = load_shared(loop_->task_counts().restarts);
    stats.tasks = load_shared(loop_->task_counts().all);
    stats.tasks_of_requests = load_shared(loop_->task_counts().of_requests);
    stats.task_pool_high_water = static_cast<std::uint32_t>(task_pool().high_water());
  }
  return stats;
}

}  // namespace microdot::inline MICRODOT_ABI::detail

#include <algorithm>

#include "network.hpp"

namespace microdot::inline MICRODOT_ABI {
namespace {

using Kind = SimEvent::Kind;
using Server = SimConnection::Server;

}  // namespace

Result<std::size_t> SimTransport::read(std::span<char> buffer) noexcept {
  auto& way = connection_.to_server;
  if (way.reset_arrived) return Error::closed;
  if (way.arrived == 0) {
    if (!way.fin_arrived) return Error::would_block;
    connection_.end_read = true;
    return std::size_t{0};
  }
  std::size_t size = std::min(buffer.size(), way.arrived);
  size = std::clamp(network_.faults.read_limit(connection_.number, size), std::size_t{1}, size);
  std::memcpy(buffer.data(), way.bytes.view().data(), size);
  way.bytes.consume(size);
  way.arrived -= size;
  return size;
}

Result<std::size_t> SimTransport::admit(std::size_t offered) noexcept {
  auto& way = connection_.to_client;
  if (connection_.to_server.reset_arrived || way.fin_sent || way.reset_sent) return Error::closed;
  if (offered == 0) return std::size_t{0};
  std::size_t size = std::min(offered, SimNetwork::room(connection_));
  if (size != 0) size = std::min(size, network_.faults.write_limit(connection_.number, size));
  if (size < offered) connection_.blocked = true;
  if (size == 0) return Error::would_block;
  const std::uint64_t left = way.reset_at - way.total;
  if (size > left) size = static_cast<std::size_t>(left);
  return size;
}

Result<std::size_t> SimTransport::write(std::span<const ConstBuffer> pieces, bool) noexcept {
  std::size_t offered = 0;
  for (const ConstBuffer& piece : pieces) offered += piece.size;
  const auto admitted = admit(offered);
  if (!admitted) return admitted.error();
  auto& way = connection_.to_client;
  std::size_t taken = 0;
  for (const ConstBuffer& piece : pieces) {
    const std::size_t size = std::min(piece.size, *admitted - taken);
    if (size == 0) continue;
    if (network_.options.refers_to_written_bytes && !connection_.client_closed) {
      if (SimNetwork::room(connection_) == 0) {  // of pieces
        connection_.blocked = true;
        break;
      }
      connection_.referred += size;
      ++connection_.referred_pieces;
      network_.send(connection_, SimDirection::to_client, Kind::bytes, size, piece.data);
    } else {
      way.bytes.append(piece.data, size);
      network_.send(connection_, SimDirection::to_client, Kind::bytes, size);
    }
    taken += size;
  }
  way.total += taken;
  if (offered != 0 && way.total == way.reset_at && (taken == 0 || taken < offered)) {
    network_.send(connection_, SimDirection::to_client, Kind::reset);
    network_.send(connection_, SimDirection::to_server, Kind::reset);
    if (taken == 0) return Error::closed;
  }
  return taken;
}

Result<std::size_t> SimTransport::write_file(const FileReader& file, std::uint64_t offset,
                                             std::size_t size) noexcept {
  char buffer[4096];
  if (network_.options.refers_to_written_bytes) return Error::unsupported;  // the buffer would not live on
  if (size == 0) return std::size_t{0};
  const auto count = file.read(offset, {buffer, std::min(size, sizeof buffer)});
  if (!count || *count == 0) return Error::io;
  const ConstBuffer piece{buffer, *count};
  return write({&piece, 1}, false);
}

std::size_t SimTransport::undrained() const noexcept { return connection_.referred; }

void SimTransport::set_interest(bool read, bool write) noexcept {
  connection_.want_read = read;
  connection_.want_write = write;
  network_.check_ready(connection_);
}

void SimTransport::shutdown_write() noexcept {
  if (!connection_.to_server.reset_arrived && !connection_.to_client.reset_sent)
    network_.send(connection_, SimDirection::to_client, Kind::fin);
  network_.check_ready(connection_);
}

bool SimTransport::close(bool abort) noexcept {
  SimConnection& connection = connection_;
  SimNetwork& network = network_;
  const bool reset = abort || connection.to_server.arrived != 0;  // as every TCP does with unread bytes
  if (!connection.to_server.reset_arrived) {
    if (reset) {
      network.drop_events(connection, SimDirection::to_client);
      connection.referred = 0;
      connection.referred_pieces = 0;
      network.send(connection, SimDirection::to_client, Kind::reset);
    } else {
      network.send(connection, SimDirection::to_client, Kind::fin);
    }
  }
  if (connection.referred_pieces != 0) {
    connection.server = Server::closing;
    return false;
  }
  network.server_closed(connection);
  return true;
}

}  // namespace microdot::inline MICRODOT_ABI

// libmicrohttpd, one thread with epoll: microhttpd PORT FILES.

#include <arpa/inet.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

#include "../workloads.hpp"

namespace {

const std::string plain = bench::pieces();

ssize_t read_piece(void*, std::uint64_t at, char* buffer, std::size_t most) {
  if (at >= plain.size()) return MHD_CONTENT_READER_END_OF_STREAM;
  const std::size_t size = std::min(most, plain.size() - static_cast<std::size_t>(at));
  std::memcpy(buffer, plain.data() + at, size);
  return static_cast<ssize_t>(size);
}

MHD_Response* of(std::string_view text, MHD_ResponseMemoryMode mode) {
  MHD_Response* response = MHD_create_response_from_buffer(text.size(), const_cast<char*>(text.data()), mode);
  MHD_add_response_header(response, "Content-Type", "text/plain; charset=UTF-8");
  return response;
}

MHD_Result answer(void* root, MHD_Connection* connection, const char* url, const char*, const char*,
                  const char* body, std::size_t* body_size, void** context) {
  static char begun;
  const std::string_view path = url;
  auto* text = static_cast<std::string*>(*context);
  if (path == "/echo") {
    if (text == nullptr) {
      *context = new std::string;
      return MHD_YES;
    }
    if (*body_size != 0) {
      text->append(body, *body_size);
      *body_size = 0;
      return MHD_YES;
    }
  } else if (*context == nullptr) {
    *context = &begun;
    return MHD_YES;
  }
  MHD_Response* response = nullptr;
  if (path == "/") {
    static MHD_Response* hello = of("Hello, World!", MHD_RESPMEM_PERSISTENT);
    return MHD_queue_response(connection, MHD_HTTP_OK, hello);
  } else if (path.starts_with("/users/")) {
    response = of(path.substr(7), MHD_RESPMEM_MUST_COPY);
  } else if (path == "/echo") {
    response = of(*text, MHD_RESPMEM_MUST_COPY);
    delete text;
  } else if (path == "/stream") {
    response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, bench::kPiece, read_piece, nullptr, nullptr);
  } else if (path == "/plain") {
    response = of(plain, MHD_RESPMEM_PERSISTENT);
  } else if (path.starts_with("/static/") && path.find("..") == std::string_view::npos) {
    const int fd =
        open((static_cast<const char*>(root) + std::string(path.substr(7))).c_str(), O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (fd >= 0 && fstat(fd, &status) == 0) {
      response = MHD_create_response_from_fd64(static_cast<std::uint64_t>(status.st_size), fd);
    }
  }
  *context = nullptr;
  if (response == nullptr) return MHD_NO;
  const MHD_Result result = MHD_queue_response(connection, MHD_HTTP_OK, response);
  MHD_destroy_response(response);
  return result;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(argv[1])));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  MHD_Daemon* daemon =
      MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_USE_TURBO, 0, nullptr, nullptr, answer, argv[2],
                       MHD_OPTION_SOCK_ADDR, &address, MHD_OPTION_CONNECTION_LIMIT, 12000u, MHD_OPTION_END);
  if (daemon == nullptr) return 1;
  for (;;) pause();
}

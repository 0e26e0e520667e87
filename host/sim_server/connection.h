// One client connection of a simulated server: reads HTTP/1.1 requests, answers each in turn.
//
// While an answer is under way the next request is already being read; that is also how a client
// that leaves is noticed, and its slot freed, at once. At most one request is held back so.
// Threads: the io_context's only. Ownership: its own read loop, until the socket is closed.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "host/net/asio.h"
#include "host/sim_server/answer.h"
#include "host/sim_server/batching.h"

namespace sluice::sim_server {

class Core;

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(std::shared_ptr<Core> core, tcp::socket socket);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void start();
  void on_token(const Batching::Token& token);
  void reset();  // RST to the client; gives up whatever is under way

 private:
  using Request = http::request<http::string_body>;

  asio::awaitable<void> run();
  asio::awaitable<bool> read(Request& request);  // false: there is no further request
  asio::awaitable<void> quiet();                 // returns once every answer has been written
  asio::awaitable<void> handle(Request request);

  void handle_model(Api api, const Request& request);
  void handle_admin(const Request& request);
  asio::awaitable<void> handle_metrics();

  void answer(unsigned status, std::string_view type, std::string_view body);
  void answer_error(unsigned status, std::string_view message, std::string_view param = {});
  std::string stream_head() const;
  void append_chunk(std::string_view data, std::string& out) const;

  void send(std::string_view data);
  void write();
  void settle();  // the answer is complete or written: when it is both, goes on to what comes next
  void drop();    // ends the connection in order
  void close();   // gives up whatever is under way

  std::shared_ptr<Core> core_;
  tcp::socket socket_;
  beast::flat_buffer buffer_;
  asio::steady_timer quiet_;  // cancelled to wake quiet()

  std::string pending_, writing_;  // to be sent, being sent
  bool busy_ = false;              // an answer is under way
  bool keep_alive_ = true;
  bool reset_when_written_ = false;
  bool chunked_ = true;

  // The generation under way; id 0 = none.
  uint64_t id_ = 0;
  bool stream_ = false;
  std::string tenant_;
  uint32_t reset_after_ = 0;  // tokens; 0 = never
  Answer answer_;
};

}  // namespace sluice::sim_server

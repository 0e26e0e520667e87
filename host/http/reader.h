// Reads one request from a client: a head that passed the strict check, then its whole body, both
// within limits.
//
// Threads: its executor's. Ownership: header views point into the parser, until drop_head().
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/http/client.h"
#include "host/http/settings.h"
#include "host/http/watchdog.h"
#include "host/request/errors.h"
#include "host/request/headers.h"
#include "host/transport/body_share.h"

namespace sluice {

struct IncomingRequest {
  using Parser = http::request_parser<http::buffer_body>;
  std::unique_ptr<Parser> parser;
  std::vector<Header> headers;  // as they came; trailers are never among them
  std::string method, target, body;
  bool is_1_1 = true;
  bool keep_alive = false;  // the client would send another request
  bool has_body = false;
  TimeNs began_ns = 0;  // its first byte

  void drop_head() {
    headers = {};
    parser.reset();
  }
};

enum class ReadResult : uint8_t {
  kOk,
  kGone,     // the client left, or never sent anything: nothing to answer
  kRefused,  // answer the refusal and close
  kNoRoom,   // the same: too many bytes are being read
};

// Reads the head into REQUEST. IDLE_NS is how long the client may be silent first.
Task<ReadResult> read_head(Client& client, Watchdog& watchdog, const HttpSettings& limits,
                           uint64_t idle_ns, IncomingRequest& request, Refusal& refusal);
// Reads the body, if there is one, once SHARE has room for it.
Task<ReadResult> read_body(Client& client, Watchdog& watchdog, const HttpSettings& limits,
                           BodyShare& share, IncomingRequest& request, Refusal& refusal);

}  // namespace sluice

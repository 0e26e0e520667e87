// A listener's certificates, as gRPC is given them: only what can be served, whatever stands in the
// files.
//
// gRPC's own watcher would take over whatever it reads; a pair that does not fit lets nobody in, and
// nothing says so. So the files are looked at here, and what passes the check goes into files in
// memory, which gRPC watches. Threads: one at a time. Ownership: must outlive the credentials' use.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <array>
#include <memory>
#include <optional>
#include <string>

#include "core/result.h"
#include "host/config/config.h"
#include "host/plugins/unique_fd.h"

namespace sluice::ext_proc {

// Whether TLS's files can be served. An error says which one cannot, and why.
Result<void> check(const config::Tls& tls);

class Certificates {
 public:
  // Reads the files of TLS; errors as check().
  static Result<std::unique_ptr<Certificates>> open(const config::Tls& tls);
  std::shared_ptr<grpc::ServerCredentials> credentials() const;

  // Looks at the files again. News for the log, once for each change: they have changed and are
  // served from now on (good), or they cannot be and what was there before stays.
  struct News {
    bool good = false;
    std::string text;
  };
  std::optional<News> look();

 private:
  // Of cert, key and client_ca, in this order.
  using Texts = std::array<std::string, 3>;
  explicit Certificates(config::Tls tls) : tls_(std::move(tls)) {}
  static Result<Texts> read(const config::Tls& tls);
  Result<void> serve(const Texts& texts);

  const config::Tls tls_;
  std::array<plugins::UniqueFd, 3> served_;
  Texts seen_;
  std::string said_;  // the last error
};

}  // namespace sluice::ext_proc

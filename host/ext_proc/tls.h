// A listener's certificates for gRPC: read once to say what is wrong with them, then watched.
#pragma once

#include <grpcpp/security/server_credentials.h>

#include <memory>

#include "core/result.h"
#include "host/config/config.h"

namespace sluice::ext_proc {

// Loads all files as gRPC will. An error says which one does not do, and why.
Result<void> check(const config::Tls& tls);

// Credentials that follow TLS's files as they change. Errors as check().
Result<std::shared_ptr<grpc::ServerCredentials>> credentials(const config::Tls& tls);

}  // namespace sluice::ext_proc

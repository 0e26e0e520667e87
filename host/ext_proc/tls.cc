#include "host/ext_proc/tls.h"

#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

std::string openssl_reason() {
  const char* reason = ERR_reason_error_string(ERR_peek_last_error());
  ERR_clear_error();
  return reason != nullptr ? reason : "not readable";
}

}  // namespace

Result<void> check(const config::Tls& tls) {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_server_method()),
                                                             SSL_CTX_free);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), tls.cert.c_str()) != 1)
    return Error{"tls.cert " + tls.cert.string() + ": " + openssl_reason()};
  if (SSL_CTX_use_PrivateKey_file(context.get(), tls.key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Error{"tls.key " + tls.key.string() + ": " + openssl_reason()};
  if (SSL_CTX_check_private_key(context.get()) != 1)
    return Error{"tls.key " + tls.key.string() + " is not the key of " + tls.cert.string()};
  if (!tls.client_ca.empty() &&
      SSL_CTX_load_verify_locations(context.get(), tls.client_ca.c_str(), nullptr) != 1)
    return Error{"tls.client_ca " + tls.client_ca.string() + ": " + openssl_reason()};
  return {};
}

Result<std::shared_ptr<grpc::ServerCredentials>> credentials(const config::Tls& tls) {
  if (Result<void> good = check(tls); !good) return Error{good.error()};
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      tls.key.string(), tls.cert.string(), tls.client_ca.string(), kCertificateCheckS);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (!tls.client_ca.empty()) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

}  // namespace sluice::ext_proc

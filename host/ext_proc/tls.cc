#include "host/ext_proc/tls.h"

#include <fmt/format.h>
#include <grpcpp/security/tls_certificate_provider.h>
#include <grpcpp/security/tls_credentials_options.h>
#include <openssl/err.h>
#include <openssl/pemerr.h>
#include <openssl/ssl.h>
#include <openssl/x509err.h>
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <iterator>

#include "host/ext_proc/limits.h"

namespace sluice::ext_proc {
namespace {

using plugins::UniqueFd;

constexpr std::array<const char*, 3> kNames = {"tls.cert", "tls.key", "tls.client_ca"};
enum : size_t { kCert, kKey, kClientCa };

std::array<const std::filesystem::path*, 3> files_of(const config::Tls& tls) {
  return {&tls.cert, &tls.key, &tls.client_ca};
}

std::string name_of(const config::Tls& tls, size_t file) {
  return fmt::format("{} {}", kNames[file], files_of(tls)[file]->string());
}

Error unfit(const config::Tls& tls, size_t file) {
  const unsigned long error = ERR_peek_error();  // the first one says most
  const char* reason = ERR_reason_error_string(error);
  if (ERR_GET_REASON(error) == X509_R_KEY_VALUES_MISMATCH) reason = "it is not the certificate's";
  if (ERR_GET_REASON(error) == PEM_R_NO_START_LINE) reason = "it is not PEM of what it should be";
  ERR_clear_error();
  return Error{fmt::format("{}: {}", name_of(tls, file), reason ? reason : "it cannot be used")};
}

// Where the process finds what it has open.
std::string path_of(const UniqueFd& fd) { return fmt::format("/proc/self/fd/{}", fd.get()); }

Result<void> put(const UniqueFd& fd, const std::string& text) {
  const auto size = static_cast<ssize_t>(text.size());
  if (::pwrite(fd.get(), text.data(), text.size(), 0) == size && ::ftruncate(fd.get(), size) == 0)
    return {};
  return Error{fmt::format("a certificate cannot be kept: {}", std::strerror(errno))};
}

Result<UniqueFd> in_memory(const std::string& text) {
  UniqueFd fd(::memfd_create("sluice-certificate", MFD_CLOEXEC));
  if (!fd) return Error{fmt::format("a certificate cannot be kept: {}", std::strerror(errno))};
  if (auto good = put(fd, text); !good) return Error{good.error()};
  return fd;
}

}  // namespace

Result<Certificates::Texts> Certificates::read(const config::Tls& tls) {
  Texts texts;
  const auto files = files_of(tls);
  for (size_t file = 0; file < files.size(); ++file) {
    if (files[file]->empty()) continue;
    errno = 0;
    std::ifstream in(*files[file], std::ios::binary);
    texts[file].assign(std::istreambuf_iterator<char>(in), {});
    if (!in || texts[file].empty())
      return Error{fmt::format("{}: {}", name_of(tls, file),
                               errno != 0 ? std::strerror(errno) : "it is empty")};
  }
  // As gRPC's TLS will read them.
  std::array<UniqueFd, 3> fds;
  for (size_t file = 0; file < files.size(); ++file) {
    auto fd = in_memory(texts[file]);
    if (!fd) return Error{fd.error()};
    fds[file] = std::move(*fd);
  }
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_server_method()),
                                                             SSL_CTX_free);
  ERR_clear_error();
  if (SSL_CTX_use_certificate_chain_file(context.get(), path_of(fds[kCert]).c_str()) != 1)
    return unfit(tls, kCert);
  if (SSL_CTX_use_PrivateKey_file(context.get(), path_of(fds[kKey]).c_str(), SSL_FILETYPE_PEM) != 1)
    return unfit(tls, kKey);
  if (SSL_CTX_check_private_key(context.get()) != 1) return unfit(tls, kKey);
  if (!tls.client_ca.empty() &&
      SSL_CTX_load_verify_locations(context.get(), path_of(fds[kClientCa]).c_str(), nullptr) != 1)
    return unfit(tls, kClientCa);
  return texts;
}

Result<void> check(const config::Tls& tls) {
  auto certificates = Certificates::open(tls);
  if (!certificates) return Error{certificates.error()};
  return {};
}

Result<std::unique_ptr<Certificates>> Certificates::open(const config::Tls& tls) {
  auto texts = read(tls);
  if (!texts) return Error{texts.error()};
  std::unique_ptr<Certificates> certificates(new Certificates(tls));
  for (UniqueFd& fd : certificates->served_) {
    auto made = in_memory({});
    if (!made) return Error{made.error()};
    fd = std::move(*made);
  }
  if (auto good = certificates->serve(*texts); !good) return Error{good.error()};
  return certificates;
}

Result<void> Certificates::serve(const Texts& texts) {
  for (size_t file = 0; file < texts.size(); ++file)
    if (auto good = put(served_[file], texts[file]); !good) return good;
  seen_ = texts;
  return {};
}

std::shared_ptr<grpc::ServerCredentials> Certificates::credentials() const {
  const bool ask = !tls_.client_ca.empty();
  auto provider = std::make_shared<grpc::experimental::FileWatcherCertificateProvider>(
      path_of(served_[kKey]), path_of(served_[kCert]), ask ? path_of(served_[kClientCa]) : "",
      kCertificateCheckS);
  grpc::experimental::TlsServerCredentialsOptions options(provider);
  options.watch_identity_key_cert_pairs();
  if (ask) {
    options.watch_root_certs();
    options.set_cert_request_type(GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
  }
  return grpc::experimental::TlsServerCredentials(options);
}

std::optional<Certificates::News> Certificates::look() {
  auto texts = read(tls_);
  if (!texts) {
    if (texts.error() == std::exchange(said_, texts.error())) return std::nullopt;
    return News{false, texts.error() + "; what was there before is served further"};
  }
  const bool recovers = !std::exchange(said_, "").empty();
  if (*texts == seen_) {
    if (!recovers) return std::nullopt;
    return News{true, "the certificates that are served are those of the files again"};
  }
  if (auto good = serve(*texts); !good) return News{false, good.error()};
  return News{true, "other certificates are served from now on"};
}

}  // namespace sluice::ext_proc

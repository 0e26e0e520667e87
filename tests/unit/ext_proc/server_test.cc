// The server over real sockets, with gRPC's own client: what its streams, threads and certificates
// do.
#include "host/ext_proc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

#include "grpc/health/v1/health.pb.h"
#include "host/ext_proc/tls.h"
#include "tests/unit/ext_proc/rig.h"

namespace sluice::ext_proc {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;

constexpr const char* kProcess = "/envoy.service.ext_proc.v3.ExternalProcessor/Process";
constexpr seconds kPatience{20};  // sanitizers are slow

template <typename True>
bool eventually(True&& is_true) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (!is_true()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(milliseconds(2));
  }
  return true;
}

template <typename Message>
grpc::ByteBuffer wire(const Message& message) {
  grpc::Slice slice(message.SerializeAsString());
  return grpc::ByteBuffer(&slice, 1);
}

std::string bytes_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices)
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes;
}

// A client's stream, one step after the other.
class ClientStream {
 public:
  ClientStream(const std::shared_ptr<grpc::Channel>& channel, const std::string& method)
      : stub_(channel) {
    context_.set_deadline(std::chrono::system_clock::now() + kPatience);
    stream_ = stub_.PrepareCall(&context_, method, &queue_);
    stream_->StartCall(this);
    wait();
  }
  ~ClientStream() {
    context_.TryCancel();
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) continue;
  }
  template <typename Message>
  bool send(const Message& message) {
    stream_->Write(wire(message), this);
    return wait();
  }
  template <typename Message>
  bool receive(Message& message) {
    grpc::ByteBuffer buffer;
    stream_->Read(&buffer, this);
    return wait() && message.ParseFromString(bytes_of(buffer));
  }
  void half_close() {
    stream_->WritesDone(this);
    wait();
  }
  void cancel() { context_.TryCancel(); }
  grpc::Status finish() {
    grpc::Status status;
    stream_->Finish(&status, this);
    wait();
    return status;
  }

 private:
  bool wait() {
    void* tag = nullptr;
    bool ok = false;
    return queue_.Next(&tag, &ok) && ok;
  }
  grpc::GenericStub stub_;
  grpc::ClientContext context_;
  grpc::CompletionQueue queue_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
};

class ServerTest : public testing::Test {
 protected:
  ServerTest() : directory_(std::filesystem::temp_directory_path() / "sluice-ext-proc-XXXXXX") {
    std::string name = directory_.string();
    directory_ = ::mkdtemp(name.data());
  }
  ~ServerTest() override {
    channel.reset();
    if (server) server->stop();
    std::filesystem::remove_all(directory_);
    const Ledger total = rig.stats().total;
    EXPECT_EQ(total.parked + total.in_flight, 0u);
  }

  void start() {
    server =
        std::make_unique<ExtProcServer>(TransportServices{*rig.scheduler, rig.backends, nullptr},
                                        rig.current_settings(), ExtProcServer::Options{2, 1});
    auto bound = server->listen(listener);
    ASSERT_TRUE(bound.ok()) << bound.error();
    port = *bound;
    server->start();
    server->set_ready(true);
    channel = grpc::CreateChannel(address(), grpc::InsecureChannelCredentials());
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port); }

  std::unique_ptr<ClientStream> open() { return std::make_unique<ClientStream>(channel, kProcess); }
  // A stream whose request has been sent whole.
  std::unique_ptr<ClientStream> ask() {
    auto stream = open();
    EXPECT_TRUE(stream->send(post()));
    EXPECT_TRUE(stream->send(request_body(kBody)));
    return stream;
  }
  using Health = grpc::health::v1::HealthCheckResponse;
  int check(const std::string& service, grpc::StatusCode expected = grpc::StatusCode::OK) {
    ClientStream stream(channel, "/grpc.health.v1.Health/Check");
    grpc::health::v1::HealthCheckRequest request;
    request.set_service(service);
    stream.send(request);
    stream.half_close();
    Health health;
    stream.receive(health);
    EXPECT_EQ(stream.finish().error_code(), expected) << service;
    return health.status();
  }

  std::filesystem::path directory_;
  Rig rig{{1}};
  config::ExtProcListener listener{.address = {"127.0.0.1", 0, "127.0.0.1:0"}};
  std::unique_ptr<ExtProcServer> server;
  std::shared_ptr<grpc::Channel> channel;
  uint16_t port = 0;
};

TEST_F(ServerTest, AnswersAWholeRequestAndEndsItsStream) {
  start();
  const auto stream = ask();
  pb::ProcessingResponse response;
  ASSERT_TRUE(stream->receive(response));
  EXPECT_EQ(set_to(response.request_headers().response().header_mutation(),
                   "x-gateway-destination-endpoint"),
            "10.0.0.1:8000");
  ASSERT_TRUE(stream->receive(response));
  EXPECT_EQ(response.request_body().response().body_mutation().streamed_response().body(), kBody);
  ASSERT_TRUE(stream->send(ok()));
  ASSERT_TRUE(stream->receive(response));
  ASSERT_TRUE(stream->send(response_body(kAnswer)));
  ASSERT_TRUE(stream->receive(response));
  EXPECT_TRUE(response.has_response_body());
  EXPECT_FALSE(stream->receive(response));
  EXPECT_TRUE(stream->finish().ok());
  EXPECT_TRUE(eventually([&] { return server->streams() == 0; }));
}

TEST_F(ServerTest, ParkedRequestsGoOnAsRoomComesAndLeaveWithTheirGateway) {
  start();
  const auto first = ask();
  pb::ProcessingResponse response;
  ASSERT_TRUE(first->receive(response));
  const auto leaves = ask(), stays = ask();
  ASSERT_TRUE(eventually([&] { return rig.stats().total.parked == 2; }));
  leaves->cancel();
  ASSERT_TRUE(eventually([&] { return rig.stats().total.parked == 1; }));
  first->cancel();
  ASSERT_TRUE(stays->receive(response));
  EXPECT_TRUE(response.has_request_headers());
}

TEST_F(ServerTest, ADecisionFromAnotherThreadReachesItsStream) {
  start();
  const auto busy = ask();
  pb::ProcessingResponse response;
  ASSERT_TRUE(busy->receive(response));
  const auto waits = ask();
  ASSERT_TRUE(eventually([&] { return rig.stats().total.parked == 1; }));
  rig.scheduler->with_engine(
      [](Engine& engine, TimeNs now) { engine.set_endpoint(now, 0, 2, true); });
  ASSERT_TRUE(waits->receive(response));
  EXPECT_TRUE(response.has_request_headers());
}

TEST_F(ServerTest, OddMessagesEndTheirStreamOnly) {
  start();
  const auto odd = open(), good = ask();
  ASSERT_TRUE(odd->send(request_body(kBody)));
  pb::ProcessingResponse response;
  EXPECT_FALSE(odd->receive(response));
  const grpc::Status status = odd->finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(status.error_message(), "request_body came before request_headers");
  EXPECT_TRUE(good->receive(response));
  ClientStream unknown(channel, "/envoy.service.ext_proc.v3.ExternalProcessor/Nothing");
  EXPECT_EQ(unknown.finish().error_code(), grpc::StatusCode::UNIMPLEMENTED);
}

TEST_F(ServerTest, HalfAStreamThatEndsIsForgotten) {
  start();
  const auto silent = open(), half = open();
  ASSERT_TRUE(half->send(post()));
  silent->half_close();
  half->half_close();
  EXPECT_TRUE(silent->finish().ok());
  EXPECT_TRUE(half->finish().ok());
  EXPECT_TRUE(eventually([&] { return server->streams() == 0; }));
}

TEST_F(ServerTest, SilenceRunsOut) {
  rig.settings.body_timeout_ns = 50'000'000;
  start();
  const auto half = open();
  ASSERT_TRUE(half->send(post()));
  pb::ProcessingResponse response;
  ASSERT_TRUE(half->receive(response));
  EXPECT_EQ(response.immediate_response().status().code(), 408);
}

TEST_F(ServerTest, AGatewayThatTakesNothingIsCutInTheEnd) {
  rig.settings.upstream.idle_timeout_ns = 50'000'000;
  start();
  const auto stream = open();
  ASSERT_TRUE(stream->send(post()));
  std::string body = kBody;
  body.insert(body.size() - 1, ",\"pad\":\"" + std::string(4 << 20, 'x') + "\"");
  ASSERT_TRUE(stream->send(request_body(body)));  // comes back, and is not read
  ASSERT_TRUE(eventually([&] { return rig.stats().total.in_flight == 1; }));
  EXPECT_TRUE(eventually([&] { return server->streams() == 0; }));
}

TEST_F(ServerTest, HealthIsToldAskedWatchedAndListed) {
  start();
  for (const char* name : {"", "inference-extension", "liveness", "readiness",
                           "envoy.service.ext_proc.v3.ExternalProcessor"})
    EXPECT_TRUE(eventually([&] { return check(name) == Health::SERVING; })) << name;
  check("nobody", grpc::StatusCode::NOT_FOUND);

  ClientStream watch(channel, "/grpc.health.v1.Health/Watch"),
      odd(channel, "/grpc.health.v1.Health/Watch");
  grpc::health::v1::HealthCheckRequest request;
  request.set_service("readiness");
  ASSERT_TRUE(watch.send(request));
  watch.half_close();
  Health health;
  ASSERT_TRUE(watch.receive(health));
  EXPECT_EQ(health.status(), Health::SERVING);
  request.set_service("nobody");
  ASSERT_TRUE(odd.send(request));
  ASSERT_TRUE(odd.receive(health));
  EXPECT_EQ(health.status(), Health::SERVICE_UNKNOWN);
  server->set_ready(false);
  ASSERT_TRUE(watch.receive(health));
  EXPECT_EQ(health.status(), Health::NOT_SERVING);
  EXPECT_EQ(check("liveness"), Health::SERVING);

  ClientStream list(channel, "/grpc.health.v1.Health/List");
  ASSERT_TRUE(list.send(grpc::health::v1::HealthListRequest()));
  grpc::health::v1::HealthListResponse all;
  ASSERT_TRUE(list.receive(all));
  EXPECT_EQ(all.statuses().size(), 5u);
  EXPECT_TRUE(eventually([&] { return check("") == Health::NOT_SERVING; }));
}

TEST_F(ServerTest, StopCutsWhatIsOpenAndTellsTheScheduler) {
  start();
  const auto flies = ask(), parked = ask(), half = open();
  ClientStream watch(channel, "/grpc.health.v1.Health/Watch");
  ASSERT_TRUE(eventually([&] { return rig.stats().total.parked == 1; }));
  server->stop();
  EXPECT_EQ(server->streams(), 0u);
  EXPECT_EQ(rig.stats().total.parked + rig.stats().total.in_flight, 0u);
}

TEST_F(ServerTest, SettingsAreThoseOfTheStreamsBeginning) {
  start();
  rig.settings.error_format = config::ErrorFormat::kLlmD;
  server->reconfigure(rig.current_settings());
  EXPECT_TRUE(eventually([&] {
    const auto stream = open();
    pb::ProcessingResponse response;
    return stream->send(post()) && stream->send(request_body("{")) && stream->receive(response) &&
           response.immediate_response().body().starts_with("inference error: ");
  }));
}

TEST_F(ServerTest, ASecondListenerIsTold) {
  start();
  ExtProcServer second({*rig.scheduler, rig.backends, nullptr}, rig.current_settings(), {1, 1});
  config::ExtProcListener same = listener;
  same.address = {"127.0.0.1", port, address()};
  const auto bound = second.listen(same);
  ASSERT_FALSE(bound.ok());
  EXPECT_THAT(bound.error(), testing::HasSubstr("cannot listen on " + address()));
}

TEST_F(ServerTest, OneThatWasNeverStartedStops) {
  ExtProcServer never({*rig.scheduler, rig.backends, nullptr}, rig.current_settings(), {1, 1});
  ASSERT_TRUE(never.listen(listener).ok());
}

// ---- certificates ----

struct Certificate {
  std::string key, pem;
};

// A certificate for NAME, signed by CA, or by itself if that is null.
Certificate make_certificate(const std::string& name, const Certificate* ca) {
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> key(EVP_EC_gen("P-256"), EVP_PKEY_free);
  std::unique_ptr<X509, void (*)(X509*)> x509(X509_new(), X509_free);
  X509_set_version(x509.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509.get()), static_cast<long>(name.size()));
  X509_gmtime_adj(X509_getm_notBefore(x509.get()), -60);
  X509_gmtime_adj(X509_getm_notAfter(x509.get()), 3600);
  X509_set_pubkey(x509.get(), key.get());
  X509_NAME_add_entry_by_txt(X509_get_subject_name(x509.get()), "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  std::unique_ptr<EVP_PKEY, void (*)(EVP_PKEY*)> ca_key(nullptr, EVP_PKEY_free);
  std::unique_ptr<X509, void (*)(X509*)> ca_x509(nullptr, X509_free);
  if (ca != nullptr) {
    std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new_mem_buf(ca->key.data(), -1), BIO_free);
    ca_key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, nullptr, nullptr));
    bio.reset(BIO_new_mem_buf(ca->pem.data(), -1));
    ca_x509.reset(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  }
  const auto add = [&](int nid, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, ca ? ca_x509.get() : x509.get(), x509.get(), nullptr, nullptr, 0);
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    X509_add_ext(x509.get(), extension, -1);
    X509_EXTENSION_free(extension);
  };
  add(NID_basic_constraints, ca ? "CA:FALSE" : "critical,CA:TRUE");
  if (ca) add(NID_subject_alt_name, "DNS:" + name + ",IP:127.0.0.1");
  X509_set_issuer_name(x509.get(), X509_get_subject_name(ca ? ca_x509.get() : x509.get()));
  X509_sign(x509.get(), ca ? ca_key.get() : key.get(), EVP_sha256());
  const auto text_of = [](auto&& write) {
    std::unique_ptr<BIO, int (*)(BIO*)> bio(BIO_new(BIO_s_mem()), BIO_free);
    write(bio.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return std::string(data, static_cast<size_t>(size));
  };
  return {text_of([&](BIO* bio) {
            PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr);
          }),
          text_of([&](BIO* bio) { PEM_write_bio_X509(bio, x509.get()); })};
}

class TlsTest : public ServerTest {
 protected:
  void write(const char* name, const std::string& text) {
    const auto file = directory_ / name;
    std::ofstream(file.string() + ".new") << text;
    std::filesystem::rename(file.string() + ".new", file);
  }
  void use(const Certificate& certificate) {
    write("cert.pem", certificate.pem);
    write("key.pem", certificate.key);
  }
  void listen_with_tls(bool ask_clients) {
    listener.tls = config::Tls{directory_ / "cert.pem", directory_ / "key.pem",
                               ask_clients ? directory_ / "ca.pem" : std::filesystem::path()};
  }
  std::shared_ptr<grpc::Channel> secure(const Certificate* client, const Certificate& root) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = root.pem;
    if (client != nullptr) {
      options.pem_cert_chain = client->pem;
      options.pem_private_key = client->key;
    }
    grpc::ChannelArguments arguments;  // a connection of its own
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    return grpc::CreateCustomChannel(address(), grpc::SslCredentials(options), arguments);
  }
  // Whether a request over CHANNEL is dispatched; what was removed from it.
  bool served(const std::shared_ptr<grpc::Channel>& over, bool* believed = nullptr) {
    ClientStream stream(over, kProcess);
    pb::ProcessingResponse response;
    if (!stream.send(post({{"x-llm-d-inference-fairness-id", "a"}})) ||
        !stream.send(request_body(kBody)) || !stream.receive(response))
      return false;
    if (believed != nullptr)
      *believed = !removes(response.request_headers().response().header_mutation(),
                           "x-llm-d-inference-fairness-id");
    return response.has_request_headers();
  }
  Certificate ca_ = make_certificate("ca", nullptr);
};

TEST_F(TlsTest, CertificatesAreFollowedAsTheirFilesChange) {
  use(make_certificate("first", &ca_));
  listen_with_tls(false);
  start();
  EXPECT_TRUE(served(secure(nullptr, ca_)));
  EXPECT_FALSE(served(channel));  // plaintext
  const Certificate other_ca = make_certificate("other", nullptr);
  EXPECT_FALSE(served(secure(nullptr, other_ca)));
  use(make_certificate("second", &other_ca));
  EXPECT_TRUE(eventually([&] {
    server->look_at_certificates();
    return served(secure(nullptr, other_ca));
  }));
}

TEST_F(TlsTest, WhatCannotBeServedChangesNothing) {
  const Certificate first = make_certificate("first", &ca_);
  const Certificate second = make_certificate("second", &ca_);
  use(first);
  listen_with_tls(false);
  auto opened = Certificates::open(*listener.tls);
  ASSERT_TRUE(opened.ok()) << opened.error();
  Certificates& certificates = **opened;
  EXPECT_FALSE(certificates.look());
  write("cert.pem", second.pem);  // and its key is still to come
  auto news = certificates.look();
  ASSERT_TRUE(news);
  EXPECT_FALSE(news->good);
  EXPECT_THAT(news->text, testing::HasSubstr("key.pem: it is not the certificate's"));
  EXPECT_FALSE(certificates.look());  // said once
  write("key.pem", second.key);
  news = certificates.look();
  ASSERT_TRUE(news);
  EXPECT_TRUE(news->good) << news->text;
  write("key.pem", "");
  EXPECT_FALSE(certificates.look()->good);
  std::filesystem::remove(directory_ / "cert.pem");
  EXPECT_THAT(certificates.look()->text, testing::HasSubstr("No such file or directory"));
  use(second);
  EXPECT_TRUE(certificates.look()->good);

  // The same over a connection.
  start();
  write("cert.pem", "garbage");
  for (int i = 0; i < 15; ++i) {
    server->look_at_certificates();
    ASSERT_TRUE(served(secure(nullptr, ca_)));
    std::this_thread::sleep_for(milliseconds(100));
    ASSERT_TRUE(eventually([&] { return server->streams() == 0; }));
  }
}

TEST_F(TlsTest, GatewaysShowACertificateAndAreTrustedByItsNames) {
  config::Config config;
  config.bands.emplace_back().limits.name = "default";
  config.flow_key = {{config::FlowComponent::Kind::kModel, ""}};
  config.trust = {{{"mtls:gateway.example"}, {"x-llm-d-inference-fairness-id"}}};
  rig.use(config);
  use(make_certificate("server", &ca_));
  write("ca.pem", ca_.pem);
  listen_with_tls(true);
  start();
  const Certificate gateway = make_certificate("gateway.example", &ca_);
  const Certificate other = make_certificate("other.example", &ca_);
  const Certificate stranger_ca = make_certificate("ca", nullptr);
  const Certificate stranger = make_certificate("gateway.example", &stranger_ca);
  bool believed = false;
  EXPECT_TRUE(served(secure(&gateway, ca_), &believed));
  EXPECT_TRUE(believed);
  EXPECT_TRUE(eventually([&] { return server->streams() == 0; }));
  EXPECT_TRUE(served(secure(&other, ca_), &believed));
  EXPECT_FALSE(believed);
  EXPECT_TRUE(eventually([&] { return server->streams() == 0; }));
  const Certificate shouts = make_certificate("GATEWAY.example", &ca_);
  EXPECT_TRUE(served(secure(&shouts, ca_), &believed));
  EXPECT_FALSE(believed);
  EXPECT_FALSE(served(secure(nullptr, ca_)));
  EXPECT_FALSE(served(secure(&stranger, ca_)));
}

TEST_F(TlsTest, FilesThatDoNotDoAreNamed) {
  const Certificate one = make_certificate("one", &ca_), two = make_certificate("two", &ca_);
  const auto why = [&](const std::string& cert, const std::string& key) {
    write("cert.pem", cert);
    write("key.pem", key);
    const Result<void> good = ext_proc::check(*listener.tls);
    return good.ok() ? std::string() : good.error();
  };
  listen_with_tls(false);
  EXPECT_EQ(why(one.pem, one.key), "");
  EXPECT_THAT(why(one.pem, two.key), testing::HasSubstr("key.pem"));
  EXPECT_THAT(why("nonsense", one.key), testing::HasSubstr("tls.cert"));
  EXPECT_THAT(why(one.pem, ""), testing::HasSubstr("tls.key"));
  listen_with_tls(true);
  EXPECT_THAT(why(one.pem, one.key), testing::HasSubstr("tls.client_ca"));
}

}  // namespace
}  // namespace sluice::ext_proc

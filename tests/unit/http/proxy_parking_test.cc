// Requests that wait: the decision, the client's leaving, time, revocation, and the end of the
// proxy.
#include <future>

#include "tests/unit/http/proxy_fixture.h"

namespace sluice {
namespace {

// A server that holds every request until it is let go.
class Gate {
 public:
  void serve(RawSocket& socket) {
    while (socket.read_message().complete) {
      ++held;
      opened_.wait();
      if (!socket.send(answer(kAnswer))) return;
    }
  }
  void open() {
    if (!std::exchange(open_, true)) promise_.set_value();
  }
  ~Gate() { open(); }
  std::atomic<int> held = 0;

 private:
  bool open_ = false;
  std::promise<void> promise_;
  std::shared_future<void> opened_ = promise_.get_future().share();
};

class ParkingTest : public ProxyTest {
 protected:
  // One server with room for one request, which `holder` has.
  void fill() {
    add_server([this](RawSocket& socket) { gate.serve(socket); }, 1);
    running.reset(new Running(start()));
    holder = connect();
    holder->send(post(kBody));
    ASSERT_TRUE(eventually([&] { return gate.held == 1; }));
  }
  ~ParkingTest() override { gate.open(); }
  uint64_t ended(Outcome outcome) { return stats().total.ended[static_cast<size_t>(outcome)]; }

  Gate gate;
  std::unique_ptr<Running> running;
  std::unique_ptr<RawSocket> holder;
};

TEST_F(ParkingTest, WaitsForRoomAndSaysHowLong) {
  fill();
  const auto client = connect();
  client->send(post(kBody));
  ASSERT_TRUE(parked(1));
  const TimeNs long_enough = Scheduler::now() + 5'000'000;
  EXPECT_TRUE(eventually([&] { return Scheduler::now() > long_enough; }));
  gate.open();
  const RawMessage got = client->read_message();
  EXPECT_EQ(got.status(), 200);
  EXPECT_GE(std::stoi(got.header("x-sluice-queue-ms")), 5);
  EXPECT_EQ(holder->read_message().status(), 200);
}

TEST_F(ParkingTest, AClientThatLeavesFreesItsPlaceAtOnce) {
  fill();
  for (const bool hard : {false, true}) {
    auto client = connect();
    client->send(post(kBody));
    ASSERT_TRUE(parked(1));
    hard ? client->reset() : client->close();
    ASSERT_TRUE(parked(0));
  }
  EXPECT_EQ(ended(Outcome::kCancelled), 2u);
  EXPECT_EQ(records(2)[0].record.status, 499);
  EXPECT_EQ(records(2)[0].record.outcome, Outcome::kCancelled);
}

TEST_F(ParkingTest, PipelinedBytesDoNotHideAClientsLeaving) {
  fill();
  auto client = connect();
  client->send(post(kBody) + post(kBody));
  ASSERT_TRUE(parked(1));
  client->close();
  ASSERT_TRUE(parked(0));
  EXPECT_EQ(stats().total.submitted, 2u) << "the second one is not served any more";
}

TEST_F(ParkingTest, HoweverManyBytesArePipelinedALeavingShows) {
  fill();
  auto client = connect();
  client->send(post(kBody));
  ASSERT_TRUE(parked(1));
  client->send(post(std::string(200'000, ' ')));
  client->close();
  ASSERT_TRUE(parked(0));
  EXPECT_EQ(ended(Outcome::kCancelled), 1u);
}

TEST_F(ParkingTest, WhoPipelinesTooMuchIsAnsweredOnceAndCutOff) {
  fill();
  const auto client = connect();
  client->send(post(kBody) + post(std::string(200'000, ' ')));
  ASSERT_TRUE(parked(1));
  gate.open();
  const RawMessage got = client->read_message();
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.header("connection"), "close");
}

TEST_F(ParkingTest, PipelinedRequestsWaitTheirTurn) {
  fill();
  const auto client = connect();
  client->send(post(kBody) + post(kBody) + "GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(parked(1));
  gate.open();
  EXPECT_EQ(client->read_message().body, kAnswer);
  EXPECT_EQ(client->read_message().body, kAnswer);
  EXPECT_NE(client->read_message().body.find("\"list\""), std::string::npos);
}

TEST_F(ParkingTest, AClientThatLeavesInFlightIsHungUpOnUpstream) {
  std::promise<bool> closed;
  add_server(
      [&](RawSocket& socket) {
        socket.read_message();
        ++gate.held;
        closed.set_value(socket.ended());
      },
      1);
  const Running running = start();
  auto client = connect();
  client->send(post(kBody));
  ASSERT_TRUE(eventually([&] { return gate.held == 1; }));
  client->close();
  auto told = closed.get_future();
  ASSERT_EQ(told.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(told.get());
  EXPECT_TRUE(eventually([&] { return ended(Outcome::kClientGone) == 1; }));
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kClientGone);
  EXPECT_EQ(backends.failures, 0) << "not the server's fault";
}

TEST_F(ParkingTest, AClientThatLeavesAStreamEndsIt) {
  std::promise<bool> closed;
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.send("e\r\ndata: {\"a\":1}\n\r\n1\r\n\n\r\n");
    closed.set_value(socket.ended());
  });
  const Running running = start();
  auto client = connect();
  client->send(post(R"({"model":"m","stream":true})"));
  EXPECT_TRUE(client->receive_until("{\"a\":1}"));
  client->reset();
  auto told = closed.get_future();
  ASSERT_EQ(told.wait_for(kPatience), std::future_status::ready);
  EXPECT_TRUE(eventually([&] { return ended(Outcome::kClientGone) == 1; }));
}

// Until its first event the server is busy with the prompt; not for longer.
TEST_F(ParkingTest, AnAnswersFirstEventShowsThatItsPromptIsDone) {
  std::promise<void> asked_for, over;
  add_server([&](RawSocket& socket) {
    socket.read_message();
    asked_for.get_future().wait();
    socket.send(
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    socket.send(chunk("data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n"));
    over.get_future().wait();
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(R"({"model":"m","stream":true,"messages":[{"role":"user","content":"hi"}]})"));
  const auto prefills = [&] { return stats().endpoints[0].prefill_tokens != 0; };
  EXPECT_TRUE(eventually(prefills));
  asked_for.set_value();
  EXPECT_TRUE(client->receive_until("\"a\""));
  EXPECT_TRUE(eventually([&] { return !prefills(); }));
  EXPECT_EQ(stats().total.in_flight, 1u);
  over.set_value();
}

TEST_F(ParkingTest, ExpiresByItsBandsTtl) {
  pipeline.bands[0].ttl_ns = 60'000'000;
  fill();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 429);
  EXPECT_EQ(got.header("x-sluice-reason"), "ttl-expired");
  EXPECT_EQ(got.header("x-llm-d-request-dropped-reason"), "rejected-ttl-expired");
  EXPECT_GE(std::stoi(got.header("retry-after")), 1);
  EXPECT_GE(std::stoi(got.header("x-sluice-queue-ms")), 60);
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kExpired);
}

TEST_F(ParkingTest, ClassesThatChangeOnTheWayToTheSchedulerStrandNobody) {
  add_server(serve_forever);
  const Running running = start();
  EXPECT_EQ(ask(post(R"({"model":"moves"})")).status(), 200);
  EXPECT_GE(backends.asked, 2);
}

TEST_F(ParkingTest, ExpiresByItsOwnHeader) {
  fill();
  const auto client = connect();
  client->send(post(kBody, "x-llm-d-inference-ttl: 30\r\n"));
  EXPECT_EQ(client->read_message().status(), 429);
  client->send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(client->read_message().status(), 200) << "the connection goes on";
}

TEST_F(ParkingTest, WithoutAnyEndpointIs503) {
  pipeline.bands[0].no_endpoint_ttl_ns = 30'000'000;
  const Running running = start();
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 503);
  EXPECT_EQ(got.header("x-llm-d-request-dropped-reason"), "rejected-no-endpoints");
}

TEST_F(ParkingTest, FullIs429) {
  pipeline.bands[0].requests_max = 1;
  fill();
  const auto first = connect();
  first->send(post(kBody));
  ASSERT_TRUE(parked(1));
  const RawMessage got = ask(post(kBody));
  EXPECT_EQ(got.status(), 429);
  EXPECT_EQ(got.header("x-sluice-reason"), "queue-full");
  gate.open();
  EXPECT_EQ(first->read_message().status(), 200);
}

TEST_F(ParkingTest, DrainRefusesNewOnesAndThenEndsAll) {
  fill();
  const auto waiting = connect();
  waiting->send(post(kBody));
  ASSERT_TRUE(parked(1));
  scheduler->with_engine([](Engine& e, TimeNs now) { e.drain(now); });
  const RawMessage refused = ask(post(kBody));
  EXPECT_EQ(refused.status(), 503);
  EXPECT_EQ(refused.header("x-sluice-reason"), "draining");
  scheduler->with_engine([](Engine& e, TimeNs now) { e.drain_now(now); });
  const RawMessage drained = waiting->read_message();
  EXPECT_EQ(drained.status(), 503);
  EXPECT_EQ(drained.header("x-llm-d-request-dropped-reason"), "rejected-shutting-down");
  const RawMessage revoked = holder->read_message();
  EXPECT_EQ(revoked.status(), 429);
  EXPECT_EQ(revoked.header("x-sluice-reason"), "revoked");
  EXPECT_EQ(ended(Outcome::kRevoked), 1u);
}

TEST_F(ParkingTest, WhileItDrainsABodyIsNotWaitedForAndConnectionsEnd) {
  fill();
  const auto kept = connect();
  kept->send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_FALSE(kept->read_message().has("connection"));
  scheduler->with_engine([](Engine& e, TimeNs now) { e.drain(now); });
  const auto client = connect();
  client->send("POST /v1/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n");
  EXPECT_EQ(client->read_message().header("x-sluice-reason"), "draining");
  kept->send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(kept->read_message().header("connection"), "close");
  gate.open();
  EXPECT_EQ(holder->read_message().status(), 200);
}

TEST_F(ParkingTest, ARevokedStreamIsCut) {
  add_server([&](RawSocket& socket) {
    socket.read_message();
    socket.send("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {}\n\n");
    socket.ended();
  });
  const Running running = start();
  const auto client = connect();
  client->send(post(R"({"model":"m","stream":true})"));
  EXPECT_TRUE(client->receive_until("data: {}\n\n"));
  scheduler->with_engine([](Engine& e, TimeNs now) { e.drain_now(now); });
  EXPECT_FALSE(client->read_message().complete);
  EXPECT_EQ(records(1)[0].record.outcome, Outcome::kRevoked);
  EXPECT_EQ(ended(Outcome::kRevoked), 1u);
}

TEST_F(ParkingTest, RetiringLetsAnswersFinish) {
  fill();
  const auto waiting = connect();
  waiting->send(post(kBody));
  ASSERT_TRUE(parked(1));
  const auto idle = connect();
  idle->send("GET /v1/models HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_FALSE(idle->read_message().has("connection"));
  server->retire();
  EXPECT_TRUE(idle->ended()) << "idle connections are closed";
  EXPECT_TRUE(eventually([&] { return connect() == nullptr; })) << "nobody is accepted any more";
  EXPECT_FALSE(server->wait_idle(std::chrono::milliseconds(1)));
  gate.open();
  EXPECT_EQ(holder->read_message().header("connection"), "close");
  const RawMessage last = waiting->read_message();
  EXPECT_EQ(last.status(), 200);
  EXPECT_EQ(last.header("connection"), "close");
  EXPECT_TRUE(server->wait_idle(kPatience));
}

TEST_F(ParkingTest, StoppingTellsTheSchedulerOfAll) {
  fill();
  std::vector<std::unique_ptr<RawSocket>> waiting;
  for (int i = 0; i < 20; ++i) {
    waiting.push_back(connect());
    waiting.back()->send(post(kBody));
  }
  ASSERT_TRUE(parked(20));
  server->stop();
  EXPECT_GE(ended(Outcome::kClientGone), 1u);  // and whoever got its place while the others went
  EXPECT_EQ(ended(Outcome::kClientGone) + ended(Outcome::kCancelled), 21u);
}

TEST_F(ParkingTest, HalfOfManyLeaveAndTheRestAreServed) {
  fill();
  std::vector<std::unique_ptr<RawSocket>> waiting;
  for (int i = 0; i < 300; ++i) {
    waiting.push_back(connect());
    waiting.back()->send(post(kBody));
  }
  ASSERT_TRUE(parked(300));
  for (size_t i = 0; i < waiting.size(); i += 2) waiting[i]->close();
  ASSERT_TRUE(parked(150));
  gate.open();
  for (size_t i = 1; i < waiting.size(); i += 2)
    EXPECT_EQ(waiting[i]->read_message().status(), 200);
  EXPECT_EQ(ended(Outcome::kCancelled), 150u);
  EXPECT_EQ(ended(Outcome::kCompleted), 151u);
}

}  // namespace
}  // namespace sluice

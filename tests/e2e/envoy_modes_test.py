"""Through a real Envoy: the other body modes, subset hints, lists of endpoints, reports of the one
that served, and what else goes over dynamic metadata."""

import json

import ext_proc  # first: it goes on in the virtual environment
import envoy_proxy
import harness
from envoy_proxy import DESTINATION, SERVED, SUBSET, Backend, EnvoyTest, modes
from harness import FAIRNESS_ID
from upstream import completion

TARGETS = '[[model]]\nname = "public"\ntargets = [ { model = "real" } ]\n'
FULL = "FULL_DUPLEX_STREAMED"
BUFFER = 16 << 20


def big_buffers(bootstrap):
    bootstrap.listener["per_connection_buffer_limit_bytes"] = BUFFER


def serve(received):
    received.answer(body=completion("m"))


class BodyModes(EnvoyTest):
    def output_tokens(self):
        return self.sluice.metrics().value("sluice_tokens_total", kind="output")

    def start_two(self, *changes, **more):
        """A backend of another model, and one that serves "public" under another name."""
        self.other = Backend(self, ["other"], on_request=serve)
        self.real = Backend(self, ["real"])
        return self.start([self.other, self.real], TARGETS, *changes, **more)

    def check_exchange(self):
        """A JSON answer and a stream, by the right backend, and the model's name changed."""
        call = self.sluice.chat("public")
        received = self.real.next()
        self.assertEqual(received.json["model"], "real")
        received.answer(body=completion("real"))
        answer = call.answer()
        self.assertEqual(answer.status, 200, answer)
        self.assertEqual(answer.json, {**completion("real"), "model": "public"})
        self.assertEqual(answer.headers["x-sluice-endpoint"], "server-1")
        call = self.sluice.chat("public", stream=True)
        held = self.real.next()
        held.start_stream()
        for _ in range(3):
            held.event({"model": "real", "choices": [{"index": 0, "delta": {"content": "x"}}]})
        held.end_stream()
        events = call.answer().events
        self.assertEqual({event["model"] for event in events[:-1]}, {"public"})
        self.assertEqual((len(events), events[-1]), (4, "[DONE]"))

    def test_every_pair_of_modes_serves_renames_and_counts(self):
        for request, response in [
            ("BUFFERED", "BUFFERED"),
            ("BUFFERED", FULL),
            (FULL, "STREAMED"),
            ("BUFFERED", "STREAMED"),
            (FULL, "BUFFERED"),
        ]:
            with self.subTest(request=request, response=response):
                sluice = self.start_two(modes(request, response))
                self.check_exchange()
                self.ends_well(completed=2)
                self.assertEqual(self.output_tokens(), 4)
                self.assertEqual(self.other.count, 0)
                self.assertEqual(sluice.ask("nobody-serves-it").reason, "unknown-model")

    def test_headers_alone_pick_any_endpoint_where_the_body_comes_later(self):
        sluice = self.start_two(modes("STREAMED", "STREAMED"))
        self.real.on_request = serve
        answers = [sluice.ask("public") for _ in range(8)]
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual(self.real.count + self.other.count, 8)
        self.ends_well(completed=8)
        self.assertEqual(self.output_tokens(), 8)

    def test_a_small_body_that_comes_at_once_is_looked_at_first(self):
        sluice = self.start_two(modes("STREAMED", "STREAMED", at_once=True))
        self.check_exchange()
        self.assertEqual(self.other.count, 0)
        self.assertEqual(sluice.ask("other").status, 200)
        self.assertEqual(sluice.ask("nobody-serves-it").reason, "unknown-model")
        self.sluice.check_nothing_lost()

    def test_without_the_answer_s_body_its_name_and_usage_stay_unknown(self):
        sluice = self.start_two(modes(FULL, "NONE"))
        call = sluice.chat("public")
        received = self.real.next()
        self.assertEqual(received.json["model"], "real")
        received.answer(body=completion("real"))
        self.assertEqual(call.answer().json["model"], "real")
        self.ends_well(completed=1)
        self.assertEqual(self.output_tokens(), 0)

    def test_without_the_request_s_body_its_headers_alone_decide(self):
        backend = Backend(self, on_request=serve)
        sluice = self.start([backend], "", modes("NONE"))
        self.assertEqual(sluice.ask().status, 200)
        self.assertEqual(sluice.ask("nobody-serves-it").status, 200)  # nobody here saw the name
        self.assertEqual(sluice.call("GET", "/version").answer().status, 200)
        self.ends_well(completed=2)

    def test_large_bodies_pass_unchanged_in_every_mode(self):
        sizes = [("BUFFERED", 6 << 20), ("STREAMED", 6 << 20), ("STREAMED", 20_000)]
        for at_once, (mode, size) in enumerate(sizes):
            with self.subTest(mode=mode, size=size):
                backend = Backend(self)
                sluice = self.start([backend], "", modes(mode, mode, at_once == 2), big_buffers)
                body = ext_proc.chat(size=size)
                call = sluice.call("POST", "/v1/chat/completions", body)
                received = backend.next()
                self.assertTrue(received.body == body, f"{len(received.body)} bytes, not {size}")
                back = json.dumps({"model": "m", "text": "y" * size}).encode()
                received.answer(body=back)
                self.assertTrue(call.answer().body == back)
                self.ends_well(completed=1)

    def test_events_come_one_by_one_where_chunks_are_answered_one_by_one(self):
        backend = Backend(self)
        sluice = self.start([backend], "", modes("STREAMED", "STREAMED"))
        call = sluice.chat(stream=True)
        held = backend.next()
        held.start_stream()
        for number in range(4):
            held.event({"n": number})
            response = call.response or call.begin()
            self.assertEqual(json.loads(response.readline()[6:]), {"n": number})
            response.readline()
        held.end_stream()
        self.assertEqual(call.answer().events, ["[DONE]"])
        self.ends_well(completed=1)

    def test_a_request_waits_and_leaves_in_every_mode(self):
        for request in ("BUFFERED", "STREAMED"):
            with self.subTest(mode=request):
                self.start_full("", modes(request, request))
                stays, leaves = self.park(), self.park()
                leaves.leave()
                self.sluice.wait_ledger(within=2, parked=1, cancelled=1)
                self.held.answer()
                self.upstream.next().answer()
                self.assertEqual((self.first.answer().status, stays.answer().status), (200, 200))
                self.ends_well(completed=2, cancelled=1)

    def test_trailers_of_an_answer_pass_in_every_mode(self):
        for mode in ("BUFFERED", "STREAMED"):
            with self.subTest(mode=mode):
                backend = Backend(self)
                sluice = self.start([backend], "", modes(mode, mode), envoy_proxy.trailers)
                call = sluice.chat(headers={"connection": "close"})
                received = backend.next()
                received.send(
                    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                    b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx-check: sum\r\n\r\n"
                )
                received.over.set()
                answer = b""
                while piece := call.socket.recv(65536):
                    answer += piece
                self.assertTrue(answer.startswith(b"HTTP/1.1 200 OK\r\n"), answer)
                self.assertTrue(answer.endswith(b"0\r\nx-check: sum\r\n\r\n"), answer)
                self.ends_well(completed=1)


# A test's own header becomes the subset hint: "list a b" a list of strings, "text a,b" one string.
HINT = f"""
function envoy_on_request(handle)
  local asked = handle:headers():get("x-test-subset")
  if asked == nil then return end
  handle:headers():remove("x-test-subset")
  local form, rest = string.match(asked, "^(%a+) ?(.*)$")
  local value = rest
  if form == "list" then
    value = {{}}
    for one in string.gmatch(rest, "%S+") do table.insert(value, one) end
  end
  handle:streamInfo():dynamicMetadata():set("envoy.lb.subset_hint", "{SUBSET}", value)
end
"""


class Subsets(EnvoyTest):
    def setUp(self):
        super().setUp()
        self.backends = [Backend(self, on_request=serve) for _ in range(3)]

    def served_by(self, hint, headers=None):
        """Who answers six POSTs and GETs with this hint: numbers, or reasons of refusals."""
        headers = {**(headers or {}), **({"x-test-subset": hint} if hint is not None else {})}
        found = set()
        for _ in range(6):
            for answer in (
                self.sluice.ask(headers=headers),
                self.sluice.call("GET", "/version", headers=headers).answer(),
            ):
                served = answer.headers.get("x-sluice-endpoint", "").removeprefix("server-")
                found.add(served if answer.status == 200 else f"{answer.status} {answer.reason}")
        return found

    def test_a_hint_limits_the_endpoints_of_one_request(self):
        self.start(self.backends, "", envoy_proxy.filters_before(envoy_proxy.lua(HINT)))
        one, two, three = (backend.address for backend in self.backends)
        nobody = {"503 no-endpoint"}
        for hint, wanted in [
            (None, {"0", "1", "2"}),
            (f"list {one}", {"0"}),
            (f"list {two} {three}", {"1", "2"}),
            (f"text {three}", {"2"}),
            (f"text {one}, {two}", {"0", "1"}),
            ("list 127.0.0.1", {"0", "1", "2"}),  # any port
            ("text 127.0.0.1", {"0", "1", "2"}),
            (f"list 127.0.0.2 {two}", {"1"}),
            (f"list {two} 10.1.1.1:80", {"1"}),
            ("list 127.0.0.1:1", nobody),
            ("list 127.0.0.2", nobody),
            ("text 10.1.1.1:80,10.1.1.2:80", nobody),
            ("text", nobody),
        ]:
            with self.subTest(hint=hint):
                self.assertEqual(self.served_by(hint), wanted)

    def test_a_hint_is_envoy_s_to_give_and_no_client_s(self):
        one, two, _ = (backend.address for backend in self.backends)
        hint = envoy_proxy.set_metadata("envoy.lb.subset_hint", {SUBSET: [two]})
        self.start(self.backends, "", envoy_proxy.filters_before(hint))
        self.assertEqual(self.served_by(None), {"1"})
        self.assertEqual(self.served_by(None, {SUBSET: one}), {"1"})
        empty = Backend(self, on_request=serve)
        hint = envoy_proxy.set_metadata("envoy.lb.subset_hint", {SUBSET: []})
        self.start([empty], "", envoy_proxy.filters_before(hint))
        self.assertEqual(self.served_by(None), {"503 no-endpoint"})
        self.assertEqual(self.sluice.ask().headers[harness.DROPPED], "rejected-no-endpoints")
        self.assertEqual(empty.count, 0)

    def test_a_full_subset_holds_up_nobody_else(self):
        for backend in self.backends:
            backend.on_request = None
        hint = envoy_proxy.filters_before(envoy_proxy.lua(HINT))
        text = f'[flow]\nkey = ["header:{FAIRNESS_ID}"]\n'  # inside a flow the order is kept
        self.start(self.backends, text, hint, capacity="max_in_flight = 1")
        only_first = {"x-test-subset": f"list {self.backends[0].address}", FAIRNESS_ID: "a"}
        calls = [self.sluice.chat(headers=only_first)]
        held = [self.backends[0].next()]
        calls.append(self.park(headers=only_first))
        calls += [self.sluice.chat(headers={FAIRNESS_ID: "b"}) for _ in range(2)]
        held += [backend.next() for backend in self.backends[1:]]
        for received in held:
            received.answer()
        self.backends[0].next().answer()
        self.assertEqual({call.answer().status for call in calls}, {200})
        self.ends_well(completed=4)


# What stands in the dynamic metadata goes to the model server as headers.
TELL = f"""
function envoy_on_request(handle)
  local lb = handle:streamInfo():dynamicMetadata():get("envoy.lb")
  handle:headers():add("x-test-metadata", lb["{DESTINATION}"])
  for address, score in pairs(lb["{DESTINATION}-scores"] or {{}}) do
    handle:headers():add("x-test-score-" .. string.gsub(address, ":", "-"), tostring(score))
  end
end
"""
REPORT = f"""
function envoy_on_response(handle)
  local served = handle:headers():get("x-test-served")
  if served ~= nil then
    handle:streamInfo():dynamicMetadata():set("envoy.lb", "{SERVED}", served)
  end
end
"""


class Metadata(EnvoyTest):
    def in_flight(self):
        return [endpoint["in_flight"] for endpoint in self.sluice.status()["endpoints"]]

    def test_metadata_and_header_agree_and_scores_come_if_they_are_asked_for(self):
        for asked in (False, True):
            with self.subTest(scores=asked):
                backends = [Backend(self), Backend(self)]
                tell = envoy_proxy.filters_after(envoy_proxy.lua(TELL))
                text = "scores = true" if asked else ""
                sluice = self.start(backends, "", tell, ext_proc=text)
                call = sluice.chat()
                harness.wait_until(lambda: sum(b.count for b in backends), "a server has it")
                received = backends[0 if backends[0].count else 1].next()
                self.assertEqual(received.headers["x-test-metadata"], received.headers[DESTINATION])
                scores = {
                    name.removeprefix("x-test-score-"): float(value)
                    for name, value in received.headers.items()
                    if name.startswith("x-test-score-")
                }
                self.assertEqual(
                    set(scores), {b.address.replace(":", "-") for b in backends} if asked else set()
                )
                received.answer()
                self.assertEqual(call.answer().status, 200)

    def test_a_report_of_who_served_moves_the_room_that_is_taken(self):
        backends = [Backend(self), Backend(self)]
        sluice = self.start(backends, "", envoy_proxy.filters_after(envoy_proxy.lua(REPORT)))
        call = sluice.chat(stream=True)
        harness.wait_until(lambda: sum(b.count for b in backends), "a server has it")
        picked = 0 if backends[0].count else 1
        wanted = [1, 0] if picked == 0 else [0, 1]
        self.assertEqual(self.in_flight(), wanted)
        held = backends[picked].next()
        held.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n"
            b"x-test-served: %s\r\n\r\n" % backends[1 - picked].address.encode()
        )
        held.event({"n": 1})
        response = call.begin()
        self.assertEqual(response.headers["x-sluice-endpoint"], f"server-{1 - picked}")
        self.assertEqual(self.in_flight(), wanted[::-1])
        held.end_stream()
        self.assertEqual(call.answer().events, [{"n": 1}, "[DONE]"])
        self.ends_well(completed=1)
        self.assertEqual(self.in_flight(), [0, 0])

    def test_a_report_of_a_stranger_moves_nothing(self):
        backend = Backend(self)
        sluice = self.start([backend], "", envoy_proxy.filters_after(envoy_proxy.lua(REPORT)))
        for served in ("127.0.0.1:1", "nonsense", ""):
            call = sluice.chat()
            backend.next().answer(headers={"x-test-served": served})
            answer = call.answer()
            self.assertEqual(answer.headers["x-sluice-endpoint"], "server-0", served)
        self.ends_well(completed=3)
        self.assertEqual(self.in_flight(), [0])

    def test_a_list_is_walked_where_the_first_endpoint_is_dead(self):
        backends = [Backend(self), Backend(self)]
        slow = '[pool.scrape]\ninterval = "60s"\nstale_after = "120s"\n'  # nobody notices a death
        text = slow + "[picker]\nmax_endpoints = 2\n"
        sluice = self.start(backends, text, envoy_proxy.walk_lists(*backends))
        dead, lives = backends
        dead.refuse()
        dead_first = 0
        while dead_first < 2:
            call = sluice.chat(stream=True)
            held = lives.next()
            addresses = held.headers[DESTINATION].split(",")
            self.assertEqual(set(addresses), {dead.address, lives.address})
            dead_first += addresses[0] == dead.address
            held.start_stream()
            held.event({"n": 1})
            self.assertEqual(call.begin().headers["x-sluice-endpoint"], "server-1")
            self.assertEqual(self.in_flight(), [0, 1])
            held.end_stream()
            self.assertEqual(call.answer().events, [{"n": 1}, "[DONE]"])
        retried = self.envoy.stat("cluster.fallback.upstream_rq_retry_success")
        self.assertEqual(retried, dead_first)
        self.sluice.check_nothing_lost()
        self.assertEqual(set(sluice.ledger().outcomes), {"completed"})


if __name__ == "__main__":
    harness.main()

"""ext_proc as Envoy speaks it, by raw messages: picks, metadata, hints, refusals, leaving."""

import json
import socket
import time

import ext_proc  # first: it goes on where the packages are
import grpc
from ext_proc import DESTINATION, SERVED, SUBSET, chat, subset_hint
from ext_proc import request_body, request_headers
from ext_proc import response_body, response_headers

import harness
from harness import DROPPED, FAIRNESS_ID, OBJECTIVE, TTL
from upstream import Upstream, completion

# Headers by which a client could route or prioritise, or that a model server must not see.
ROUTING = {
    DESTINATION: "10.9.9.9:80",
    SUBSET: "10.9.9.9:80",
    SERVED: "10.9.9.9:80",
    "x-gateway-destination-endpoint-scores": "1",
    "x-llm-d-model-name-rewrite": "other",
    "x-gateway-model-name-rewrite": "other",
    "accept-encoding": "gzip",
}
BY_FAIRNESS_ID = '[flow]\nkey = ["header:x-llm-d-inference-fairness-id"]\n'
BANDS = (
    '[[band]]\nname = "default"\npriority = 0\n[[band]]\nname = "high"\npriority = 9\n'
    '[[objective]]\nname = "fast"\nband = "high"\n'
)
FULL = "max_in_flight = 1"


class Elsewhere(Upstream):
    """A model server on another loopback address."""

    def __init__(self, case, host):
        self.host = host
        super().__init__(case)

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    def _bind(self):
        self.listener = socket.create_server((self.host, self.port))
        self.port = self.listener.getsockname()[1]


class Pick(ext_proc.ExtProcTest):
    def test_the_pick_stands_in_header_and_metadata_and_the_body_goes_on_as_it_came(self):
        sluice = self.start()
        data = chat()
        stream, taken = sluice.exchange(data, {"x-request-id": "mine-1"})
        address = self.servers[0].address
        self.assertEqual(taken.set[DESTINATION], address)
        self.assertEqual(taken.metadata, {"envoy.lb": {DESTINATION: address}})
        self.assertTrue(taken.messages[0].HasField("dynamic_metadata"))
        self.assertTrue(taken.headers.clear_route_cache)
        self.assertEqual(taken.headers.status, 0)
        self.assertEqual(taken.set["content-length"], str(len(data)))
        self.assertEqual(taken.set["x-request-id"], "mine-1")
        self.assertEqual((taken.body, taken.end_of_stream), (data, True))
        answer = stream.finish(json.dumps(completion("m")).encode())
        self.assertEqual(answer.set["x-request-id"], "mine-1")
        self.assertEqual(answer.set["x-sluice-endpoint"], "server-0")
        self.assertGreaterEqual(int(answer.set["x-sluice-queue-ms"]), 0)
        self.assertFalse(answer.headers.clear_route_cache)
        self.ended(completed=1)

    def test_a_request_without_an_id_gets_one_that_its_answer_carries(self):
        sluice = self.start(table="expose_endpoint = false")
        ids = set()
        for _ in range(2):
            stream, taken = sluice.exchange()
            answer = stream.finish()
            self.assertEqual(taken.set["x-request-id"], answer.set["x-request-id"])
            self.assertNotIn("x-sluice-endpoint", answer.set)
            ids.add(taken.set["x-request-id"])
        self.assertEqual((len(ids), "" in ids), (2, False))

    def test_headers_that_would_route_never_reach_the_model_server(self):
        sluice = self.start()
        headers = {**ROUTING, "authorization": "Bearer x", "x-mine": "1"}
        stream, taken = sluice.exchange(headers=headers)
        seen = taken.applied(headers)
        self.assertEqual(seen.pop(DESTINATION), self.servers[0].address)
        self.assertEqual({name for name in seen if name in ROUTING}, set())
        self.assertEqual((seen["authorization"], seen["x-mine"]), ("Bearer x", "1"))
        stream.finish()

    def test_a_server_s_answer_cannot_speak_for_sluice(self):
        sluice = self.start()
        stream, _ = sluice.exchange()
        lies = {
            "x-sluice-endpoint": "lie",
            "x-sluice-reason": "lie",
            "x-sluice-anything": "lie",
            DESTINATION: "lie",
            SERVED: "lie",
            DROPPED: "lie",
            "x-other": "kept",
        }
        seen = stream.finish(headers=lies).applied(lies)
        self.assertNotIn("lie", seen.values())
        self.assertEqual((seen["x-other"], seen["x-sluice-endpoint"]), ("kept", "server-0"))

    def test_objective_and_fairness_id_of_both_families_count_from_trusted_peers(self):
        sluice = self.start(BANDS + BY_FAIRNESS_ID)
        for number, family in enumerate(("x-llm-d-inference", "x-gateway-inference"), 1):
            headers = {f"{family}-objective": "fast", f"{family}-fairness-id": f"tenant-{number}"}
            stream, taken = sluice.exchange(headers=headers)
            self.assertLessEqual(headers.items(), taken.applied(headers).items())
            self.assertEqual(sluice.band("high")["submitted"], number)
            flows = [flow["name"] for flow in sluice.status()["flows"]["top"]]
            self.assertIn(f"tenant-{number}", flows)
            stream.finish()

    def test_objective_and_fairness_id_of_others_are_ignored_and_kept_from_the_server(self):
        sluice = self.start(
            BANDS + BY_FAIRNESS_ID + '[[trust]]\nfrom = ["10.0.0.0/8"]\n'
            f'headers = ["{FAIRNESS_ID}", "{OBJECTIVE}"]\n'
        )
        for family in ("x-llm-d-inference", "x-gateway-inference"):
            headers = {f"{family}-objective": "fast", f"{family}-fairness-id": "tenant"}
            stream, taken = sluice.exchange(headers=headers)
            self.assertEqual(taken.applied(headers).keys() & headers.keys(), set())
            stream.finish()
        self.assertEqual(sluice.band("high")["submitted"], 0)
        self.assertEqual(sluice.band("default")["submitted"], 2)
        self.assertEqual([f["name"] for f in sluice.status()["flows"]["top"]], ["default-flow"])

    def test_scores_of_every_candidate_are_told_if_asked_for(self):
        sluice = self.start(table="scores = true", servers=3)
        stream, taken = sluice.exchange()
        scores = taken.metadata["envoy.lb"][DESTINATION + "-scores"]
        self.assertEqual(set(scores), {server.address for server in self.servers})
        self.assertTrue(all(isinstance(score, float) for score in scores.values()), scores)
        self.assertEqual(scores[taken.endpoint], max(scores.values()))
        stream.finish()

    def test_a_list_of_fallbacks_is_told_best_first_and_room_is_taken_at_the_first(self):
        sluice = self.start("[picker]\nmax_endpoints = 3\n", servers=4)
        stream, taken = sluice.exchange()
        picked = taken.endpoint.split(",")
        self.assertEqual(taken.metadata["envoy.lb"][DESTINATION], taken.endpoint)
        self.assertEqual((len(picked), len(set(picked))), (3, 3))
        self.assertLessEqual(set(picked), {server.address for server in self.servers})
        self.assertEqual({a: n for a, n in self.in_flight().items() if n}, {picked[0]: 1})
        stream.finish()
        two = [server.address for server in self.servers[:2]]
        stream, taken = sluice.exchange(**subset_hint(two))
        self.assertEqual(set(taken.endpoint.split(",")), set(two))
        stream.finish()

    def test_a_report_of_who_served_moves_the_room_that_is_taken(self):
        sluice = self.start("[picker]\nmax_endpoints = 2\n", servers=2)
        stream, taken = sluice.exchange()
        first, second = taken.endpoint.split(",")
        self.assertEqual(self.in_flight(), {first: 1, second: 0})
        stream.send(response_headers(metadata={"envoy.lb": {SERVED: second}}))
        answer = stream.receive().response_headers.response
        by_address = {e["address"]: e["name"] for e in sluice.status()["endpoints"]}
        said = ext_proc.set_headers(answer.header_mutation)
        self.assertEqual(said["x-sluice-endpoint"], by_address[second])
        self.assertEqual(self.in_flight(), {first: 0, second: 1})
        stream.send(response_body(b"{}"))
        stream.receive()
        stream.half_close().status()
        # One that is no member moves nothing.
        stream, taken = sluice.exchange()
        before = self.in_flight()
        stream.send(response_headers(metadata={"envoy.lb": {SERVED: "10.9.9.9:80"}}))
        stream.receive()
        self.assertEqual(self.in_flight(), before)
        stream.cancel()
        self.ended(completed=1, client_gone=1)

    def test_a_request_without_a_body_is_picked_at_once_even_if_there_is_no_room(self):
        sluice = self.start(capacity=FULL)
        held, _ = sluice.exchange()
        for method, path in (("GET", "/metrics"), ("HEAD", "/v1/any"), ("OPTIONS", "/v1/any")):
            stream = sluice.stream(request_headers(method, path, ROUTING, end=True))
            message = stream.receive()
            taken = ext_proc.Taken()
            taken.add(message)
            self.assertEqual(taken.endpoint, self.servers[0].address)
            self.assertEqual(taken.metadata, {"envoy.lb": {DESTINATION: taken.endpoint}})
            self.assertTrue(taken.headers.clear_route_cache)
            self.assertNotIn("content-length", taken.set)
            self.assertEqual(taken.applied(ROUTING).keys() & ROUTING.keys(), {DESTINATION})
            answer = stream.finish(b"text", content_type="text/plain")
            self.assertNotIn("x-sluice-queue-ms", answer.set)
            self.assertEqual(answer.body, b"text")
        self.assertEqual(sluice.ledger().submitted, 1)
        held.finish()

    def test_models_are_told_by_sluice_itself(self):
        sluice = self.start(ext_proc.RENAMED.format("m"))
        answer = sluice.stream(request_headers("GET", "/v1/models", end=True)).refusal()
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertIsNone(answer.reason)
        self.assertEqual({model["id"] for model in answer.json["data"]}, {"m", "asked"})
        one = sluice.stream(request_headers("GET", "/v1/models/asked?x=1", end=True)).refusal()
        self.assertEqual((one.status, one.json["id"]), (200, "asked"))
        none = sluice.stream(request_headers("GET", "/v1/models/none", end=True)).refusal()
        self.assertEqual((none.status, none.reason), (404, "unknown-model"))

    def test_sluice_s_own_proxy_shares_the_queue(self):
        sluice = self.start(capacity=FULL)
        call = sluice.chat()
        held = self.servers[0].next()
        parked = sluice.stream(request_headers(), request_body(chat()))
        sluice.wait_ledger(parked=1, in_flight=1)
        held.answer()
        self.assertEqual(call.answer().status, 200)
        parked.take()
        other = sluice.chat()
        sluice.wait_ledger(parked=1, in_flight=1)
        parked.finish()
        self.servers[0].next().answer()
        self.assertEqual(other.answer().status, 200)
        self.ended(completed=3)

    def test_sluice_may_be_without_its_own_proxy(self):
        sluice = self.start(proxy=False)
        self.assertNotIn("[listen.http]", sluice.config.read_text())
        stream, taken = sluice.exchange()
        self.assertEqual(taken.endpoint, self.servers[0].address)
        stream.finish()
        with self.assertRaises(OSError):
            sluice.ask()


class SubsetHint(ext_proc.ExtProcTest):
    def setUp(self):
        super().setUp()
        self.servers = [Elsewhere(self, host) for host in ("127.0.0.2", "127.0.0.2", "127.0.0.3")]
        self.sluice = ext_proc.ExtProc(self, self.servers)
        self.a, self.b, self.c = (server.address for server in self.servers)

    def picks(self, hint):
        """Every endpoint that a few requests with this hint go to, with and without a body."""
        picked = set()
        for _ in range(6):
            stream, taken = self.sluice.exchange(**hint)
            picked.add(taken.endpoint)
            stream.finish()
        for _ in range(40):
            stream = self.sluice.stream(request_headers("GET", "/any", end=True, **hint))
            taken = ext_proc.Taken()
            taken.add(stream.receive())
            picked.add(taken.endpoint)
            stream.finish()
        return picked

    def test_a_hint_holds_in_every_form(self):
        for hint, wanted in (
            ([self.a], {self.a}),
            (self.a, {self.a}),
            ([self.b, self.c], {self.b, self.c}),
            (f"{self.b},{self.c}", {self.b, self.c}),
            (f" {self.b} , {self.c} ", {self.b, self.c}),
            (["127.0.0.2"], {self.a, self.b}),
            ("127.0.0.3", {self.c}),
            (f"127.0.0.3,{self.a}", {self.c, self.a}),
            (["10.9.9.9:80", self.c], {self.c}),
        ):
            with self.subTest(hint=hint):
                self.assertEqual(self.picks(subset_hint(hint)), wanted)

    def test_without_a_hint_all_may_be_picked(self):
        self.assertEqual(self.picks({}), {self.a, self.b, self.c})
        other = {"metadata": {"envoy.lb.subset_hint": {"another": [self.a]}}}
        self.assertEqual(self.picks(other), {self.a, self.b, self.c})

    def test_a_client_s_header_is_no_hint(self):
        headers = {SUBSET: self.a}
        sluice = ext_proc.ExtProc(self, self.servers, capacity=FULL)
        held = [sluice.exchange(headers=headers) for _ in self.servers]
        self.assertEqual({taken.endpoint for _, taken in held}, {self.a, self.b, self.c})
        for stream, _ in held:
            stream.finish()

    def test_a_hint_that_names_nobody_gets_503_at_once(self):
        port = self.a.rpartition(":")[2]
        for hint in ([], "", ["10.9.9.9"], "10.9.9.9:80", [f"127.0.0.3:{port}"], ["no address"]):
            for messages in (
                [request_headers(**subset_hint(hint)), request_body(chat())],
                [request_headers("GET", "/any", end=True, **subset_hint(hint))],
            ):
                with self.subTest(hint=hint, messages=len(messages)):
                    answer = self.sluice.stream(*messages).refusal(within=3)
                    self.assertEqual((answer.status, answer.reason), (503, "no-endpoint"))
                    self.assertEqual(answer.headers[DROPPED], "rejected-no-endpoints")


class Refusals(ext_proc.ExtProcTest):
    def refused(self, status, reason, *messages, dropped=None, within=5):
        answer = self.sluice.stream(*messages).refusal(within)
        self.assertEqual((answer.status, answer.reason), (status, reason), answer)
        self.assertEqual(answer.headers.get(DROPPED), dropped)
        self.assertIn("x-request-id", answer.headers)
        waits = answer.headers.get("retry-after")
        self.assertEqual(waits is not None, status in (429, 503), answer)
        self.assertTrue(waits is None or 1 <= int(waits) <= 30, waits)
        return answer

    def chat(self, data=None, headers=None, **more):
        return request_headers(headers=headers, **more), request_body(
            chat() if data is None else data
        )

    def check_all(self, check):
        """Each refusal that needs no more than its request, its body checked by CHECK."""
        for status, reason, messages, code in (
            (400, "bad-request", self.chat(b""), "invalid_json"),
            (400, "bad-request", self.chat(b"{"), "invalid_json"),
            (400, "bad-request", self.chat(b"x"), "invalid_request"),
            (400, "bad-request", self.chat(b'{"messages":[]}'), "missing_model"),
            (404, "unknown-model", self.chat(chat("unheard")), "model_not_found"),
            (404, "unknown-path", self.chat(path="/no/such/path"), None),
            (413, "too-large", self.chat(chat(size=70_000)), None),
            (503, "no-endpoint", self.chat(**subset_hint([])), "no_endpoint"),
        ):
            with self.subTest(status=status, reason=reason, code=code):
                dropped = "rejected-no-endpoints" if status == 503 else None
                check(self.refused(status, reason, *messages, dropped=dropped), code)

    def test_refusals_in_the_words_of_openai(self):
        self.start(table='max_body = "64KiB"')

        def check(answer, code):
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertTrue(answer.json["error"]["message"])
            self.assertIn(code, (None, answer.json["error"]["code"]))

        self.check_all(check)
        self.assertEqual(self.sluice.ledger().in_flight, 0)

    def test_refusals_in_the_words_of_llm_d(self):
        self.start(table='error_format = "llm-d"\nmax_body = "64KiB"')
        words = {400: "BadRequest", 404: "NotFound", 413: "BadRequest", 503: "ServiceUnavailable"}

        def check(answer, _):
            self.assertTrue(answer.headers["content-type"].startswith("text/plain"), answer)
            self.assertRegex(
                answer.body.decode(), f"^inference error: {words[answer.status]} - [a-z].*"
            )

        self.check_all(check)

    def test_a_body_that_is_too_large_is_refused_before_it_is_whole(self):
        self.start(table='max_body = "1MiB"')
        part = request_body(b"x" * 60_000, end=False)
        self.refused(413, "too-large", request_headers(), *[part] * 40)
        self.refused(413, "too-large", request_headers(headers={"content-length": str(10**12)}))
        stream, _ = self.sluice.exchange(chat(size=1 << 20))
        stream.finish()

    def test_bodies_that_are_still_coming_are_limited_all_together(self):
        sluice = self.start('[limits]\nmax_bytes = "1MiB"\n')
        part = request_body(b"x" * 60_000, end=False)
        streams = [sluice.stream(request_headers(), *[part] * 9) for _ in range(4)]
        answer = sluice.stream(request_headers(), *[part] * 17, part).refusal()
        self.assertEqual((answer.status, answer.reason), (429, "bytes-full"), answer)
        self.assertEqual(answer.headers[DROPPED], "rejected-saturated")
        for stream in streams:
            stream.cancel()
        harness.wait_until(lambda: sluice.streams() == 0, "they have gone")
        stream, _ = sluice.exchange(chat(size=900_000))  # what they held is free again
        stream.finish()

    def test_an_empty_pool_is_503_with_and_without_a_body(self):
        (self.directory / "endpoints.toml").write_text("")
        text = '[pool]\nendpoints_file = "endpoints.toml"\n[[model]]\nname = "m"\n'
        text += '[[band]]\nname = "default"\nno_endpoint_ttl = "200ms"\n'
        self.sluice = ext_proc.ExtProc(self, [], text)
        no = {"dropped": "rejected-no-endpoints"}
        self.refused(503, "no-endpoint", request_headers("GET", "/any", end=True), **no)
        self.refused(503, "no-endpoint", *self.chat(), **no)

    def test_limits_and_time_limits_are_told_with_a_time_to_come_back(self):
        sluice = self.start("[limits]\nmax_requests = 1\n", capacity=FULL)
        held, _ = sluice.exchange()
        waits = sluice.stream(*self.chat())
        sluice.wait_ledger(parked=1)
        self.refused(429, "queue-full", *self.chat(), dropped="rejected-saturated")
        waits.cancel()
        sluice.wait_ledger(parked=0)
        began = time.monotonic()
        short = self.chat(headers={TTL: "150"})
        answer = self.refused(429, "ttl-expired", *short, dropped="rejected-ttl-expired")
        self.assertGreater(time.monotonic() - began, 0.14)
        self.assertGreaterEqual(int(answer.headers["x-sluice-queue-ms"]), 149)
        held.finish()
        self.ended(completed=1, cancelled=1, rejected_full=1, expired=1)

    def test_a_local_reply_of_envoy_counts_against_the_endpoint_and_a_server_s_own_does_not(self):
        sluice = self.start()
        for details, failures, outcomes in (
            ("via_upstream", 0, {"completed": 1}),
            ("upstream_reset_before_response_started{x}", 1, {"completed": 1, "upstream_error": 1}),
            ("upstream_response_timeout", 2, {"completed": 1, "upstream_error": 2}),
        ):
            attributes = {"envoy.filters.http.ext_proc": {"response.code_details": details}}
            stream, _ = sluice.exchange()
            stream.send(response_headers(503, attributes=attributes), response_body(b"no"))
            self.assertEqual(stream.take().body, b"no")
            stream.half_close().status()
            self.ended(**outcomes)
            self.assertEqual(sluice.endpoint("server-0")["failures"], failures, details)
        stream, _ = sluice.exchange()
        stream.send(response_headers(503, attributes=attributes, end=True)).receive()
        sluice.wait_health("server-0", "ejected")
        stream.half_close()


class Leaving(ext_proc.ExtProcTest):
    WAYS = {
        "cancel": lambda stream, relay: stream.cancel(),
        "half close": lambda stream, relay: stream.half_close(),
        "connection": lambda stream, relay: relay.cut(),
    }

    def begin(self, waiting=1):
        """One slot, taken by the first stream, and others that wait; each on its own connection."""
        self.start(capacity=FULL)
        self.relays = [ext_proc.Relay(self, self.sluice.grpc_port) for _ in range(1 + waiting)]
        self.streams = []
        for number, relay in enumerate(self.relays):
            channel = ext_proc.channel(relay.port)
            self.addCleanup(channel.close)
            stream = ext_proc.Stream(channel).send(request_headers(), request_body(chat()))
            self.streams.append(stream)
            self.sluice.wait_ledger(parked=number, in_flight=1)
        return self.streams

    def test_a_client_that_leaves_while_parked_is_cancelled_at_once(self):
        for way, leave in self.WAYS.items():
            with self.subTest(way=way):
                held, parked = self.begin()
                leave(parked, self.relays[1])
                self.sluice.wait_ledger(parked=0, cancelled=1, within=2)
                held.take()
                held.finish()
                self.ended(completed=1, cancelled=1)

    def test_a_client_that_leaves_in_flight_frees_its_room_at_once(self):
        for way, leave in self.WAYS.items():
            with self.subTest(way=way):
                held, parked = self.begin()
                held.take()
                leave(held, self.relays[0])
                self.assertEqual(parked.take(within=2).endpoint, self.servers[0].address)
                parked.finish()
                self.ended(completed=1, client_gone=1)

    def test_a_client_that_leaves_in_the_middle_of_an_answer_frees_its_room_at_once(self):
        for way, leave in self.WAYS.items():
            with self.subTest(way=way):
                held, parked = self.begin()
                held.take()
                held.send(response_headers(), response_body(b"{", end=False))
                held.receive()
                leave(held, self.relays[0])
                parked.take(within=2)
                parked.finish()
                self.ended(completed=1, client_gone=1)

    def test_what_is_taken_back_at_the_deadline_is_told_or_aborted(self):
        self.start('[drain]\ngrace = "0s"\ndeadline = "300ms"\n', capacity="max_in_flight = 2")
        quiet, _ = self.sluice.exchange()
        begun, _ = self.sluice.exchange()
        waits = self.sluice.stream(*Refusals.chat(self))
        begun.send(response_headers(), response_body(b"{", end=False))
        begun.receive()
        begun.receive()
        self.sluice.wait_ledger(parked=1, in_flight=2)
        self.sluice.signal(15)
        answer = waits.refusal()
        self.assertEqual((answer.status, answer.reason), (503, "draining"))
        answer = quiet.refusal()
        self.assertEqual((answer.status, answer.reason), (429, "revoked"))
        self.assertEqual(answer.headers[DROPPED], "evicted")
        self.assertEqual(begun.status(), grpc.StatusCode.ABORTED)
        self.sluice.expect_end(harness.EXIT_OK, within=5)
        self.sluice = None


if __name__ == "__main__":
    harness.main()

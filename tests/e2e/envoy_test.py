"""Through a real Envoy: answers whole and streamed, usage, names of models, bodies, trailers,
errors, priorities, and an unmodified OpenAI client."""

import hashlib
import json
import random
import re
import subprocess

import ext_proc  # first: it goes on in the virtual environment
import envoy_proxy
import harness
from envoy_proxy import DESTINATION, Backend, EnvoyTest, trailers
from harness import OBJECTIVE
from wire import request_bytes

import openai  # after ext_proc: only the virtual environment has it

HELLO = [{"role": "user", "content": "hello"}]
TARGETS = '[[model]]\nname = "public"\ntargets = [ { model = "the-real-one" } ]\n'
BIG = 10 << 20
PORTS = {"10000", "19000", "9002", "8101", "8102"}  # of the bootstrap


def usage(prompt, output):
    return {"prompt_tokens": prompt, "completion_tokens": output, "total_tokens": prompt + output}


def sha256(data):
    return hashlib.sha256(data).hexdigest()


class Answers(EnvoyTest):
    def tokens(self, kind, **labels):
        return self.sluice.metrics().value("sluice_model_tokens_total", kind=kind, **labels)

    def test_an_answer_comes_whole_and_says_where_it_was_served(self):
        backend = Backend(self)
        sluice = self.start([backend])
        call = sluice.chat(headers={"x-request-id": "my-own-id", "accept-encoding": "gzip"})
        received = backend.next()
        self.assertEqual(received.path, "/v1/chat/completions")
        self.assertEqual(received.headers[DESTINATION], backend.address)
        self.assertEqual(received.headers["x-request-id"], "my-own-id")
        self.assertNotIn("accept-encoding", received.headers)  # or its usage could not be read
        received.answer(headers={"x-engine": "e", "x-sluice-reason": "forged"})
        answer = call.answer()
        self.assertEqual((answer.status, answer.json["model"]), (200, "m"))
        self.assertEqual(answer.headers["x-sluice-endpoint"], "server-0")
        self.assertEqual(answer.headers["x-request-id"], "my-own-id")
        self.assertEqual(answer.headers["x-engine"], "e")
        self.assertEqual(answer.queue_ms, 0)
        self.assertNotIn("x-sluice-reason", answer.headers)
        self.ends_well(completed=1)
        self.assertEqual(
            (self.tokens("prompt", model="m"), self.tokens("output", model="m")), (3, 1)
        )

    def test_events_come_one_by_one_and_are_counted(self):
        backend = Backend(self)
        sluice = self.start([backend])
        call = sluice.chat(stream=True)
        held = backend.next()
        held.start_stream()
        for number in range(5):
            event = {"model": "m", "choices": [{"index": 0, "delta": {"content": f"{number} "}}]}
            held.event(event)
            response = call.response or call.begin()
            line = response.readline()  # the next one is not sent before this one is here
            self.assertEqual(json.loads(line.removeprefix(b"data: ")), event)
            self.assertEqual(response.readline(), b"\n")
        self.assertEqual(sluice.ledger().in_flight, 1)
        held.end_stream()
        answer = call.answer()
        self.assertEqual((answer.status, answer.events), (200, ["[DONE]"]))
        self.assertEqual(answer.headers["content-type"], "text/event-stream")
        self.ends_well(completed=1)
        self.assertEqual(self.tokens("output", model="m"), 5)  # nobody said: one token an event

    def test_usage_that_a_stream_says_is_what_counts(self):
        backend = Backend(self)
        sluice = self.start([backend])
        call = sluice.chat(stream=True, stream_options={"include_usage": True})
        held = backend.next()
        self.assertEqual(held.json["stream_options"], {"include_usage": True})
        held.start_stream()
        for _ in range(2):
            held.event({"choices": [{"index": 0, "delta": {"content": "some tokens at once"}}]})
        held.event({"choices": [], "usage": usage(11, 40)})
        held.end_stream()
        self.assertEqual(call.answer().events[-2]["usage"], usage(11, 40))  # asked for: passed on
        self.ends_well(completed=1)
        self.assertEqual(
            (self.tokens("prompt", model="m"), self.tokens("output", model="m")), (11, 40)
        )

    def test_usage_can_be_asked_for_behind_the_client_s_back(self):
        server = harness.SimServer(self)
        sluice = self.start([server], '[usage]\nstream = "inject"\n')
        answer = sluice.ask(stream=True, max_tokens=7)
        self.assertEqual(answer.events[-1], "[DONE]")
        self.assertTrue(all("usage" not in e or not e["usage"] for e in answer.events[:-1]), answer)
        self.ends_well(completed=1)
        self.assertEqual(self.tokens("output", model="m"), 7)
        self.assertGreater(self.tokens("prompt", model="m"), 0)

    def test_a_model_is_served_by_its_target_and_the_client_reads_the_name_that_it_used(self):
        backend = Backend(self, models=["the-real-one"])
        sluice = self.start([backend], TARGETS)
        call = sluice.chat("public", text='a "model" named "public"')
        received = backend.next()
        self.assertEqual(received.json["model"], "the-real-one")
        self.assertEqual(received.json["messages"][0]["content"], 'a "model" named "public"')
        received.answer()
        answer = call.answer()
        self.assertEqual((answer.json["model"], answer.json["usage"]), ("public", usage(3, 1)))
        self.assertEqual(self.tokens("output", model="public"), 1)

        call = sluice.chat("public", stream=True)
        held = backend.next()
        held.start_stream()
        response = None
        for _ in range(3):
            text = 'data: {"model":"the-real-one","choices":[{"delta":{"content":"x"}}]}\n\n'
            for cut in (text[:16], text[16:]):  # in the middle of the name
                held.send(f"{len(cut):x}\r\n{cut}\r\n".encode())
            response = response or call.begin()
            self.assertEqual(json.loads(response.readline()[6:])["model"], "public")
            response.readline()
        held.end_stream()
        self.assertEqual(call.answer().events, ["[DONE]"])
        self.ends_well(completed=2)
        self.assertEqual(self.tokens("output", model="public"), 4)

    def test_ten_megabytes_pass_unchanged_both_ways(self):
        backend = Backend(self)
        sluice = self.start([backend])
        text = random.Random(1).randbytes(BIG // 2).hex()
        body = json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}, indent=3)
        call = sluice.call("POST", "/v1/chat/completions", body.encode())
        received = backend.next()
        self.assertEqual(len(received.body), len(body))
        self.assertEqual(sha256(received.body), sha256(body.encode()))
        back = json.dumps(
            {"model": "m", "text": text[::-1], "usage": usage(5, 6)}, indent=1
        ).encode()
        received.answer(body=back)
        answer = call.answer()
        self.assertEqual((answer.status, sha256(answer.body)), (200, sha256(back)))
        self.ends_well(completed=1)
        self.assertEqual(self.tokens("output", model="m"), 6)

    def test_ten_megabytes_with_another_name_in_them_differ_in_nothing_else(self):
        backend = Backend(self, models=["the-real-one"])
        sluice = self.start([backend], TARGETS)
        text = random.Random(2).randbytes(BIG // 2).hex()
        body = json.dumps({"model": "public", "messages": [{"role": "user", "content": text}]})
        call = sluice.call("POST", "/v1/chat/completions", body.encode())
        received = backend.next()
        wanted = body.replace('"model": "public"', '"model": "the-real-one"', 1)
        self.assertEqual(sha256(received.body), sha256(wanted.encode()))
        received.answer()
        self.assertEqual(call.answer().json["model"], "public")
        self.ends_well(completed=1)

    def test_trailers_pass_both_ways(self):
        backend = Backend(self)
        sluice = self.start([backend], "", trailers)
        body = ext_proc.chat()
        call = sluice.raw(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"%x\r\n%s\r\n0\r\nx-checksum: of the request\r\n\r\n" % (len(body), body)
        )
        received = backend.next()
        self.assertEqual(received.body, body)
        self.assertEqual(received.headers["trailer/x-checksum"], "of the request")
        data = json.dumps({"model": "m", "usage": usage(3, 2)}).encode()
        received.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
            b"\r\n%x\r\n%s\r\n0\r\nx-checksum: of the answer\r\n\r\n" % (len(data), data)
        )
        received.over.set()
        answer = b""
        while piece := call.socket.recv(65536):
            answer += piece
        head, _, rest = answer.partition(b"\r\n\r\n")
        self.assertIn(b"HTTP/1.1 200 OK", head)
        self.assertIn(data, rest)
        self.assertTrue(rest.endswith(b"0\r\nx-checksum: of the answer\r\n\r\n"), rest)
        self.ends_well(completed=1)
        self.assertEqual(self.tokens("output", model="m"), 2)

    def test_requests_without_a_body_are_never_parked(self):
        self.start_full()
        call = self.sluice.call("GET", "/version?full=1")
        received = self.upstream.next()
        self.assertEqual((received.method, received.path), ("GET", "/version?full=1"))
        received.answer(body={"version": "0"})
        answer = call.answer()
        self.assertEqual((answer.status, answer.json), (200, {"version": "0"}))
        self.assertEqual(answer.headers["x-sluice-endpoint"], "server-0")
        self.held.answer()
        self.assertEqual(self.first.answer().status, 200)
        self.ends_well(completed=1)

    def test_the_models_are_listed_by_sluice_itself(self):
        backend = Backend(self, models=["m", "n"])
        sluice = self.start([backend], TARGETS.replace("the-real-one", "n"))
        names = {model["id"] for model in sluice.call("GET", "/v1/models").answer().json["data"]}
        self.assertEqual(names, {"m", "n", "public"})
        self.assertEqual(sluice.call("GET", "/v1/models/n").answer().json["id"], "n")
        self.assertEqual(sluice.call("GET", "/v1/models/nobody").answer().status, 404)
        self.assertEqual(backend.count, 0)


class Errors(EnvoyTest):
    def refused(self, answer, status, reason, dropped=None):
        self.assertEqual((answer.status, answer.reason), (status, reason), answer)
        self.assertEqual(answer.headers.get(harness.DROPPED), dropped)
        self.assertTrue(answer.headers["x-request-id"])
        self.assertNotIn("x-sluice-endpoint", answer.headers)
        self.assertEqual(int(answer.headers["content-length"]), len(answer.body))
        if status in (429, 503):
            self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 30, answer)
        else:
            self.assertNotIn("retry-after", answer.headers)

    def test_refusals_say_why_and_when_to_come_back(self):
        self.start_full(
            '[[band]]\nname = "default"\nmax_requests = 1\nttl = "300ms"\n',
            ext_proc='max_body = "4KiB"',
        )
        waits = self.park()
        answer = self.sluice.ask()
        self.refused(answer, 429, "queue-full", "rejected-saturated")
        self.assertEqual(answer.headers["content-type"], "application/json")
        self.assertEqual(answer.json["error"]["type"], "rate_limit_error")
        answer = waits.answer()
        self.refused(answer, 429, "ttl-expired", "rejected-ttl-expired")
        self.assertGreaterEqual(answer.queue_ms, 300)
        answer = self.sluice.ask("nobody-serves-it")
        self.refused(answer, 404, "unknown-model")
        self.assertEqual(answer.json["error"]["code"], "model_not_found")
        for bad in (b"{", b'{"messages":[]}', b""):
            answer = self.sluice.call("POST", "/v1/chat/completions", bad).answer()
            self.refused(answer, 400, "bad-request")
        self.refused(self.sluice.ask(text="x" * 5000), 413, "too-large")
        self.refused(self.sluice.call("POST", "/v2/nothing", {}).answer(), 404, "unknown-path")
        self.refused(self.sluice.call("GET", "/version", {}).answer(), 400, "bad-request")
        self.assertEqual(self.upstream.count, 1)
        self.held.answer()
        self.assertEqual(self.first.answer().status, 200)
        self.sluice.check_nothing_lost()

    def test_a_body_that_does_not_end_is_given_up(self):
        sluice = self.start([Backend(self)], ext_proc='body_timeout = "200ms"')
        data = request_bytes("POST", "/v1/chat/completions", ext_proc.chat())
        self.refused(sluice.raw(data[:-3]).answer(), 408, "bad-request")
        self.sluice.check_nothing_lost()

    def test_an_empty_pool_is_503_for_every_request(self):
        backend = Backend(self)
        sluice = self.start([backend], '[[band]]\nname = "default"\nno_endpoint_ttl = "100ms"\n')
        backend.vanish()
        sluice.wait_health("server-0", "ejected")
        self.refused(sluice.ask(), 503, "no-endpoint", "rejected-no-endpoints")
        answer = sluice.call("GET", "/version").answer()
        self.refused(answer, 503, "no-endpoint", "rejected-no-endpoints")

    def test_errors_can_read_as_those_of_llm_d(self):
        sluice = self.start([Backend(self)], ext_proc='error_format = "llm-d"')
        answer = sluice.ask("nobody-serves-it")
        self.refused(answer, 404, "unknown-model")
        self.assertEqual(answer.headers["content-type"], "text/plain")
        self.assertTrue(answer.text.startswith("inference error: NotFound - "), answer)


class Configuration(EnvoyTest):
    def test_the_bootstrap_is_valid_as_it_stands_and_fits_the_defaults(self):
        file = envoy_proxy.BOOTSTRAP
        done = subprocess.run(
            [envoy_proxy.ENVOY, "--mode", "validate", "-c", file],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        text = file.read_text()
        self.assertEqual(set(re.findall(r"port_value: (\d+)", text)), PORTS)
        for port in PORTS - {"10000", "19000", "9002"}:
            self.assertIn(
                f'"127.0.0.1:{port}"', (harness.SOURCE / "conf/pipeline.toml").read_text()
            )


class Priority(EnvoyTest):
    def test_a_lower_band_waits_for_a_higher_one(self):
        log = self.directory / "decisions"
        self.start_full(
            '[[band]]\nname = "critical"\npriority = 10\n[[band]]\nname = "default"\npriority = 0\n'
            f'[[objective]]\nname = "chat"\nband = "critical"\n[log]\ndecisions = "{log}"\n'
        )
        calls = [self.first]
        for text in ("d1", "c1", "d2", "c2"):
            headers = {OBJECTIVE: "chat"} if text[0] == "c" else {}
            calls.append(self.park(text=text, headers=headers))
        self.held.answer()
        order = []
        for _ in calls[1:]:
            received = self.upstream.next()
            order.append(received.json["messages"][0]["content"])
            received.answer()
        self.assertEqual(order, ["c1", "c2", "d1", "d2"])
        self.assertEqual({call.answer().status for call in calls}, {200})
        self.ends_well(completed=5)
        self.sluice.stop()
        self.check_log(log)

    def test_what_comes_by_http_and_what_comes_by_envoy_wait_in_one_queue(self):
        upstream = Backend(self)
        sluice = ext_proc.ExtProc(self, [upstream], capacity="max_in_flight = 1")
        direct = sluice.port
        by_envoy = envoy_proxy.Envoy(self, sluice.grpc_port).port
        calls = [sluice.chat(text="0")]
        held = upstream.next()
        for number in range(1, 5):
            sluice.port = by_envoy if number % 2 else direct
            calls.append(sluice.chat(text=str(number)))
            sluice.wait_ledger(parked=number, in_flight=1)
        for number in range(5):
            self.assertEqual(held.json["messages"][0]["content"], str(number))
            held.answer()
            held = upstream.next() if number < 4 else None
        self.assertEqual({call.answer().status for call in calls}, {200})
        sluice.check_nothing_lost()
        self.assertEqual(sluice.ledger().outcomes, {"completed": 5})


class OpenAi(EnvoyTest):
    def test_an_unmodified_client_chats_streams_lists_and_is_told_of_errors(self):
        server = harness.SimServer(self, inter_token_latency="20ms")
        sluice = self.start([server])
        client = openai.OpenAI(
            base_url=f"http://127.0.0.1:{sluice.port}/v1", api_key="none", max_retries=0, timeout=20
        )
        self.addCleanup(client.close)
        answer = client.chat.completions.create(model="m", messages=HELLO, max_tokens=5)
        self.assertEqual((answer.model, answer.usage.completion_tokens), ("m", 5))
        chunks = iter(
            client.chat.completions.create(model="m", messages=HELLO, max_tokens=9, stream=True)
        )
        first = next(chunks)
        self.assertTrue(first.choices[0].delta.content)
        self.assertEqual(sluice.ledger().in_flight, 1)  # the rest is still to come
        self.assertEqual(len([first, *chunks]), 9)
        kinds = [
            event.type
            for event in client.responses.create(
                model="m", input="hi", max_output_tokens=3, stream=True
            )
        ]
        self.assertEqual(kinds.count("response.output_text.delta"), 3)
        vectors = client.embeddings.create(model="m", input=["a", "b"], encoding_format="float")
        self.assertEqual([item.index for item in vectors.data], [0, 1])
        self.assertEqual([model.id for model in client.models.list()], ["m"])
        with self.assertRaises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="never-heard-of", messages=HELLO)
        self.assertEqual(caught.exception.code, "model_not_found")
        self.sluice.check_nothing_lost()
        self.assertEqual(self.sluice.ledger().outcomes["completed"], 4)


if __name__ == "__main__":
    harness.main()

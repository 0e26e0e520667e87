"""ext_proc bodies as Envoy sends them: chunks, renamed models, usage, trailers, body modes."""

import json

import ext_proc  # first: it goes on where the packages are
import grpc
from ext_proc import DESTINATION, Mode, chat
from ext_proc import request_body, request_headers, request_trailers
from ext_proc import response_body, response_headers, response_trailers

import harness
from upstream import completion

JSON = {"content-type": "application/json"}


class Bodies(ext_proc.ExtProcTest):
    def check_chunks(self, data, sent, taken):
        self.assertTrue(taken.body == data, f"{len(taken.body)} bytes, not {len(data)}, or others")
        for chunk in taken.chunks:
            self.assertLessEqual(len(chunk), ext_proc.INBOUND_MAX)
            if len(chunk) > ext_proc.CHUNK_MAX:
                self.assertTrue(chunk in sent, "a large chunk that did not come so")

    def test_chunks_of_every_size_pass_unchanged_both_ways(self):
        sluice = self.start()
        for size in (61_999, 62_000, 62_001, 65_535, 65_536, 65_537, 200_000, 10_000_000):
            data = chat(size=size)
            for cut in (1000, 61_999, 62_000, 65_536, 100_000, 3_000_000):
                if size // cut > 400:
                    continue
                with self.subTest(size=size, cut=cut):
                    sent = ext_proc.pieces(data, cut)
                    stream = sluice.stream(request_headers())
                    stream.send(*(request_body(c, end=False) for c in sent[:-1]))
                    stream.send(request_body(sent[-1]))
                    taken = stream.take()
                    self.check_chunks(data, sent, taken)
                    self.assertEqual(taken.set["content-length"], str(size))
                    self.check_chunks(data, sent, stream.finish(*sent))

    def test_answers_that_are_empty_or_tiny_pass(self):
        sluice = self.start()
        for chunks in ([b""], [b"x"], [b"", b"", b"x", b""], [b"\x00\xff" * 9]):
            stream, _ = sluice.exchange()
            answer = stream.finish(*chunks, content_type="application/octet-stream")
            self.assertEqual((answer.body, answer.end_of_stream), (b"".join(chunks), True))
        stream, _ = sluice.exchange()
        stream.send(response_headers(204, end=True))  # no body at all
        self.assertEqual(stream.receive().WhichOneof("response"), "response_headers")
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.ended(completed=5)

    def test_nothing_is_said_before_the_request_is_whole_and_an_end_may_come_empty(self):
        sluice = self.start()
        data = chat()
        stream = sluice.stream(request_headers(), request_body(data[:9], end=False))
        stream.is_silent()
        stream.send(request_body(data[9:], end=False))
        stream.is_silent()
        taken = stream.send(request_body(b"")).take()
        self.assertEqual((taken.body, taken.set["content-length"]), (data, str(len(data))))
        stream.finish()

    def test_an_answer_goes_on_as_it_comes(self):
        stream, _ = self.start().exchange()
        stream.send(response_headers(headers={"content-type": "text/event-stream"}))
        self.assertEqual(stream.receive().WhichOneof("response"), "response_headers")
        for number in range(3):
            event = b"data: %d\n\n" % number
            stream.send(response_body(event, end=False))
            chunk = stream.receive().response_body.response.body_mutation.streamed_response
            self.assertEqual((chunk.body, chunk.end_of_stream), (event, False))
        stream.send(response_body(b""))
        chunk = stream.receive().response_body.response.body_mutation.streamed_response
        self.assertEqual((chunk.body, chunk.end_of_stream), (b"", True))
        stream.half_close()

    def test_trailers_are_answered_both_ways_and_carry_the_end(self):
        sluice = self.start()
        data = chat()
        stream = sluice.stream(request_headers(), request_body(data, end=False))
        stream.is_silent()
        taken = stream.send(request_trailers({"x-checksum": "1"})).take()
        self.assertEqual((taken.body, taken.end_of_stream), (data, False))
        self.assertIsNotNone(taken.trailers)
        stream.send(response_headers(), response_body(b'{"a":1}', end=False))
        answer = stream.send(response_trailers({"x-checksum": "2"})).take()
        self.assertEqual((answer.body, answer.end_of_stream), (b'{"a":1}', False))
        self.assertIsNotNone(answer.trailers)
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.ended(completed=1)

    def test_a_model_s_name_is_changed_there_and_back_wherever_it_is_cut(self):
        for target in ("t", "target", "a-much/longer-target"):
            sluice = self.start(ext_proc.RENAMED.format(target), models=(target,))
            sent = chat("asked", note="asked")
            wanted = sent.replace(b'"model": "asked"', b'"model": "%s"' % target.encode())
            self.assertNotEqual(sent, wanted)
            answer = json.dumps({"id": target, "model": target, "choices": []}).encode()
            event = b'data: {"model":"%s","choices":[{"delta":{}}]}\n\n' % target.encode()
            sse = event + event + b"data: [DONE]\n\n"
            for at in range(len(sent) + 1):
                stream = sluice.stream(request_headers(), request_body(sent[:at], end=False))
                taken = stream.send(request_body(sent[at:])).take()
                self.assertEqual(taken.body, wanted)
                self.assertEqual(taken.set["content-length"], str(len(wanted)))
                stream.finish()
            for whole, kind in ((answer, "application/json"), (sse, "text/event-stream")):
                for at in range(len(whole) + 1):
                    stream, _ = sluice.exchange(sent)
                    self.check_renamed(stream, [whole[:at], whole[at:]], target, kind)
            for whole, kind in ((answer, "application/json"), (sse, "text/event-stream")):
                for cut in (1, 2, 3):
                    stream, _ = sluice.exchange(sent)
                    self.check_renamed(stream, ext_proc.pieces(whole, cut), target, kind)
            sluice.check_nothing_lost()

    def check_renamed(self, stream, chunks, target, kind):
        wanted = b"".join(chunks)
        for form in (b'"model": "%s"', b'"model":"%s"'):
            wanted = wanted.replace(form % target.encode(), form % b"asked")
        got = stream.finish(*chunks, content_type=kind)
        self.assertEqual(got.body, wanted, chunks)

    def test_a_large_body_is_rewritten_right(self):
        sluice = self.start(ext_proc.RENAMED.format("target"), models=("target",))
        sent = chat("asked", size=10_000_000)
        stream = sluice.stream(request_headers())
        parts = ext_proc.pieces(sent, 65_536)
        stream.send(*(request_body(c, end=i + 1 == len(parts)) for i, c in enumerate(parts)))
        taken = stream.take()
        self.assertEqual(taken.set["content-length"], str(len(sent) + 1))
        self.check_chunks(sent.replace(b'"asked"', b'"target"', 1), parts, taken)
        stream.finish()

    def test_usage_is_read_from_json_and_events_over_chunk_borders(self):
        sluice = self.start()
        usage = {
            "prompt_tokens": 7,
            "completion_tokens": 5,
            "total_tokens": 12,
            "prompt_tokens_details": {"cached_tokens": 4},
        }
        answer = json.dumps({**completion("m"), "usage": usage}).encode()
        event = {"choices": [], "usage": usage}
        sse = b"data: %s\n\ndata: [DONE]\n\n" % json.dumps(event).encode()
        rounds = 0
        for cut in (1, 2, 7, 50, 10_000):
            for data, kind in ((answer, "application/json"), (sse, "text/event-stream")):
                stream, _ = sluice.exchange(chat(stream=kind != "application/json"))
                self.assertEqual(
                    stream.finish(*ext_proc.pieces(data, cut), content_type=kind).body, data
                )
                rounds += 1
        sluice.check_nothing_lost()
        for kind, count in (("prompt", 7), ("cached", 4), ("output", 5)):
            told = sluice.metrics().value("sluice_tokens_total", kind=kind)
            self.assertEqual(told, count * rounds, kind)

    def test_usage_is_asked_for_and_kept_back_only_if_so_configured(self):
        data = chat(stream=True)
        stream, taken = self.start().exchange(data)
        self.assertEqual(taken.body, data)
        stream.finish()
        stream, taken = self.start('[usage]\nstream = "inject"\n').exchange(data)
        asked = json.loads(taken.body)
        self.assertEqual(asked["stream_options"], {"include_usage": True})
        self.assertEqual(taken.set["content-length"], str(len(taken.body)))
        token = b'data: {"choices":[{"delta":{"content":"a"}}]}\n\n'
        extra = b'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
        done = b"data: [DONE]\n\n"
        answer = stream.finish(token, extra, done, content_type="text/event-stream")
        self.assertEqual(answer.body, token + done)

    def test_the_server_s_status_is_counted(self):
        sluice = self.start()
        for status in (200, 404, 418, 500):
            stream, _ = sluice.exchange()
            stream.finish(status=status)
            harness.wait_until(
                lambda code=status: self.counted(status=str(code), outcome="completed") == 1,
                f"{status} is counted",
            )
        self.ended(completed=4)

    def counted(self, **labels):
        try:
            return self.sluice.metrics().value("sluice_requests_total", **labels)
        except AssertionError:
            return 0


class Modes(ext_proc.ExtProcTest):
    """Body modes other than full duplex; the target's name is longer than what was asked for."""

    def begin(self, *modes, headers=None):
        self.start(ext_proc.RENAMED.format("target-model"), models=("target-model",))
        self.sent = chat("asked")
        self.wanted = self.sent.replace(b'"asked"', b'"target-model"', 1)
        return self.sluice.stream(request_headers(headers=headers, modes=modes))

    def part(self, stream, kind):
        message = stream.receive()
        self.assertEqual(message.WhichOneof("response"), kind, message)
        return message, getattr(message, kind).response

    def effective(self, sent, response):
        """What becomes of a chunk by the mutation in its BodyResponse."""
        kind = response.body_mutation.WhichOneof("mutation")
        self.assertIn(kind, (None, "body", "clear_body"))
        if kind == "clear_body" and response.body_mutation.clear_body:
            return b""
        return response.body_mutation.body if kind == "body" else sent

    def is_pick(self, message, response):
        said = ext_proc.set_headers(response.header_mutation)
        self.assertEqual(said[DESTINATION], self.servers[0].address)
        self.assertTrue(response.clear_route_cache)
        told = dict(message.dynamic_metadata["envoy.lb"].items())
        self.assertEqual(told, {DESTINATION: self.servers[0].address})
        return said

    def is_empty(self, response):
        self.assertEqual(response.ByteSize(), 0, response)

    def test_buffered(self):
        stream = self.begin(Mode.BUFFERED, Mode.BUFFERED)
        self.is_empty(self.part(stream, "request_headers")[1])
        message, response = self.part(stream.send(request_body(self.sent)), "request_body")
        said = self.is_pick(message, response)
        self.assertEqual(response.body_mutation.body, self.wanted)
        self.assertEqual(said.get("content-length", str(len(self.wanted))), str(len(self.wanted)))
        stream.send(response_headers(headers=JSON))
        answered = self.part(stream, "response_headers")[1]
        self.assertEqual(
            ext_proc.set_headers(answered.header_mutation)["x-sluice-endpoint"], "server-0"
        )
        response = self.part(stream.send(response_body(self.wanted)), "response_body")[1]
        self.assertEqual(response.body_mutation.body, self.sent)
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.ended(completed=1)

    def test_buffered_bodies_of_any_size_that_need_no_change_are_not_sent_back(self):
        sluice = self.start()
        for size in (100, 62_001, 10_000_000):
            stream = sluice.stream(request_headers(modes=(Mode.BUFFERED, Mode.BUFFERED)))
            self.part(stream, "request_headers")
            stream.send(request_body(chat(size=size)))
            message, response = self.part(stream, "request_body")
            self.is_pick(message, response)
            self.assertFalse(response.HasField("body_mutation"))
            stream.send(response_headers())
            self.part(stream, "response_headers")
            response = self.part(stream.send(response_body(b"x" * size)), "response_body")[1]
            self.assertFalse(response.HasField("body_mutation"))
            stream.half_close().status()

    def test_streamed_is_picked_by_its_headers_and_every_chunk_answered(self):
        stream = self.begin(Mode.STREAMED, Mode.STREAMED)
        self.is_pick(*self.part(stream, "request_headers"))
        for chunk in ext_proc.pieces(self.sent, 20):
            stream.send(request_body(chunk, end=False))
            response = self.part(stream, "request_body")[1]
            self.assertEqual(self.effective(chunk, response), chunk)
        self.part(stream.send(request_body(b"")), "request_body")
        self.streamed_answer(stream, b'{"model":"target-model"}', None)

    def streamed_answer(self, stream, data, wanted):
        stream.send(response_headers(headers=JSON))
        self.part(stream, "response_headers")
        got = b""
        for chunk in (*ext_proc.pieces(data, 9), b""):
            stream.send(response_body(chunk, end=not chunk))
            got += self.effective(chunk, self.part(stream, "response_body")[1])
        self.assertEqual(got, wanted or data)
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.ended(completed=1)

    def test_streamed_looks_at_a_small_body_first_if_it_comes_at_once(self):
        stream = self.begin(Mode.STREAMED, Mode.STREAMED, True)
        chunks = ext_proc.pieces(self.sent, 20)
        stream.send(*(request_body(c, end=i + 1 == len(chunks)) for i, c in enumerate(chunks)))
        self.is_pick(*self.part(stream, "request_headers"))
        got = b"".join(self.effective(c, self.part(stream, "request_body")[1]) for c in chunks)
        self.assertEqual(got, self.wanted)
        self.streamed_answer(stream, b'{"model":"target-model"}', b'{"model":"asked"}')

    def test_streamed_does_not_wait_for_a_large_body(self):
        stream = self.begin(Mode.STREAMED, Mode.STREAMED, True)
        chunk = b" " * 10_000
        stream.send(request_body(chunk, end=False), request_body(chunk, end=False))
        self.is_pick(*self.part(stream, "request_headers"))
        for end in (False, False, True):
            if end:
                stream.send(request_body(self.sent))
            response = self.part(stream, "request_body")[1]
            sent = self.sent if end else chunk
            self.assertEqual(self.effective(sent, response), sent)
        self.streamed_answer(stream, b"{}", None)

    def test_none_is_picked_by_its_headers(self):
        stream = self.begin(Mode.NONE, Mode.NONE)
        self.is_pick(*self.part(stream, "request_headers"))
        stream.send(response_headers(201))
        answered = self.part(stream, "response_headers")[1]
        self.assertIn("x-request-id", ext_proc.set_headers(answered.header_mutation))
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.ended(completed=1)

    def test_trailers_are_answered_in_every_mode(self):
        for mode in (Mode.BUFFERED, Mode.STREAMED):
            stream = self.begin(mode, mode)
            self.part(stream, "request_headers")
            self.part(stream.send(request_body(self.sent, end=False)), "request_body")
            stream.send(request_trailers({"a": "b"}))
            self.assertEqual(stream.receive().WhichOneof("response"), "request_trailers")
            stream.send(response_headers())
            self.part(stream, "response_headers")
            self.part(stream.send(response_body(b"{}", end=False)), "response_body")
            stream.send(response_trailers({"a": "b"}))
            self.assertEqual(stream.receive().WhichOneof("response"), "response_trailers")
            self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
            self.ended(completed=1)

    def test_an_answer_that_comes_without_its_request_is_answered(self):
        sluice = self.start()
        stream = sluice.stream()
        answer = stream.respond(b"local ", b"reply", status=503, content_type="text/plain")
        self.assertEqual((answer.body, answer.end_of_stream), (b"local reply", True))
        self.assertNotIn("x-sluice-endpoint", answer.set)
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.assertEqual(sluice.ledger().submitted, 0)

    def test_to_an_observer_nothing_is_said(self):
        stream = self.start().stream(
            request_headers(observe=True),
            request_body(chat(), observe=True),
            response_headers(observe=True),
            response_body(b"{}", observe=True),
        )
        stream.is_silent()
        self.assertEqual(stream.half_close().status(), grpc.StatusCode.OK)
        self.assertEqual(self.sluice.ledger().submitted, 0)


if __name__ == "__main__":
    harness.main()

"""What Envoy never sends: a clear status, nothing is lost, and all others are served on."""

import random
import threading
import time

import ext_proc  # first: it goes on where the packages are
import grpc
from ext_proc import DESTINATION, SUBSET, Ended, Stream, chat, pb
from ext_proc import request_body, request_headers, request_trailers
from ext_proc import response_body, response_headers, response_trailers

import harness
from upstream import WITHIN, Upstream

MIB = 1 << 20

HEADERS, BODY, PART = request_headers(), request_body(chat()), request_body(b"{", end=False)
GET = request_headers("GET", "/any", end=True)
ANSWER, DONE, MORE = response_headers(), response_body(b"{}"), response_body(b"{", end=False)
TRAILERS, LAST = request_trailers({"a": "b"}), response_trailers({"a": "b"})


def end_of(stream, within=WITHIN):
    """How a stream ends, whatever is said before: (code, details, the last message)."""
    last = None
    try:
        while True:
            last = stream.receive(within)
    except Ended as ended:
        return ended.code, ended.details, last


class OddTest(harness.E2eTest):
    def setUp(self):
        super().setUp()
        self.server = Upstream(self)
        self.sluice = None

    def start(self, text="", table="", **more):
        self.sluice = ext_proc.ExtProc(self, [self.server], text, table, **more)
        return self.sluice

    def tearDown(self):
        if self.sluice is not None:
            self.served_on()
            self.sluice.check_nothing_lost()

    def served_on(self):
        stream, taken = self.sluice.exchange()
        self.assertEqual(taken.endpoint, self.server.address)
        stream.finish()

    def refused(self, stream, *words):
        code, details, _ = end_of(stream)
        self.assertEqual(code, grpc.StatusCode.INVALID_ARGUMENT, details)
        for word in words:
            self.assertIn(word, details)


class Orders(OddTest):
    def test_what_cannot_come_now_ends_the_stream_and_is_named(self):
        sluice = self.start()
        for name, messages in {
            "request_body": [
                [BODY],
                [GET, BODY],
                [HEADERS, BODY, BODY],
                [HEADERS, BODY, PART],
                [HEADERS, request_body(chat(), end=False), TRAILERS, PART],
            ],
            "request_headers": [
                [HEADERS, HEADERS],
                [HEADERS, PART, HEADERS],
                [GET, GET],
                [HEADERS, BODY, HEADERS],
                [ANSWER, HEADERS],
            ],
            "request_trailers": [
                [TRAILERS],
                [GET, TRAILERS],
                [HEADERS, BODY, TRAILERS],
                [HEADERS, request_body(chat(), end=False), TRAILERS, TRAILERS],
            ],
            "response_body": [
                [DONE],
                [HEADERS, BODY, DONE],
            ],
            "response_headers": [
                [HEADERS, BODY, ANSWER, ANSWER],
                [HEADERS, BODY, ANSWER, MORE, ANSWER],
                [ANSWER, ANSWER],
            ],
            "response_trailers": [
                [LAST],
                [HEADERS, BODY, LAST],
            ],
        }.items():
            for sequence in messages:
                with self.subTest(said=[one.WhichOneof("request") for one in sequence]):
                    self.refused(sluice.stream(*sequence), name)
        sluice.check_nothing_lost()

    def test_what_comes_after_the_end_of_both_directions_changes_nothing(self):
        """The stream is through then: Sluice ends it by itself, or refuses what still comes."""
        sluice = self.start()
        whole = [HEADERS, BODY, ANSWER, DONE]
        with_trailers = [HEADERS, BODY, ANSWER, MORE, LAST]
        for number, messages in enumerate(
            (
                [*whole, BODY],
                [*whole, DONE],
                [*whole, LAST],
                [*whole, HEADERS],
                [*with_trailers, MORE],
                [*with_trailers, LAST],
                [*whole, pb.ProcessingRequest()],
            ),
            1,
        ):
            code, _, last = end_of(sluice.stream(*messages))
            self.assertIn(code, (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT))
            self.assertIn(last.WhichOneof("response"), ("response_body", "response_trailers"))
            sluice.wait_ledger(completed=number)
        for messages in ([GET, response_headers(end=True), DONE], [ANSWER, DONE, DONE]):
            code, _, _ = end_of(sluice.stream(*messages))
            self.assertIn(code, (grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT))

    def test_a_message_without_or_with_an_unknown_content_is_refused(self):
        self.start()
        for before in ([], [HEADERS], [HEADERS, PART], [HEADERS, BODY], [HEADERS, BODY, ANSWER]):
            for odd in (
                b"",
                b"\x7a\x03abc",  # field 15: a content that does not exist yet
                pb.ProcessingRequest(observability_mode=True).SerializeToString(),
                pb.ProcessingRequest(
                    protocol_config=pb.ProtocolConfiguration()
                ).SerializeToString(),
            ):
                if odd[:1] == b"\x50" and not before:
                    continue  # an observer is told nothing
                stream = Stream(self.sluice.channel, raw=True)
                stream.send(*(one.SerializeToString() for one in before), odd)
                self.refused(stream)

    def test_bytes_that_are_no_message_are_refused(self):
        self.start()
        whole = BODY.SerializeToString()
        for before in ([], [HEADERS], [HEADERS, BODY], [HEADERS, BODY, ANSWER]):
            for odd in (b"\xff\xff\xff", whole[:-1], b"\x0a", b"\x22\xff\xff\xff\xff\x0f", b"\0"):
                with self.subTest(before=len(before), odd=odd[:8]):
                    stream = Stream(self.sluice.channel, raw=True)
                    stream.send(*(one.SerializeToString() for one in before), odd)
                    self.refused(stream)

    def test_a_stream_on_which_nothing_is_said_ends_as_it_was_left(self):
        sluice = self.start()
        self.assertEqual(sluice.stream().half_close().status(), grpc.StatusCode.OK)
        self.assertEqual(sluice.ledger().submitted, 0)
        for messages in ([HEADERS], [HEADERS, PART]):
            code, _, last = end_of(sluice.stream(*messages).half_close())
            self.assertIsNone(last)
            self.assertIn(code, (grpc.StatusCode.OK, grpc.StatusCode.CANCELLED))
        self.assertEqual(sluice.ledger().submitted, 0)

    def test_any_messages_in_any_order_leave_nothing_behind(self):
        sluice = self.start()
        rng = random.Random(5)
        kinds = [
            HEADERS,
            GET,
            BODY,
            PART,
            TRAILERS,
            ANSWER,
            DONE,
            MORE,
            LAST,
            pb.ProcessingRequest(),
        ]
        streams = []
        for number in range(600):
            first = [] if number % 3 == 0 else [HEADERS, BODY, ANSWER][: rng.randrange(1, 4)]
            messages = first + rng.choices(kinds, k=rng.randrange(8))
            streams.append(sluice.stream(*messages).half_close())
            if len(streams) == 50:
                for stream in streams:
                    self.assertIn(
                        end_of(stream)[0],
                        (
                            grpc.StatusCode.OK,
                            grpc.StatusCode.CANCELLED,
                            grpc.StatusCode.INVALID_ARGUMENT,
                        ),
                    )
                streams = []
        sluice.check_nothing_lost()

    def test_other_methods_are_unimplemented(self):
        self.start()
        for method in (
            ext_proc.PROCESS + "Other",
            "/envoy.service.ext_proc.v3.Other/Process",
            "/a/b",
            "/",
        ):
            stream = Stream(self.sluice.channel, method=method).send(HEADERS)
            self.assertEqual(end_of(stream)[0], grpc.StatusCode.UNIMPLEMENTED, method)


class Contents(OddTest):
    def test_a_message_over_the_limit(self):
        sluice = self.start(table='max_body = "1MiB"')
        before = sluice.rss()
        answer = sluice.stream(HEADERS, request_body(b"x" * (3 * MIB // 2))).refusal()
        self.assertEqual((answer.status, answer.reason), (413, "too-large"))
        code, _, last = end_of(sluice.stream(HEADERS, request_body(b"x" * (64 * MIB))))
        self.assertEqual((code, last), (grpc.StatusCode.RESOURCE_EXHAUSTED, None))
        self.assertLess(sluice.rss() - before, 128 * MIB)
        sluice.check_nothing_lost()

    def test_ten_thousand_headers_are_answered_soon(self):
        sluice = self.start()
        for pairs in (
            [(f"x-header-{number}", "v" * 20) for number in range(10_000)],
            [(f"{SUBSET}-{number}", "v") for number in range(10_000)],
            [("x-twice", str(number)) for number in range(10_000)],
        ):
            answer = sluice.stream(request_headers(more_headers=pairs), BODY).refusal(within=2)
            self.assertEqual((answer.status, answer.reason), (431, "too-large"))
        stream, _ = sluice.exchange(headers={"x-long": "v" * (MIB // 2)}, within=2)
        stream.finish()

    def test_odd_names_and_values_of_headers(self):
        sluice = self.start()
        for name, value in (
            ("", "x"),
            ("X-Upper", "case"),
            ("x\0y", "z"),
            ("x-value", "a\0b\r\nc"),
            ("x-bytes", b"\xff\xfe"),
            ("x-request-id", "a\r\nb"),
            ("x-request-id", "i" * 10_000),
            (":path", ""),
            (":method", "POST"),
            (" space", "x"),
        ):
            with self.subTest(name=name, value=value):
                stream = sluice.stream(request_headers(more_headers=[(name, value)]), BODY)
                first = stream.receive()
                if first.WhichOneof("response") == "immediate_response":
                    self.assertIn(first.immediate_response.status.code, (400, 404, 431))
                    stream.half_close()
                    continue
                mutation = first.request_headers.response.header_mutation
                for said in ext_proc.set_headers(mutation).values():
                    self.assertTrue(said.isascii() and said.isprintable(), said)
                stream.cancel()

    def test_headers_that_route_are_removed_in_any_spelling(self):
        sluice = self.start()
        upper = {SUBSET.upper(): "10.9.9.9:80", "X-Gateway-Model-Name-Rewrite": "other"}
        headers = {**upper, "X-LLM-D-Model-Name-Rewrite": "other", DESTINATION.title(): "10.9.9.9"}
        stream, taken = sluice.exchange(headers=headers)
        seen = taken.applied(headers)
        self.assertEqual(seen[DESTINATION], self.server.address)
        self.assertEqual({name.lower() for name in headers} & seen.keys(), {DESTINATION})
        stream.finish()

    def test_a_value_instead_of_a_raw_value_is_read_too(self):
        sluice = self.start()
        message = request_headers()
        for header in message.request_headers.headers.headers:
            header.value, header.raw_value = header.raw_value.decode(), b""
        stream = sluice.stream(message, BODY)
        self.assertEqual(stream.take().endpoint, self.server.address)
        stream.finish()

    def test_a_request_without_its_pseudo_headers_is_answered(self):
        sluice = self.start()
        message = pb.ProcessingRequest(request_headers=pb.HttpHeaders())
        stream = sluice.stream(message, BODY)
        first = stream.receive()
        if first.WhichOneof("response") == "immediate_response":
            self.assertIn(first.immediate_response.status.code, (400, 404, 405))
        stream.cancel()


class Waiting(OddTest):
    def test_a_body_that_does_not_come_in_time_gets_408(self):
        sluice = self.start(table='body_timeout = "300ms"')
        for messages in ([HEADERS], [HEADERS, PART], [HEADERS, PART, PART]):
            answer = sluice.stream(*messages).refusal(within=3)
            self.assertEqual((answer.status, answer.reason), (408, "bad-request"))
        self.assertEqual(sluice.ledger().submitted, 0)

    def test_a_stream_on_which_nothing_is_said_is_not_kept_for_ever(self):
        sluice = self.start(table='body_timeout = "300ms"')
        streams = [sluice.stream() for _ in range(10)]
        for stream in streams:
            self.assertNotEqual(end_of(stream, within=3)[0], grpc.StatusCode.OK)

    def test_an_answer_that_does_not_come_is_given_up_and_one_that_stops_as_well(self):
        sluice = self.start('[upstream]\nidle_timeout = "400ms"\n', capacity="max_in_flight = 2")
        silent, _ = sluice.exchange()
        stops, _ = sluice.exchange()
        stops.send(ANSWER, MORE)
        parked = sluice.stream(HEADERS, BODY)  # time in the queue is no silence
        answer = silent.refusal(within=3)
        self.assertEqual((answer.status, answer.reason), (504, "upstream-error"))
        code, details, _ = end_of(stops, within=3)
        self.assertNotEqual(code, grpc.StatusCode.OK, details)
        parked.take()
        parked.finish()
        sluice.check_nothing_lost()
        self.assertEqual(sluice.ledger().outcomes, {"upstream_error": 2, "completed": 1})

    def test_an_answer_that_comes_slowly_is_no_silence(self):
        sluice = self.start('[upstream]\nidle_timeout = "600ms"\n')
        stream, _ = sluice.exchange()
        stream.send(ANSWER).receive()
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            stream.send(response_body(b" ", end=False))
            stream.receive()
            stream.is_silent(0.2)
        stream.send(DONE)
        stream.receive()
        stream.half_close()
        sluice.wait_ledger(completed=1)

    def test_streams_dropped_at_every_stage_leave_nothing_behind(self):
        """2,000 of them, in both ways of leaving."""
        sluice = self.start("[limits]\nmax_requests = 50\n", capacity="max_in_flight = 20")
        stages = [
            [],
            [HEADERS],
            [HEADERS, PART],
            [HEADERS, BODY],
            [HEADERS, BODY, ANSWER],
            [HEADERS, BODY, ANSWER, MORE],
            [HEADERS, BODY, ANSWER, DONE],
            [HEADERS, request_body(chat(), end=False), TRAILERS, ANSWER, MORE, LAST],
            [GET],
            [ANSWER, MORE],
        ]
        self.drop(stages)
        before = sluice.rss()
        for _ in range(19):
            self.drop(stages)
        harness.wait_until(lambda: sluice.streams() == 0, "no stream is left")
        sluice.check_nothing_lost()
        self.assertLess(sluice.rss() - before, 32 * MIB)

    def drop(self, stages):
        """100 streams, ten at each stage; half of them have read what was said to them."""
        streams = []
        for number in range(10):
            for stage in stages:
                streams.append((number, len(stage), self.sluice.stream(*stage)))
        for number, said, stream in streams:
            if number % 2 and said > 3:
                stream.receive()
            if number % 4 < 2:
                stream.cancel()
            else:
                stream.half_close()


class NeverReading(OddTest):
    def test_an_answer_that_nobody_reads_is_not_hoarded(self):
        """200 MB of an answer are on offer; what is not read is not taken in."""
        sluice = self.start()
        before = sluice.rss()
        taken = []
        stop = threading.Event()

        def messages():
            yield HEADERS
            yield BODY
            yield ANSWER
            for number in range(3200):
                if stop.is_set():
                    return
                taken.append(number)
                yield response_body(b"x" * 62_000, end=False)

        method = sluice.channel.stream_stream(
            ext_proc.PROCESS,
            pb.ProcessingRequest.SerializeToString,
            pb.ProcessingResponse.FromString,
        )
        call = method(messages())
        self.stands_still(lambda: len(taken))
        self.assertLess(len(taken) * 62_000, 32 * MIB)
        self.assertLess(sluice.rss() - before, 64 * MIB)
        self.served_on()
        stop.set()
        call.cancel()
        sluice.wait_ledger(client_gone=1)

    def stands_still(self, value, quiet=0.5):
        """Waits until VALUE() has stayed what it is for a while."""
        seen, since = None, time.monotonic()

        def still():
            nonlocal seen, since
            now = value()
            if now != seen:
                seen, since = now, time.monotonic()
            return now and time.monotonic() - since > quiet

        harness.wait_until(still, "nothing moves any more")

    def test_requests_whose_pick_nobody_reads_are_held_once(self):
        """Their bodies are held anyway; what they are answered must not be held beside them."""
        sluice = self.start("[limits]\nmax_requests = 100\n", capacity="max_in_flight = 50")
        before = sluice.rss()
        parts = ext_proc.pieces(chat(size=4_000_000), 62_000)
        streams = []
        for _ in range(20):
            stream = sluice.stream(HEADERS, *(request_body(part, end=False) for part in parts))
            streams.append(stream.send(request_body(b"")))
        sluice.wait_ledger(in_flight=20)
        self.assertLess(sluice.rss() - before, 2.5 * 20 * 4_000_000)
        for stream in streams:
            stream.cancel()
        sluice.wait_ledger(in_flight=0, client_gone=20)


if __name__ == "__main__":
    harness.main()

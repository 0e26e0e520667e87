"""Hostile HTTP/2 against the ext_proc server, in hand-made frames.

Every attack is bounded in count and time. While its connections stand and after them the process
lives, a normal stream is answered within 2 s, and memory stays within a bound.
"""

import gzip
import select
import socket
import time

import ext_proc  # first: it goes on where the packages are
from ext_proc import PROCESS, chat, request_body, request_headers

import harness
from upstream import Upstream

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
(
    DATA,
    HEADERS,
    PRIORITY,
    RST_STREAM,
    SETTINGS,
    PUSH_PROMISE,
    PING,
    GOAWAY,
    WINDOW_UPDATE,
    CONTINUATION,
) = range(10)
END_STREAM = ACK = 1
END_HEADERS, PADDED = 4, 8
INITIAL_WINDOW = 4  # a setting
CANCEL = (8).to_bytes(4, "big")
WINDOW_MAX = (2**31 - 1).to_bytes(4, "big")
FRAME_MAX = 16384
PATIENCE = 4  # seconds that one attack may take
MIB = 1 << 20


def frame(kind, flags, stream, payload=b""):
    head = len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big")
    return head + payload


def setting(name, value):
    return name.to_bytes(2, "big") + value.to_bytes(4, "big")


def integer(value, bits=7, first=0):
    """An integer as HPACK writes it behind the high bits of FIRST."""
    top = (1 << bits) - 1
    if value < top:
        return bytes([first | value])
    out, value = [first | top], value - top
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(value):
    return integer(len(value)) + value.encode()


def field(name, value, indexed=False):
    return (b"\x40" if indexed else b"\x00") + text(name) + text(value)


def call_fields(**more):
    """The header block of a sound call of Process, with more or other fields."""
    fields = {
        ":method": "POST",
        ":scheme": "http",
        ":path": PROCESS,
        ":authority": "sluice",
        "content-type": "application/grpc",
        "te": "trailers",
        **more,
    }
    return b"".join(field(*pair) for pair in fields.items())


def message(content, compressed=b"\0"):
    """A gRPC message in its length prefix."""
    data = content if isinstance(content, bytes) else content.SerializeToString()
    return compressed + len(data).to_bytes(4, "big") + data


GET = message(request_headers("GET", "/any", end=True))


class Attacker:
    """One connection. What the server says on it is read only when asked for."""

    def __init__(self, case, port, settings=b"", acks=True, preface=True):
        self.held, self.over = b"", False
        self.windows = {}  # bytes that may be sent, by stream; 0: on all of them
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        case.addCleanup(self.socket.close)
        if preface:
            self.send(PREFACE + frame(SETTINGS, 0, 0, settings))
        if preface and acks:  # the server's own limits hold only from then on
            self.wait_for(SETTINGS)
            self.send(frame(SETTINGS, ACK, 0))

    def send(self, data):
        """False once the server does not take any more."""
        try:
            self.socket.sendall(data)
            return True
        except OSError:
            return False

    def flood(self, data, times, within=PATIENCE):
        """Sends DATA, or what it makes of a number, over and over; returns how often."""
        deadline = time.monotonic() + within
        for number in range(times):
            if time.monotonic() > deadline:
                return number
            if not self.send(data(number) if callable(data) else data):
                return number
        return times

    def frames(self, within=PATIENCE):
        """The frames that come until the server closes or says nothing for so long."""
        while True:
            while (one := self._next()) is not None:
                if one[0] == WINDOW_UPDATE:
                    self.windows[one[2]] = self.window(one[2]) + int.from_bytes(one[3], "big")
                yield one
            if self.over or not select.select([self.socket], [], [], within)[0]:
                return
            try:
                data = self.socket.recv(1 << 16)
            except OSError:
                data = b""
            self.held += data
            self.over = not data

    def _next(self):
        """The next whole frame that has come: (kind, flags, stream, payload)."""
        size = 9 + int.from_bytes(self.held[:3], "big")
        if len(self.held) < max(9, size):
            return None
        one, self.held = self.held[:size], self.held[size:]
        return one[3], one[4], int.from_bytes(one[5:9], "big"), one[9:]

    def wait_for(self, *kinds, within=PATIENCE, stream=0):
        for one in self.frames(within):
            if one[0] in kinds and one[2] == stream:
                return one
        raise AssertionError(f"no frame of {kinds} on stream {stream} came")

    def is_closed(self, within=PATIENCE):
        """Whether the server closes the connection, whatever it says before."""
        for _ in self.frames(within):
            pass
        return self.over

    def window(self, stream):
        return self.windows.get(stream, 65_535)

    def send_message(self, stream, data):
        """DATA frames as the server has windows for them; False if it stops giving any."""
        for piece in ext_proc.pieces(data, FRAME_MAX):
            updates = self.frames(within=1)
            while min(self.window(0), self.window(stream)) < len(piece):
                if next(updates, None) is None:
                    return False
            for which in (0, stream):
                self.windows[which] = self.window(which) - len(piece)
            if not self.send(frame(DATA, 0, stream, piece)):
                return False
        return True

    def open(self, stream, fields=None, flags=END_HEADERS):
        return self.send(frame(HEADERS, flags, stream, fields or call_fields()))


class Hostile(harness.E2eTest):
    def setUp(self):
        super().setUp()
        self.sluice = ext_proc.ExtProc(self, [Upstream(self)])
        self.lives()  # what a first stream takes is not the attack's
        self.before = self.sluice.rss()

    def attacker(self, **options):
        return Attacker(self, self.sluice.grpc_port, **options)

    def lives(self, within=2):
        """A normal stream, on a connection of its own, is answered in time."""
        channel = ext_proc.channel(self.sluice.grpc_port)
        try:
            began = time.monotonic()
            stream = ext_proc.Stream(channel).send(request_headers(), request_body(chat()))
            stream.take(within)
            stream.finish()
            self.assertLess(time.monotonic() - began, within)
        finally:
            channel.close()

    def withstood_while_here(self, attacker, growth):
        """Streams that take nothing end although their connection stands."""
        harness.wait_until(
            lambda: self.sluice.metrics().value("sluice_ext_proc_streams") == 0,
            "streams without a window are given up",
        )
        self.withstood(attacker, growth=growth)

    def withstood(self, *attackers, growth=32 * MIB):
        """While ATTACKERS are there, and when they have gone."""
        self.assertIsNone(self.sluice.process.poll(), "the process is gone")
        self.lives()
        grown = self.sluice.rss("VmHWM") - self.before
        self.assertLess(grown, growth, f"grown by {grown / MIB:.0f} MiB")
        for attacker in attackers:
            attacker.socket.close()
        self.lives()
        self.sluice.check_nothing_lost()


class Floods(Hostile):
    def test_rapid_reset(self):
        """20,000 streams, each reset as soon as it is opened, with and without its message: none of
        60,000 leaves more than 4 KB behind."""
        for data in (b"", GET, message(request_headers())):
            attacker = self.attacker()

            def hundred(number, data=data):
                out = []
                for stream in range(200 * number + 1, 200 * number + 201, 2):
                    out.append(frame(HEADERS, END_HEADERS, stream, call_fields()))
                    if data:
                        out.append(frame(DATA, 0, stream, data))
                    out.append(frame(RST_STREAM, 0, stream, CANCEL))
                return b"".join(out)

            self.assertEqual(attacker.flood(hundred, 200), 200)
            self.withstood(attacker, growth=384 * MIB)
        self.assertLess(self.sluice.rss() - self.before, 240 * MIB)

    def test_streams_on_which_nothing_is_said(self):
        """20,000 of them on one connection; none takes more than a parked request may, and what
        they took goes back to the system."""
        attacker = self.attacker()
        attacker.flood(
            lambda number: b"".join(
                frame(HEADERS, END_HEADERS, stream, call_fields())
                for stream in range(200 * number + 1, 200 * number + 201, 2)
            ),
            200,
        )
        harness.wait_until(lambda: self.sluice.streams() >= 10_000, "many are taken in")
        until = time.monotonic() + 1.5
        while time.monotonic() < until:
            self.lives()
        self.withstood(attacker, growth=20_000 * 24_000)
        harness.wait_until(
            lambda: self.sluice.rss() - self.before < 32 * MIB, "its memory has gone back"
        )

    def test_settings(self):
        attacker = self.attacker()
        attacker.flood(frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW, 65535)) * 500, 100)
        attacker.flood(frame(SETTINGS, ACK, 0) * 500, 100)
        self.withstood(attacker)

    def test_pings_that_nobody_reads_the_answers_of(self):
        attacker = self.attacker()
        attacker.flood(frame(PING, 0, 0, b"12345678") * 500, 200)
        self.assertTrue(attacker.is_closed())
        self.withstood(attacker, growth=96 * MIB)

    def test_empty_data_priorities_and_unknown_frames(self):
        attacker = self.attacker()
        attacker.open(1)
        attacker.flood(frame(DATA, 0, 1) * 1000, 100)
        attacker.flood(lambda n: frame(PRIORITY, 0, 2 * n + 3, b"\0\0\0\1\1") * 10, 10_000)
        attacker.flood(frame(0x7F, 0, 0, b"x" * 16_000) * 10, 100)
        attacker.flood(frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\1") * 1000, 100)
        self.withstood(attacker)

    def test_half_open_connections(self):
        attackers = [self.attacker(preface=False) for _ in range(500)]
        for number, attacker in enumerate(attackers):
            attacker.send(PREFACE[: number % len(PREFACE)])
        self.withstood(*attackers)

    def test_what_is_no_http2_is_closed(self):
        for data in (
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * 600,
            PREFACE.replace(b"2.0", b"2.1"),
            b"\0" * 4096,
        ):
            attacker = self.attacker(preface=False)
            attacker.send(data)
            self.assertTrue(attacker.is_closed(), data[:20])
        self.withstood()


class Headers(Hostile):
    def test_a_header_list_that_grows_by_references(self):
        """One entry of the dynamic table, 4 KB, named 16,000 times in a block of 16 KB."""
        block = call_fields() + field("a", "x" * 4000, indexed=True)
        for acks in (True, False):
            attacker = self.attacker(acks=acks)
            stream = 1
            for stream in range(1, 41, 2):
                attacker.open(stream, block, 0)
                attacker.send(frame(CONTINUATION, END_HEADERS, stream, b"\xbe" * 16_000))
            self.withstood(attacker)

    def test_headers_without_end(self):
        """Blocks that CONTINUATION frames never end."""
        for content, times in (
            (field("abc", "x" * 100) * 150, 600),  # 9 MiB
            (field("a", "1") * 2000, 300),
            (field("a", "1"), 50_000),
            (b"", 50_000),
        ):
            for acks in (True, False):
                attacker = self.attacker(acks=acks)
                attacker.open(1, flags=0)
                attacker.flood(frame(CONTINUATION, 0, 1, content), times)
                self.withstood(attacker, growth=160 * MIB)

    def test_a_header_of_four_gigabytes(self):
        """A name or value that comes in many frames. gRPC reads all of it again with each, so that
        the attack is kept short."""
        for block in (b"\x00" + integer(2**32 - 1), b"\x00" + text("a") + integer(2**32 - 1)):
            attacker = self.attacker()
            attacker.open(1, call_fields() + block, 0)
            attacker.flood(frame(CONTINUATION, 0, 1, b"x" * FRAME_MAX), 192, within=1)
            self.withstood(attacker)

    def test_an_integer_that_goes_on_for_ever(self):
        attacker = self.attacker()
        attacker.open(1, call_fields() + b"\x00\x7f", 0)
        attacker.flood(frame(CONTINUATION, 0, 1, b"\x80" * FRAME_MAX), 64, within=1)
        self.withstood(attacker)

    def test_headers_that_abort_newer_versions_of_grpc(self):
        """CVE-2023-1428: a header that cannot be written again, then a list that is too long."""
        attackers = []
        for name in (
            "te",
            ":scheme",
            "grpclb_client_stats",
            "grpc-timeout",
            ":status",
            "grpc-status",
        ):
            for size in (9000, 15_000):
                for acks in (True, False):
                    attacker = self.attacker(acks=acks)
                    attackers.append(attacker)
                    fields = call_fields() + field(name, "x") + field("big", "x" * size)
                    attacker.open(1, fields)
                    attacker.open(3, field(name, "x") + field("big", "x" * size))
                    if acks:
                        attacker.wait_for(RST_STREAM, HEADERS, stream=1)
                    self.assertIsNone(self.sluice.process.poll(), name)
        self.withstood(*attackers)

    def test_malformed_blocks(self):
        for block in (
            b"\xff" * 6,
            b"\x80",
            b"\x3f\xff\xff\xff\xff\x0f",
            b"\x00",
            b"\x00\x85\xff\xff\xff\xff\xff\x00",
            field(":path", PROCESS) * 3,
            field("", ""),
            field("UPPER", "case") + call_fields(),
            call_fields() + field("a\0b", "c\r\nd"),
            call_fields(**{":path": "/" + "x" * 7000}),
            call_fields(**{"grpc-timeout": "99999999H", "content-type": "text/html"}),
            call_fields(**{"trace-bin": "no base64!"}),
        ):
            for flags in (END_HEADERS, END_HEADERS | END_STREAM, END_HEADERS | PADDED):
                attacker = self.attacker()
                attacker.open(1, block, flags)
                attacker.send(frame(DATA, 0, 1, GET))
                attacker.socket.close()
        self.withstood()

    def test_frames_that_may_not_be(self):
        for bad in (
            frame(DATA, 0, 0, b"x"),
            frame(DATA, PADDED, 1, b"\xff"),
            frame(HEADERS, END_HEADERS, 0, call_fields()),
            frame(HEADERS, END_HEADERS, 2, call_fields()),
            frame(CONTINUATION, 0, 1),
            frame(SETTINGS, 0, 1),
            frame(SETTINGS, 0, 0, b"12345"),
            frame(SETTINGS, ACK, 0, b"123456"),
            frame(PING, 0, 0, b"1"),
            frame(WINDOW_UPDATE, 0, 0, b"\0\0\0\0"),
            frame(RST_STREAM, 0, 0, CANCEL),
            frame(PUSH_PROMISE, END_HEADERS, 1, b"\0\0\0\2"),
            frame(GOAWAY, 0, 0, b"\0\0\0\0"),
            frame(DATA, 0, 1, b"x" * 70_000),
            b"\xff" * 20,
        ):
            attacker = self.attacker()
            attacker.send(bad)
            attacker.open(1)
            attacker.send(frame(DATA, 0, 1, GET))
            attacker.socket.close()
        self.withstood()


class Windows(Hostile):
    def test_windows_beyond_their_maximum(self):
        attacker = self.attacker()
        attacker.open(1)
        for stream in (0, 1):
            attacker.flood(frame(WINDOW_UPDATE, 0, stream, WINDOW_MAX), 100)
        attacker.send(frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW, 2**31 - 1)))
        other = self.attacker()
        other.send(frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW, 2**32 - 1)))
        self.assertTrue(other.is_closed())
        self.withstood(attacker)

    def test_answers_that_have_no_window(self):
        attacker = self.attacker(settings=setting(INITIAL_WINDOW, 0))
        models = message(request_headers("GET", "/v1/models", end=True))
        attacker.flood(
            lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, call_fields())
            + frame(DATA, 0, 2 * n + 1, models),
            1000,
        )
        self.withstood_while_here(attacker, growth=64 * MIB)

    def test_answers_that_nobody_takes_from_the_socket(self):
        attacker = self.attacker(settings=setting(INITIAL_WINDOW, 2**31 - 1))
        attacker.send(frame(WINDOW_UPDATE, 0, 0, b"\x7f\0\0\0"))
        models = message(request_headers("GET", "/v1/models", end=True))
        attacker.flood(
            lambda n: frame(HEADERS, END_HEADERS, 2 * n + 1, call_fields())
            + frame(DATA, END_STREAM, 2 * n + 1, models),
            20_000,
        )
        self.withstood(attacker, growth=20_000 * 24_000)

    def test_a_message_that_is_small_until_it_is_unpacked(self):
        """200 KB of gzip that are 200 MB of zeros."""
        packed = gzip.compress(request_body(b"\0" * (200 * MIB), end=False).SerializeToString())
        attacker = self.attacker()
        attacker.open(1, call_fields(**{"grpc-encoding": "gzip"}))
        attacker.send_message(1, message(request_headers()) + message(packed, b"\1"))
        attacker.is_closed(within=1)  # it is unpacked by then, or never
        self.withstood(attacker, growth=64 * MIB)

    def test_messages_that_cannot_be_unpacked(self):
        attackers = []
        good = request_headers().SerializeToString()
        for encoding in ({}, {"grpc-encoding": "gzip"}, {"grpc-encoding": "snappy"}):
            for flag in (b"\1", b"\2", b"\xff"):
                attacker = self.attacker()
                attackers.append(attacker)
                attacker.open(1, call_fields(**encoding))
                attacker.send(frame(DATA, 0, 1, message(good, flag)))
        self.withstood(*attackers)

    def test_a_request_in_single_bytes_is_served(self):
        """One byte a frame, and the frames one byte a segment."""
        data = message(request_headers()) + message(request_body(chat()))
        frames = b"".join(frame(DATA, 0, 1, data[i : i + 1]) for i in range(len(data)))
        attacker = self.attacker()
        for one in frame(HEADERS, END_HEADERS, 1, call_fields()) + frames:
            attacker.send(bytes([one]))
        attacker.wait_for(DATA, stream=1)
        self.sluice.wait_ledger(in_flight=1)
        self.withstood(attacker)

    def test_many_that_are_slow(self):
        part = frame(HEADERS, END_HEADERS, 1, call_fields()) + frame(DATA, 0, 1, GET)
        attackers = [self.attacker(acks=False) for _ in range(300)]
        for number in range(20):
            for attacker in attackers:
                attacker.send(part[number : number + 1])
        self.withstood(*attackers, growth=64 * MIB)

    def test_a_length_that_never_comes(self):
        """Messages that claim 4 GB, or a little less than the most that is taken."""
        attackers = []
        for size in (2**32 - 1, 2**31, 30 * MIB):
            attacker = self.attacker()
            attackers.append(attacker)
            for stream in range(1, 41, 2):
                attacker.open(stream)
                attacker.send(frame(DATA, 0, stream, b"\0" + size.to_bytes(4, "big") + b"x" * 100))
        self.withstood(*attackers)


if __name__ == "__main__":
    harness.main()

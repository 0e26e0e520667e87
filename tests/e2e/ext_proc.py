"""Sluice's ext_proc server, and a raw client of it that says what a test wants said, in any order.

Needs the packages of requirements.txt: a program that imports this first goes on in the virtual
environment that SLUICE_E2E_VENV names.
"""

import dataclasses
import json
import os
import pathlib
import queue
import socket
import sys
import threading

PYTHON = pathlib.Path(os.environ.get("SLUICE_E2E_VENV", ""), "bin/python")

if "SLUICE_E2E_VENV" in os.environ and pathlib.Path(sys.prefix) != PYTHON.parent.parent:
    if not PYTHON.exists():
        print("skipped: the gRPC packages are not installed; the test e2e/venv says why")
        sys.exit(1 if os.environ.get("CI") else 77)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")  # programs are started beside its threads
os.environ.setdefault("GRPC_VERBOSITY", "ERROR")  # connections end here, that is no news

import grpc  # pylint: disable=wrong-import-position
from envoy.extensions.filters.http.ext_proc.v3 import (  # pylint: disable=wrong-import-position
    processing_mode_pb2,
)
from envoy.service.ext_proc.v3 import (  # pylint: disable=wrong-import-position
    external_processor_pb2 as pb,
)
from google.protobuf import json_format  # pylint: disable=wrong-import-position

import harness  # pylint: disable=wrong-import-position
from upstream import WITHIN, Upstream, reset  # pylint: disable=wrong-import-position

PROCESS = "/envoy.service.ext_proc.v3.ExternalProcessor/Process"
DESTINATION = "x-gateway-destination-endpoint"
SUBSET = "x-gateway-destination-endpoint-subset"
SERVED = "x-gateway-destination-endpoint-served"
RENAMED = '[[model]]\nname = "asked"\ntargets = [{{ model = "{}" }}]\n'
CHUNK_MAX = 62_000  # bytes of a chunk that Sluice cuts itself
INBOUND_MAX = 64 << 10  # bytes of a chunk that may pass as it came

Mode = processing_mode_pb2.ProcessingMode.BodySendMode


class ExtProc(harness.Sluice):
    """`sluice serve` with an ext_proc server on grpc_port.

    EXT_PROC is what else stands in its table; PROXY false leaves [listen.http] out.
    """

    def __init__(self, case, endpoints=(), text="", ext_proc="", proxy=True, **more):
        self.grpc_port, self.ext_proc_text, self.proxy = harness.free_port(), ext_proc, proxy
        super().__init__(case, endpoints, text, **more)
        self.channel = channel(self.grpc_port)
        case.addCleanup(self.channel.close)

    def write(self, text="", endpoints=None):
        address = f'address = "127.0.0.1:{self.grpc_port}"'
        super().write(f"[listen.ext_proc]\n{address}\n{self.ext_proc_text}\n{text}", endpoints)
        if not self.proxy:
            before, _, after = self.config.read_text().partition("[listen.http]")
            self.write_raw(before + after[after.index("[admin]") :])

    def stream(self, *messages, **options):
        """A stream on the connection that all of them share, with these messages on their way."""
        return Stream(self.channel, **options).send(*messages)

    def exchange(self, body=None, headers=None, within=WITHIN, **more):
        """A chat request as Envoy sends it in full duplex, up to its pick: (stream, Taken)."""
        data = chat() if body is None else body
        stream = self.stream(request_headers(headers=headers, **more), request_body(data))
        return stream, stream.take(within)

    def streams(self):
        return self.metrics().value("sluice_ext_proc_streams")

    def band(self, name):
        return next(band for band in self.status()["bands"] if band["name"] == name)

    def check_nothing_lost(self):
        super().check_nothing_lost()
        harness.wait_until(lambda: self.streams() == 0, "no stream is left")

    def rss(self, field="VmRSS"):
        """Bytes of memory that the process has; VmHWM: the most that it ever had."""
        text = pathlib.Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        return int(text.partition(field + ":")[2].split()[0]) << 10


class ExtProcTest(harness.E2eTest):
    """One host behind self.sluice, and nothing is lost there at the end of each test."""

    sluice, servers = None, ()

    def start(self, text="", table="", servers=1, models=("m",), **more):
        self.servers = [Upstream(self, models) for _ in range(servers)]
        self.sluice = ExtProc(self, self.servers, text, table, **more)
        return self.sluice

    def tearDown(self):
        if self.sluice:
            self.sluice.check_nothing_lost()

    def ended(self, **outcomes):
        self.sluice.check_nothing_lost()
        self.assertEqual(self.sluice.ledger().outcomes, outcomes)

    def in_flight(self):
        return {e["address"]: e["in_flight"] for e in self.sluice.status()["endpoints"]}


def channel(port):
    """A connection of its own, without limits on what comes."""
    return grpc.insecure_channel(
        f"127.0.0.1:{port}",
        options=[
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
        ],
    )


class Ended(AssertionError):
    """The stream is over, where a message was waited for."""

    def __init__(self, code, details):
        super().__init__(f"the stream ended with {code}: {details}")
        self.code, self.details = code, details


class Stream:
    """One call of Process. What is sent is queued; what comes is read only once somebody asks."""

    def __init__(self, via, *, metadata=(), raw=False, method=PROCESS):
        encode = (lambda data: data) if raw else pb.ProcessingRequest.SerializeToString
        self._out, self._in, self._reader = queue.SimpleQueue(), queue.SimpleQueue(), None
        self.call = via.stream_stream(method, encode, pb.ProcessingResponse.FromString)(
            iter(self._out.get, None), metadata=metadata
        )

    def send(self, *messages):
        for message in messages:
            self._out.put(message)
        return self

    def half_close(self):
        self._out.put(None)
        return self

    def cancel(self):
        self.call.cancel()
        self._out.put(None)  # lets go the thread that takes from it

    def _read(self):
        try:
            for message in self.call:
                self._in.put(message)
        except grpc.RpcError:
            pass
        self._out.put(None)
        self._in.put(None)

    def poll(self, within):
        """The next message, or None at the end of the stream; queue.Empty if nothing comes."""
        if self._reader is None:
            self._reader = threading.Thread(target=self._read, daemon=True)
            self._reader.start()
        message = self._in.get(timeout=within)
        if message is None:
            self._in.put(None)
        return message

    def receive(self, within=WITHIN):
        try:
            message = self.poll(within)
        except queue.Empty:
            raise AssertionError(f"no message came within {within} s") from None
        if message is None:
            raise Ended(self.call.code(), self.call.details())
        return message

    def is_silent(self, within=0.15):
        """Whether nothing comes, no end either, for a while."""
        try:
            message = self.poll(within)
        except queue.Empty:
            return True
        raise AssertionError(f"there was to be nothing, but there is: {message}")

    def status(self, within=WITHIN):
        """The code that the stream ends with; nothing else may come before."""
        try:
            raise AssertionError(f"the stream was to end, but says: {self.receive(within)}")
        except Ended as ended:
            return ended.code

    def details(self):
        return self.call.details()

    def take(self, within=WITHIN):
        """What is said of the request or of the answer, up to its end."""
        taken = Taken()
        while not taken.over():
            taken.add(self.receive(within))
        return taken

    def refusal(self, within=WITHIN):
        """An ImmediateResponse, as the next message; the client then leaves, as Envoy does."""
        message = self.receive(within)
        assert message.WhichOneof("response") == "immediate_response", message
        self.half_close()
        return Refusal(message.immediate_response)

    def respond(self, *chunks, status=200, content_type="application/json", headers=None):
        """The model server's answer in full duplex: returns what the client of Envoy would get."""
        self.send(response_headers(status, {"content-type": content_type, **(headers or {})}))
        self.send(*(response_body(c, end=i + 1 == len(chunks)) for i, c in enumerate(chunks)))
        return self.take()

    def finish(self, *chunks, **more):
        """respond(), then the end of the stream."""
        taken = self.respond(*(chunks or (b"{}",)), **more)
        code = self.half_close().status()
        assert code == grpc.StatusCode.OK, (code, self.details())
        return taken


@dataclasses.dataclass
class Taken:
    """One direction of a stream as it leaves Sluice: headers, chunks, trailers."""

    messages: list = dataclasses.field(default_factory=list)
    headers: object = None  # CommonResponse
    chunks: list = dataclasses.field(default_factory=list)
    metadata: dict = dataclasses.field(default_factory=dict)
    end_of_stream: bool = False  # on the last chunk
    trailers: object = None  # TrailersResponse

    def add(self, message):
        kind = message.WhichOneof("response")
        assert kind != "immediate_response", Refusal(message.immediate_response)
        direction, _, part = kind.partition("_")
        before = self.messages[-1].WhichOneof("response") if self.messages else kind
        assert before.startswith(direction), f"{kind} after {before}"
        self.messages.append(message)
        if message.HasField("dynamic_metadata"):
            self.metadata.update(json_format.MessageToDict(message.dynamic_metadata))
        content = getattr(message, kind)
        if part == "headers":
            assert self.headers is None and not self.chunks, f"{kind} comes late"
            self.headers = content.response
        elif part == "body":
            assert self.headers is not None and not self.end_of_stream, f"{kind} out of turn"
            mutation = content.response.body_mutation
            assert mutation.WhichOneof("mutation") == "streamed_response", message
            self.chunks.append(mutation.streamed_response.body)
            self.end_of_stream = mutation.streamed_response.end_of_stream
        else:
            assert not self.end_of_stream, "trailers after the end"
            self.trailers = content

    def over(self):
        return self.end_of_stream or self.trailers is not None

    @property
    def body(self):
        return b"".join(self.chunks)

    @property
    def set(self):
        """The headers that are set, as text; each exactly as Envoy replaces a header by it."""
        return set_headers(self.headers.header_mutation)

    @property
    def removed(self):
        return list(self.headers.header_mutation.remove_headers)

    @property
    def endpoint(self):
        return self.set[DESTINATION]

    def applied(self, headers):
        """HEADERS as they go on: Envoy removes first, then sets."""
        out = {name.lower(): value for name, value in headers.items()}
        for name in self.removed:
            out.pop(name.lower(), None)
        return {**out, **self.set}


class Refusal:
    """An ImmediateResponse."""

    def __init__(self, message):
        self.status, self.body = message.status.code, message.body
        self.headers = set_headers(message.headers)

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        return self.headers.get("x-sluice-reason")

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


def set_headers(mutation):
    out = {}
    for option in mutation.set_headers:
        name = option.header.key
        assert (
            name == name.lower() and name not in out
        ), f"{name} is set twice, or not in lower case"
        assert not option.HasField("append") and option.append_action == 0, option
        assert not option.header.value, f"{name} has a value where Envoy looks for raw_value"
        out[name] = option.header.raw_value.decode()
    return out


# ---- what Envoy says ----


def chat(model="m", size=None, **more):
    """The body of a chat completion; SIZE bytes long if that is given."""
    body = {"model": model, "messages": [{"role": "user", "content": "hello"}], **more}
    if size is not None:
        body["messages"][0]["content"] = ""
        body["messages"][0]["content"] = "x" * (size - len(json.dumps(body)))
        assert len(json.dumps(body)) == size, size
    return json.dumps(body).encode()


def header_map(headers):
    """HEADERS (a dict or pairs) as Envoy writes them: the value in raw_value."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    out = pb.HttpHeaders().headers
    for name, value in pairs:
        out.headers.add(key=name, raw_value=value if isinstance(value, bytes) else value.encode())
    return out


def request_headers(
    method="POST", path="/v1/chat/completions", headers=None, end=False, more_headers=(), **more
):
    pairs = [
        (":method", method),
        (":scheme", "http"),
        (":authority", "models"),
        (":path", path),
        *(headers or {}).items(),
        *more_headers,
    ]
    content = pb.HttpHeaders(headers=header_map(pairs), end_of_stream=end)
    return _message("request_headers", content, **more)


def response_headers(status=200, headers=None, end=False, **more):
    pairs = [(":status", str(status)), *(headers or {}).items()]
    content = pb.HttpHeaders(headers=header_map(pairs), end_of_stream=end)
    return _message("response_headers", content, **more)


def request_body(data, end=True, **more):
    return _message("request_body", pb.HttpBody(body=data, end_of_stream=end), **more)


def response_body(data, end=True, **more):
    return _message("response_body", pb.HttpBody(body=data, end_of_stream=end), **more)


def request_trailers(headers=None, **more):
    return _message("request_trailers", pb.HttpTrailers(trailers=header_map(headers or {})), **more)


def response_trailers(headers=None, **more):
    return _message(
        "response_trailers", pb.HttpTrailers(trailers=header_map(headers or {})), **more
    )


def _message(kind, content, metadata=None, attributes=None, modes=None, observe=False):
    """METADATA, ATTRIBUTES: dicts. MODES (request, response[, body at once]): on the first."""
    message = pb.ProcessingRequest(observability_mode=observe, **{kind: content})
    for namespace, values in (metadata or {}).items():
        message.metadata_context.filter_metadata[namespace].update(values)
    for name, values in (attributes or {}).items():
        message.attributes[name].update(values)
    if modes is not None:
        config = message.protocol_config
        config.request_body_mode, config.response_body_mode = modes[:2]
        config.send_body_without_waiting_for_header_response = len(modes) > 2 and modes[2]
    return message


def subset_hint(value):
    return {"metadata": {"envoy.lb.subset_hint": {SUBSET: value}}}


def pieces(data, size):
    return [data[at : at + size] for at in range(0, len(data), size)] or [b""]


class Relay:
    """Passes connections on to PORT, until the test cuts them as a dead host would."""

    def __init__(self, case, port):
        self.target, self.sockets = port, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self.cut)
        case.addCleanup(self.listener.close)

    def _accept(self):
        while True:
            try:
                one, _ = self.listener.accept()
            except OSError:
                return
            other = socket.create_connection(("127.0.0.1", self.target))
            self.sockets += [one, other]
            for source, sink in ((one, other), (other, one)):
                threading.Thread(target=self._pass, args=(source, sink), daemon=True).start()

    def _pass(self, source, sink):
        try:
            while data := source.recv(65536):
                sink.sendall(data)
        except OSError:
            pass

    def cut(self):
        """Both sides get a reset."""
        while self.sockets:
            reset(self.sockets.pop())

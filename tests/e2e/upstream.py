"""A scripted model server: it takes requests in, and the test says what becomes of each.

It answers /metrics and /v1/models by itself. A model request waits until the test has taken it with
next() and told it what to do, or until `on_request` (a function of the request, called on the
connection's thread) has done so.
"""

import json
import queue
import select
import socket
import struct
import threading

WITHIN = 20  # seconds that anything is waited for


class Received:
    """One request, held until the test answers it, breaks its connection, or lets it hang."""

    def __init__(self, connection, method, path, headers, body):
        self.connection, self.method, self.path = connection, method, path
        self.headers, self.body = headers, body
        self.over = threading.Event()  # the connection may go on to its next request

    @property
    def json(self):
        return json.loads(self.body)

    def answer(self, status=200, body=None, headers=None):
        """A whole answer; a chat completion if no BODY is given."""
        if body is None:
            body = (
                completion(self.json.get("model"))
                if status == 200
                else {"error": {"message": "scripted"}}
            )
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        lines = [
            f"HTTP/1.1 {status} Scripted",
            "Content-Type: application/json",
            f"Content-Length: {len(payload)}",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + payload)
        self.over.set()

    def start_stream(self):
        self.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n"
        )

    def event(self, data):
        line = f"data: {data if isinstance(data, str) else json.dumps(data)}\n\n".encode()
        self.send(f"{len(line):x}\r\n".encode() + line + b"\r\n")

    def end_stream(self):
        self.event("[DONE]")
        self.send(b"0\r\n\r\n")
        self.over.set()

    def send(self, data):
        self.connection.sendall(data)

    def reset(self):
        """The connection breaks as if the process had been killed."""
        reset(self.connection)
        self.over.set()

    def wait_left(self, within=WITHIN):
        """Waits until the other side has closed the connection."""
        readable, _, _ = select.select([self.connection], [], [], within)
        if not readable or self.connection.recv(1, socket.MSG_PEEK):
            raise AssertionError(
                f"the connection of {self.method} {self.path} still stands after {within} s"
            )
        self.over.set()


class Upstream:
    def __init__(self, case, models=("m",), on_request=None):
        self.models, self.on_request = list(models), on_request
        self.arrived = queue.Queue()
        self.count = 0  # model requests taken in
        self.lock = threading.Lock()
        self.connections = set()
        self.listener = None
        self.port = 0
        self.listen()
        case.addCleanup(self.vanish)

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def next(self, within=WITHIN):
        try:
            return self.arrived.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"no request reached {self.address} within {within} s") from None

    def nothing_waits(self):
        return self.arrived.empty()

    def listen(self):
        """Takes connections, at the first port again after vanish() or refuse()."""
        if self.listener is None:
            self._bind()
        self.listener.listen(128)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def refuse(self):
        """Keeps the port but takes no connections, and resets those that stand."""
        self.vanish()
        self._bind()

    def vanish(self):
        """Ends as a killed process does: nothing listens, every connection is reset."""
        with self.lock:
            listener, self.listener = self.listener, None
            connections, self.connections = self.connections, set()
        if listener is not None:
            try:
                listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
            except OSError:
                pass
            listener.close()
        for connection in connections:
            reset(connection)

    def _bind(self):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", self.port))
        self.port = self.listener.getsockname()[1]

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self.lock:
                if self.listener is not listener:
                    reset(connection)
                    return
                self.connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            reader = Reader(connection)
            while self._serve_one(connection, reader):
                pass
        except (OSError, ValueError):
            pass
        with self.lock:
            self.connections.discard(connection)
        connection.close()

    def _serve_one(self, connection, reader):
        head = reader.until(b"\r\n\r\n")
        if head is None:
            return False
        first, *lines = head.decode("latin-1").split("\r\n")
        method, path, _ = first.split()
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines)
        }
        body = reader.exactly(int(headers.get("content-length", 0)))
        if body is None:
            return False
        received = Received(connection, method, path, headers, body)
        if received.path == "/metrics":
            received.answer(body=METRICS)
        elif received.path == "/v1/models":
            received.answer(
                body={"object": "list", "data": [{"id": m, "object": "model"} for m in self.models]}
            )
        else:
            self.count += 1
            if self.on_request is not None:
                self.on_request(received)
            else:
                self.arrived.put(received)
            received.over.wait()
        return True


class Reader:
    """Reads a socket in pieces. Unlike a file made of it, it does not keep it open."""

    def __init__(self, connection):
        self.connection, self.held = connection, b""

    def until(self, end):
        """What comes before END; None if the other side closes first."""
        while end not in self.held:
            if not self._more():
                return None
        found, self.held = self.held.split(end, 1)
        return found

    def exactly(self, size):
        while len(self.held) < size:
            if not self._more():
                return None
        found, self.held = self.held[:size], self.held[size:]
        return found

    def _more(self):
        data = self.connection.recv(65536)
        self.held += data
        return bool(data)


METRICS = b"""# TYPE vllm:num_requests_running gauge
vllm:num_requests_running{model_name="m"} 0
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{model_name="m"} 0
# TYPE vllm:kv_cache_usage_perc gauge
vllm:kv_cache_usage_perc{model_name="m"} 0
"""


def completion(model):
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "yes"},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 3, "completion_tokens": 1, "total_tokens": 4},
    }


def reset(connection):
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)  # wakes a thread that reads; sends nothing
    except OSError:
        pass
    connection.close()

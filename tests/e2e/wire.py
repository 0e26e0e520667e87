"""Requests and answers as bytes on a socket, and what /metrics says."""

import http.client
import json
import re
import socket

from upstream import WITHIN


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def text(self):
        return self.body.decode()

    @property
    def events(self):
        """The data of each server-sent event, JSON where it is."""
        lines = [line[6:] for line in self.text.split("\n") if line.startswith("data: ")]
        return [line if line == "[DONE]" else json.loads(line) for line in lines]

    @property
    def reason(self):
        return self.headers.get("x-sluice-reason")

    @property
    def queue_ms(self):
        return int(self.headers["x-sluice-queue-ms"])

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:200]!r}>"


class Call:
    """A request that was sent and whose answer may be read later, or never."""

    def __init__(self, port, data, method="POST"):
        self.method = method
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=WITHIN)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.response = None
        if data:
            self.socket.sendall(data)

    def send(self, data):
        self.socket.sendall(data)
        return self

    def begin(self, within=WITHIN):
        """Reads the answer's head."""
        self.socket.settimeout(within)
        self.response = http.client.HTTPResponse(self.socket, method=self.method)
        self.response.begin()
        return self.response

    def answer(self, within=WITHIN, keep=False):
        """Reads the answer; the connection is closed after it unless it is to be kept for more."""
        response = self.response or self.begin(within)
        self.response = None
        answer = Answer(response)
        if not keep:
            self.leave()
        return answer

    def leave(self):
        if self.response is not None:
            self.response.close()
        self.socket.close()

    def closed(self, within=WITHIN):
        """Whether the other side closes without another word."""
        self.socket.settimeout(within)
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


def request_bytes(method, path, body=None, headers=None):
    head = {"Host": "localhost", **(headers or {})}
    payload = b""
    if body is not None:
        payload = body if isinstance(body, bytes) else json.dumps(body).encode()
        head.setdefault("Content-Type", "application/json")
        head.setdefault("Content-Length", len(payload))
    lines = [f"{method} {path} HTTP/1.1"] + [f"{name}: {value}" for name, value in head.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + payload


def call(port, method, path, body=None, headers=None):
    return Call(port, request_bytes(method, path, body, headers), method)


def get(port, path):
    return call(port, "GET", path).answer()


class Metrics:
    def __init__(self, samples):
        self.samples = samples  # (name, {label: value}, number)

    def value(self, name, **labels):
        """The sum of the samples of this name that carry these labels."""
        found = [
            number
            for sample, has, number in self.samples
            if sample == name and labels.items() <= has.items()
        ]
        if not found:
            raise AssertionError(f"no metric {name} {labels}")
        return sum(found)


def parse_metrics(text):
    samples = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        found = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
        if not found:
            raise AssertionError(f"/metrics has a line that is none: {line!r}")
        labels = {
            name: value for name, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[2] or "")
        }
        samples.append((found[1], labels, float(found[3])))
    return Metrics(samples)

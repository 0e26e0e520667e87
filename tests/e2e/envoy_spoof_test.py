"""Through a real Envoy: nobody but Sluice says where a request goes, and nobody but whom the
configuration trusts says how important it is. A decoy outside the pool must never hear of it."""

import socket
import threading

import ext_proc  # first: it goes on in the virtual environment
import envoy_proxy
import harness
from envoy_proxy import DESTINATION, SERVED, SUBSET, Backend, EnvoyTest, fail_open, modes
from harness import FAIRNESS_ID, OBJECTIVE

REWRITES = ("x-llm-d-model-name-rewrite", "x-gateway-model-name-rewrite")
OBJECTIVES = (
    '[[band]]\nname = "critical"\npriority = 10\n[[band]]\nname = "default"\npriority = 0\n'
    '[[objective]]\nname = "chat"\nband = "critical"\n'
)


class Decoy:
    """Listens on loopback and notes who comes."""

    def __init__(self, case):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.visits = 0
        threading.Thread(target=self._accept, daemon=True).start()
        case.addCleanup(self._close)

    def _close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                visitor, _ = self.listener.accept()
            except OSError:
                return
            self.visits += 1
            visitor.close()


def spellings(name):
    """The ways to write a header's name that somebody on the way might take for it."""
    snake = name.replace("-", "_")
    titled = "-".join(word.capitalize() for word in name.split("-"))
    mixed = "".join(c.upper() if n % 2 else c for n, c in enumerate(name))
    half = name.replace("-", "_", 1)
    return [name, name.upper(), titled, mixed, snake, snake.upper(), half]


def heads(decoy, good):
    """Header lines that try to send a request to DECOY; GOOD is an address of the pool."""
    for name in spellings(DESTINATION):
        yield [f"{name}: {decoy}"]
        yield [f"{name}:{decoy}"]
    for name in (DESTINATION, DESTINATION.upper(), DESTINATION.replace("-", "_")):
        yield [f"{name}: {decoy}", f"{name}: {decoy}"]
        yield [f"{name}: {good}", f"{name}: {decoy}"]
        yield [f"{name}: {decoy}", f"{DESTINATION}: {good}"]
        yield [f"{name}: {decoy},{good}"]
        yield [f"{name}: {good}, {decoy}"]
        yield [f"{name}: {decoy}", f"Connection: keep-alive, {name}"]
        yield [f"{name}: {good}", f"Connection: {name}", f"{name}: {decoy}"]
    for name in (SUBSET, SERVED, f"{DESTINATION}-scores", f"{DESTINATION}-anything"):
        for spelling in spellings(name):
            yield [f"{spelling}: {decoy}"]
    for name in ("x-envoy-original-dst-host", "x-original-dst-host", "x-envoy-upstream-host"):
        yield [f"{name}: {decoy}"]
    yield [f"X-Forwarded-Host: {decoy}", f"Forwarded: host={decoy}"]


class Spoof(EnvoyTest):
    def setUp(self):
        super().setUp()
        self.decoy = Decoy(self)
        self.named = f"127.0.0.1:{self.decoy.port}"
        self.seen = []
        self.backend = Backend(self, on_request=self.serve)

    def serve(self, received):
        self.seen.append(received)
        received.answer(body={"model": "m"})

    def send(self, lines, method="POST", path="/v1/chat/completions", body=None, host="x"):
        """A request with these header lines as they are."""
        data = b"" if body is None else body
        length = [f"Content-Length: {len(data)}"] if body is not None else []
        head = [f"{method} {path} HTTP/1.1", f"Host: {host}", *length, *lines]
        return self.sluice.raw("\r\n".join(head).encode() + b"\r\n\r\n" + data)

    def check_untouched(self, destination):
        """No backend has read of the decoy where a destination may stand; nobody came to it."""
        self.assertEqual(self.decoy.visits, 0)
        for received in self.seen:
            flat = {name.replace("_", "-"): value for name, value in received.headers.items()}
            about = {name: v for name, v in flat.items() if DESTINATION in name}
            self.assertEqual(about, {DESTINATION: destination} if destination else {})
        self.seen.clear()

    def test_no_header_sends_a_request_elsewhere(self):
        sluice = self.start([self.backend])
        body = ext_proc.chat()
        sent = 0
        for lines in heads(self.named, self.backend.address):
            for method, path, data in [
                ("POST", "/v1/chat/completions", body),
                ("GET", "/version", None),
            ]:
                answer = self.send(lines, method, path, data).answer()
                self.assertEqual((answer.status, answer.json), (200, {"model": "m"}), lines)
                sent += 1
        self.assertEqual(len(self.seen), sent)
        self.check_untouched(self.backend.address)
        sluice.check_nothing_lost()

    def test_no_header_gets_a_refused_request_through(self):
        self.start([self.backend], ext_proc='max_body = "2KiB"')
        for lines in heads(self.named, self.backend.address):
            for status, method, path, body in [
                (404, "POST", "/v1/chat/completions", ext_proc.chat("nobody-serves-it")),
                (400, "POST", "/v1/chat/completions", b"{"),
                (404, "POST", "/nowhere", b"{}"),
                (405, "DELETE", "/v1/models", None),
                (200, "GET", "/v1/models", None),
            ]:
                answer = self.send(lines, method, path, body).answer()
                self.assertEqual(answer.status, status, (lines, answer))
        self.assertEqual(self.backend.count, 0)
        self.check_untouched(None)

    def test_no_header_gets_through_while_the_pool_is_empty(self):
        self.start([self.backend], '[[band]]\nname = "default"\nno_endpoint_ttl = "10ms"\n')
        self.backend.vanish()
        self.sluice.wait_health("server-0", "ejected")
        for lines in heads(self.named, self.backend.address):
            for method, path, body in [
                ("POST", "/v1/chat/completions", ext_proc.chat()),
                ("GET", "/version", None),
            ]:
                answer = self.send(lines, method, path, body).answer()
                self.assertEqual((answer.status, answer.reason), (503, "no-endpoint"), lines)
        self.check_untouched(None)

    def test_no_header_gets_through_while_sluice_is_dead(self):
        for change in (lambda bootstrap: None, modes("BUFFERED", "BUFFERED"), modes("STREAMED")):
            self.start([self.backend], "", change)
            self.sluice.die()
            for lines in heads(self.named, self.backend.address):
                for method, path, body in [
                    ("POST", "/", ext_proc.chat()),
                    ("GET", "/version", None),
                ]:
                    answer = self.send(lines, method, path, body).answer()
                    self.assertEqual(answer.status, 503, (lines, answer))
        self.assertEqual(self.backend.count, 0)
        self.check_untouched(None)

    def test_no_header_chooses_a_server_where_envoy_fails_open(self):
        self.start([self.backend], "", fail_open(self.backend))
        self.sluice.die()
        harness.wait_until(lambda: self.envoy.healthy_sluices() == 0, "Envoy finds Sluice dead")
        for lines in heads(self.named, self.backend.address):
            for method, path, body in [
                ("POST", "/v1/chat/completions", ext_proc.chat()),
                ("GET", "/version", None),
            ]:
                answer = self.send(lines, method, path, body).answer()
                self.assertEqual((answer.status, answer.json), (200, {"model": "m"}), lines)
        self.check_untouched(None)

    def test_no_trailer_and_no_target_sends_a_request_elsewhere(self):
        self.start([self.backend], "", envoy_proxy.trailers)
        body = ext_proc.chat()
        for name in spellings(DESTINATION) + spellings(SUBSET):
            chunked = b"%x\r\n%s\r\n0\r\n%s: %s\r\nx-kept: 1\r\n\r\n"
            call = self.send([f"Trailer: {name}", "Transfer-Encoding: chunked"])
            call.send(chunked % (len(body), body, name.encode(), self.named.encode()))
            self.assertEqual(call.answer().status, 200, name)
            self.assertEqual(self.seen[-1].headers["trailer/x-kept"], "1")
            self.check_untouched(self.backend.address)
        for path, host in [
            (f"http://{self.named}/v1/chat/completions", "x"),
            ("/v1/chat/completions", self.named),
            (f"//{self.named}/v1/chat/completions", "x"),
        ]:
            self.assertEqual(self.send([], path=path, host=host, body=body).answer().status, 200)
        self.check_untouched(self.backend.address)

    def test_no_body_mode_lets_a_header_through(self):
        for mode in ("BUFFERED", "STREAMED"):
            self.start([self.backend], "", modes(mode, mode))
            for lines in heads(self.named, self.backend.address):
                answer = self.send(lines, body=ext_proc.chat()).answer()
                self.assertEqual((answer.status, answer.json), (200, {"model": "m"}), lines)
            self.check_untouched(self.backend.address)

    def test_sluice_alone_keeps_destinations_out_where_envoy_strips_nothing(self):
        def no_strip(bootstrap):
            del bootstrap.hcm["early_header_mutation_extensions"]
            del bootstrap.filters[bootstrap.place_of("envoy.filters.http.header_mutation")]

        self.start([self.backend], "", no_strip)
        for lines in heads(self.named, self.backend.address):
            if "_" in lines[0].partition(":")[0]:
                continue  # another header for everybody here
            for method, path, body in [
                ("POST", "/v1/chat/completions", ext_proc.chat()),
                ("GET", "/version", None),
            ]:
                answer = self.send(lines, method, path, body).answer()
                self.assertEqual((answer.status, answer.json), (200, {"model": "m"}), lines)
        self.assertEqual(self.decoy.visits, 0)
        for received in self.seen:
            self.assertEqual(received.headers[DESTINATION], self.backend.address)

    def test_a_client_does_not_choose_the_model_behind_the_name(self):
        targets = '[[model]]\nname = "m"\ntargets = [ { model = "m" } ]\n'
        self.backend.models += ["dearer"]
        self.start([self.backend], targets)
        for name in REWRITES:
            for spelling in spellings(name):
                lines = [f"{spelling}: dearer"]
                self.assertEqual(self.send(lines, body=ext_proc.chat()).answer().status, 200)
                received = self.seen.pop()
                self.assertEqual(received.json["model"], "m")
                self.assertNotIn(name, {n.replace("_", "-") for n in received.headers})

    def test_a_server_cannot_speak_for_sluice(self):
        forged = {
            "x-sluice-reason": "queue-full",
            "x-sluice-anything": "1",
            harness.DROPPED: "evicted",
        }
        forged |= {DESTINATION: self.named, SERVED: self.named}
        self.backend.on_request = lambda received: received.answer(
            body={"model": "m"}, headers={**forged, "x-own": "1"}
        )
        sluice = self.start([self.backend])
        for answer in (sluice.ask(), sluice.call("GET", "/version").answer()):
            self.assertEqual((answer.status, answer.headers["x-own"]), (200, "1"))
            self.assertFalse(forged.keys() & answer.headers.keys(), answer)
        self.assertEqual(self.decoy.visits, 0)


class Trust(EnvoyTest):
    def order(self, *changes, trust="", **more):
        """The order in which a request without and one with an objective are served, and the
        headers of the latter."""
        self.start_full(OBJECTIVES + trust, *changes, **more)
        plain = self.park(text="plain")
        objective = self.park(text="objective", headers={OBJECTIVE: "chat", FAIRNESS_ID: "a"})
        self.held.answer()
        served = {}
        for _ in range(2):
            received = self.upstream.next()
            served[received.json["messages"][0]["content"]] = received
            received.answer()
        self.assertEqual((plain.answer().status, objective.answer().status), (200, 200))
        return list(served), served["objective"].headers

    def test_it_is_envoy_that_is_trusted_or_not(self):
        order, headers = self.order()  # by default: who comes from loopback
        self.assertEqual((order[0], headers.get(OBJECTIVE)), ("objective", "chat"))
        trust = f'[[trust]]\nfrom = ["10.0.0.0/8"]\nheaders = ["{OBJECTIVE}", "{FAIRNESS_ID}"]\n'
        order, headers = self.order(trust=trust)
        self.assertEqual(order, ["plain", "objective"])
        self.assertFalse({OBJECTIVE, FAIRNESS_ID} & headers.keys())

    def test_as_it_is_shipped_clients_say_neither_band_nor_tenant(self):
        order, headers = self.order(envoy_proxy.as_shipped)
        self.assertEqual(order, ["plain", "objective"])
        self.assertFalse({OBJECTIVE, FAIRNESS_ID} & headers.keys())

    def test_trust_can_be_in_a_name_of_its_certificate(self):
        certificates = envoy_proxy.Certificates(self.directory)
        certificates.issue("server", "DNS:sluice.test")
        certificates.issue("envoy", "DNS:envoy.test,URI:spiffe://test/envoy")
        text = 'tls = { cert = "server.pem", key = "server.key", client_ca = "ca.pem" }'
        change = envoy_proxy.tls(self.directory, "envoy")
        for name, first in [
            ("envoy.test", "objective"),
            ("spiffe://test/envoy", "objective"),
            ("other.test", "plain"),
        ]:
            with self.subTest(name=name):
                trust = f'[[trust]]\nfrom = ["mtls:{name}"]\nheaders = ["{OBJECTIVE}"]\n'
                order, headers = self.order(change, trust=trust, ext_proc=text)
                self.assertEqual(order[0], first)
                self.assertEqual(OBJECTIVE in headers, first == "objective")


if __name__ == "__main__":
    harness.main()

"""Through a real Envoy: clients that leave, servers that break, a Sluice that is killed or drains,
certificates that change, and requests that wait longer than any timeout."""

import http.client
import signal
import socket
import ssl

import ext_proc  # first: it goes on in the virtual environment
import envoy_proxy
import harness
from envoy_proxy import Backend, Behind, Certificates, EnvoyTest, fail_open, modes
from upstream import completion


def serve(received):
    received.answer(body=completion("m"))


class Clients(EnvoyTest):
    def test_a_client_that_leaves_while_it_waits_is_cancelled_at_once(self):
        self.start_full()
        leaves = self.park()
        leaves.leave()
        self.sluice.wait_ledger(within=2, parked=0, cancelled=1)
        self.held.answer()
        self.assertEqual(self.first.answer().status, 200)
        self.assertEqual(self.upstream.count, 1)  # the one that left never reached the server
        self.ends_well(completed=1, cancelled=1)

    def test_a_client_that_leaves_before_its_answer_began_frees_its_place_at_once(self):
        self.start_full()
        waits = self.park()
        self.first.leave()
        self.held.wait_left()
        self.upstream.next(within=2).answer()
        self.assertEqual(waits.answer().status, 200)
        self.ends_well(completed=1, client_gone=1)

    def test_a_client_that_leaves_its_stream_frees_its_place_at_once(self):
        self.start_full()
        self.held.start_stream()
        self.held.event({"choices": []})
        self.first.begin().readline()
        waits = self.park()
        self.first.leave()
        self.held.wait_left()
        self.upstream.next(within=2).answer()
        self.assertEqual(waits.answer().status, 200)
        self.ends_well(completed=1, client_gone=1)

    def test_a_client_that_leaves_in_the_middle_of_its_body_leaves_nothing(self):
        backend = Backend(self)
        sluice = self.start([backend])
        body = ext_proc.chat(size=200_000)
        client = sluice.raw(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n"
            % len(body)
        )
        client.send(body[:100_000])
        harness.wait_until(lambda: sluice.streams() == 1, "the stream stands")
        client.leave()
        harness.wait_until(lambda: sluice.streams() == 0, "the stream is gone", within=2)
        self.assertEqual((sluice.ledger().submitted, backend.count), (0, 0))


class Servers(EnvoyTest):
    def failures(self):
        return self.sluice.endpoint("server-0")["failures"]

    def test_a_server_that_breaks_before_its_first_byte_is_an_error_that_counts(self):
        backend = Backend(self)
        sluice = self.start([backend])
        call = sluice.chat()
        backend.next().reset()
        self.assertEqual(call.answer().status, 503)  # Envoy's own words
        self.ends_well(upstream_error=1)
        self.assertEqual(self.failures(), 1)
        call = sluice.chat()
        backend.next().answer(503)  # said by the server itself: its answer
        self.assertEqual(call.answer().status, 503)
        self.ends_well(upstream_error=1, completed=1)

    def test_a_server_that_breaks_in_its_answer_cuts_it_and_frees_its_place(self):
        self.start_full()
        self.held.start_stream()
        self.held.event({"n": 1})
        self.assertEqual(self.first.begin().readline(), b'data: {"n": 1}\n')
        self.held.reset()
        with self.assertRaises((OSError, http.client.IncompleteRead)):
            self.first.answer(within=5)
        self.sluice.wait_ledger(within=2, in_flight=0, ended=1)
        self.sluice.check_nothing_lost()
        call = self.sluice.chat()
        self.upstream.next().answer()
        self.assertEqual(call.answer().status, 200)

    def test_a_server_that_refuses_is_taken_out_of_the_pool(self):
        dead, good = Backend(self), Backend(self, on_request=serve)
        slow = '[pool.scrape]\ninterval = "60s"\nstale_after = "120s"\n'  # only requests tell
        sluice = self.start([dead, good], slow)
        dead.refuse()
        answers = [sluice.ask(text=f"{n}") for n in range(30)]
        refused = [answer for answer in answers if answer.status == 503]
        self.assertLessEqual(len(refused), 3)
        if refused:
            self.assertEqual(sluice.ledger().outcomes["upstream_error"], len(refused))
        self.assertEqual({answer.status for answer in answers[-10:]}, {200})
        self.sluice.check_nothing_lost()

    def test_a_server_that_falls_silent_is_given_up_after_the_idle_timeout(self):
        backend = Backend(self)
        sluice = self.start([backend], '[upstream]\nidle_timeout = "300ms"\n')
        call = sluice.chat()
        held = backend.next()
        answer = call.answer(within=5)
        self.assertEqual((answer.status, answer.reason), (504, "upstream-error"), answer)
        held.wait_left()
        call = sluice.chat(stream=True)
        held = backend.next()
        held.start_stream()
        held.event({"n": 1})
        with self.assertRaises((OSError, http.client.IncompleteRead)):
            call.answer(within=5)
        held.wait_left()
        self.ends_well(upstream_error=2)


class Killed(EnvoyTest):
    def again(self, endpoints):
        """Another Sluice at the place of the one that is dead."""
        self.sluice = Behind(self, endpoints, grpc_port=self.sluice.grpc_port)
        self.sluice.port = self.envoy.port
        return self.sluice

    def test_fail_closed_nobody_gets_through_until_sluice_is_back(self):
        self.start_full()
        waits = self.park()
        self.sluice.die()
        for call in (self.first, waits):
            self.assertEqual(call.answer(within=5).status, 503)
        self.held.wait_left()
        self.assertEqual(self.sluice.ask().status, 503)
        self.assertEqual(self.sluice.call("GET", "/version").answer().status, 503)
        self.assertEqual(self.upstream.count, 1)
        sluice = self.again([self.upstream])
        call = sluice.chat()
        self.upstream.next().answer()
        self.assertEqual(call.answer().status, 200)
        self.ends_well(completed=1)

    def test_fail_open_the_servers_are_asked_directly_until_sluice_is_back(self):
        backend = Backend(self, on_request=serve)
        self.start([backend], "", fail_open(backend))
        harness.wait_until(lambda: self.envoy.healthy_sluices() == 1, "Envoy finds Sluice well")
        self.assertIn("x-sluice-endpoint", self.sluice.ask().headers)
        self.sluice.die()
        harness.wait_until(lambda: self.envoy.healthy_sluices() == 0, "Envoy finds Sluice dead")
        load = harness.Load(self.sluice, 4)
        load.wait_more(20)
        answer = self.sluice.call("GET", "/version").answer()
        self.assertEqual((answer.status, "x-sluice-endpoint" in answer.headers), (200, False))
        self.again([backend])
        harness.wait_until(
            lambda: "x-sluice-endpoint" in load.answers[-1].headers, "Sluice is asked again"
        )
        load.wait_more(20)
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        self.sluice.check_nothing_lost()

    def test_fail_open_what_sluice_had_in_hand_is_told_and_goes_nowhere_twice(self):
        self.start_full("", fail_open())
        waits = self.park()
        self.sluice.die()
        for call in (self.first, waits):
            self.assertEqual(call.answer(within=5).status, 503)
        self.held.wait_left()
        self.assertEqual(self.upstream.count, 1)

    def test_fail_open_with_buffered_bodies_what_waited_goes_to_the_servers(self):
        self.upstream = Backend(self)
        self.start(
            [self.upstream],
            "",
            fail_open(self.upstream),
            modes("BUFFERED", "STREAMED"),
            capacity="max_in_flight = 1",
        )
        first = self.sluice.chat(text="first")
        held = self.upstream.next()
        waits = self.park(text="waits")
        self.sluice.die()
        received = self.upstream.next()
        self.assertEqual(received.json["messages"][0]["content"], "waits")
        received.answer()
        held.answer()
        self.assertEqual((waits.answer().status, first.answer().status), (200, 200))

    def test_a_stream_that_is_under_way_is_cut_when_sluice_is_killed(self):
        self.start_full()
        self.held.start_stream()
        self.held.event({"n": 1})
        self.first.begin().readline()
        self.sluice.die()
        with self.assertRaises((OSError, http.client.IncompleteRead)):
            self.first.answer(within=5)
        self.held.wait_left()


class Drain(EnvoyTest):
    def terminate(self):
        self.sluice.signal(signal.SIGTERM)
        harness.wait_until(
            lambda: harness.get(self.sluice.admin, "/readyz").status == 503, "it is not ready"
        )

    def refused_as_draining(self, answer):
        self.assertEqual((answer.status, answer.reason), (503, "draining"), answer)
        self.assertEqual(answer.headers[harness.DROPPED], "rejected-shutting-down")
        self.assertTrue(1 <= int(answer.headers["retry-after"]) <= 30)

    def test_what_waits_and_what_is_in_flight_is_served_and_then_the_host_ends(self):
        self.start_full('[drain]\ngrace = "0s"\ndeadline = "20s"\n')
        waiting = [self.park(), self.park()]
        self.held.start_stream()
        self.held.event({"n": 1})
        self.first.begin()
        self.terminate()
        harness.wait_until(self.new_ones_are_refused, "new requests are refused")
        self.held.end_stream()
        self.assertEqual(self.first.answer().events, [{"n": 1}, "[DONE]"])
        for _ in waiting:
            self.upstream.next().answer()
        self.assertEqual([call.answer().status for call in waiting], [200, 200])
        self.sluice.expect_end(harness.EXIT_OK, within=5)

    def new_ones_are_refused(self):
        call = self.sluice.chat()
        try:
            answer = call.answer(within=1)
        except TimeoutError:
            call.leave()
            return False
        self.refused_as_draining(answer)
        return True

    def test_envoy_is_told_first_and_all_is_admitted_for_the_grace(self):
        backend = Backend(self, on_request=serve)
        quick = envoy_proxy.quick_checks
        self.start([backend], '[drain]\ngrace = "20s"\ndeadline = "30s"\n', quick)
        harness.wait_until(lambda: self.envoy.healthy_sluices() == 1, "Envoy finds Sluice well")
        self.terminate()
        harness.wait_until(lambda: self.envoy.healthy_sluices() == 0, "Envoy looks away")
        self.assertEqual(self.sluice.ask().status, 200)  # there is no other Sluice to look at

    def test_at_the_deadline_what_waits_is_told_and_what_is_in_flight_is_cut(self):
        self.start_full('[drain]\ngrace = "0s"\ndeadline = "500ms"\n', capacity="max_in_flight = 2")
        stream = self.sluice.chat(stream=True)
        streamed = self.upstream.next()
        streamed.start_stream()
        streamed.event({"n": 1})
        stream.begin().readline()
        waits = self.park()
        self.terminate()
        self.refused_as_draining(waits.answer(within=5))
        told = self.first.answer(within=5)  # it had no byte of its answer yet
        self.assertEqual((told.status, told.reason), (429, "revoked"), told)
        with self.assertRaises((OSError, http.client.IncompleteRead)):
            stream.answer(within=5)
        self.held.wait_left()
        streamed.wait_left()
        self.sluice.expect_end(harness.EXIT_OK, within=5)


def short_connections(bootstrap):
    options = bootstrap.http_options("sluice")
    options["common_http_protocol_options"] = {"max_connection_duration": "0.2s"}


class Tls(EnvoyTest):
    def setUp(self):
        super().setUp()
        self.certificates = Certificates(self.directory)
        self.certificates.issue("server", "DNS:sluice.test")
        self.certificates.issue("envoy", "DNS:envoy.test")

    def start_tls(self, *changes, client_ca=""):
        backend = Backend(self, on_request=serve)
        files = f'cert = "server.pem", key = "server.key"{client_ca}'
        return self.start([backend], "", *changes, ext_proc=f"tls = {{ {files} }}")

    def probe(self, client=None):
        """The serial number of the certificate that a new connection is shown; None: refused."""
        context = ssl.create_default_context(cafile=self.directory / "ca.pem")
        context.set_alpn_protocols(["h2"])
        if client:
            files = (self.directory / f"{client}.{kind}" for kind in ("pem", "key"))
            context.load_cert_chain(*files)
        try:
            with socket.create_connection(("127.0.0.1", self.sluice.grpc_port), 5) as plain:
                with context.wrap_socket(plain, server_hostname="sluice.test") as secured:
                    # Whether the client's certificate will do is said after the handshake.
                    return secured.getpeercert()["serialNumber"] if secured.recv(1) else None
        except (ssl.SSLError, ConnectionError):
            return None

    def test_a_certificate_is_changed_under_load_and_nobody_notices(self):
        sluice = self.start_tls(envoy_proxy.tls(self.directory), short_connections)
        load = harness.Load(sluice, 4)
        load.wait_more(20)
        for _ in range(3):
            before = self.probe()
            self.assertTrue(before)
            self.certificates.issue("server", "DNS:sluice.test")
            harness.wait_until(lambda: self.probe() not in (None, before), "the new one is shown")
            load.wait_more(20)
        good = self.probe()
        (self.directory / "server.pem").write_text("no certificate")
        opened = self.envoy.stat("cluster.sluice.upstream_cx_total")
        harness.wait_until(
            lambda: self.envoy.stat("cluster.sluice.upstream_cx_total") > opened + 2,
            "Envoy came anew",
        )
        self.assertEqual(self.probe(), good)  # what is no certificate changes nothing
        self.assertEqual({answer.status for answer in load.stop()}, {200})
        self.sluice.check_nothing_lost()

    def test_where_clients_must_show_a_certificate_only_those_of_the_authority_are_let_in(self):
        Certificates(self.directory, "stranger").issue("forged", "DNS:envoy.test")
        client_ca = ', client_ca = "ca.pem"'
        sluice = self.start_tls(envoy_proxy.tls(self.directory, "envoy"), client_ca=client_ca)
        self.assertEqual(sluice.ask().status, 200)
        self.assertTrue(self.probe("envoy"))
        self.assertIsNone(self.probe())
        self.assertIsNone(self.probe("forged"))
        for client in (None, "forged"):
            change = envoy_proxy.tls(self.directory, client)
            sluice.port = envoy_proxy.Envoy(self, sluice.grpc_port, change).port
            self.assertEqual(sluice.ask().status, 503)
        sluice.port = envoy_proxy.Envoy(self, sluice.grpc_port).port  # without TLS
        self.assertEqual(sluice.ask().status, 503)
        self.assertEqual(sluice.ledger().outcomes, {"completed": 1})


def impatient(bootstrap):
    """Every time that Envoy could have for one message, one silence or one connection is short."""
    bootstrap.ext_proc["message_timeout"] = "0.5s"
    bootstrap.ext_proc["grpc_service"]["timeout"] = "0.5s"
    bootstrap.hcm["request_headers_timeout"] = "0.5s"
    bootstrap.hcm["common_http_protocol_options"] = {"idle_timeout": "0.5s"}
    bootstrap.http_options("picked")["common_http_protocol_options"] = {"idle_timeout": "0.5s"}
    options = bootstrap.http_options("sluice")
    options["common_http_protocol_options"] = {"idle_timeout": "0.5s"}
    http2 = options["explicit_http_config"]["http2_protocol_options"]
    http2["connection_keepalive"] = {"interval": "1.1s", "timeout": "5s"}
    envoy_proxy.quick_checks(bootstrap)


class Patience(EnvoyTest):
    def test_a_wait_outlasts_every_timeout_and_ping_of_the_bootstrap(self):
        self.start_full("", impatient)
        waits = self.park()
        wait = 6000  # ms: some five pings, where gRPC by itself takes two
        oldest = lambda: self.sluice.band("default")["oldest_wait_ms"] or wait
        harness.wait_until(lambda: oldest() >= wait, "it has waited long, or is gone")
        self.held.start_stream()  # which has been silent as long
        self.held.end_stream()
        self.assertEqual(self.first.answer().status, 200)
        self.upstream.next().answer()
        answer = waits.answer()
        self.assertEqual(answer.status, 200)
        self.assertGreaterEqual(answer.queue_ms, wait)
        self.ends_well(completed=2)
        self.assertEqual(self.envoy.stat("cluster.sluice.upstream_cx_destroy_with_active_rq"), 0)

    def test_the_bootstrap_has_no_timeout_that_counts_while_a_request_waits(self):
        bootstrap = envoy_proxy.Bootstrap()
        found = []

        def walk(part, path):
            for name, value in part.items() if isinstance(part, dict) else enumerate(part):
                place = f"{path}.{name}"
                if isinstance(value, (dict, list)):
                    walk(value, place)
                elif "timeout" in str(name) and value != "0s":
                    found.append(place)

        walk(bootstrap.data, "")
        connections = ("connect_timeout", "keepalive.timeout", ".0.timeout", "options.idle_timeout")
        messages = ("request_headers_timeout", "message_timeout")  # the latter: see the bootstrap
        self.assertEqual([one for one in found if not one.endswith(connections + messages)], [])
        self.assertEqual(bootstrap.ext_proc["message_timeout"], "3600s")
        self.assertEqual(bootstrap.hcm["stream_idle_timeout"], "0s")
        self.assertEqual(bootstrap.picked_route["route"]["timeout"], "0s")


if __name__ == "__main__":
    harness.main()

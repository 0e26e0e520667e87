"""Bad configurations, plugin files and requests: a clear refusal, and all others are served on."""

import itertools
import os
import shutil
import socket
import subprocess

import harness
from upstream import Upstream
from wire import request_bytes

GOOD = (
    'schema = 1\n[listen.http]\naddress = "127.0.0.1:0"\n'
    '[[pool.endpoints]]\nname = "a"\naddress = "127.0.0.1:1"\n'
)

# A fairness plugin; each test says what it picks and which ABI it is of.
PLUGIN = """
#include <sluice/sluice.h>
static uint32_t pick(const void *p, void *s, const sluice_flows *flows, uint64_t *retry) {
  return PICK;
}
static const sluice_fairness_v1 vtable = {.pick = pick};
static const sluice_interface interfaces[] = {{SLUICE_FAIRNESS_ID, &vtable}, {0, 0}};
static const sluice_policy_v1 policy = {.struct_size = sizeof(sluice_policy_v1), .name = "odd",
                                        .summary = "Odd.", .interfaces = interfaces};
static const sluice_policy_v1 *const policies[] = {&policy, 0};
const sluice_entry_v1 sluice_plugin_v0 = {.struct_size = sizeof(sluice_entry_v1),
    .abi_minor_built = MINOR, .abi_minor_needed = MINOR, .package = "test.odd", .version = "1.0.0",
    .license = "none", .policies = policies};
"""


class BadConfiguration(harness.E2eTest):
    def check(self, text, code, *words, command="check"):
        """TEXT as pipeline.toml is refused with CODE, and WORDS stand in what is said."""
        file = self.directory / "pipeline.toml"
        file.write_text(text)
        done = harness.run(*([command] if command == "check" else [command, "-c"]), file)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word.replace("FILE", str(file)), done.stderr)
        return done.stderr

    def test_malformed_toml_is_refused_at_its_line_and_column(self):
        text = self.check(GOOD + "[upstream\n", harness.EXIT_CONFIG, "FILE:7:", ": error: ")
        self.assertIn("^", text)
        self.check(GOOD + 'x = "\xff', harness.EXIT_CONFIG, "FILE:7:", ": error: ")
        self.check("", harness.EXIT_CONFIG, "FILE", ": error: ", "schema")

    def test_serve_refuses_what_check_refuses_with_the_same_words(self):
        bad = GOOD + "[upstream]\nretires = 3\n"
        self.assertEqual(
            self.check(bad, harness.EXIT_CONFIG),
            self.check(bad, harness.EXIT_CONFIG, command="serve"),
        )

    def test_an_unknown_key_is_refused_and_the_nearest_known_one_is_named(self):
        text = self.check(
            GOOD + "[upstream]\nretires = 3\n", harness.EXIT_CONFIG, "FILE:8:1: error: ", "retires"
        )
        self.assertIn("retries", text.replace("retires", ""))
        self.check(GOOD + "[limts]\nmax_requests = 3\n", harness.EXIT_CONFIG, "FILE:7:", "limits")

    def test_wrong_types_are_all_refused_at_once(self):
        text = self.check(
            GOOD + '[upstream]\nretries = "many"\nconnect_timeout = 2\nidle_timeout = "soon"\n'
            "[limits]\nmax_bytes = true\n",
            harness.EXIT_CONFIG,
        )
        for line in (8, 9, 10, 12):
            self.assertRegex(text, rf"pipeline\.toml:{line}:\d+: error: ")

    def test_values_that_contradict_each_other_are_refused(self):
        self.check(
            GOOD + '[[objective]]\nname = "fast"\nband = "nowhere"\n',
            harness.EXIT_CONFIG,
            "nowhere",
            ":9:",
        )
        self.check(
            GOOD + '[[pool.endpoints]]\nname = "a"\naddress = "127.0.0.1:2"\n',
            harness.EXIT_CONFIG,
            "two",
        )
        self.check("schema = 1\n", harness.EXIT_CONFIG, "no listener")

    def test_unknown_policies_and_other_mistakes_are_told_at_once(self):
        self.check(
            GOOD + '[[scoring]]\nuse = "queue-dept"\n[[tenant]]\nmatch = { "header:x-no" = "a" }\n'
            '[[band]]\nname = "default"\nfairness = { use = "vtc", params = { catch_up = 1 } }\n',
            harness.EXIT_CONFIG,
            "FILE:8:7: error: there is no scoring policy",
            "FILE:10:",
            "header:x-no",
            "FILE:13:",
            "catch_up_tokens",
        )

    def test_a_missing_pin_is_told_once_for_each_policy_without_a_guess(self):
        text = self.check(
            GOOD + "[plugins]\nrequire_sha256 = true\n", harness.EXIT_CONFIG, "sluice/fcfs"
        )
        self.assertEqual(text.count(": error: "), 6, text)  # three slots, three scorers
        self.assertNotIn(".so", text)

    def test_a_file_that_is_not_there_is_named(self):
        for command in (["check"], ["serve", "-c"]):
            done = harness.run(*command, self.directory / "none.toml")
            self.assertEqual(done.returncode, harness.EXIT_CONFIG)
            self.assertIn("none.toml", done.stderr)

    def test_an_unknown_policy_is_an_error_of_the_configuration(self):
        text = self.check(
            GOOD + '[[scoring]]\nuse = "queue-dept"\n', harness.EXIT_CONFIG, "FILE:8:", ": error: "
        )
        self.assertIn("queue-depth", text)
        self.check(
            GOOD + '[[band]]\nname = "default"\nfairness = { use = "com.example/none" }\n',
            harness.EXIT_CONFIG,
            "FILE:9:",
            "com.example/none",
            command="serve",
        )

    def test_a_parameter_that_the_policy_does_not_have_is_an_error_of_the_configuration(self):
        self.check(
            GOOD + '[[band]]\nname = "default"\n'
            'fairness = { use = "weighted-drr", params = { quantm = 5 } }\n',
            harness.EXIT_CONFIG,
            "FILE:9:",
            "quantum",
        )

    def test_an_address_in_use_exits_with_5_and_is_named(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            for listener, address in itertools.product(
                ("listen.http", "admin"), (f"127.0.0.1:{port}", f"localhost:{port}")
            ):
                with self.subTest(listener=listener, address=address):
                    addresses = {
                        name: f"127.0.0.1:{harness.free_port()}"
                        for name in ("listen.http", "admin")
                    }
                    addresses[listener] = address
                    file = self.directory / "bind.toml"
                    file.write_text(
                        "schema = 1\n"
                        + "".join(f'[{name}]\naddress = "{at}"\n' for name, at in addresses.items())
                        + harness.endpoint_tables(["127.0.0.1:1"])
                    )
                    done = harness.run("serve", "-c", file)
                    self.assertEqual(done.returncode, harness.EXIT_BIND, done.stderr)
                    self.assertIn(address, done.stderr)


class BadPlugin(harness.E2eTest):
    def setUp(self):
        super().setUp()
        self.plugins = self.directory / "plugins"
        self.plugins.mkdir(mode=0o755)

    def build(self, pick="sluice_next_ready(flows, 0)", minor="SLUICE_ABI_MINOR"):
        subprocess.run(
            [
                "cc",
                "-std=c11",
                "-shared",
                "-fPIC",
                f"-I{harness.SOURCE}/plugin-api/include",
                f"-DPICK={pick}",
                f"-DMINOR={minor}",
                "-x",
                "c",
                "-",
                "-o",
                self.plugins / "odd.so",
            ],
            input=PLUGIN,
            text=True,
            check=True,
            timeout=30,
        )

    def check(self, code, *words, use="test.odd/odd", command=("check",)):
        file = self.directory / "pipeline.toml"
        file.write_text(
            GOOD + f'[plugins]\ndirectories = ["plugins"]\n[[band]]\nname = "default"\n'
            f'fairness = {{ use = "{use}" }}\n'
        )
        done = harness.run(*command, file)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)

    def test_a_sound_plugin_of_this_test_is_accepted(self):
        self.build()
        self.check(harness.EXIT_OK)

    def test_a_file_that_everybody_may_write_is_refused_with_4(self):
        self.build()
        os.chmod(self.plugins / "odd.so", 0o666)
        self.check(
            harness.EXIT_PLUGIN, "pipeline.toml:11:", ": error: ", "writable by everybody", "chmod"
        )
        self.check(harness.EXIT_PLUGIN, "writable by everybody", command=("serve", "-c"))

    def test_a_plugin_of_another_abi_is_refused_with_4(self):
        self.build(minor="SLUICE_ABI_MINOR + 1")
        self.check(harness.EXIT_PLUGIN, "pipeline.toml:11:", "odd.so")

    def test_a_plugin_that_answers_nonsense_to_its_first_questions_is_refused_with_4(self):
        self.build(pick="77")
        self.check(harness.EXIT_PLUGIN, "pipeline.toml:11:", "test.odd/odd")

    def test_a_file_that_is_no_plugin_is_refused_with_4_only_if_it_is_needed(self):
        self.build()
        (self.plugins / "zebra.so").write_bytes(b"\x7fELF and then nothing")
        self.check(harness.EXIT_OK)
        (self.plugins / "odd.so").write_bytes(b"\x7fELF and then nothing")
        self.check(harness.EXIT_CONFIG, "test.odd/odd")

    def test_the_missing_file_of_a_shipped_policy_is_an_unknown_policy(self):
        self.check(harness.EXIT_CONFIG, 'fairness policy "no-such"', use="no-such")

    def test_a_plugin_whose_bytes_are_not_those_pinned_is_refused_with_4(self):
        shutil.copy(harness.PLUGINS / "fairness_vtc.so", self.plugins)
        file = self.directory / "pipeline.toml"
        file.write_text(
            GOOD + '[plugins]\ndirectories = ["plugins"]\n[[band]]\nname = "default"\n'
            f'fairness = {{ use = "vtc", sha256 = "{"0" * 64}" }}\n'
        )
        done = harness.run("check", file)
        self.assertEqual(done.returncode, harness.EXIT_PLUGIN, done.stderr)
        self.assertIn("sha256", done.stderr.lower())


class BadRequest(harness.E2eTest):
    """One host for a test; after every bad request a good one must still be served."""

    def setUp(self):
        super().setUp()
        self.server = harness.SimServer(self)
        self.sluice = harness.Sluice(
            self,
            [self.server],
            http='max_header = "4KiB"\nmax_body = "64KiB"\n'
            'header_timeout = "300ms"\nbody_timeout = "300ms"',
        )

    def tearDown(self):
        self.assertEqual(self.sluice.ask().status, 200)
        self.sluice.check_nothing_lost()

    def post(self, body, headers=None, path="/v1/chat/completions"):
        return self.sluice.call("POST", path, body, headers).answer()

    def refused(self, data, *statuses):
        """DATA on a connection of its own is refused with one of STATUSES and given up."""
        one = self.sluice.raw(data)
        answer = one.answer(keep=True)
        self.assertIn(answer.status, statuses, answer)
        self.assertIn("x-sluice-reason", answer.headers)
        self.assertIn("message", answer.json["error"])
        self.assertTrue(one.closed())
        one.leave()

    def bad_json(self, body, code):
        answer = self.post(body)
        self.assertEqual((answer.status, answer.reason), (400, "bad-request"), answer)
        self.assertEqual(answer.json["error"]["code"], code)
        self.assertEqual(answer.json["error"]["type"], "invalid_request_error")

    def test_a_body_that_is_too_large_gets_413(self):
        large = b'{"model": "m", "messages": "' + b"x" * (80 << 10) + b'"}'
        self.refused(request_bytes("POST", "/v1/chat/completions", large), 413)
        # Said before the body comes, and for a body whose length is never said.
        self.refused(
            request_bytes("POST", "/v1/chat/completions", None, {"Content-Length": 10**12}), 413
        )
        self.refused(
            request_bytes("POST", "/v1/chat/completions", None, {"Content-Length": "9" * 30}), 413
        )
        chunk = b"4000\r\n" + b"x" * 0x4000 + b"\r\n"
        self.refused(
            request_bytes("POST", "/v1/chat/completions", None, {"Transfer-Encoding": "chunked"})
            + chunk * 5,
            413,
        )

    def test_headers_that_are_too_large_or_too_many_get_431(self):
        self.refused(request_bytes("GET", "/v1/models", None, {"X-Long": "y" * 5000}), 431)
        self.refused(b"GET /v1/models HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 300 + b"\r\n", 431)
        self.refused(b"GET /" + b"z" * 5000, 431)

    def test_invalid_json_gets_400_and_the_connection_serves_on(self):
        one = self.sluice.raw()
        for body in (
            b"",
            b"{",
            b'{"model": "m"',
            b'{"model": "m"} x',
            b'{"model": "\xff"}',
            b"[]",
            b'"m"',
            b'{"a":' * 500 + b"1" + b"}" * 500,
        ):
            with self.subTest(body=body[:20]):
                answer = one.send(request_bytes("POST", "/v1/chat/completions", body)).answer(
                    keep=True
                )
                self.assertEqual((answer.status, answer.reason), (400, "bad-request"), answer)
        good = {"model": "m", "messages": [], "max_tokens": 1}
        self.assertEqual(
            one.send(request_bytes("POST", "/v1/chat/completions", good)).answer().status, 200
        )

    def test_a_key_that_two_readers_could_read_two_ways_gets_400(self):
        self.bad_json(b'{"model": "m", "messages": [], "model": "other"}', "duplicate_key")
        self.bad_json(b'{"model": "m", "messages": [], "mod\\u0065l": "other"}', "duplicate_key")
        self.bad_json(
            b'{"model": "m", "messages": [], "stream": false, "stream": true}', "duplicate_key"
        )

    def test_a_model_that_is_missing_or_none_gets_400(self):
        self.bad_json(b'{"messages": []}', "missing_model")
        for model in (b"null", b"7", b'""', b'["m"]', b'"' + b"m" * 600 + b'"'):
            self.bad_json(b'{"messages": [], "model": ' + model + b"}", "invalid_model")

    def test_what_the_server_itself_refuses_comes_back_as_the_server_said_it(self):
        answer = self.post({"model": "m", "messages": [], "max_tokens": -5})
        self.assertEqual(answer.status, 400)
        self.assertIn("max_tokens must be", answer.json["error"]["message"])
        self.assertIsNone(answer.reason)

    def test_a_request_whose_end_is_told_two_ways_gets_400(self):
        path = "/v1/chat/completions"
        body = b'{"model": "m", "messages": []}'
        self.refused(request_bytes("POST", path, body, {"Transfer-Encoding": "chunked"}), 400)
        head = request_bytes("POST", path, body)
        self.refused(head.replace(b"\r\n\r\n", b"\r\nContent-Length: 3\r\n\r\n", 1), 400)
        self.refused(
            head.replace(b"\r\n\r\n", b"\r\nContent-Length: %d\r\n\r\n" % len(body), 1), 400
        )
        for encoding in ("gzip", "chunked, chunked", "identity", "gzip, chunked", "xchunked"):
            self.refused(request_bytes("POST", path, None, {"Transfer-Encoding": encoding}), 400)
        for length in ("-1", "+5", "0x10", "1 2", "", "1,1"):
            self.refused(request_bytes("POST", path, None, {"Content-Length": length}), 400)
        self.refused(head.replace(b"Content-Length", b"Content-Length "), 400)
        self.refused(head.replace(b"\r\nContent-Type", b"\r\n folded: yes\r\nContent-Type"), 400)
        self.refused(
            request_bytes("POST", path, None, {"Transfer-Encoding": "chunked"}) + b"zz\r\n", 400
        )

    def test_a_sound_chunked_request_is_served(self):
        body = b'{"model": "m", "messages": [], "max_tokens": 1}'
        chunks = (
            b"".join(b"%x\r\n%s\r\n" % (len(c), c) for c in (body[:7], body[7:30], body[30:]))
            + b"0\r\n\r\n"
        )
        one = self.sluice.raw(
            request_bytes("POST", "/v1/chat/completions", None, {"Transfer-Encoding": "chunked"})
        )
        self.assertEqual(one.send(chunks).answer().status, 200)

    def test_garbage_gets_400(self):
        for data in (
            b"\x00\x01\x02\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
            b"GET\r\n\r\n",
            b"GET / HTTP/1.1\n\n",
            b"\r\n" * 50,
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\n\r\n",
            b"G\x7fT / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET http://other/ HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nx:\x01\r\n\r\n",
        ):
            with self.subTest(data=data[:30]):
                self.refused(data, 400)
        self.refused(b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505)
        self.refused(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, 400)

    def test_slow_headers_and_slow_bodies_get_408(self):
        slow = [
            self.sluice.raw(b"POST /v1/chat/completions HTTP/1.1\r\nHos"),
            self.sluice.raw(
                request_bytes("POST", "/v1/chat/completions", None, {"Content-Length": 100})
                + b'{"mo'
            ),
            self.sluice.raw(
                request_bytes(
                    "POST", "/v1/chat/completions", None, {"Transfer-Encoding": "chunked"}
                )
                + b"5\r\n{"
            ),
        ]
        for one in slow:
            answer = one.answer(within=5, keep=True)
            self.assertEqual(answer.status, 408, answer)
            self.assertTrue(one.closed(5))
            one.leave()

    def test_clients_that_leave_in_the_middle_of_their_request_leave_nothing_behind(self):
        whole = request_bytes(
            "POST", "/v1/chat/completions", {"model": "m", "messages": [], "max_tokens": 500}
        )
        for end in (1, 20, len(whole) // 2, len(whole) - 1, len(whole)):
            for how in ("close", "half", "reset"):
                one = self.sluice.raw(whole[:end])
                if how == "half":
                    one.socket.shutdown(socket.SHUT_WR)
                elif how == "reset":
                    one.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
                one.leave()
        self.sluice.check_nothing_lost()
        harness.wait_until(
            lambda: self.server.metric("num_requests_running") == 0, "the server is idle"
        )

    def test_paths_and_methods_that_there_are_not_are_refused_and_never_parked(self):
        for method, path, statuses in [
            ("GET", "/v1/chat/completions", (404, 405)),
            ("DELETE", "/v1/models", (404, 405)),
            ("TRACE", "/v1/models", (400, 404, 405)),
        ]:
            answer = self.sluice.call(method, path).answer()
            self.assertIn(answer.status, statuses, (method, path, answer))
        self.assertEqual(self.sluice.ledger().submitted, 0)

    def test_what_is_refused_before_it_is_parked_is_not_in_the_ledger_but_in_the_metrics(self):
        before = self.sluice.ledger().submitted
        self.bad_json(b"{", "invalid_json")
        self.assertEqual(self.post({"model": "unheard", "messages": []}).status, 404)
        self.assertEqual(self.sluice.ledger().submitted, before)


class ManyBadRequests(harness.E2eTest):
    def test_good_requests_between_bad_ones_are_all_served_and_accounted_for(self):
        upstream = Upstream(self, on_request=lambda received: received.answer())
        sluice = harness.Sluice(self, [upstream])
        bad = [
            b"\x00\r\n\r\n",
            request_bytes("POST", "/v1/chat/completions", b"{"),
            request_bytes("POST", "/v1/chat/completions", b'{"model": "unheard", "messages": []}'),
            request_bytes("POST", "/v1/chat/completions", b"x", {"Transfer-Encoding": "chunked"}),
        ]
        load = harness.Load(sluice, 4)
        for number in range(200):
            sluice.raw(bad[number % len(bad)]).answer()
        answers = load.stop()
        self.assertEqual({answer.status for answer in answers}, {200})
        sluice.check_nothing_lost()
        ledger = sluice.ledger()
        self.assertEqual(ledger.outcomes["completed"], len(answers))
        self.assertEqual(upstream.count, len(answers))


if __name__ == "__main__":
    harness.main()

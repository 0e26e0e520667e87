"""The commands beside `serve`: what they print, and how they exit."""

import json
import os
import signal
import subprocess

import harness
from wire import call, get

COMMANDS = [
    ["serve"],
    ["check"],
    ["plugin"],
    ["plugin", "list"],
    ["plugin", "inspect"],
    ["plugin", "release"],
    ["log"],
    ["log", "check"],
    ["demo"],
    ["simulate"],
    ["sim-server"],
    ["version"],
]
# What architecture.md promises to ship, by kind.
SHIPPED = {
    "ordering": {"fcfs", "edf", "sjf"},
    "fairness": {"fcfs", "round-robin", "weighted-drr", "vtc"},
    "eviction": {"reject-newest", "lowest-band-first", "longest-flow"},
    "scoring": {"queue-depth", "kv-cache", "in-flight", "prefix-cache"},
}


class Cli(harness.E2eTest):
    def run_ok(self, *arguments, **options):
        done = harness.run(*arguments, **options)
        self.assertEqual(done.returncode, harness.EXIT_OK, done.stderr)
        self.assertEqual(done.stderr, "")
        return done.stdout

    def test_every_command_explains_itself(self):
        overview = self.run_ok("--help")
        for command in COMMANDS:
            with self.subTest(command=command):
                self.assertIn(command[0], overview)
                text = self.run_ok(*command, "--help")
                self.assertIn("--help", text)
                self.assertNotEqual(text, overview)

    def test_wrong_usage_exits_with_2_and_says_what_is_wrong(self):
        for arguments in [
            [],
            ["serve"],
            ["check"],
            ["plugin"],
            ["plugin", "inspect"],
            ["plugin", "release"],
            ["log", "check"],
            ["no-such-command"],
            ["version", "--no-such-option"],
            ["serve", "-c", "x", "--threads", "-1"],
            ["sim-server", "--port", "0"],
            ["sim-server", "--port", "http", "--model", "m"],
            ["sim-server", "--port", "0", "--model", "m", "--time-to-first-token", "soon"],
        ]:
            with self.subTest(arguments=arguments):
                done = harness.run(*arguments)
                self.assertEqual(done.returncode, harness.EXIT_USAGE)
                self.assertTrue(done.stderr)

    def test_version_tells_the_program_s_and_the_abi_s(self):
        self.assertRegex(self.run_ok("version"), r"\Asluice \d+\.\d+\.\d+\nplugin ABI \d+\.\d+ ")

    def test_every_shipped_configuration_passes_the_check(self):
        files = sorted((harness.SOURCE / "conf").rglob("*.toml"))
        files = [file for file in files if "schema" in file.read_text()]
        self.assertTrue(files)
        for file in files:
            with self.subTest(file=file.name):
                text = self.run_ok("check", file)
                self.assertTrue(text.startswith(f"{file}: ok\n"), text)

    def test_check_tells_the_policies_that_would_serve(self):
        file = self.directory / "pipeline.toml"
        file.write_text(
            'schema = 1\n[listen.http]\n[[pool.endpoints]]\nname = "a"\naddress = "127.0.0.1:1"\n'
            '[[band]]\nname = "default"\nordering = { use = "edf" }\nfairness = { use = "sluice/vtc" }\n'
            '[[scoring]]\nuse = "in-flight"\nweight = 2.5\n'
        )
        text = self.run_ok("check", file)
        self.assertIn(
            "band default (0): ordering sluice/edf, fairness sluice/vtc, "
            "eviction sluice/lowest-band-first\n",
            text,
        )
        self.assertIn("scoring sluice/in-flight x 2.5\n", text)

    def test_plugin_list_shows_every_shipped_policy(self):
        text = self.run_ok("plugin", "list")
        plugins = json.loads(self.run_ok("plugin", "list", "--json"))
        found = {}
        for plugin in plugins:
            for policy in plugin["policies"]:
                found.setdefault(policy["kind"], set()).add(policy["name"])
                self.assertIn(policy["name"], text)
        for kind, names in SHIPPED.items():
            self.assertLessEqual(names, found[kind])

    def test_plugin_list_shows_a_refused_file_and_why(self):
        (self.directory / "broken.so").write_bytes(b"no ELF at all")
        text = self.run_ok("plugin", "list", "-d", self.directory)
        self.assertIn("broken.so", text)
        self.assertIn("ELF", text)

    def test_plugin_inspect_shows_parameters_by_name_and_by_file(self):
        file = harness.PLUGINS / "fairness_weighted_drr.so"
        for what in [file, "sluice/weighted-drr"]:
            with self.subTest(what=what):
                self.assertIn("quantum", self.run_ok("plugin", "inspect", what))
                self.assertIn('"quantum"', self.run_ok("plugin", "inspect", "--json", what))

    def test_plugin_inspect_shows_everything_of_a_name(self):
        text = self.run_ok("plugin", "inspect", "fcfs")
        self.assertIn("ordering sluice/fcfs\n", text)
        self.assertIn("fairness sluice/fcfs\n", text)
        package = json.loads(self.run_ok("plugin", "inspect", "--json", "sluice"))
        self.assertEqual(len(package), sum(map(len, SHIPPED.values())))

    def test_plugin_inspect_of_what_cannot_be_a_file_is_an_error_of_one_line(self):
        for what in ["x" * 5000, "/dev/null/x", ""]:
            with self.subTest(what=what[:20]):
                done = harness.run("plugin", "inspect", what)
                self.assertEqual(done.returncode, harness.EXIT_RUNTIME, done.stderr)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)

    def test_sim_server_names_its_failures(self):
        self.assertIn("{none,refuse,hang,reset,error}", self.run_ok("sim-server", "--help"))
        done = harness.run("sim-server", "--port", "0", "--model", "m", "--failure", "often")
        self.assertEqual(done.returncode, harness.EXIT_USAGE)
        self.assertIn("often not in {none,refuse,hang,reset,error}", done.stderr)
        server = harness.SimServer(self, failure="error", failure_status="418")
        body = {"model": "m", "messages": []}
        answer = call(server.port, "POST", "/v1/chat/completions", body).answer()
        self.assertEqual(answer.status, 418)

    def test_a_host_whose_words_nobody_reads_serves_on(self):
        # Its first words are a warning, before anything listens; then its log meets a closed pipe.
        config = self.directory / "pipeline.toml"
        admin = harness.free_port()
        config.write_text(
            f'schema = 1\n[listen.http]\naddress = "127.0.0.1:0"\n[admin]\n'
            f'address = "127.0.0.1:{admin}"\n[plugins]\ndirectories = ["none"]\n'
            + harness.endpoint_tables(["127.0.0.1:1"])
            + '[drain]\ngrace = "0s"\n'
        )
        reader, writer = os.pipe()
        os.close(reader)
        host = subprocess.Popen([harness.PROGRAM, "serve", "-c", config], stderr=writer)
        self.addCleanup(host.kill)
        os.close(writer)

        def alive():
            self.assertIsNone(host.poll())
            try:
                return get(admin, "/livez").status == 200
            except OSError:
                return False

        harness.wait_until(alive, "the host answers")
        self.assertEqual(call(admin, "POST", "/reload").answer().status, 200)
        host.send_signal(signal.SIGTERM)
        self.assertEqual(host.wait(harness.WITHIN), harness.EXIT_OK)

    def test_plugin_inspect_of_a_refused_file_exits_with_4_and_of_none_with_1(self):
        broken = self.directory / "broken.so"
        broken.write_bytes(b"no ELF at all")
        self.assertEqual(harness.run("plugin", "inspect", broken).returncode, harness.EXIT_PLUGIN)
        done = harness.run("plugin", "inspect", "no-such-policy")
        self.assertEqual(done.returncode, harness.EXIT_RUNTIME)
        self.assertIn("no-such-policy", done.stderr)

    def test_log_check_exits_with_2_for_no_file_and_with_1_for_no_log(self):
        self.assertEqual(
            harness.run("log", "check", self.directory / "none").returncode, harness.EXIT_USAGE
        )
        other = self.directory / "other"
        other.write_text("this is not a decision log\n")
        self.assertEqual(harness.run("log", "check", other).returncode, harness.EXIT_RUNTIME)

    def test_no_command_writes_outside_of_what_it_was_told(self):
        before = sorted(os.listdir(self.directory))
        home = dict(
            os.environ, HOME=str(self.directory), XDG_CACHE_HOME=str(self.directory / "cache")
        )
        self.run_ok("plugin", "list", env=home)
        self.run_ok("version", env=home)
        self.assertEqual(sorted(os.listdir(self.directory)), before)


if __name__ == "__main__":
    harness.main()

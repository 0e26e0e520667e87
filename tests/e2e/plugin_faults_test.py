"""Policies that pass every check and go wrong later: quarantine and release, and a crash by name."""

import signal

import bad_input_test
import harness

LATER = "flows->slots > 3"  # the self-check's table has three


class PluginFaults(harness.E2eTest):
    def start(self, pick):
        self.plugins = self.directory / "plugins"
        self.plugins.mkdir(mode=0o755)
        bad_input_test.BadPlugin.build(self, pick=pick)
        self.server = harness.SimServer(self)
        return harness.Sluice(
            self,
            [self.server],
            '[plugins]\ndirectories = ["plugins"]\n[[band]]\nname = "default"\n'
            'fairness = { use = "test.odd/odd" }\n',
        )

    def quarantined(self, sluice):
        return [p["name"] for p in sluice.status()["policies"] if p["quarantined"]]

    def release(self, *arguments):
        return harness.run("plugin", "release", *arguments)

    def test_a_policy_in_quarantine_is_released_by_its_name(self):
        sluice = self.start(f"{LATER} ? 9999u : sluice_next_ready(flows, 0)")
        none = self.release("test.odd/odd", "-c", sluice.config)
        self.assertEqual(none.returncode, harness.EXIT_RUNTIME, none.stdout)
        self.assertIn("test.odd/odd is not in quarantine", none.stderr)
        harness.wait_until(
            lambda: sluice.ask().status == 200 and self.quarantined(sluice),
            "the policy is in quarantine",
        )
        for where in (["-c", sluice.config], ["--admin", f"127.0.0.1:{sluice.admin}"]):
            done = self.release("test.odd/odd", *where)
            self.assertEqual(
                (done.returncode, done.stdout), (harness.EXIT_OK, "test.odd/odd is released\n")
            )
            self.assertEqual(self.quarantined(sluice), [])
            harness.wait_until(
                lambda: sluice.ask().status == 200 and self.quarantined(sluice),
                "it is in quarantine again",
            )

    def test_release_says_what_it_cannot_do(self):
        for arguments, code, word in [
            (["vtc"], harness.EXIT_USAGE, "--admin"),
            (["vtc", "--admin", "nowhere"], harness.EXIT_USAGE, "port"),
            (["a b", "--admin", "127.0.0.1:1"], harness.EXIT_USAGE, "name of a policy"),
            (["vtc", "--admin", "127.0.0.1:1"], harness.EXIT_RUNTIME, "127.0.0.1:1"),
            (["vtc", "-c", self.directory / "none.toml"], harness.EXIT_CONFIG, "none.toml"),
        ]:
            with self.subTest(arguments=arguments):
                done = self.release(*arguments)
                self.assertEqual(done.returncode, code, done.stderr)
                self.assertIn(word, done.stderr)

    def test_a_crash_inside_a_plugin_is_named_in_the_last_line(self):
        sluice = self.start(f"{LATER} ? *(volatile uint32_t *)0 : sluice_next_ready(flows, 0)")
        sluice.chat()
        words = sluice.expect_end(-signal.SIGSEGV)
        last = words.splitlines()[-1]
        self.assertIn("SIGSEGV inside the plugin test.odd 1.0.0", last)
        self.assertIn(str(self.plugins / "odd.so"), last)


if __name__ == "__main__":
    harness.main()

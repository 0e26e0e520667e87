"""Starting: what `sluice check` passes is served, and a start that fails harms nobody."""

import harness
from upstream import Upstream


class Start(harness.E2eTest):
    def start(self):
        self.log = self.directory / "decisions"
        self.upstream = Upstream(self, on_request=lambda received: received.answer())
        self.text = f'[log]\ndecisions = "{self.log}"\n'
        return harness.Sluice(self, [self.upstream], self.text)

    def test_a_second_host_of_the_same_file_ends_and_leaves_the_log_of_the_first_alone(self):
        sluice = self.start()
        for _ in range(2):
            done = harness.run("serve", "-c", sluice.config)
            self.assertEqual(done.returncode, harness.EXIT_BIND, done.stderr)
        self.assertEqual(sluice.ask().status, 200)
        sluice.stop()
        self.assertFalse(self.log.with_name("decisions.1").exists())
        self.assertEqual(self.check_log(self.log)["ended"]["completed"], 1)

    def test_a_log_that_another_host_writes_is_left_to_it(self):
        sluice = self.start()
        other = harness.Sluice(self, [self.upstream], self.text, wait=False)
        self.assertIn("another process is writing it", other.expect_end(harness.EXIT_RUNTIME))
        self.assertEqual(sluice.ask().status, 200)
        sluice.stop()
        self.assertEqual(self.check_log(self.log)["ended"]["completed"], 1)

    def test_check_refuses_what_serve_would(self):
        sluice = self.start()
        for text, word in [
            ('[pool]\nendpoints_file = "absent.toml"\n', "absent.toml: error: "),
            ('[log]\ndecisions = "/tmp"\n', "not a regular file"),
        ]:
            sluice.write(text)
            for command in (["check"], ["serve", "-c"]):
                done = harness.run(*command, sluice.config)
                self.assertEqual(done.returncode, harness.EXIT_CONFIG, done.stderr)
                self.assertIn(word, done.stderr)


if __name__ == "__main__":
    harness.main()

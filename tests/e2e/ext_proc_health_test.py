"""gRPC health on the port of the ext_proc server: what is told, to whom, and first on a drain."""

import ext_proc  # first: it goes on where the packages are
import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

import harness
from upstream import WITHIN

Status = health_pb2.HealthCheckResponse
SERVICES = (
    "",
    "inference-extension",
    "liveness",
    "readiness",
    "envoy.service.ext_proc.v3.ExternalProcessor",
)


class Health(ext_proc.ExtProcTest):
    def stub(self):
        return health_pb2_grpc.HealthStub(self.sluice.channel)

    def check(self, service):
        request = health_pb2.HealthCheckRequest(service=service)
        return self.stub().Check(request, timeout=WITHIN).status

    def serving(self, service):
        """Watches a service, from where it is told to be serving on."""
        request = health_pb2.HealthCheckRequest(service=service)
        call = self.stub().Watch(request, timeout=WITHIN)
        self.addCleanup(call.cancel)
        while next(call).status != Status.SERVING:
            pass
        return call

    def test_every_service_is_serving(self):
        self.start()
        for service in SERVICES:
            self.serving(service)
            harness.wait_until(
                lambda name=service: self.check(name) == Status.SERVING, f"{service!r} is serving"
            )

        def listed():
            told = self.stub().List(health_pb2.HealthListRequest(), timeout=WITHIN).statuses
            return {name: one.status for name, one in told.items()}

        wanted = {name: Status.SERVING for name in SERVICES}
        harness.wait_until(lambda: listed() == wanted, "all are listed")

    def test_an_unknown_service_is_not_found_and_watched_as_unknown(self):
        self.start()
        for service in ("other", "Readiness", "x" * 10_000):
            with self.assertRaises(grpc.RpcError) as caught:
                self.check(service)
            self.assertEqual(caught.exception.code(), grpc.StatusCode.NOT_FOUND)
            request = health_pb2.HealthCheckRequest(service=service)
            watched = self.stub().Watch(request, timeout=WITHIN)
            self.assertEqual(next(watched).status, Status.SERVICE_UNKNOWN)
            watched.cancel()

    def test_a_drain_says_so_first_and_serves_on(self):
        sluice = self.start('[drain]\ngrace = "20s"\ndeadline = "40s"\n')
        watched = {service: self.serving(service) for service in SERVICES}
        held, _ = sluice.exchange()
        sluice.signal(15)
        for service, call in watched.items():
            if service != "liveness":
                self.assertEqual(next(call).status, Status.NOT_SERVING, service)
                self.assertEqual(self.check(service), Status.NOT_SERVING, service)
        self.assertEqual(self.check("liveness"), Status.SERVING)
        stream, _ = sluice.exchange()
        stream.finish()  # during the grace nobody is turned away
        held.finish()
        sluice.signal(15)
        sluice.expect_end(harness.EXIT_OK)
        self.sluice = None

    def test_watchers_that_leave_leave_nothing_behind(self):
        sluice = self.start()
        before = sluice.rss()
        for _ in range(10):
            calls = [self.serving(service) for service in SERVICES * 20]
            for call in calls:
                call.cancel()
        self.assertLess(sluice.rss() - before, 16 << 20)

    def test_before_it_is_ready_only_liveness_is_serving(self):
        sluice = self.start(wait=False)
        harness.wait_until(self.answers, "the port is open")
        ready = sluice.ready()
        status = self.check("readiness")
        self.assertIn(status, (Status.SERVING, Status.NOT_SERVING))
        if not ready:
            self.assertEqual(self.check("liveness"), Status.SERVING)
        self.sluice = None

    def answers(self):
        try:
            return self.check("liveness") == Status.SERVING
        except grpc.RpcError:
            return False


if __name__ == "__main__":
    harness.main()

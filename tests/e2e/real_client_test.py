"""An unmodified OpenAI client, the `openai` package, in front of Sluice."""

import asyncio
import os
import pathlib
import sys

PYTHON = pathlib.Path(os.environ.get("SLUICE_E2E_VENV", ""), "bin/python")

if __name__ == "__main__" and pathlib.Path(sys.prefix) != PYTHON.parent.parent:
    if not PYTHON.exists():
        print("skipped: the openai package is not installed; the test e2e/venv says why")
        sys.exit(1 if os.environ.get("CI") else 77)
    os.execv(PYTHON, [str(PYTHON), *sys.argv])

import openai  # pylint: disable=wrong-import-position

import harness  # pylint: disable=wrong-import-position
from upstream import Upstream  # pylint: disable=wrong-import-position

HELLO = [{"role": "user", "content": "hello"}]


class RealClient(harness.E2eTest):
    def client(self, sluice, kind=openai.OpenAI):
        client = kind(
            base_url=f"http://127.0.0.1:{sluice.port}/v1", api_key="none", max_retries=0, timeout=20
        )
        if kind is openai.OpenAI:
            self.addCleanup(client.close)
        return client

    def start(self, *, models=("m",), **options):
        self.server = harness.SimServer(self, models, **options)
        self.sluice = harness.Sluice(self, [self.server])
        return self.client(self.sluice)

    def start_full(self, text=""):
        """A host whose only server has one slot, and one request in it."""
        self.upstream = Upstream(self)
        self.sluice = harness.Sluice(self, [self.upstream], text, capacity="max_in_flight = 1")
        first = self.sluice.chat()
        held = self.upstream.next()
        return first, held

    def test_a_chat_completion_comes_whole_with_the_usage_of_the_server(self):
        client = self.start()
        answer = client.chat.completions.create(model="m", messages=HELLO, max_tokens=5)
        self.assertEqual(answer.model, "m")
        self.assertEqual(len(answer.choices[0].message.content.split()), 5)
        self.assertEqual(answer.usage.completion_tokens, 5)
        self.sluice.check_nothing_lost()

    def test_a_stream_comes_token_by_token_before_it_is_complete(self):
        client = self.start(inter_token_latency="50ms")
        stream = client.chat.completions.create(
            model="m", messages=HELLO, max_tokens=4, stream=True
        )
        chunks = iter(stream)
        first = next(chunks)
        self.assertTrue(first.choices[0].delta.content)
        self.assertEqual(self.sluice.ledger().in_flight, 1)  # the rest is still to come
        rest = list(chunks)
        self.assertEqual(
            len([c for c in [first, *rest] if c.choices and c.choices[0].delta.content]), 4
        )
        self.assertEqual(rest[-1].choices[0].finish_reason, "length")
        self.assertTrue(all(chunk.usage is None and chunk.choices for chunk in [first, *rest]))
        self.sluice.check_nothing_lost()

    def test_a_stream_ends_with_usage_if_the_client_asks_for_it(self):
        client = self.start()
        *_, last = client.chat.completions.create(
            model="m",
            messages=HELLO,
            max_tokens=3,
            stream=True,
            stream_options={"include_usage": True},
        )
        self.assertEqual((last.choices, last.usage.completion_tokens), ([], 3))

    def test_completions_and_responses_work_streamed_or_not(self):
        client = self.start()
        self.assertEqual(
            client.completions.create(model="m", prompt="hi", max_tokens=3).usage.completion_tokens,
            3,
        )
        pieces = list(client.completions.create(model="m", prompt="hi", max_tokens=3, stream=True))
        self.assertEqual(len(pieces), 3)
        answer = client.responses.create(model="m", input="hi", max_output_tokens=3)
        self.assertEqual((answer.status, answer.usage.output_tokens), ("completed", 3))
        kinds = [
            e.type
            for e in client.responses.create(
                model="m", input="hi", max_output_tokens=3, stream=True
            )
        ]
        self.assertEqual(kinds.count("response.output_text.delta"), 3)
        self.assertEqual(kinds[-1], "response.completed")
        self.sluice.wait_ledger(completed=4, in_flight=0)

    def test_embeddings_come_for_every_input(self):
        client = self.start()
        answer = client.embeddings.create(
            model="m", input=["one", "two", "three"], encoding_format="float"
        )
        self.assertEqual([item.index for item in answer.data], [0, 1, 2])
        self.assertTrue(answer.data[0].embedding)

    def test_the_list_of_models_is_what_the_servers_serve(self):
        client = self.start(models=("llama", "mistral"))
        self.assertEqual(sorted(model.id for model in client.models.list()), ["llama", "mistral"])

    def test_an_unknown_model_is_not_found(self):
        client = self.start()
        with self.assertRaises(openai.NotFoundError) as caught:
            client.chat.completions.create(model="never-heard-of", messages=HELLO)
        self.assertEqual(caught.exception.code, "model_not_found")
        self.assertEqual(caught.exception.response.headers["x-sluice-reason"], "unknown-model")
        self.sluice.check_nothing_lost()

    def test_a_full_queue_is_a_rate_limit_that_says_when_to_come_back(self):
        first, held = self.start_full('[[band]]\nname = "default"\nmax_requests = 1\n')
        second = self.sluice.chat()
        self.sluice.wait_ledger(parked=1, in_flight=1)
        with self.assertRaises(openai.RateLimitError) as caught:
            self.client(self.sluice).chat.completions.create(model="m", messages=HELLO)
        headers = caught.exception.response.headers
        self.assertTrue(1 <= int(headers["retry-after"]) <= 30, headers)
        self.assertEqual(headers["x-sluice-reason"], "queue-full")
        self.assertEqual(headers[harness.DROPPED], "rejected-saturated")
        self.assertEqual(caught.exception.type, "rate_limit_error")
        held.answer()
        self.upstream.next().answer()
        self.assertEqual((first.answer().status, second.answer().status), (200, 200))
        self.sluice.check_nothing_lost()

    def test_a_client_that_leaves_its_stream_frees_its_slot_at_once(self):
        client = self.start(inter_token_latency="20ms", max_num_seqs=1)
        stream = client.chat.completions.create(
            model="m", messages=HELLO, max_tokens=10000, stream=True
        )
        next(iter(stream))
        self.assertEqual(self.sluice.ledger().in_flight, 1)
        stream.close()
        self.sluice.wait_ledger(within=2, in_flight=0, client_gone=1)
        harness.wait_until(
            lambda: self.server.metric("num_requests_running") == 0, "the slot is free", within=2
        )
        again = client.chat.completions.create(model="m", messages=HELLO, max_tokens=2)
        self.assertEqual(again.usage.completion_tokens, 2)
        self.sluice.check_nothing_lost()

    def test_a_client_that_leaves_while_it_waits_is_taken_out_of_the_queue(self):
        first, held = self.start_full()

        async def leave():
            client = self.client(self.sluice, openai.AsyncOpenAI)
            waiting = asyncio.create_task(client.chat.completions.create(model="m", messages=HELLO))
            await asyncio.to_thread(self.sluice.wait_ledger, parked=1)
            waiting.cancel()
            await asyncio.to_thread(self.sluice.wait_ledger, within=2, parked=0, cancelled=1)
            await client.close()

        asyncio.run(leave())
        held.answer()
        self.assertEqual(first.answer().status, 200)
        self.assertEqual(self.upstream.count, 1)  # the one that left never reached the server
        self.sluice.check_nothing_lost()


if __name__ == "__main__":
    harness.main()

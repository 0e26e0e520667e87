"""Measures what docs/proof.md says, and writes it: `./dev proof`.

Every figure and picture of the page is of this run; page.md is its text with places for them. Simulations use both
cores; nothing runs beside the measurement on the live host.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import time

import experiments
import live
import made_up
import page
import saturation
from simulator import Failed, Simulator

ROOT = pathlib.Path(__file__).resolve().parents[2]
CONF = pathlib.Path(__file__).resolve().parent / "conf"
AZURE, MOONCAKE = "AzureLLMInferenceTrace_conv.csv", "mooncake_synthetic.jsonl"
NO_TRACES = f"""./dev proof: error: there are no traces{{where}}; name their directory with --traces DIR or
SLUICE_TRACES. It must hold two files:
  {AZURE}   Azure LLM inference trace 2023, conversations: data/ of the public
                                    repository Azure/AzurePublicDataset
  {MOONCAKE}          FAST25-release/traces/ of the public repository kvcache-ai/Mooncake"""

LOADS = (0.6, 0.7, 0.8, 0.85, 0.9, 0.925, 0.95, 0.975, 1.0, 1.05, 1.1, 1.2, 1.3)
FEWER_LOADS = (0.6, 0.8, 0.9, 0.925, 0.95, 0.975, 1.0, 1.1, 1.3)
PROMPT_SIZES = (1, 512, 1024, 2048, 4096, 8192, 0)


def settings(root):
    llama, opt = root / "conf/servers/a100-llama-3-8b.toml", root / "conf/servers/a100-opt-13b.toml"
    small = CONF / "servers-32.toml"
    own = experiments.files_of(CONF, "own-counts", "own-counts-prompts")
    plain = experiments.files_of(CONF, "auto", "fixed", "prompts", "one-prompt")
    make = saturation.Setting
    return {
        "32": make("32", small, plain, {"SLOTS": "32", "PROMPTS": "2048"}),
        "256": make("256", llama, plain, {"SLOTS": "256", "PROMPTS": "2048"}),
        "own-32": make("own-32", small, own, {"SLOTS": "32", "PROMPTS": "1"}),
        "own-256": make("own-256", llama, own, {"SLOTS": "256", "PROMPTS": "2048"}),
        "opt": make("opt", opt, plain, {"SLOTS": "94", "TOKENS": "66144", "PROMPTS": "2560"}),
    }


class Steps:
    """Does one step after the other and says how long each took."""

    def __init__(self):
        self.began = time.monotonic()

    def __call__(self, what, work, *arguments):
        print(f"{what} ... ", end="", flush=True)
        began = time.monotonic()
        result = work(*arguments)
        print(f"{time.monotonic() - began:.1f} s", flush=True)
        return result


def measure(simulator, build, azure, mooncake, quick):
    """All figures of the page."""
    step = Steps()
    loads, fewer, seeds = ((0.95, 1.1),) * 2 + ((1,),) if quick else (LOADS, FEWER_LOADS, (1, 2, 3))
    start, duration, measured = (0, 120, 60) if quick else (120, 1200, 1200)
    plan = saturation.Plan(azure, start, duration, loads, seeds, measured)
    plan_fewer = saturation.Plan(azure, start, duration, fewer, seeds, measured)
    of = settings(ROOT)
    figures = {"quick": quick, "saturation": {}, "start_s": start, "duration_s": duration, "seeds": len(seeds)}
    if not quick:
        bench = build / "bin/sluice-proxy-bench"
        figures["price"] = step("price of the queue on the live host", live.price, bench, 3, 6, 10000)
        figures["validation"] = step("the simulator against the live host", live.validation, ROOT, build, 120)
    figures["worlds"] = step("random worlds", live.worlds, build, 2000 if quick else 2000000)
    figures["token_rates"] = saturation.token_rates(azure)
    for name, setting in list(of.items())[:1] if quick else of.items():
        of_plan = plan_fewer if name.startswith("own") else plan
        figures["saturation"][name] = step(f"near saturation, {name}", saturation.measure, simulator, of_plan, setting)
    small = figures["saturation"]["32"]
    speeds = experiments.loads_of((0.8, 0.95, 1.1), small)
    figures["prompts"] = {name: step(f"prompt tokens at a time, {name}", experiments.prompts_at_a_time, simulator, plan,
                                     of[name], CONF, figures["saturation"][name], PROMPT_SIZES)
                          for name in ("32", "256") if name in figures["saturation"]}
    figures["fairness"] = step("fairness", experiments.fairness, simulator, ROOT, 60 if quick else 600)
    sizes = (400,) if quick else (400, 800, 1600, 3200)
    figures["prefix"] = step("prefix caches", experiments.prefix, simulator, CONF, mooncake, sizes)
    figures["head_of_line"] = step("head-of-line blocking", experiments.head_of_line, simulator, CONF,
                                   100 if quick else 600)
    figures["contention"] = step("contention", experiments.contention, simulator, CONF, 100 if quick else 600)
    over = experiments.loads_of((1.3,), small)[1.3]
    figures["back_pressure"] = step("back pressure", experiments.back_pressure, simulator, plan, of["32"], CONF, over)
    figures["wait_for_better"] = step("wait_for_better", experiments.wait_for_better, simulator, plan, of["32"], CONF,
                                      speeds)
    figures["worse"] = step("a change that is worse", experiments.worse, simulator, plan, of["32"], CONF, speeds[0.95])
    figures["speed"] = step("speed of the simulator", experiments.speed, simulator, plan, of["32"], CONF, speeds[0.8],
                            2 if quick else 20)
    figures["took_s"] = time.monotonic() - step.began
    return json.loads(json.dumps(figures), parse_float=lambda text: float(f"{float(text):.5g}"))


def arguments():
    parser = argparse.ArgumentParser(prog="./dev proof", description=__doc__.splitlines()[0])
    parser.add_argument("--traces", type=pathlib.Path, default=os.environ.get("SLUICE_TRACES"), metavar="DIR",
                        help="where the traces are (SLUICE_TRACES)")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release", metavar="DIR",
                        help="the build that is measured (build/release)")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "docs", metavar="DIR",
                        help="where proof.md and proof/ go (docs)")
    parser.add_argument("--workers", type=int, default=2, help="simulations at a time (2)")
    parser.add_argument("--quick", action="store_true",
                        help="a few seconds on traces that are made up, to see that all of it works")
    parser.add_argument("--again", action="store_true",
                        help="measure nothing: write the page from OUT/proof/figures.json")
    given = parser.parse_args()
    if given.quick and given.out == ROOT / "docs":
        parser.error("--quick needs --out: what it makes up does not belong into docs/")
    return given


def traces(given, made):
    """(Azure's, Mooncake's), or None after a word about what is missing."""
    if given.quick:
        return made_up.azure(made / "azure.csv"), made_up.mooncake(made / "mooncake.jsonl")
    found = [pathlib.Path(given.traces or "", name) for name in (AZURE, MOONCAKE)]
    if given.traces and all(path.is_file() for path in found):
        return found
    print(NO_TRACES.format(where=f" in {given.traces}" if given.traces else ""), file=sys.stderr)
    return None


def main():
    given = arguments()
    figures_path = given.out / "proof/figures.json"
    try:
        if given.again:
            page.write(given.out, json.loads(figures_path.read_text(encoding="utf-8")))
            return 0
        with tempfile.TemporaryDirectory() as made:
            paths = traces(given, pathlib.Path(made))
            if not paths:
                return 2
            simulator = Simulator(given.build / "bin/sluice", given.workers)
            figures = measure(simulator, given.build, *paths, given.quick)
        figures_path.parent.mkdir(parents=True, exist_ok=True)
        figures_path.write_text(json.dumps(figures, indent=None, separators=(",", ":")) + "\n", encoding="utf-8")
        page.write(given.out, figures)
    except (Failed, OSError) as failure:
        print(f"\n./dev proof: error: {failure}", file=sys.stderr)
        return 1
    print(f"{given.out / 'proof.md'} is written; all of it took {figures['took_s']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())

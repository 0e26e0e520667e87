#!/usr/bin/env python3
"""The same worlds decide the same whatever compiled them.

same_hash.py SOURCE OUT BUILT PLUGINS: compiles the core, the worlds and the plugins of the tree SOURCE into OUT by each
of the compilers below, runs sim_hash of each and of the build itself (the program BUILT with its PLUGINS), and compares.
Without clang the rest is compared and that is said; where CI is set that is a failure.
"""
import concurrent.futures
import os
import pathlib
import shutil
import subprocess
import sys

VARIANTS = {
    "g++ -O0": ["g++", "-O0"],
    "clang++ -O2": ["clang++-16", "-O2"],
}
FLAGS = ["-std=c++20", "-fPIC", "-ffp-contract=off", "-w", "-fvisibility=hidden"]
SEEDS, STEPS = "250", "600"


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def build(source, out, compiler, jobs):
    """The program and its plugins, compiled by COMPILER into OUT; both as a promise each."""
    out.mkdir(parents=True, exist_ok=True)
    (out / "plugins").mkdir(exist_ok=True)
    ccache = [shutil.which("ccache")] if shutil.which("ccache") else []
    flags = FLAGS + ["-I" + str(source), "-I" + str(source / "plugin-api/include")]
    worlds = [file for file in sorted((source / "tests/sim").glob("*.cc"))
              if file.name != "volume.cc" and not file.name.endswith("_test.cc")]

    def compile_one(file, to):
        run(*ccache, *compiler, *flags, "-c", file, "-o", to)
        return to

    def compile_plugin(file):
        compiled = compile_one(file, out / (file.stem + ".plugin.o"))
        run(*compiler, "-shared", "-o", out / "plugins" / (file.stem + ".so"), compiled)

    objects = [jobs.submit(compile_one, file, out / (file.stem + ".o"))
               for file in sorted((source / "core").glob("*.cc")) + worlds]
    plugins = [jobs.submit(compile_plugin, file) for file in sorted((source / "plugins").glob("*.cc"))]
    return objects, plugins


def main():
    source, out, built, plugins = map(pathlib.Path, sys.argv[1:])
    answers = {}
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as jobs:
        started = {}
        for name, compiler in VARIANTS.items():
            if shutil.which(compiler[0]) is None:
                print(f"{name}: left out, there is no {compiler[0]}; install clang-16")
                if os.environ.get("CI"):
                    sys.exit("error: where CI is set nothing is left out")
                continue
            started[name] = build(source, out / name.replace(" ", ""), compiler, jobs)
        for name, (objects, made) in started.items():
            here = out / name.replace(" ", "")
            files = [job.result() for job in objects]
            for job in made:
                job.result()
            run(*VARIANTS[name], "-rdynamic", "-o", here / "sim_hash", *files, "-ldl")
            answers[name] = jobs.submit(run, here / "sim_hash", here / "plugins", SEEDS, STEPS)
        answers["this build"] = jobs.submit(run, built, plugins, SEEDS, STEPS)
    lines = {name: job.result().splitlines() for name, job in answers.items()}
    expected = lines["this build"]
    for name, got in lines.items():
        print(f"{name}: {got[-1]}")
        for mine, theirs in zip(got, expected):
            if mine != theirs:
                sys.exit(f"error: {name} decides differently: {mine}, this build {theirs}")


main()

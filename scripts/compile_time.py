#!/usr/bin/env python3
"""Says where the time of compiling models goes, as tables for docs/compile-time.md.

    scripts/compile_time.py [--runs N] [--least PERCENT] MODEL.onnx ...

Each model is compiled N times (5) without the kernel cache, and of each number the smallest is taken: what other
programs on the machine take can only make it larger. Phases are measured in CPU seconds of
the whole process, user and system; passes by `--mlir-timing`, which knows the clock alone."""
import argparse
import datetime
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
TENON = pathlib.Path(os.environ.get("TENON_BUILD", ROOT / "build/release")) / "bin/tenon"
# User time, its share, wall time, its share, and the name, indented by its place.
ROW = re.compile(r"^ +[\d.]+ \( *[\d.]+%\) +([\d.]+) \( *[\d.]+%\)( +)(.*)$")


def compile_once(model, folder):
    """The report, and (place, name) -> wall seconds of each row of the timing."""
    report = folder / "report.json"
    done = subprocess.run([TENON, "compile", model, "-o", folder / "model.so", "--quiet", "--mlir-timing",
                           "--kernel-cache=", "--report", report], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    rows, path, seen = {}, [], {}
    for line in (done.stdout + done.stderr).splitlines():
        found = ROW.match(line)
        if not found:
            continue
        depth = (len(found[2]) - 2) // 2
        name = found[3].replace("{anonymous}::", "")
        path[depth:] = [name]
        key = tuple(path[:depth + 1])
        seen[key] = seen.get(key, 0) + 1  # a pass may run several times in a phase
        rows[key, seen[key]] = float(found[1])
    return json.loads(report.read_text()), rows


def smallest(samples):
    return {key: min(sample[key] for sample in samples) for key in samples[0] if all(key in s for s in samples)}


def measure(model, runs, least):
    with tempfile.TemporaryDirectory() as folder:
        samples = [compile_once(model, pathlib.Path(folder)) for _ in range(runs)]
    report = samples[0][0]
    phases = [phase["phase"] for phase in report["phases"]]
    cpu = smallest([{phase["phase"]: phase["cpu_seconds"] for phase in sample["phases"]} for sample, _ in samples])
    peak = smallest([{phase["phase"]: phase["peak_bytes"] for phase in sample["phases"]} for sample, _ in samples])
    total = sum(cpu.values())
    print(f"## {pathlib.Path(model).resolve().parent.name}\n\n{report['launches']} launches of {report['kernels']} kernels, "
          f"{report['weight_bytes'] / 1e6:.0f} MB of weights, {total:.2f} CPU seconds, at most {max(peak.values()) >> 20} "
          "MB of memory (VmHWM).\n")
    print("| phase | CPU seconds | share | peak so far, MB |\n| --- | ---: | ---: | ---: |")
    for phase in phases:
        print(f"| {phase} | {cpu[phase]:.3f} | {100 * cpu[phase] / total:.0f} % | {peak[phase] >> 20} |")
    # The same pass in one phase is one row, and a pipeline is what it holds.
    passes = {}
    for (path, _), seconds in smallest([rows for _, rows in samples]).items():
        if path[0] in phases and len(path) > 1 and "Pipeline" not in path[-1] and not path[-1].startswith("(A)"):
            key = (path[0], *[name for name in path[1:] if "Pipeline" not in name])
            passes[key] = passes.get(key, 0) + seconds
    leaves = {key: seconds for key, seconds in passes.items()
              if not any(other[:len(key)] == key and other != key for other in passes)}
    whole = sum(leaves.values())
    print(f"\nPasses and steps with at least {least:g} % of all that `--mlir-timing` measured:\n")
    print("| phase | pass or step | share |\n| --- | --- | ---: |")
    for key, seconds in sorted(leaves.items(), key=lambda item: -item[1]):
        if 100 * seconds / whole >= least:
            print(f"| {key[0]} | {', '.join(key[1:])} | {100 * seconds / whole:.1f} % |")
    print()


def processor():
    found = re.search(r"^model name\s*: (.*)$", pathlib.Path("/proc/cpuinfo").read_text(), re.M)
    return found[1] if found else "an unknown processor"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--least", type=float, default=2)
    parser.add_argument("models", nargs="+")
    arguments = parser.parse_args()
    print(f"{datetime.date.today()}, {processor()}, {os.cpu_count()} cores, {arguments.runs} runs of each model.\n")
    for model in arguments.models:
        measure(model, arguments.runs, arguments.least)

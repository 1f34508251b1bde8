#!/usr/bin/env python3
"""Compares Tenon with ONNX's reference evaluator on random small graphs.

    fuzz_graphs.py [--first SEED] [--count N] [--jobs N] [--keep DIR] [--counts FILE.json]
    fuzz_graphs.py --save SEED FILE.onnx
    fuzz_graphs.py --shrink SEED FILE.onnx

Each seed makes one graph of up to a dozen nodes or so over the operators in graphs/,
at an opset from 13 up, with symbols for some of its sizes, and inputs for three runs
that differ in these. It is compiled by the tool and run in a process of its own.
Results must be equal, floats within what errors.py says that rounding may do.

Prints one line for each seed that differs, is refused, crashes or hangs, and a
summary; with --keep the models and their data lie in DIR/SEED. --save writes the graph
of a seed, whatever its verdict, and its data beside it; --shrink the smallest part of
it found that ends the same way. --counts writes how often each operator ran. Exits with
1 if anything differs, crashes or hangs.
"""
import argparse
import collections
import concurrent.futures
import json
import multiprocessing
import os
import pathlib
import pickle
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import onnx

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path += [str(ROOT / "test/fuzz"), str(ROOT / "python")]

import graphs.errors as errors  # noqa: E402
from graphs.growing import make_model, to_tensor  # noqa: E402
from graphs.making import make_graph  # noqa: E402
from graphs.nodes import F64, is_float  # noqa: E402

COMPILE_SECONDS, RUN_SECONDS = 60, 30
# What differs between two refusals for the same reason.
DETAILS = re.compile(r"node '[^']*' |'?tensor<[^>]*>'?| by itself.*")
FAILS = {"differs", "crash", "hang", "error", "run error"}


class Case:
    """What is compiled and run: a graph, or a part of one."""

    def __init__(self, seed, nodes, inputs, outputs, types, initializers, runs, opsets):
        self.seed, self.nodes, self.inputs, self.outputs = seed, nodes, inputs, outputs
        self.types, self.initializers, self.runs, self.opsets = types, initializers, runs, opsets
        ranks = {name: runs[0][name].ndim for name in outputs}
        self.model = make_model(nodes, inputs, types, initializers, outputs, ranks, opsets)

    def save(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        onnx.save(self.model, path)
        for i, run in enumerate(self.runs):
            folder = path.parent / f"test_data_set_{i}"
            folder.mkdir(exist_ok=True)
            for kind, names in (("input", self.inputs), ("output", self.outputs)):
                for position, name in enumerate(names):
                    (folder / f"{kind}_{position}.pb").write_bytes(to_tensor(run[name], name).SerializeToString())


def case_of(seed):
    g = make_graph(seed)
    return Case(seed, g.nodes, g.inputs, g.outputs(), g.types, g.initializers, g.runs, g.opsets())


def compile_case(case, folder, tool):
    """None, or the verdict of a compilation that gave no artifact."""
    onnx.save(case.model, folder / "model.onnx")
    try:
        done = subprocess.run([tool, "compile", folder / "model.onnx", "-o", folder / "model.so", "--quiet"],
                              capture_output=True, text=True, timeout=COMPILE_SECONDS)
    except subprocess.TimeoutExpired:
        return "hang", f"compiling took more than {COMPILE_SECONDS} seconds"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines() or ["no message"]
    told = next((line for line in lines if "error" in line), lines[-1])
    return {3: "refused", 1: "error"}.get(done.returncode, "crash"), f"exit {done.returncode}: {told}"


def run_artifact(case, folder):
    """The results of each run, or the message of what failed; in this process."""
    import tenon
    # Threads and poisoned memory must not change results.
    session = tenon.Session(folder / "model.so", threads=1 + case.seed % 2, check_memory=case.seed % 3 == 0)
    found = []
    for run in case.runs:
        try:
            found.append([value.copy() for value in session.run({name: run[name] for name in case.inputs})])
        except tenon.Error as error:
            found.append(str(error))
    return found


def in_own_process(function, *arguments):
    """What the function returns; or a verdict where its process crashes or hangs."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reading)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with os.fdopen(writing, "wb") as stream:
                pickle.dump(function(*arguments), stream)
            os._exit(0)
        except BaseException as error:  # the parent must see it, whatever it is
            os.write(1, f"{type(error).__name__}: {error}\n".encode())
            os._exit(99)
    os.close(writing)
    data, end = b"", time.monotonic() + RUN_SECONDS
    with os.fdopen(reading, "rb", buffering=0) as stream:
        while True:
            ready, _, _ = select.select([stream], [], [], max(0, end - time.monotonic()))
            if not ready:
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return ("hang", f"running took more than {RUN_SECONDS} seconds"), None
            piece = stream.read(1 << 20)
            if not piece:
                break
            data += piece
    _, status = os.waitpid(child, 0)
    if status:
        how = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"
        return ("crash", f"running ended with {how}"), None
    return None, pickle.loads(data)


def is_broadcast_refused(case, run, message):
    """Whether a node was told not to broadcast sizes that no other run had to (docs/decisions/0008), and would have."""
    named = re.search(r"the model assumes .* \(node '(.*?)'\)", message)
    nodes = [node for node in case.nodes if named and node.proto.name == named[1]]
    return any(size == 1 != wanted
               for node in nodes for name in node.reads
               for size, wanted in zip(run[name].shape[::-1], run[node.proto.output[0]].shape[::-1]))


def compare(case, number, found):
    """(verdict, text) of one run; "explained" where rounding decided about an element."""
    run = case.runs[number]
    if isinstance(found, str):
        return "refused" if is_broadcast_refused(case, run, found) else "run error", f"run {number}: {found}"
    wanted = [run[name] for name in case.outputs]
    # Nothing to explain where nothing differs by more than the rounding of results.
    still = [errors.beyond(f, w, 0.0).any() if f.shape == w.shape else True for f, w in zip(found, wanted)]
    if not any(still) and all(f.dtype == w.dtype for f, w in zip(found, wanted)):
        return "same", ""
    spread = errors.Spread(case.nodes, run, case.outputs, wanted, case.seed)
    spread.sample(errors.SAMPLES)
    text = difference(case, number, found, wanted, spread)
    if text:
        spread.sample(errors.MORE_SAMPLES)
        text = difference(case, number, found, wanted, spread)
    if text:
        return "differs", text
    decided = any(f.shape != w.shape or not is_float(w.dtype) and (f != w).any() for f, w in zip(found, wanted))
    return ("explained" if decided or spread.failed else "same"), ""


def difference(case, number, found, wanted, spread):
    for i, (f, w, moved) in enumerate(zip(found, wanted, spread.moved)):
        name = f"run {number}, output {case.outputs[i]}"
        if f.dtype != w.dtype:
            return f"{name}: {f.dtype} instead of {w.dtype}"
        if f.shape != w.shape:
            if spread.failed and f.ndim == w.ndim:
                continue
            return f"{name}: {f.shape} instead of {w.shape}"
        bad = errors.beyond(f, w, moved)
        if bad.any():
            at = tuple(int(j[0]) for j in bad.nonzero()) if bad.ndim else ()
            allowed = f", may differ by {errors.SAFETY * moved[at]:.3g}" if is_float(w.dtype) else ""
            return f"{name} at {list(at)}: {f[at]} instead of {w[at]}{allowed} ({int(bad.sum())} of {bad.size})"
    return None


def run_case(case, tool):
    """(verdict, text)"""
    if not case.nodes:
        return "empty", ""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="tenon-fuzz"))
    try:
        failed = compile_case(case, folder, tool)
        if failed:
            return failed
        failed, found = in_own_process(run_artifact, case, folder)
        if failed:
            return failed
        verdicts = [compare(case, number, results) for number, results in enumerate(found)]
        failed = [v for v in verdicts if v[0] not in ("same", "explained")]
        return failed[0] if failed else ("explained" if any(v == "explained" for v, _ in verdicts) else "same", "")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_seed(seed, tool, keep=None):
    """(verdict, text, operators)"""
    case = case_of(seed)
    verdict, text = run_case(case, tool)
    if keep and verdict not in ("same", "explained", "empty"):
        case.save(pathlib.Path(keep) / str(seed) / "model.onnx")
    return verdict, text, [node.proto.op_type for node in case.nodes]


def kind_of(verdict, text):
    """What must stay when a case is made smaller."""
    return verdict, re.sub(r"[\d\[\]()]+", "", text.split(":")[-1])[:30] if verdict != "differs" else ""


def part(case, nodes, outputs):
    """The case with these nodes only, what the others gave as inputs; None if no output is left."""
    made = {name for node in nodes for name in node.proto.output}
    outputs = [name for name in outputs if name in made]
    inputs = {}
    for node in nodes:
        for name in node.reads:
            if name not in made and name not in case.initializers and name not in inputs:
                sizes = list(zip(*(run[name].shape for run in case.runs)))
                inputs[name] = case.inputs.get(name) or [
                    s[0] if len(set(s)) == 1 else f"{name}_{i}" for i, s in enumerate(sizes)]
    if not outputs:
        return None
    return Case(case.seed, nodes, inputs, outputs, case.types, case.initializers, case.runs, case.opsets)


def shrink(case, tool):
    verdict = kind_of(*run_case(case, tool))
    changed = True
    while changed:
        changed = False
        tries = [(case.nodes, [name]) for name in case.outputs if len(case.outputs) > 1]
        tries += [([n for n in case.nodes if n is not node], case.outputs) for node in case.nodes]
        for nodes, outputs in tries:
            needed, kept = set(outputs), []
            for node in reversed(nodes):
                if needed & set(node.proto.output):
                    kept.insert(0, node)
                    needed.update(node.reads)
            smaller = part(case, kept, outputs)
            if smaller and kind_of(*run_case(smaller, tool)) == verdict:
                case, changed = smaller, True
                break
    return case


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    parser.add_argument("--count", type=int, default=100, help="how many seeds")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how many at a time")
    parser.add_argument("--keep", help="folder for the models that differ")
    parser.add_argument("--counts", help="file for the number of nodes of each operator")
    parser.add_argument("--save", nargs=2, metavar=("SEED", "FILE"), help="write the graph of a seed and its data")
    parser.add_argument("--shrink", nargs=2, metavar=("SEED", "FILE"), help="write the part of a graph that fails")
    parser.add_argument("--tenon", default=str(ROOT / "build/release/bin/tenon"))
    arguments = parser.parse_args()
    os.environ.setdefault("TENON_RUNTIME", str(pathlib.Path(arguments.tenon).parents[1] / "lib"))
    if arguments.save or arguments.shrink:
        seed, path = arguments.save or arguments.shrink
        case = case_of(int(seed))
        if arguments.shrink:
            case = shrink(case, arguments.tenon)
            print(*run_case(case, arguments.tenon), sep=": ")
        case.save(pathlib.Path(path))
        print(onnx.printer.to_text(case.model))
        return 0
    verdicts, operators, refusals = collections.Counter(), collections.Counter(), collections.Counter()
    seeds = range(arguments.first, arguments.first + arguments.count)
    with concurrent.futures.ProcessPoolExecutor(arguments.jobs, multiprocessing.get_context("fork")) as pool:
        results = pool.map(run_seed, seeds, [arguments.tenon] * len(seeds), [arguments.keep] * len(seeds), chunksize=4)
        for number, (seed, (verdict, text, ran)) in enumerate(zip(seeds, results), 1):
            verdicts[verdict] += 1
            if verdict in ("same", "explained"):
                operators.update(ran)
            if verdict == "refused":
                refusals[DETAILS.sub("", text)] += 1
            elif verdict in FAILS:
                print(f"seed {seed}: {verdict}: {text}", flush=True)
            if number % 100 == 0:
                print(f"{number} of {len(seeds)}", file=sys.stderr)
    for text, count in refusals.most_common():
        print(f"refused {count} times: {text}")
    print(", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items())))
    if arguments.counts:
        pathlib.Path(arguments.counts).write_text(json.dumps(dict(operators.most_common()), indent=1) + "\n")
    return 1 if FAILS & set(verdicts) else 0


if __name__ == "__main__":
    sys.exit(main())

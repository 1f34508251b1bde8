#!/usr/bin/env python3
"""Tokens per second of a decoder for several sequences at once, and with drafts.

    scripts/decode_throughput.py DECODER.so IDS.npy [--threads 2] [--tokens 128] [--sequences 1,2,4,8] [--drafts 4,8]

IDS.npy holds the ids of a text; prompts are cut out of it. The first table is about sequences whose prompts have
different lengths and which decode in one batch: tokens of all in a second, of each, and how many sequences got the tokens
that they get alone. The second is about prompt look-up: a text that is drawn at random (temperature 1), which hardly
repeats, a greedy one, and one whose prompt says the same several times; the speed-up is over no drafts. Each time is the
least of three runs of the decoding alone; run nothing else meanwhile."""
import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tenon

PROMPT = 48
REPEATS = 3


def decode(artifact, prompts, threads, tokens, **options):
    """The tokens of each prompt, and the counts of the quickest of some runs."""
    capacity = max(map(len, prompts)) + tokens + 1
    generator = tenon.Generator(artifact, capacity, len(prompts), threads)
    best = None
    for _ in range(REPEATS):
        generator.reset_statistics()
        for number, prompt in enumerate(prompts):
            generator.rewind(0, number)
            generator.set_options(number, max_tokens=tokens, seed=number, **options)
            generator.set_prompt(prompt, number)
        generator.run()
        counts = generator.statistics
        if best is None or counts.decode_nanoseconds < best.decode_nanoseconds:
            best = counts
    texts = [generator.tokens(number)[len(prompt):] for number, prompt in enumerate(prompts)]
    return texts, best


def rate(counts):
    """Tokens that steps of decoding gave, in a second."""
    return counts.decoded_tokens / counts.decode_nanoseconds * 1e9


def show_batches(arguments, prompts):
    alone = [decode(arguments.artifact, [prompt], arguments.threads, arguments.tokens)[0][0] for prompt in prompts]
    print(f"{'sequences':>9} {'tokens/s':>9} {'each':>6}  as alone")
    for count in arguments.sequences:
        texts, counts = decode(arguments.artifact, prompts[:count], arguments.threads, arguments.tokens)
        same = sum(a == b for a, b in zip(texts, alone))
        print(f"{count:9} {rate(counts):9.1f} {rate(counts) / count:6.1f}  {same} of {count}", flush=True)


def show_drafts(arguments, ids):
    text = ids[:PROMPT]
    kinds = {"drawn": (text, 1.0), "greedy": (text, 0.0), "repeated": (np.tile(text[:16], 4), 0.0)}
    print(f"\n{'text':<9} {'drafts up to':>12} {'tokens/s':>9} {'speed-up':>9} {'tokens a step':>14}  the same tokens")
    for name, (prompt, temperature) in kinds.items():
        run = lambda drafts: decode(arguments.artifact, [prompt], arguments.threads, arguments.tokens,
                                    temperature=temperature, speculate=drafts)
        plain, without = run(0)
        for drafts in arguments.drafts:
            texts, counts = run(drafts)
            print(f"{name:<9} {drafts:12} {rate(counts):9.1f} {rate(counts) / rate(without):9.2f} "
                  f"{counts.decoded_tokens / counts.decode_steps:14.2f}  {texts == plain}", flush=True)


def numbers(text):
    return [int(part) for part in text.split(",")]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact")
    parser.add_argument("ids")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--sequences", type=numbers, default=[1, 2, 4, 8])
    parser.add_argument("--drafts", type=numbers, default=[4, 8])
    arguments = parser.parse_args()
    ids = np.load(arguments.ids).ravel().astype(np.int64)
    lengths = [PROMPT + 5 * number for number in range(max(arguments.sequences))]
    starts = np.cumsum([0, *lengths])
    if starts[-1] > len(ids):
        parser.error(f"'{arguments.ids}' has {len(ids)} ids, the prompts take {starts[-1]}")
    show_batches(arguments, [ids[start:start + length] for start, length in zip(starts, lengths)])
    show_drafts(arguments, ids)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""How much the similarities of sentences change with the format that an encoder computes in.

    scripts/sentence_similarity.py IDS.npy REFERENCE.so OTHER.so ...

IDS.npy holds rows of token ids without padding, one for each text. A text is the mean over its tokens of
last_hidden_state, as all-MiniLM-L6-v2 is used, and the similarity of two the cosine of the angle between them. Printed
are, over all pairs of different texts, the largest and the mean change against REFERENCE, and the rank correlation."""
import argparse
import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "python"))
import tenon


def similarities(artifact, ids):
    """The cosine of each pair of different rows, in the order of np.triu_indices."""
    session = tenon.Session(artifact)
    feed = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    means = session.run(feed)[0].astype(np.float64).mean(1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    return (means @ means.T)[np.triu_indices(len(ids), 1)]


def ranks(values):
    return np.argsort(np.argsort(values))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ids")
    parser.add_argument("reference")
    parser.add_argument("others", nargs="+")
    arguments = parser.parse_args()
    ids = np.load(arguments.ids).astype(np.int64)
    wanted = similarities(arguments.reference, ids)
    print(f"{len(ids)} texts of {ids.shape[1]} tokens, similarities from {wanted.min():.3f} to {wanted.max():.3f}")
    for path in arguments.others:
        found = similarities(path, ids)
        change = np.abs(found - wanted)
        rank = np.corrcoef(ranks(wanted), ranks(found))[0, 1]
        print(f"{path}: largest change {change.max():.4f}, mean {change.mean():.4f}, rank correlation {rank:.4f}")


if __name__ == "__main__":
    main()

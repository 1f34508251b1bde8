"""Generating, from Python and from the command line, over a decoder whose logits depend on the last token."""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "python"))
import tenon
from tenon import _library

ARTIFACTS = pathlib.Path(os.environ["TENON_TEST_ARTIFACTS"])
FAKE = ARTIFACTS / "fake.so"
VOCABULARY = 266


@pytest.fixture(autouse=True)
def fake_runtime(monkeypatch):
    monkeypatch.setenv("TENON_RUNTIME", str(ARTIFACTS / "libfake-runtime.so"))
    _library.load.cache_clear()
    yield
    _library.load.cache_clear()


def chain(first, count):
    """Greedy tokens behind one, by runs of a single token."""
    generator = tenon.Generator(FAKE, 2)
    result = [first]
    for _ in range(count):
        result += generator.generate(result[-1:], max_tokens=1)
    return result[1:]


def test_generates_and_keeps_the_text():
    generator = tenon.Generator(FAKE, capacity=64, sequences=2)
    assert (generator.vocabulary, generator.capacity, generator.sequences) == (VOCABULARY, 64, 2)
    wanted = chain(3, 10)
    tokens = generator.generate([1, 2, 3], max_tokens=6)
    assert list(tokens) == wanted[:6]
    assert generator.tokens() == [1, 2, 3, *wanted[:6]] and generator.end() == "limit"
    # It goes on; other kinds of ids are as good; other sequences know nothing of it.
    assert list(generator.generate(max_tokens=4)) == wanted[6:]
    assert generator.tokens(1) == [] and generator.end(1) is None
    assert list(generator.generate(np.array([7, 3], np.int32), sequence=1, max_tokens=2)) == wanted[:2]
    assert generator.tokens() == [1, 2, 3, *wanted]


def test_counts_and_feeds_only_what_is_new():
    generator = tenon.Generator(FAKE, 64)
    list(generator.generate([1, 2, 3], max_tokens=5))
    statistics = generator.statistics
    assert statistics.prompt_tokens == 3 and statistics.generated_tokens == 5
    assert statistics.decoded_tokens == statistics.decode_steps == 4 and statistics.decode_nanoseconds > 0
    generator.reset_statistics()
    list(generator.generate([*generator.tokens(), 9, 8], max_tokens=1))
    assert generator.statistics.prompt_tokens == 3  # with the last token, which was not fed


def test_ends_with_stop_tokens():
    wanted = chain(3, 10)
    generator = tenon.Generator(FAKE, 64)
    at = wanted.index(wanted[4])
    assert list(generator.generate([3], stop=[wanted[4]])) == wanted[:at + 1]
    assert generator.end() == "stop"


def test_drafts_and_seeds():
    texts = {}
    for speculate in (0, 8):
        for seed in (0, 1):
            generator = tenon.Generator(FAKE, 400)
            texts[speculate, seed] = list(generator.generate(
                [3], max_tokens=300, temperature=0.2, top_k=3, seed=seed, speculate=speculate))
            assert bool(generator.statistics.drafted) == bool(speculate)
    assert texts[0, 0] == texts[8, 0] and texts[0, 1] == texts[8, 1] and texts[0, 0] != texts[0, 1]


def test_leaving_a_loop_ends_the_text_with_what_was_seen():
    wanted = chain(3, 200)
    for speculate in (0, 8):
        generator = tenon.Generator(FAKE, 400)
        for count in (1, 150, 20):  # the second runs into a circle, where drafts are right
            seen = []
            for token in generator.generate([3], max_tokens=200, speculate=speculate):
                seen.append(token)
                if len(seen) == count:
                    break
            assert seen == wanted[:count] and generator.tokens() == [3, *seen]
        assert list(generator.generate(max_tokens=10)) == wanted[20:30]


def test_an_old_loop_says_that_it_is_over():
    generator = tenon.Generator(FAKE, 64)
    old = generator.generate([3], max_tokens=20)
    next(old)
    new = generator.generate([5], max_tokens=20)
    first = next(new)
    with pytest.raises(tenon.Error, match="another has begun"):
        next(old)
    del old
    assert [first, *new] == chain(5, 20)


def test_runs_all_sequences_at_once():
    generator = tenon.Generator(FAKE, 64, sequences=3)
    for sequence in range(3):
        generator.set_options(sequence, max_tokens=5)
        generator.set_prompt([sequence], sequence)
    told = [[], [], []]

    def keep(sequence, token):
        told[sequence].append(token)
        return sequence == 1 and len(told[1]) == 2

    generator.run(keep)
    assert told == [chain(0, 5), chain(1, 2), chain(2, 5)]
    assert generator.statistics.decode_steps == 5
    generator.run()
    assert generator.tokens(1) == [1, *chain(1, 7)]


def test_what_a_callback_raises_comes_out():
    generator = tenon.Generator(FAKE, 64)
    generator.set_prompt([3])

    def fail(sequence, token):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generator.run(fail)
    assert generator.tokens() == [3, *chain(3, 1)]


def test_rewinds():
    generator = tenon.Generator(FAKE, 64)
    list(generator.generate([1, 2, 3], max_tokens=6))
    generator.rewind(4)
    assert generator.tokens() == [1, 2, 3, *chain(3, 1)]
    assert list(generator.generate(max_tokens=2)) == chain(3, 3)[1:]


def test_a_full_context():
    generator = tenon.Generator(FAKE, 8)
    seen = []
    with pytest.raises(tenon.Error, match="the context of sequence 0 is full: it has 9 tokens, the capacity is 8"):
        for token in generator.generate([1, 2, 3]):
            seen.append(token)
    assert seen == chain(3, 6) and generator.end() == "full"
    assert list(generator.generate([1, 2, 3], max_tokens=30, sliding_window=True, kept_tokens=2)) == chain(3, 30)


@pytest.mark.parametrize("act, message", [
    (lambda g: g.set_prompt([]), "the prompt of sequence 0 has no token"),
    (lambda g: g.set_prompt([1, 300]), "token 1 of the prompt of sequence 0 is 300, the vocabulary has 266"),
    (lambda g: g.set_prompt([1.5]), "a prompt's ids must be integers, are float64"),
    (lambda g: g.set_prompt([[1]]), "a prompt's ids must have 1 dimension, have 2"),
    (lambda g: g.set_prompt(5), "a prompt's ids must be ids: "),
    (lambda g: g.set_prompt([1] * 9), "the prompt of sequence 0 has 9 tokens, the capacity is 8"),
    (lambda g: g.set_prompt([1], sequence=1), "there is no sequence 1: the decoder has 1"),
    (lambda g: g.set_prompt([1], sequence=2**32), "sequence must fit 32 bits, is 4294967296"),
    (lambda g: g.set_options(temperature=-1), "the temperature must be 0 or larger, is -1"),
    (lambda g: g.set_options(top_p=0), "top_p must be larger than 0, is 0"),
    (lambda g: g.set_options(top_k=1.5), "top_k must be an integer, is 1.5"),
    (lambda g: g.set_options(seed=-1), "seed must fit 64 bits, is -1"),
    (lambda g: g.set_options(stop=[266]), "a stop token must be from 0 to 265, is 266"),
    (lambda g: g.set_options(kept_tokens=0), "kept_tokens must be 1 or more, is 0"),
    (lambda g: g.generate(), "sequence 0 has no prompt"),
    (lambda g: g.rewind(1), "cannot rewind sequence 0 to token 1: it has 0"),
    (lambda g: tenon.Generator(FAKE, 0), "the capacity must be 1 or larger, is 0"),
    (lambda g: tenon.Generator(FAKE, 8, sequences=0), "sequences must be 1 or more, is 0"),
    (lambda g: tenon.Generator(FAKE, 8, threads=5000), "threads must be from 0 to 4096, is 5000"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_refusals(act, message):
    with pytest.raises(tenon.Error) as error:
        act(tenon.Generator(FAKE, 8))
    assert message in str(error.value)


def test_another_thread_is_refused_and_may_stop():
    generator = tenon.Generator(FAKE, 100000)  # slow
    generator.set_prompt([3])
    came = threading.Event()
    other = threading.Thread(target=generator.run, args=(lambda *_: came.set(),))
    other.start()
    came.wait()
    with pytest.raises(tenon.Error, match="the generator is in use by another call"):
        generator.tokens()
    generator.stop()
    other.join()
    assert generator.end() == "asked" and generator.tokens()[:2] == [3, *chain(3, 1)]


# --- the command line ---


def start(*arguments, **options):
    # A shell's background jobs, which tests may be, ignore Ctrl-C, and so would what they start.
    return subprocess.Popen([ARTIFACTS / "fake-tenon", *map(str, arguments)], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL), **options)


def command(*arguments):
    process = start(*arguments)
    out, err = process.communicate()
    return process.returncode, out, err


def test_command_prints_ids_and_rates(tmp_path):
    (tmp_path / "ids.txt").write_text("1 2\n3")
    np.save(tmp_path / "ids.npy", np.array([1, 2, 3], np.int32))
    for ids in ("1,2,3", tmp_path / "ids.txt", tmp_path / "ids.npy"):
        code, out, err = command("generate", FAKE, "--ids", ids, "--max-tokens", 5)
        tokens, rates = out.splitlines()
        assert code == 0 and not err and list(map(int, tokens.split())) == chain(3, 5)
        assert rates.startswith("prompt 3 tokens, ") and "; generated 5 tokens, " in rates and " MB" in rates
        assert "GB/s" not in rates


def test_command_takes_options_of_sampling():
    generator = tenon.Generator(FAKE, 64)
    wanted = list(generator.generate([3], max_tokens=30, temperature=0.9, top_k=50, top_p=0.9, repetition_penalty=1.1,
                                     seed=5, stop=[7, 8], speculate=4))
    code, out, _ = command("generate", FAKE, "--ids", 3, "--max-tokens", 30, "--temperature", 0.9, "--top-k", 50,
                           "--top-p", 0.9, "--repetition-penalty", 1.1, "--seed", 5, "--stop", "7,8", "--speculate", 4)
    assert code == 0 and list(map(int, out.splitlines()[0].split())) == wanted


def test_command_writes_json():
    code, out, _ = command("generate", FAKE, "--ids", "3", "--max-tokens", 200, "--speculate", 8, "--json", "--rates")
    said = json.loads(out)
    assert code == 0 and said["tokens"] == chain(3, 200) and said["end"] == "limit"
    assert said["prompt_tokens"] == 0  # a single token is fed by the first step of decoding
    assert said["generated_tokens"] == 200 and 0 < said["accepted"] <= said["drafted"]
    assert said["memory_bytes_per_second"] > 1e8 and said["peak_bytes"] > 1e6


def test_command_says_what_was_generated_before_the_context_was_full():
    code, out, err = command("generate", FAKE, "--ids", "1,2,3", "--max-tokens", 0, "--capacity", 8)
    tokens, rates = out.splitlines()
    assert code == 1 and list(map(int, tokens.split())) == chain(3, 6)
    assert err == "error: the context of sequence 0 is full: it has 9 tokens, the capacity is 8\n"
    code, out, err = command("generate", FAKE, "--ids", "1,2,3", "--max-tokens", 40, "--capacity", 8, "--slide")
    assert code == 0 and list(map(int, out.splitlines()[0].split())) == chain(3, 40)
    code, out, err = command("generate", FAKE, "--ids", "1,266", "--capacity", 8)
    assert code == 1 and err == "error: token 1 of the prompt of sequence 0 is 266, the vocabulary has 266\n"


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_command_ends_with_ctrl_c(json_option):
    process = start("generate", FAKE, "--ids", "3", "--max-tokens", 0, "--capacity", 100000, *json_option)
    if json_option:
        time.sleep(0.3)
    else:
        process.stdout.read(20)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 130 and not err
    if json_option:
        assert json.loads(out)["end"] == "interrupt" and json.loads(out)["tokens"]
    else:
        assert "; generated " in out.splitlines()[-1]


def test_worker_speaks_the_protocol(tmp_path):
    (tmp_path / "ids").write_text(" ".join(map(str, range(40))))
    process = start("generate", "--worker", FAKE, "--ids", tmp_path / "ids", stdin=subprocess.PIPE)

    def ask(line):
        process.stdin.write(line + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    said = {}
    while (line := process.stdout.readline().strip()) != "ready":
        word, key, value = line.split()
        assert word == "info"
        said[key] = value
    assert said.keys() == {"load_s", "version", "weight_bytes", "cache_bytes"} and float(said["load_s"]) >= 0
    for length in (10, 4, 10):
        assert int(ask(f"prefill {length}")) > 0
        assert list(map(int, ask("tokens").split())) == chain(length - 1, 1)
        assert int(ask("decode 5")) > 0
        assert list(map(int, ask("tokens").split())) == chain(length - 1, 6)
    process.stdin.write("quit\n")
    process.stdin.close()
    assert process.wait() == 0
    process = start("generate", "--worker", FAKE, "--ids", "1,2", stdin=subprocess.PIPE)
    assert process.communicate("prefill 3\n")[1] == "error: prefill of 3 tokens, the prompt has 2\n"
    process = start("generate", "--worker", FAKE, "--ids", "1,2", stdin=subprocess.PIPE)
    assert process.communicate("dance\n")[1] == "error: unknown request 'dance'\n"


def test_evaluate(tmp_path):
    ids = np.arange(400) * 7 % VOCABULARY
    np.save(tmp_path / "ids.npy", ids.astype(np.int32))
    arguments = ("evaluate", FAKE, "--perplexity", "--ids", tmp_path / "ids.npy", "--window", 50, "--windows", 6)
    code, out, err = command(*arguments)
    assert code == 0 and out.startswith("perplexity ") and out.endswith(" over 294 tokens in 6 windows of 50\n")
    assert err == "4 of 6 windows\n6 of 6 windows\n"
    code, out, err = command(*arguments, "--against", FAKE, "--json")
    said = json.loads(out)
    assert said["tokens"] == 294 and said["kl_divergence"] == 0 and said["top1_agreement"] == 1
    assert said["perplexity"] == said["against_perplexity"] and 10 < said["perplexity"] < 1000
    code, out, err = command(*arguments, "--against", FAKE)
    assert code == 0 and "mean KL divergence 0 nats, same most probable token 100.00 %" in out

"""How weights are mapped; two sessions of one module in two threads: shared weights, right results."""
import pathlib
import threading

import numpy as np
from conftest import compile_model, encoder_inputs, reference


def mappings(path):
    """(address range, offset, permissions) of every mapping of a file in this process."""
    lines = pathlib.Path("/proc/self/maps").read_text().splitlines()
    return [tuple(line.split()[:3]) for line in lines if line.endswith(str(path))]


def size_of(mapping):
    begin, end = (int(part, 16) for part in mapping[0].split("-"))
    return end - begin


def looked_up_bytes(path):
    """Bytes of a file's mappings of which this process wants no huge pages."""
    total, own = 0, False
    for line in pathlib.Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split()[0]:
            mapping, own = line.split(), line.endswith(str(path))
        elif own and line.startswith("VmFlags:") and "nh" in line.split():
            total += size_of(mapping)
    return total


def test_only_tables_that_rows_are_looked_up_in_are_kept_from_huge_pages(minilm, tmp_path):
    import tenon
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so")
    module = tenon.Module(artifact)
    # Words and positions, but for the parts of pages at their ends; types are two rows, which fill no page.
    table = (30522 + 512) * 384 * 4
    assert table - 4 * 4096 <= looked_up_bytes(artifact) <= table
    del module
    assert looked_up_bytes(artifact) == 0


def test_sessions_of_one_module_share_weights_and_are_right(minilm, tmp_path):
    import tenon
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so")
    shapes = [(1, 16), (3, 40), (2, 7), (1, 128)]
    inputs = [encoder_inputs(*shape, seed=i) for i, shape in enumerate(shapes)]
    wanted = [reference(minilm / "model.onnx", feed)[0] for feed in inputs]

    module = tenon.Module(artifact)
    before = mappings(artifact)
    assert sum(size_of(mapping) for mapping in before if mapping[1] == "r--p") > 90e6
    sessions = [tenon.Session(module, threads=threads) for threads in (1, 2)]
    # A session maps nothing more: all read the weights that the module mapped.
    assert mappings(artifact) == before

    worst = [0.0, 0.0]
    failures = []

    def work(number):
        try:
            for round in range(12):
                at = (round + number) % len(shapes)
                got, = sessions[number].run(inputs[at])
                worst[number] = max(worst[number], float(np.abs(got - wanted[at]).max()))
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert max(worst) <= 1e-4


def test_a_module_lives_as_long_as_its_sessions(minilm, tmp_path):
    import tenon
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so")
    module = tenon.Module(artifact)
    session = tenon.Session(module)
    del module
    inputs = encoder_inputs(1, 9)
    got, = session.run(inputs)
    np.testing.assert_allclose(got, reference(minilm / "model.onnx", inputs)[0], rtol=0, atol=1e-4)

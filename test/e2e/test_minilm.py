"""all-MiniLM-L6-v2 with its published weights: one artifact, every size."""
import subprocess

import numpy as np
import pytest

from conftest import BUILD, MODELS, ROOT, compile_model, encoder_inputs, reference

SIZES = [(1, 1), (1, 2), (1, 7), (1, 16), (1, 128), (1, 512), (2, 31), (3, 64), (4, 100), (7, 33), (8, 128), (16, 17),
         (32, 128)]


@pytest.fixture(scope="module")
def session(minilm, tmp_path_factory):
    import tenon
    artifact = compile_model(minilm / "model.onnx", tmp_path_factory.mktemp("minilm") / "minilm.so")
    return tenon.Session(artifact, threads=2)


@pytest.mark.parametrize("batch, sequence", SIZES)
def test_matches_onnxruntime(session, minilm, batch, sequence):
    inputs = encoder_inputs(batch, sequence)
    want, = reference(minilm / "model.onnx", inputs)
    got, = session.run(inputs)
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


C_PROGRAM = """
#include "minilm.h"
#include <stdio.h>
#include <stdlib.h>
/* caller MODEL.so BATCH SEQUENCE < ids, mask and segments > hidden states */
int main(int argc, char **argv) {
  int64_t batch = atoll(argv[argc - 2]), sequence = atoll(argv[argc - 1]), count = batch * sequence, dims[3];
  int64_t *in = malloc(3 * count * sizeof(int64_t));
  tn_session_options options = {0};
  tn_module *module;
  tn_session *session;
  const float *hidden;
  options.threads = 2;
  if (fread(in, sizeof(int64_t), 3 * count, stdin) != (size_t)(3 * count)) return 2;
  if (tn_module_load(argv[1], &module) || tn_session_create(module, &options, &session) ||
      minilm_set_input_ids(session, in, batch, sequence) ||
      minilm_set_attention_mask(session, in + count, batch, sequence) ||
      minilm_set_token_type_ids(session, in + 2 * count, batch, sequence) || tn_session_run(session) ||
      minilm_get_last_hidden_state(session, &hidden, dims)) {
    fputs(tn_last_error(), stderr);
    return 1;
  }
  fwrite(hidden, sizeof(float), dims[0] * dims[1] * dims[2], stdout);
  tn_session_release(session);
  tn_module_release(module);
  free(in);
  return 0;
}
"""


def test_c_program_matches_onnxruntime(minilm, tmp_path):
    artifact = compile_model(minilm / "model.onnx", tmp_path / "minilm.so")
    compile_model(minilm / "model.onnx", tmp_path / "minilm.h", "--emit=header")
    (tmp_path / "caller.c").write_text(C_PROGRAM)
    subprocess.run(["cc", "-O1", "-Wall", f"-I{ROOT}/include", tmp_path / "caller.c", "-o", tmp_path / "caller",
                    f"-L{BUILD}/lib", "-ltenon-runtime", f"-Wl,-rpath,{BUILD}/lib"], check=True)
    for batch, sequence in SIZES:
        inputs = encoder_inputs(batch, sequence)
        given = b"".join(inputs[name].tobytes() for name in ("input_ids", "attention_mask", "token_type_ids"))
        result = subprocess.run([tmp_path / "caller", artifact, str(batch), str(sequence)], input=given,
                                capture_output=True)
        assert result.returncode == 0, result.stderr
        got = np.frombuffer(result.stdout, np.float32).reshape(batch, sequence, 384)
        want, = reference(minilm / "model.onnx", inputs)
        np.testing.assert_allclose(got, want, rtol=0, atol=1e-4)


def test_matches_pytorch(session):
    file = MODELS / "text/minilm.sentences.npz"
    if not file.exists():
        pytest.skip("the PyTorch results lie outside the project")
    data = np.load(file)
    got, = session.run({name: data[name] for name in ("input_ids", "attention_mask", "token_type_ids")})
    # Padded positions have no meaning, but PyTorch computes them as well.
    keep = data["attention_mask"].astype(bool)
    np.testing.assert_allclose(got[keep], data["last_hidden_state"][keep], rtol=0, atol=1e-4)


def test_compiling_twice_gives_identical_bytes(minilm, tmp_path):
    first = compile_model(minilm / "model.onnx", tmp_path / "a.so").read_bytes()
    assert first == compile_model(minilm / "model.onnx", tmp_path / "b.so").read_bytes()


def test_program_matches_onnxruntime(minilm, tmp_path):
    import onnx
    program = compile_model(minilm / "model.onnx", tmp_path / "minilm", "--emit=exe")
    for batch, sequence in SIZES:
        inputs = encoder_inputs(batch, sequence)
        folder = tmp_path / f"{batch}x{sequence}"
        folder.mkdir()
        names = ("input_ids", "attention_mask", "token_type_ids")
        for number, name in enumerate(names):
            tensor = onnx.numpy_helper.from_array(inputs[name])
            (folder / f"input_{number}.pb").write_bytes(tensor.SerializeToString())
        want = onnx.numpy_helper.from_array(reference(minilm / "model.onnx", inputs)[0])
        (folder / "output_0.pb").write_bytes(want.SerializeToString())
        result = subprocess.run([program, "run", "--data-set", folder, "--check", "--atol", "1e-4",
                                 "--rtol", "0"], capture_output=True, text=True)
        assert result.returncode == 0, result.stdout + result.stderr

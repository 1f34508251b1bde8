#!/bin/bash
# Compiles all-MiniLM-L6-v2 with its published weights to one native file and
# embeds a few sentences with it. Installs what it needs; quick the second time.
. "$(dirname "$0")/setup.sh"
. scripts/minilm_model.sh

build release
python=$(python_env)
folder=$(minilm_model)

say "compiling $folder/model.onnx"
build/release/bin/tenon compile "$folder/model.onnx" -o "$folder/minilm.so" \
  --dim batch~1 --dim sequence~128
ls -l "$folder/minilm.so" | awk '{print "  artifact", $5, "bytes"}'

say "sentence similarities"
PYTHONPATH=python TENON_RUNTIME=build/release/lib "$python" examples/minilm/embed.py "$folder"

say "latency"
for shape in batch=1,sequence=16 batch=1,sequence=128 batch=8,sequence=128; do
  echo "$shape"
  build/release/bin/tenon bench "$folder/minilm.so" --shape "$shape" --threads "$(nproc)"
done

# What run and load share: the command line, a small model with an adapter, and servers. It is sourced, with $work set.
#   LOWRANK_ASSETS   folder that holds stories260K; without it the repository's own base is served
#   LOWRANK_CLI      another build of the command line than src/LowRank.Cli/bin/Release/net10.0/LowRank.Cli.dll
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cli=${LOWRANK_CLI:-$root/src/LowRank.Cli/bin/Release/net10.0/LowRank.Cli.dll}
if [ ! -f "$cli" ]; then echo "There is no $cli: dotnet build src/LowRank.Cli -c Release" >&2; exit 2; fi
assets=${LOWRANK_ASSETS:-$root/../shared/assets}
servers=()
finish() {
  for one in "${servers[@]}"; do kill "$one" 2> /dev/null || true; done
  for one in "${servers[@]}"; do wait "$one" 2> /dev/null || true; done
  rm -rf "$work"
}
trap finish EXIT

# $work/model, a model that writes; $work/adapters/{hotels,other}, two adapters of it, each trained for a few steps.
make_model() {
  mkdir -p "$work/model" "$work/adapters"
  if [ -d "$assets/stories260K" ]; then model_kind=stories260K; cp -r "$assets/stories260K/." "$work/model/"
  else model_kind=models/base; cp "$root/models/base"/*.json "$root/models/base/model.safetensors" "$work/model/"; fi
  chmod -R u+w "$work/model"
  cp "$root/tests/clients/chatml.jinja" "$work/model/chat_template.jinja"
  local rank
  for name in hotels other; do
    rank=4; if [ "$name" = other ]; then rank=8; fi
    cat > "$work/$name.yaml" << RECIPE
model: model
data: { train: $root/samples/hotels/train.jsonl }
adapter: { method: lora, rank: $rank, alpha: 16, target_modules: all-linear }
training: { steps: 12, batch_size: 4, learning_rate: 1e-2, max_length: 128, seed: $rank }
output: runs/$name
RECIPE
    dotnet "$cli" train "$work/$name.yaml" > "$work/$name.log" 2>&1 || { cat "$work/$name.log"; exit 1; }
    mv "$work/runs/$name/adapter" "$work/adapters/$name"
  done
}

# serve NAME ARGUMENTS…: starts a server and waits until it takes requests; its address is then in $address, its
# process in $server, its output in $work/NAME.out and NAME.log.
serve() {
  local name=$1; shift
  dotnet "$cli" serve --port 0 "$@" > "$work/$name.out" 2> "$work/$name.log" &
  server=$!
  servers+=("$server")
  for _ in $(seq 600); do
    if grep -q Ready "$work/$name.out"; then break; fi
    if ! kill -0 "$server" 2> /dev/null; then cat "$work/$name.out" "$work/$name.log" >&2; exit 1; fi
    sleep 0.2
  done
  address=$(grep -oE 'http://[0-9.:]+/' "$work/$name.out" | head -n 1)
}

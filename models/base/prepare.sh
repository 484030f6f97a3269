#!/usr/bin/env bash
# Makes the corpus and the tokenizer of the embedded base model in a folder (default: models/base/build, not committed).
# Needs Debian's apt and dpkg-deb, and the .NET SDK. About a minute. Then:
#   dotnet run -c Release --project src/LowRank.Cli -- train models/base/pretrain.yaml
set -euo pipefail
cd "$(dirname "$0")"
build=${1:-build}
mkdir -p "$build/packages"
rm -rf "$build"/packages/extracted "$build"/packages/wordnet-base_*.deb   # an earlier version of the package would be mixed in
(cd "$build/packages" && apt-get download wordnet-base && dpkg-deb -x wordnet-base_*.deb extracted)
dotnet run -c Release --project ../Corpus -- "$build/packages/extracted/usr/share/wordnet" "$build"
cp config.json generation_config.json tokenizer_config.json "$build"/
cmp -s "$build/tokenizer.json" tokenizer.json ||
    echo "note: the tokenizer differs from the one beside this script: your wordnet-base is not 1:3.0-37, or the corpus code changed" >&2

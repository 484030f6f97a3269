# llama.cpp's own tests of its server, in external mode: sourced by run. What is changed in them is in llama_port.py, and
# what does not pass is in llama_cases.txt, each with its reason.
tests=${LLAMA_CPP:-}/tools/server/tests
if [ ! -f "$tests/utils.py" ]; then skip "llama.cpp" "set LLAMA_CPP to a checkout of llama.cpp"
elif [ "$model_kind" != stories260K ]; then skip "llama.cpp" "there is no stories260K: set LOWRANK_ASSETS"
elif ! has_python; then skip "llama.cpp" "no Python with openai, pytest and requests: set REF"
else
  cp -r "$tests" "$inside/llama"
  python3 "$here/llama_port.py" "$inside/llama" || exit 1
  port_of() { address=${address%/}; echo "${address##*:}"; }
  LOWRANK_BASE=llama-test-model LOWRANK_KEY=sk-this-is-the-secret-key
  echo "$LOWRANK_KEY" > "$work/llama.keys"
  model=(--model "$work/model" --model-name "$LOWRANK_BASE" --context 512)
  serve llama "${model[@]}"
  open=$(port_of)
  serve llama-keys "${model[@]}" --api-key-file "$work/llama.keys" --cors-origin '*'
  keyed=$(port_of)
  serve llama-cors "${model[@]}" --cors-origin http://localhost --cors-origin http://localhost:8080 \
    --cors-origin http://127.0.0.1 --cors-origin http://127.0.0.1:3000 --cors-origin 'http://[::1]' --cors-origin 'http://[::1]:3000'
  more=(DEBUG_EXTERNAL=1 PORT="$open" LOWRANK_KEYED_PORT="$keyed" LOWRANK_CORS_PORT="$(port_of)")
  LOWRANK_MODEL=$LOWRANK_BASE python_run "llama.cpp" -p llama_cases -m "not slow" -c "$seen/llama/pytest.ini" --rootdir "$seen/llama" \
    $(for name in chat_completion completion tokenize embedding security compat_oai_responses; do
      echo "$seen/llama/unit/test_$name.py"; done)
fi

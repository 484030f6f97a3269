// Writes a tokenizer.json whose tokens are bytes, in the order of GPT-2's letters for them: node tokenizer.mjs FILE
import { writeFileSync } from 'node:fs';

const plain = byte => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
let next = 256;
const letters = [...Array(256).keys()].map(byte => String.fromCharCode(plain(byte) ? byte : next++)).sort();
const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: false, use_regex: false };
writeFileSync(process.argv[2], JSON.stringify({
  version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: byteLevel,
  post_processor: byteLevel, decoder: byteLevel,
  model: {
    type: 'BPE', dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: false, byte_fallback: false, ignore_merges: false,
    vocab: Object.fromEntries(letters.map((letter, id) => [letter, id])), merges: [],
  },
}));

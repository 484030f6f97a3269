// Writes split_patterns.jsonl: how Hugging Face's tokenizers (npm "tokenizers", 0.23: the Rust library) splits and replaces by
// regular expressions: the ones that models ship, and their syntax piece by piece.
//
// Run: npm install tokenizers && node make_split_patterns.js > split_patterns.jsonl
// A line: {"kind", "json", "cases": [[text, pieces or text], ...]}, or {"kind", "json", "error": true} for a pattern that is refused.
const { Tokenizer } = require('tokenizers');

const CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)";
const MODELS = {
  gpt2: String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`,
  llama3: CONTRACTIONS + String.raw`|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  qwen2: CONTRACTIONS + String.raw`|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  cl100k: String.raw`'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s`,
  o200k: String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+` + CONTRACTIONS + String.raw`?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*` + CONTRACTIONS + String.raw`?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  tekken: String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  deepseek_v3: String.raw`[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_` + '`' + String.raw`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  deepseek_cjk: "[一-龥\u3040-ゟ゠-ヿ]+",
  deepseek_coder: "[一-龥ࠀ-一가-\ud7ff]+",
  kimi: String.raw`[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+` + CONTRACTIONS + String.raw`?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*` + CONTRACTIONS + String.raw`?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`,
  bloom: String.raw` ?[^(\s|[.,!?…。，、।۔،])]+`,
  falcon: String.raw`[0-9][0-9][0-9]`,
  chatglm: String.raw`\s?\p{L}+`, punctuation: String.raw`\s?\p{P}+`, lines: String.raw`[\r\n]`,
};
const SYNTAX = [
  String.raw`\p{N}{1,3}`, String.raw`\p{L}{2}?`, String.raw`\p{L}{2,3}?`, String.raw`\p{L}{,2}`, String.raw`a{`, String.raw`a{x}`, String.raw`a{2,}`, String.raw`a{0}b`, String.raw`(?:ab){2}`, String.raw`(ab|c)*+c`,
  String.raw`(?:a|ab)(?:c|bcd)`, String.raw`(?>a|ab)c`, String.raw`a*?b`, String.raw`a+?`, String.raw`(?:a*)*b`, String.raw`(a|b)+?c`, String.raw`(?:a?)*`, String.raw`(?:(?:ab)*c)*`,
  String.raw`(?=[A-Z])`, String.raw`(?<=[a-z])(?=[A-Z])`, String.raw`(?<!\p{L})\p{L}`, String.raw`(?<=ab|😀)\w`, String.raw`(?<=a+)b`,  String.raw`(?!a)\w+`, String.raw`x*`, String.raw`^`, String.raw`$`, String.raw`^.`, String.raw`.$`, String.raw`\A.`, String.raw`.\z`, String.raw`.\Z`, String.raw`\b`, String.raw`\B.`, String.raw`\b\w`,
  String.raw`(?i)ñand|k+`, String.raw`(?i:ab)c`, String.raw`a(?i)b|c`, String.raw`(?i)[a-c]+`, String.raw`(?i)[^a-c]+`, String.raw`(?i)\p{Lu}+`, String.raw`(?m).+`, String.raw`.+`, String.raw`(?m-i:a.)`, String.raw`(?x) a b # c
`, String.raw`(?#note)a`, String.raw`(?<name>a)b`,
  String.raw`\w+`, String.raw`\W+`, String.raw`\d+`, String.raw`\D+`, String.raw`\S+`, String.raw`\h+`, String.raw`\H+`, String.raw`[\w-]+`, String.raw`[^\W\d]+`, String.raw`[\s\S]`, String.raw`[a-]+`, String.raw`[-a]+`, String.raw`[]a]+`, String.raw`[a\]b]+`, String.raw`[[ab]c]+`, String.raw`[a-c&&b-z]+`, String.raw`[^a-c&&b-z]+`, String.raw`[\p{L}&&[^\p{Lu}]]+`, String.raw`[[:punct:]]+`, String.raw`[[:digit:][:space:]]+`, String.raw`[[:^space:]]+`,
  String.raw`\p{Punct}+`, String.raw`\p{^L}+`, String.raw`\P{L}+`, String.raw`\P{^L}+`, String.raw`\p{Letter}+`, String.raw`\p{uppercase_letter}+`, String.raw`\p{Han}+`, String.raw`\p{Hiragana}+|\p{Katakana}+`, String.raw`\p{Cyrillic}+|\p{Greek}+`, String.raw`\p{M}+`, String.raw`\p{LC}+`, String.raw`\p{Any}`, String.raw`\p{C}`, String.raw`\p{Sc}|\p{So}`, String.raw`\p{Z}+`,
  String.raw`\x41|\x{1F600}|\u6771`, String.raw`\t|\n|\r|\x20`, String.raw`[\t\n\r\x{20}-\x{2f}]+`, String.raw`[😀-🙏]+`, String.raw`[^😀-🙏]+`, String.raw`😀+`, String.raw`\.|\-|\+|\(`, String.raw`a|`, String.raw`(?:)`, String.raw`[\u4e00-\u9fff]+`, String.raw`[𐐀-𐑏]+`,
];
const BAD = ["[\\d-x]", "(", ")", "[", "a)", "*a", "+", "[b-a]", String.raw`\p{Nonsense}`, "[[:nonsense:]]", "(?q)a", "[a"];
const TEXTS = ["", "Hello, World! it's we'VE I'll DON'T", "  two  blanks \n\n x\r\n\r\n  y  ", "HTTPServer parseURL camelCase McDonald's ǅungla", "東京は2024年カタカナ 日本語text 한국어", "😀👍🏽 ok 🙏🙏a",
  "𐐀𐐁𐐨𐐩 𝐀𝐁𝐜 𝟏𝟐𝟑𝟒𝟓 𠀀𠀁漢", "12345678 ١٢٣ ⅷ ²³ 1,234.5", "naïve e\u0301a\u0301 Ñandú Straße STRASSE straẞe", "हिन्दी שָׁלוֹם ไทย русский Ελλάδα", "a_b-c+d(e) x{y}[z] #!$%", "aababcabcd cabab aab abcbcd", "Kk\u212Aſs kelvin", "ab\tcd\u00a0ef\u2003gh\u200bij\u0000k", "x\ny\n", "\n", "don’t l’été", "/usr/bin\n//// a/b"];
const EMPTY = { type: 'WordLevel', vocab: { '<unk>': 0 }, unk_token: '<unk>' };
const build = parts => Tokenizer.fromString(JSON.stringify({ version: '1.0', truncation: null, padding: null, added_tokens: [], normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null, model: EMPTY, ...parts }));

async function pieces(tokenizer, text) {
  const points = [...text], encoding = await tokenizer.encode(text, null, { addSpecialTokens: false });
  return encoding.getOffsets().map(([start, end]) => points.slice(start, end).join(''));
}

// How many characters of U+0001 to U+10FFFF a class holds.
async function count(pattern) {
  let all = '';
  for (let c = 1; c < 0x110000; c++) if (c < 0xd800 || c > 0xdfff) all += String.fromCodePoint(c);
  const encoding = await build({ pre_tokenizer: { type: 'Split', pattern: { Regex: pattern }, behavior: 'Removed', invert: true } }).encode(all, null, { addSpecialTokens: false });
  console.log(JSON.stringify({ kind: 'count', pattern, count: encoding.getOffsets().reduce((sum, [start, end]) => sum + end - start, 0) }));
}

async function show(part) {
  let tokenizer;
  try { tokenizer = build({ pre_tokenizer: part }); } catch { console.log(JSON.stringify({ kind: 'pre_tokenizer', json: part, error: true })); return; }
  const cases = [];
  for (const text of TEXTS) cases.push([text, await pieces(tokenizer, text)]);
  console.log(JSON.stringify({ kind: 'pre_tokenizer', json: part, cases }));
}

(async () => {
  const split = (pattern, behavior, invert) => ({ type: 'Split', pattern: { Regex: pattern }, behavior, invert });
  for (const pattern of Object.values(MODELS)) await show(split(pattern, 'Isolated', false));
  await show({ type: 'Sequence', pretokenizers: [split('\\p{N}{1,3}', 'Isolated', false), split(MODELS.deepseek_cjk, 'Isolated', false), split(MODELS.deepseek_v3, 'Isolated', false)] });
  await show({ type: 'Sequence', pretokenizers: [split('[\\r\\n]', 'Isolated', false), split(MODELS.chatglm, 'Isolated', false), split(MODELS.punctuation, 'Isolated', false), split(MODELS.deepseek_coder, 'Isolated', false), { type: 'Digits', individual_digits: true }] });
  for (const pattern of SYNTAX) await show(split(pattern, 'Isolated', false));
  for (const behavior of ['Removed', 'MergedWithPrevious', 'MergedWithNext', 'Contiguous'])
    for (const pattern of ['(?=[A-Z])', '\\p{L}++', '\\s+', 'x*']) for (const invert of [false, true]) await show(split(pattern, behavior, invert));
  for (const name of ['L', 'Lu', 'Ll', 'Lt', 'Lm', 'Lo', 'M', 'Mn', 'N', 'Nd', 'Nl', 'No', 'P', 'S', 'Sc', 'Z', 'C', 'LC', 'Han', 'Hiragana', 'Katakana', 'Hangul', 'Latin', 'Greek', 'Cyrillic', 'Arabic', 'Hebrew', 'Thai', 'Devanagari', 'Word', 'Punct'])
    await count(`\\p{${name}}`);
  for (const pattern of ['\\s', '\\w', '\\d', '\\h', '[\\w]', '[[:punct:]]', '[[:blank:]]', '[[:cntrl:]]', '[[:xdigit:]]', '(?i:[a-z])', '(?i:s)', '(?i:å)', '(?i:\\p{Lu})']) await count(pattern);
  for (const pattern of BAD) await show(split(pattern, 'Isolated', false));
})();

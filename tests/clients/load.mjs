// Two hundred clients with mixed adapters for a while: each text is the one that is written alone, streamed or whole.
// Meanwhile clients leave at random, adapters are loaded and unloaded, and some requests are bad. Then the server is
// killed and started again under clients that retry, and at last asked to end while it writes.
// It fails on another text, on any answer that is not expected, and if the server's memory grows after the warm-up.
import { spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { parseArgs } from 'node:util';

const { values: given } = parseArgs({ options: {
  cli: { type: 'string' }, work: { type: 'string' }, seconds: { type: 'string', default: '300' },
  clients: { type: 'string', default: '200' },
} });
const seconds = Number(given.seconds), clients = Number(given.clients), work = given.work;
const sleep = milliseconds => new Promise(done => setTimeout(done, milliseconds));
const pick = list => list[Math.floor(Math.random() * list.length)];
const problems = [], counts = {};
const count = what => counts[what] = (counts[what] ?? 0) + 1;
const wrong = what => { if (problems.push(what) <= 10) console.log('WRONG: ' + what); };

const port = await new Promise(done => {
  const probe = createServer().listen(0, '127.0.0.1', () => {
    const free = probe.address().port;
    probe.close(() => done(free));
  });
});
const root = `http://127.0.0.1:${port}/`;
let server, ended;

async function start() {
  const log = createWriteStream(work + '/load.log', { flags: 'a' });
  const args = [given.cli, 'serve', '--model', work + '/model', '--model-name', 'stories', '--port', String(port),
    '--adapter', `hotels=${work}/adapters/hotels`, '--adapter', `other=${work}/adapters/other`,
    '--adapter-root', work + '/adapters', '--allow-adapter-loading', '--max-queue', '400'];
  server = spawn('dotnet', args, { stdio: ['ignore', 'pipe', 'pipe'] });
  server.stdout.pipe(log);
  server.stderr.pipe(log);
  ended = new Promise(done => server.on('exit', (code, signal) => done({ code, signal })));
}

async function ready() {
  for (let tries = 0; tries < 600; tries++) {
    try {
      if ((await fetch(root + 'ready')).status === 200) return;
    } catch { /* it does not listen yet */ }
    await sleep(200);
  }
  throw new Error('The server is not ready after two minutes: ' + readFileSync(work + '/load.log', 'utf8').slice(-2000));
}

process.on('exit', () => server?.kill('SIGKILL'));

// What is asked: each kind has one text, with each of the models.
const prompts = ['Once upon a time', 'Once upon a time, there was a big dog', 'name: The Red Fox | type: inn | area: old town\n',
  'The cat sat. '.repeat(12), 'Lily'];
const kinds = prompts.flatMap((prompt, at) => [0, 1].map(temperature => ({
  temperature, prompt, seed: 7 + at, max_tokens: 4 + 3 * at, ignore_eos: true,
})));
kinds.push({ messages: [{ role: 'user', content: 'Tell me a story' }], temperature: 1, seed: 3, max_tokens: 24, ignore_eos: true });
const models = ['stories', 'hotels', 'other'];
const texts = {}; // model -> the kinds' texts

const place = kind => root + (kind.messages ? 'v1/chat/completions' : 'v1/completions');
const post = (url, body, signal) => fetch(url, {
  method: 'POST', headers: { 'content-type': 'application/json' }, signal,
  body: typeof body === 'string' ? body : JSON.stringify(body),
});
const said = choice => choice.text ?? choice.message?.content ?? choice.delta?.content ?? '';

async function whole(body) {
  const response = await post(place(body), body);
  const answer = await response.json();
  return { status: response.status, text: response.ok ? said(answer.choices[0]) : undefined, answer, response };
}

const firsts = [], gaps = [];
let isWarm = false;
async function streamed(body, signal, timed = true) {
  const began = performance.now();
  const response = await post(place(body), { ...body, stream: true }, signal);
  if (!response.ok) return { status: response.status, answer: await response.json(), response };
  let rest = '', text = '', last, done = false;
  const decoder = new TextDecoder();
  for await (const bytes of response.body) {
    const lines = (rest + decoder.decode(bytes, { stream: true })).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('event: error')) return { status: response.status, answer: lines.join(' '), failed: true };
      if (!line.startsWith('data: ')) continue;
      if (line === 'data: [DONE]') { done = true; continue; }
      const piece = said(JSON.parse(line.slice(6)).choices[0] ?? {});
      if (!piece) continue;
      text += piece;
      const now = performance.now();
      if (timed && isWarm) (last === undefined ? firsts : gaps).push(now - (last ?? began));
      last = now;
    }
  }
  return { status: 200, text: done ? text : undefined, answer: 'no [DONE] after ' + text, response };
}

const bad = [
  [400, 'v1/completions', { prompt: 'a', n: -1 }], [400, 'v1/completions', '{"prompt": '],
  [404, 'v1/completions', { prompt: 'a', model: 'nobody' }], [400, 'v1/completions', { prompt: 'word '.repeat(2000) }],
  [400, 'v1/chat/completions', { messages: [{}] }], [404, 'v1/nothing', {}],
  [400, 'v1/completions', { prompt: 'a', structured_outputs: { regex: '(' } }],
  [400, 'v1/load_lora_adapter', { lora_name: 'hotels', lora_path: 'hotels' }],
  [404, 'v1/load_lora_adapter', { lora_name: 'none', lora_path: 'none' }],
  [404, 'v1/unload_lora_adapter', { lora_name: 'none' }],
];

async function ask() {
  const kind = Math.floor(Math.random() * kinds.length), chance = Math.random();
  if (chance < 0.08) {
    const [status, path, body] = pick(bad);
    const response = await post(root + path, body);
    const answer = await response.json();
    if (response.status !== status || typeof answer.error?.message !== 'string')
      wrong(`${path} ${JSON.stringify(body).slice(0, 80)}: ${response.status}, expected ${status}`);
    return count('bad requests');
  }
  if (chance < 0.18) {
    const leaving = AbortSignal.timeout(Math.ceil(Math.random() * 400));
    try {
      await streamed({ ...kinds[kind], model: pick(models), max_tokens: 400 }, leaving, false);
      return count('stayed');
    } catch (error) {
      if (leaving.aborted) return count('left');
      throw error;
    }
  }
  // The adapter "extra" comes and goes, and is "hotels" or "other" under another name.
  const model = chance < 0.25 ? 'extra' : pick(models), body = { ...kinds[kind], model };
  const answer = await (chance < 0.6 ? streamed(body) : whole(body));
  const right = model === 'extra' ? [texts.hotels[kind], texts.other[kind]] : [texts[model][kind]];
  if (answer.status === 404 && model === 'extra') return count('texts of an adapter that is gone');
  if (answer.status === 429) {
    count('busy (429)');
    return sleep(1000 * Number(answer.response.headers.get('retry-after')));
  }
  if (answer.status !== 200 || answer.failed || answer.text === undefined)
    return wrong(`${model}: ${answer.status} ${JSON.stringify(answer.answer).slice(0, 200)}`);
  if (!right.includes(answer.text)) wrong(`${model}, kind ${kind}: "${answer.text}", alone it is "${right[0]}"`);
  count('texts');
}

async function comeAndGo(lasts) {
  while (lasts()) {
    const path = pick(['hotels', 'other']);
    const loaded = await post(root + 'v1/load_lora_adapter', { lora_name: 'extra', lora_path: path });
    if (loaded.status !== 200) wrong(`load: ${loaded.status} ${await loaded.text()}`);
    else await loaded.text();
    count('adapters loaded');
    await sleep(200 + Math.random() * 800);
    const unloaded = await post(root + 'v1/unload_lora_adapter', { lora_name: 'extra' });
    if (unloaded.status !== 200) wrong(`unload: ${unloaded.status} ${await unloaded.text()}`);
    else await unloaded.text();
    count('adapters unloaded');
    await sleep(Math.random() * 300);
  }
}

const resident = () => Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024;
const mean = list => list.reduce((sum, value) => sum + value, 0) / list.length;
const show = list => {
  const sorted = list.toSorted((a, b) => a - b), at = share => sorted[Math.floor(share * (sorted.length - 1))].toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${sorted.length})`;
};

async function under(lasts, work) {
  await Promise.all(Array.from({ length: clients }, async () => {
    while (lasts()) {
      try {
        await work();
      } catch (error) {
        wrong(`no answer: ${error.message} ${error.cause?.message ?? ''}`);
        await sleep(200);
      }
    }
  }));
}

// 1. Alone.
await start();
await ready();
for (const model of models) {
  texts[model] = [];
  for (const kind of kinds) {
    const alone = await whole({ ...kind, model });
    if (alone.status !== 200) throw new Error(JSON.stringify(alone.answer));
    texts[model].push(alone.text);
  }
}
if (new Set(models.map(model => texts[model].join())).size < 3) wrong('the adapters change nothing');

// 2. All at once.
const began = performance.now(), share = () => (performance.now() - began) / 1000 / (0.85 * seconds);
const memory = [];
const watch = setInterval(() => {
  isWarm = share() > 0.4;
  memory.push({ at: share(), size: resident() });
}, 500);
await Promise.all([under(() => share() < 1, ask), comeAndGo(() => share() < 1)]);
clearInterval(watch);
const between = (from, to) => mean(memory.filter(one => one.at >= from && one.at < to).map(one => one.size));
const warm = between(0.4, 0.6), last = between(0.8, 1);
console.log(`memory: ${warm.toFixed(0)} MB after the warm-up, ${last.toFixed(0)} MB at the end, most ${Math.max(...memory.map(one => one.size)).toFixed(0)} MB`);
if (last > 1.05 * warm + 16) wrong(`memory grows: ${warm.toFixed(0)} to ${last.toFixed(0)} MB`);
console.log(`after the warm-up, time to first token: ${show(firsts)}\nbetween tokens: ${show(gaps)}`);

// 3. Killed, and started again. Clients retry where there is no answer, or 503, until they have their text.
let restarted = false, after = 0;
async function insist() {
  const kind = Math.floor(Math.random() * kinds.length), model = pick(models), body = { ...kinds[kind], model };
  for (;;) {
    let answer;
    try {
      answer = await (Math.random() < 0.5 ? streamed(body, undefined, false) : whole(body));
    } catch (error) {
      if (!/fetch failed|terminated|other side closed/.test(error.message)) throw error;
      count('retries: no server');
    }
    if (answer?.status === 200 && answer.text !== undefined) {
      if (answer.text !== texts[model][kind]) wrong(`${model}, kind ${kind}, after a retry: "${answer.text}"`);
      count('texts of clients that retry');
      if (restarted) after++;
      return;
    }
    if (answer?.status === 503) count('retries: 503 while loading');
    else if (answer && answer.status !== 200) wrong(`while it starts: ${answer.status} ${JSON.stringify(answer.answer).slice(0, 200)}`);
    await sleep(100 + Math.random() * 200);
  }
}
async function killAndStart() {
  await sleep(1000);
  server.kill('SIGKILL');
  await ended;
  count('kills');
  await sleep(300);
  await start();
  await ready();
  restarted = true;
}
await Promise.all([under(() => after < clients / 4, insist), killAndStart()]);

// 4. Asked to end: what has begun is finished, and what comes then is refused.
let ending = false;
const leaving = under(() => !ending, async () => {
  const kind = Math.floor(Math.random() * kinds.length), model = pick(models), sent = ending;
  try {
    const answer = await whole({ ...kinds[kind], model });
    if (answer.status === 200 && answer.text !== texts[model][kind]) wrong(`${model}, kind ${kind}, while it ends`);
    if (answer.status !== 200 && answer.status !== 503) wrong(`while it ends: ${answer.status}`);
    count(answer.status === 200 ? 'texts while it ends' : '503 while it ends');
  } catch (error) {
    if (sent) throw error;
    wrong(`a text that had begun was not finished: ${error.cause?.message ?? error.message}`);
  }
});
await sleep(500);
server.kill('SIGTERM');
await sleep(20);
ending = true;
await leaving;
const { code, signal } = await ended;
console.log(`it ended with ${signal ?? code}`);
console.log(Object.entries(counts).map(([what, number]) => `${what}: ${number}`).sort().join('\n'));
console.log(problems.length === 0 ? 'passed' : `FAILED: ${problems.length} problems`);
process.exitCode = problems.length === 0 ? 0 : 1;

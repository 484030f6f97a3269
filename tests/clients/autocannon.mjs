// Many requests at once for a few seconds, by another's load generator: each is answered with 200.
import autocannon from 'autocannon';
import { ends, equal, holds, key, model, root, run } from './check.mjs';

const headers = { 'content-type': 'application/json', authorization: `Bearer ${key}` };
const shoot = body => autocannon({
  url: root + 'v1/completions', method: 'POST', headers, connections: 32, duration: 5, timeout: 60, body: JSON.stringify(body),
});

await run('autocannon', {
  '32 connections': async () => {
    const made = await shoot({ model, prompt: 'Once', max_tokens: 4, temperature: 0 });
    equal([made.errors, made.timeouts, made.non2xx], [0, 0, 0], 'errors, timeouts, other answers');
    holds(made['2xx'] > 0, 'no answer');
  },
  '32 connections, streams': async () => {
    const made = await shoot({ model, prompt: 'Once', max_tokens: 4, temperature: 0, stream: true });
    equal([made.errors, made.timeouts, made.non2xx], [0, 0, 0], 'errors, timeouts, other answers');
    await ends('autocannon left');
  },
});

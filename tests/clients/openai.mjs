import OpenAI from 'openai';
import { base, baseModel, ends, equal, failure, holds, key, look, model, run } from './check.mjs';

const client = new OpenAI({ baseURL: base, apiKey: key, maxRetries: 0 });
const messages = [{ role: 'user', content: 'Hello' }];
const tools = [{ type: 'function', function: { name: 'look', description: 'Looks', parameters: look, strict: true } }];

async function fails(work, status, code) {
  const error = await failure(work);
  equal([error.status, error.code], [status, code], 'the error');
}

await run('npm openai', {
  'chat': async () => {
    const made = await client.chat.completions.create({ model, messages, max_tokens: 5, temperature: 0, n: 2, logprobs: true, top_logprobs: 2 });
    equal([made.object, made.choices.length, made.choices[0].finish_reason], ['chat.completion', 2, 'length'], 'chat');
    equal(made.choices[0].logprobs.content.length, 5, 'log-probabilities');
  },
  'stream': async () => {
    const whole = await client.chat.completions.create({ model, messages, max_tokens: 12, temperature: 0 });
    let text = '', usage;
    const stream = await client.chat.completions.create({
      model, messages, max_tokens: 12, temperature: 0, stream: true, stream_options: { include_usage: true },
    });
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    equal([text, usage.completion_tokens], [whole.choices[0].message.content, 12], 'the stream');
  },
  'tools': async () => {
    const made = await client.chat.completions.create({ model, messages, tools, tool_choice: 'required', parallel_tool_calls: false });
    const call = made.choices[0].message.tool_calls[0];
    holds(['a', 'b'].includes(JSON.parse(call.function.arguments).id), call.function.arguments);
    const next = await client.chat.completions.create({
      model, tools, max_tokens: 3,
      messages: [...messages, made.choices[0].message, { role: 'tool', tool_call_id: call.id, content: 'A door.' }],
    });
    equal(next.choices[0].finish_reason, 'length', 'the answer to the result');
  },
  'tools, streamed by its helper': async () => {
    const stream = client.chat.completions.stream({ model, messages, tools, tool_choice: 'required', parallel_tool_calls: false });
    const made = await stream.finalChatCompletion();
    equal([made.choices[0].finish_reason, made.choices[0].message.tool_calls[0].function.name], ['tool_calls', 'look'], 'the call');
  },
  'schema': async () => {
    const made = await client.chat.completions.create({
      model, messages, response_format: { type: 'json_schema', json_schema: { name: 'place', strict: true, schema: look } },
    });
    holds(['a', 'b'].includes(JSON.parse(made.choices[0].message.content).id), made.choices[0].message.content);
  },
  'completions': async () => {
    const made = await client.completions.create({ model, prompt: ['a', 'b'], max_tokens: 3, echo: true, logprobs: 1 });
    equal(made.choices.map(choice => choice.index), [0, 1], 'the texts');
  },
  'embeddings': async () => {
    const made = await client.embeddings.create({ model: baseModel, input: ['a', 'b'] }); // base64
    holds(Math.abs(made.data[0].embedding.reduce((sum, value) => sum + value * value, 0) - 1) < 1e-5, 'the length');
  },
  'models': async () => {
    const ids = [];
    for await (const one of client.models.list()) ids.push(one.id);
    holds(ids.includes(model), ids.join());
    equal((await client.models.retrieve(model)).parent, baseModel, 'the parent');
  },
  'responses': async () => {
    const made = await client.responses.create({ model, input: 'Hello', max_output_tokens: 5, temperature: 0 });
    equal([made.status, typeof made.output_text], ['incomplete', 'string'], 'the response');
    let text = '', last;
    for await (const event of await client.responses.create({ model, input: 'Hello', max_output_tokens: 5, temperature: 0, stream: true })) {
      if (event.type === 'response.output_text.delta') text += event.delta;
      last = event.type;
    }
    equal([text, last], [made.output_text, 'response.incomplete'], 'the stream');
  },
  'errors': async () => {
    await fails(() => client.chat.completions.create({ model: 'nobody', messages }), 404, 'model_not_found');
    await fails(() => client.chat.completions.create({ model, messages, temperature: 9 }), 400, 'invalid_value');
    await fails(() => new OpenAI({ baseURL: base, apiKey: 'wrong', maxRetries: 0 }).models.list(), 401, 'invalid_api_key');
  },
  'cancellation': async () => {
    const stream = await client.chat.completions.create({ model, messages, stream: true, ignore_eos: true });
    for await (const _ of stream) break; // leaving aborts
    await ends('npm openai left');
  },
});

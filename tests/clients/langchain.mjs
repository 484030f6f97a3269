import { ChatOpenAI, OpenAIEmbeddings } from '@langchain/openai';
import { base, baseModel, ends, equal, failure, holds, key, look, model, run } from './check.mjs';

const configuration = { baseURL: base, apiKey: key };
const chat = settings => new ChatOpenAI({ model, apiKey: key, configuration, temperature: 0, maxRetries: 0, ...settings });

await run('LangChain', {
  'invoke': async () => {
    const made = await chat({ maxTokens: 5 }).invoke('Hello');
    equal([made.response_metadata.finish_reason, made.usage_metadata.output_tokens], ['length', 5], 'the text');
  },
  'stream': async () => {
    const whole = await chat({ maxTokens: 9 }).invoke('Hello');
    let text = '';
    for await (const part of await chat({ maxTokens: 9 }).stream('Hello')) text += part.content;
    equal(text, whole.content, 'the stream');
  },
  'tools': async () => {
    const able = chat({}).bindTools([{ type: 'function', function: { name: 'look', description: 'Looks', parameters: look } }],
      { tool_choice: 'required' });
    const made = await able.invoke('Look');
    equal(made.tool_calls[0].name, 'look', 'the call');
  },
  'structured output': async () => {
    const made = await chat({}).withStructuredOutput({ title: 'place', ...look }, { method: 'jsonSchema' }).invoke('Hello');
    holds(['a', 'b'].includes(made.id), JSON.stringify(made));
  },
  'embeddings': async () => {
    const made = await new OpenAIEmbeddings({ model: baseModel, apiKey: key, configuration, maxRetries: 0 })
      .embedDocuments(['a', 'b']);
    equal(made.length, 2, 'the vectors');
  },
  'errors': async () => {
    const unknown = await failure(() => chat({ model: 'nobody' }).invoke('Hello'));
    equal([unknown.status, unknown.code], [404, 'model_not_found'], 'the error');
    const wrong = await failure(() => chat({ apiKey: 'wrong', configuration: { baseURL: base, apiKey: 'wrong' } }).invoke('Hello'));
    equal(wrong.status, 401, 'the key');
  },
  'cancellation': async () => {
    const leaving = new AbortController();
    const endless = chat({ modelKwargs: { ignore_eos: true } });
    await failure(async () => {
      for await (const _ of await endless.stream('Hello', { signal: leaving.signal })) leaving.abort();
    });
    await ends('LangChain left');
  },
});

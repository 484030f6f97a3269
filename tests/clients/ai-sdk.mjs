import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { base, baseModel, ends, equal, failure, holds, key, look, model, run } from './check.mjs';

const provider = createOpenAICompatible({
  name: 'lowrank', baseURL: base, apiKey: key, includeUsage: true, supportsStructuredOutputs: true,
});
const settings = { model: provider(model), prompt: 'Hello', maxRetries: 0, temperature: 0 };

await run('AI SDK', {
  'generateText': async () => {
    const made = await generateText({ ...settings, maxOutputTokens: 5 });
    equal([made.finishReason, made.usage.outputTokens], ['length', 5], 'the text');
  },
  'streamText': async () => {
    const whole = await generateText({ ...settings, maxOutputTokens: 9 });
    const stream = streamText({ ...settings, maxOutputTokens: 9 });
    let text = '';
    for await (const part of stream.textStream) text += part;
    equal(text, whole.text, 'the stream');
    equal((await stream.usage).outputTokens, 9, 'the usage');
  },
  'tools': async () => {
    const made = await generateText({
      ...settings, providerOptions: { lowrank: { parallel_tool_calls: false } }, toolChoice: 'required', tools: { look: tool({ description: 'Looks', inputSchema: jsonSchema(look) }) },
    });
    equal([made.finishReason, made.toolCalls[0].toolName], ['tool-calls', 'look'], 'the call');
    holds(['a', 'b'].includes(made.toolCalls[0].input.id), JSON.stringify(made.toolCalls[0].input));
  },
  'object': async () => {
    const made = await generateText({ ...settings, output: Output.object({ schema: jsonSchema(look) }) });
    holds(['a', 'b'].includes(made.output.id), JSON.stringify(made.output));
  },
  'embedMany': async () => {
    const made = await embedMany({ model: provider.embeddingModel(baseModel), values: ['a', 'b'], maxRetries: 0 });
    equal(made.embeddings.length, 2, 'the vectors');
  },
  'errors': async () => {
    const unknown = await failure(() => generateText({ ...settings, model: provider('nobody') }));
    equal([unknown.statusCode, unknown.data.error.code, unknown.isRetryable], [404, 'model_not_found', false], 'the error');
    const wrong = createOpenAICompatible({ name: 'lowrank', baseURL: base, apiKey: 'wrong' });
    equal((await failure(() => generateText({ ...settings, model: wrong(model) }))).statusCode, 401, 'the key');
  },
  'cancellation': async () => {
    const leaving = new AbortController();
    const stream = streamText({
      ...settings, maxOutputTokens: 100000, abortSignal: leaving.signal, onError: () => {},
      providerOptions: { lowrank: { ignore_eos: true } },
    });
    for await (const _ of stream.textStream) { leaving.abort(); break; }
    await ends('the AI SDK left');
  },
});

import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from 'ai';
import { base, equal, holds, key, look, model, run } from './check.mjs';

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
      ...settings, toolChoice: 'required', tools: { look: tool({ description: 'Looks', inputSchema: jsonSchema(look) }) },
    });
    equal([made.finishReason, made.toolCalls[0].toolName], ['tool-calls', 'look'], 'the call');
    holds(['a', 'b'].includes(made.toolCalls[0].input.id), JSON.stringify(made.toolCalls[0].input));
  },
  'object': async () => {
    const made = await generateText({ ...settings, output: Output.object({ schema: jsonSchema(look) }) });
    holds(['a', 'b'].includes(made.output.id), JSON.stringify(made.output));
  },
  'embedMany': async () => {
    const made = await embedMany({ model: provider.embeddingModel(process.env.LOWRANK_BASE), values: ['a', 'b'], maxRetries: 0 });
    equal(made.embeddings.length, 2, 'the vectors');
  },
});

using System.Text.Json.Nodes;
using LowRank.Data;
using LowRank.Data.Chat;

namespace LowRank.Tests.Data;

/// <summary>Whatever a client sends as a conversation is written or refused.</summary>
public sealed class ChatPromptsFuzzTests
{
    private const string Messages = """
        [{"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "q"}], "name": "n"},
         {"role": "assistant", "content": null, "tool_calls": [{"id": "abcdefgh1", "type": "function",
           "function": {"name": "f", "arguments": "{\"a\": [1, {\"b\": null}]}"}}]},
         {"role": "tool", "tool_call_id": "abcdefgh1", "content": "r"}, {"role": "assistant", "content": "w",
           "reasoning_content": "t"}, {"role": "user", "content": "q"}]
        """;
    private const string Tools = """
        [{"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object",
          "properties": {"a": {"type": "array", "description": "e", "items": {"type": "string"}}}}}}]
        """;

    private static readonly string[] Values =
        ["null", "true", "-1.5e300", "\"\"", "\"user\"", "\"assistant\"", "\"tool\"", "\"{\"", "\"{{ 1 }}{% raw %}\"",
            "\"<|im_end|>\"", "\"\\ud800\"", "\"\\u0000\"", "[]", "{}", "[[[]]]", "{\"type\": \"text\", \"text\": 1}",
            "{\"role\": \"user\", \"content\": \"x\"}", "{\"a\": {\"b\": \"\\udc00\"}}", "[{\"type\": \"image_url\"}]"];

    [Theory]
    [InlineData("Qwen-Qwen2.5-7B-Instruct")]
    [InlineData("meta-llama-Llama-3.1-8B-Instruct")]
    [InlineData("mistralai-Mistral-Nemo-Instruct-2407")]
    [InlineData("NousResearch-Hermes-3-Llama-3.1-8B-tool_use")]
    [InlineData("CohereForAI-c4ai-command-r-plus-tool_use")]
    [InlineData("llama-cpp-deepseek-r1")]
    [InlineData("ChatGLM4")]
    public void Changed_requests_are_written_or_refused(string template)
    {
        var prompts = new ChatPrompts(ChatFixture.Tokenizer(template));
        var random = new StableRandom(17);
        int refused = 0;
        const int runs = 400;
        for (int run = 0; run < runs; run++)
        {
            JsonArray messages = JsonNode.Parse(Messages)!.AsArray(), tools = JsonNode.Parse(Tools)!.AsArray();
            for (int change = random.Below(4); change >= 0; change--)
                Change(random.Below(3) == 0 ? tools : messages, random);
            try
            {
                ChatPrompt prompt = prompts.Write(new ChatPromptRequest(messages)
                {
                    Tools = random.Below(3) == 0 ? null : tools, ContinuesLastMessage = random.Below(8) == 0,
                    TemplateArguments = random.Below(4) > 0 ? null
                        : new JsonObject { ["date_string"] = JsonNode.Parse(Values[random.Below(Values.Length)]) },
                });
                Assert.NotEmpty(prompt.Ids);
            }
            catch (InputException refusal)
            {
                Assert.NotEmpty(refusal.Message);
                Assert.All(refusal.Details, problem => Assert.Matches(
                    "^(messages|tools|chat_template_kwargs)", problem.Place!.ToString()));
                refused++;
            }
        }
        Assert.InRange(refused, 40, runs);
    }

    // Replaces, removes or adds a value somewhere.
    private static void Change(JsonNode root, StableRandom random)
    {
        JsonNode at = root;
        for (int depth = random.Below(7); depth > 0; depth--)
        {
            JsonNode[] inner = at switch
            {
                JsonObject map => [.. map.Select(field => field.Value).OfType<JsonNode>()],
                JsonArray list => [.. list.OfType<JsonNode>()],
                _ => [],
            };
            JsonNode[] deeper = [.. inner.Where(node => node is JsonObject or JsonArray)];
            if (deeper.Length == 0) break;
            at = deeper[random.Below(deeper.Length)];
        }
        JsonNode? value = JsonNode.Parse(Values[random.Below(Values.Length)]);
        if (at is JsonArray array)
        {
            int place = random.Below(array.Count + 1);
            if (place == array.Count) array.Add(value);
            else if (random.Below(3) == 0) array.RemoveAt(place);
            else array[place] = value;
        }
        else if (at is JsonObject fields)
        {
            string[] names = [.. fields.Select(field => field.Key), "function_call", "strict", "refusal"];
            string name = names[random.Below(names.Length)];
            if (random.Below(3) == 0) fields.Remove(name);
            else fields[name] = value;
        }
    }
}

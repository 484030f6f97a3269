using System.Text.Json;
using LowRank.Data;
using LowRank.Data.Chat;
using LowRank.Tokenizers;

namespace LowRank.ParityTests.Data;

/// <summary>Which tokens a span of the text covers, by the offsets of the tokenizers library
/// (Reference/make_trained_spans.py), and where a completion's ids begin.</summary>
public sealed class TrainedTokensParityTests
{
    public static TheoryData<string> Kinds => ["gpt2", "llama3", "qwen2", "llama2", "mistral", "gemma", "roberta"];

    [Theory, MemberData(nameof(Kinds))]
    public void Spans_cover_the_tokens_that_the_reference_says(string kind)
    {
        Tokenizer tokenizer = Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind));
        var wrong = new List<string>();
        int cases = 0;
        foreach (JsonElement row in Cases(kind))
        {
            cases++;
            int[] ids = [.. row.GetProperty("ids").EnumerateArray().Select(id => id.GetInt32())];
            string text = row.GetProperty("text").GetString()!,
                expected = string.Concat(row.GetProperty("trained").EnumerateArray());
            Assert.Equal(ids, tokenizer.Encode(text, addSpecialTokens: false));
            (int, int)[] spans =
                [.. row.GetProperty("spans").EnumerateArray().Select(span => (span[0].GetInt32(), span[1].GetInt32()))];
            string found =
                string.Concat(TrainedTokens.Find(tokenizer, text, ids, spans).Select(trained => trained ? 1 : 0));
            if (found != expected)
                wrong.Add(
                    $"{JsonSerializer.Serialize(text)} " +
                    $"{string.Join(' ', spans)}\n{expected}\n{found}\n{string.Join('|', ids
                        .Select(tokenizer.IdToToken))}");
        }
        Assert.Equal(40, cases);
        Assert.True(wrong.Count == 0, $"{wrong.Count} of {cases}\n" + string.Join('\n', wrong.Take(5)));
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_completion_goes_on_from_its_prompt(string kind)
    {
        Tokenizer tokenizer = Tokenizer.Load(Path.Combine(AppContext.BaseDirectory, "Fixtures", "tokenizers", kind));
        foreach ((string prompt, string completion) in new[] { ("Q: who?\nA:", " I am"), ("Q: who?\nA: ", "I am"),
            ("word", "ing"), ("a\n", "\nb"), ("x =", "1"), ("héé", "é😀") })
        {
            int[] before = PromptEncoding.Prompt(tokenizer, prompt),
                after = PromptEncoding.Completion(tokenizer, prompt, before, completion);
            ITextTokenizer text = tokenizer;
            Assert.Equal(text.Decode(before) + completion, text.Decode([.. before, .. after]));
        }
    }

    private static IEnumerable<JsonElement> Cases(string kind) =>
        File.ReadLines(Path.Combine(AppContext.BaseDirectory, "Fixtures", "trained_spans.jsonl"))
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Where(row => row.GetProperty("tokenizer").GetString() == kind);
}

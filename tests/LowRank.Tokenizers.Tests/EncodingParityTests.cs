using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.Tests;

/// <summary>Full encodings, single, in pairs, cut and filled, against the tokenizers library
/// (Reference/make_encodings.py).</summary>
public sealed class EncodingParityTests
{
    private static readonly string Root = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    public static TheoryData<string> Kinds =>
        ["bert_cased", "bert_uncased", "gemma", "gpt2", "llama2", "llama3", "mistral", "qwen2", "roberta",
            "t5_unigram"];

    [Theory, MemberData(nameof(Kinds))]
    public void Encodings_equal_the_reference(string kind)
    {
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-encoding-");
        try
        {
            File.Copy(Path.Combine(Root, "tokenizers", kind, "tokenizer.json"),
                Path.Combine(folder.FullName, "tokenizer.json"));
            string first = Tokenizer.Load(folder.FullName).IdToToken(0)!;
            File.WriteAllText(
                Path.Combine(folder.FullName, "tokenizer_config.json"),
                new JsonObject { ["pad_token"] = first }.ToJsonString());
            Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
            int cases = 0;
            foreach (JsonObject row in File.ReadLines(Path.Combine(Root, "encodings.jsonl"))
                .Select(line => JsonNode.Parse(line)!.AsObject())
                .Where(row => row["tokenizer"]!.GetValue<string>() == kind))
            {
                Compare(tokenizer, row);
                cases++;
            }
            Assert.InRange(cases, 45, 60);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [Theory, MemberData(nameof(Kinds))]
    public void A_single_text_has_the_ids_of_plain_encoding(string kind)
    {
        string folder = Path.Combine(Root, "tokenizers", kind);
        Tokenizer tokenizer = Tokenizer.Load(folder);
        foreach (string line in File.ReadLines(Path.Combine(folder, "cases.jsonl")))
        {
            string text = JsonNode.Parse(line)!["text"]!.GetValue<string>();
            TokenEncoding full = tokenizer.EncodeFull(text);
            Assert.Equal(tokenizer.Encode(text), full.Ids);
            Assert.All(full.Offsets,
                span => Assert.True(span.Start >= 0 && span.Start <= span.End && span.End <= text.Length));
        }
    }

    private static void Compare(Tokenizer tokenizer, JsonObject row)
    {
        string[] texts = [.. row["texts"]!.AsArray().Select(text => text!.GetValue<string>())];
        JsonObject o = row["options"]!.AsObject();
        var options = new EncodingOptions
        {
            AddSpecialTokens = o["special"] is null,
            MaxLength = o["max_length"]?.GetValue<int>(),
            Truncation = o["strategy"]?.GetValue<string>() == "only_second" ? Truncation.OnlySecond
            : Truncation.LongestFirst,
            TruncationSide = o["side"]?.GetValue<string>() == "left" ? TextSide.Left : TextSide.Right,
            Stride = o["stride"]?.GetValue<int>() ?? 0,
            PadTo = o["pad_to"]?.GetValue<int>(),
            PaddingSide = o["pad_side"]?.GetValue<string>() == "left" ? TextSide.Left : TextSide.Right,
        };
        if (texts.Length == 1 && options.Truncation == Truncation.OnlySecond) return; // the reference cuts nothing then
        IReadOnlyList<TokenEncoding> made =
            [texts.Length == 2 ? tokenizer.EncodeFull(texts[0], texts[1], options)
            : tokenizer.EncodeFull(texts[0], options)];
        JsonArray expected = row["encodings"]!.AsArray();
        if (row["windows"] is JsonArray windows)
            Assert.Equal(windows.Select(window => o.ToJsonString() + Show(window!)),
                tokenizer.EncodeWindows(texts[0], texts[1], options)
                    .Select(window => o.ToJsonString() + string.Join(' ', window.Ids)));
        for (int i = 0; i < made.Count; i++)
        {
            string where = $"{row["options"]!.ToJsonString()} {string.Join(" | ", texts)} #{i}";
            Assert.Equal($"{where} ids {Show(expected[i]!["ids"]!)}", $"{where} ids {string.Join(' ', made[i].Ids)}");
            Assert.Equal(
                $"{where} offsets " +
                $"{string.Join(' ', expected[i]!["offsets"]!.AsArray().Select(span => $"{span![0]}-{span[1]}"))}",
                $"{where} offsets {string.Join(' ', made[i].Offsets.Select(span => $"{span.Start}-{span.End}"))}");
            Assert.Equal($"{where} types {Show(expected[i]!["types"]!)}",
                $"{where} types {string.Join(' ', made[i].TypeIds)}");
            Assert.Equal($"{where} mask {Show(expected[i]!["mask"]!)}",
                $"{where} mask {string.Join(' ', made[i].AttentionMask)}");
            Assert.Equal($"{where} special {Show(expected[i]!["special"]!)}",
                $"{where} special {string.Join(' ', made[i].SpecialTokens.Select(special => special ? 1 : 0))}");
            Assert.Equal($"{where} sequences {Show(expected[i]!["sequences"]!)}",
                $"{where} sequences {string.Join(' ', made[i].Sequences)}");
        }
    }

    private static string Show(JsonNode list) =>
        string.Join(' ', list.AsArray().Select(value => value!.ToJsonString()));
}

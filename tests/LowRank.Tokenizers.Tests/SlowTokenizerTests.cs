using System.Text.Json.Nodes;

namespace LowRank.Tokenizers.Tests;

/// <summary>Folders without tokenizer.json against transformers' classes (Reference/make_slow_tokenizers.py).</summary>
public sealed class SlowTokenizerTests
{
    private static readonly string Fixtures = Path.Combine(AppContext.BaseDirectory, "Fixtures");

    public static TheoryData<string> Names => [.. Cases.Value.Keys];

    private static Lazy<Dictionary<string, JsonObject>> Cases { get; } =
        new(() => File.ReadLines(Path.Combine(Fixtures, "slow_tokenizers.jsonl"))
        .Select(line => JsonNode.Parse(line)!.AsObject()).ToDictionary(entry => entry["name"]!.GetValue<string>()));

    [Theory, MemberData(nameof(Names))]
    public void A_class_gives_what_transformers_gives(string name)
    {
        JsonObject entry = Cases.Value[name];
        DirectoryInfo folder = Directory.CreateTempSubdirectory("lowrank-slow-");
        try
        {
            Fill(folder.FullName, entry);
            Tokenizer tokenizer = Tokenizer.Load(folder.FullName);
            List<string> differences = [];
            void Compare(string what, string text, object expected, object found)
            {
                if (!Equals(expected, found))
                    differences.Add($"{what} of \"{text}\": expected {expected}, found {found}");
            }
            foreach (JsonArray row in entry["rows"]!.AsArray().Select(row => row!.AsArray()))
            {
                string text = row[0]!.GetValue<string>();
                int[] ids = [.. row[1]!.AsArray().Select(id => id!.GetValue<int>())];
                Compare("ids", text, string.Join(' ', ids), string.Join(' ', tokenizer.Encode(text)));
                Compare("aligned ids", text, string.Join(' ', ids), string.Join(' ', tokenizer.EncodeFull(text).Ids));
                TokenEncoding pair = tokenizer.EncodeFull(text, "b c");
                Compare("pair", text, string.Join(' ', row[2]!.AsArray()), string.Join(' ', pair.Ids));
                Compare("types", text, row[3]!.GetValue<string>(), string.Concat(pair.TypeIds));
                Compare("decoded", text, row[4]!.GetValue<string>(), tokenizer.Decode(ids));
                Compare("decoded without special", text, row[5]!.GetValue<string>(),
                    tokenizer.Decode(ids, skipSpecialTokens: true));
            }
            foreach ((string role, JsonNode? id) in entry["roles"]!.AsObject())
                Compare("id", role, id!.GetValue<int>(),
                    tokenizer.TokenToId(tokenizer.SpecialTokens.GetValueOrDefault(role, "")) ?? -1);
            Compare("number", "tokens", entry["size"]!.GetValue<int>(), tokenizer.VocabularySize);
            Assert.True(differences.Count == 0, $"{name}:\n{string.Join('\n', differences)}");
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    private static void Fill(string folder, JsonObject entry)
    {
        string source = entry["base"]!.GetValue<string>(),
            file = Path.Combine(folder, entry["files"]![0]!.GetValue<string>());
        foreach ((string name, JsonNode? content) in entry["json"]!.AsObject())
            File.WriteAllText(Path.Combine(folder, name + ".json"), content!.ToJsonString());
        if (source == "t5")
            File.WriteAllBytes(
                file, T5(
                    File.ReadAllBytes(
                        Path.Combine(Fixtures, "tokenizers", "sentencepiece_unigram", "tokenizer.model"))));
        else if (source.StartsWith("sentencepiece", StringComparison.Ordinal))
            File.Copy(Path.Combine(Fixtures, "tokenizers", source, "tokenizer.model"), file);
        else
        {
            JsonNode model =
                JsonNode.Parse(
                    File.ReadAllText(Path.Combine(Fixtures, "tokenizers", source, "tokenizer.json")))!["model"]!;
            JsonObject vocabulary = model["vocab"]!.AsObject();
            if (file.EndsWith(".txt", StringComparison.Ordinal))
                File.WriteAllLines(
                    file, vocabulary.OrderBy(token => token.Value!.GetValue<int>()).Select(token => token.Key));
            else
            {
                File.WriteAllText(file, vocabulary.ToJsonString());
                File.WriteAllLines(Path.Combine(folder, "merges.txt"), ["#version: 0.2", .. model["merges"]!.AsArray()
                    .Select(merge => merge is JsonArray pair ? $"{pair[0]} {pair[1]}" : merge!.GetValue<string>())]);
            }
        }
    }

    // The unigram model with T5's first three pieces.
    private static byte[] T5(byte[] model)
    {
        int at = 0;
        for (int i = 0; i < 3; i++) at += 2 + model[at + 1];
        static byte[] Piece(string text, byte kind)
        {
            byte[] inner =
                [10, (byte)text.Length, .. System.Text.Encoding.UTF8.GetBytes(text), 0x15, 0, 0, 0, 0, 24, kind];
            return [10, (byte)inner.Length, .. inner];
        }
        return [.. Piece("<pad>", 3), .. Piece("</s>", 3), .. Piece("<unk>", 2), .. model[at..]];
    }
}

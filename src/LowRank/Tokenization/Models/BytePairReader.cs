using System.Text.Json;
using System.Text.Json.Nodes;

namespace LowRank.Tokenization.Models;

/// <summary>Reads a BPE model: from tokenizer.json, or from vocab.json and merges.txt.</summary>
internal static class BytePairReader
{
    public static BytePairModel Read(ComponentJson json)
    {
        if (json.Json["dropout"] is JsonValue dropout && dropout.TryGetValue(out double share) && share > 0)
            throw json.Unsupported("dropout", "null or 0: training with random merges is not supported");
        Dictionary<string, int> vocabulary = VocabularyReader.Read(json);
        if (json.Json["merges"] is not JsonArray merges) throw json.Unsupported("merges", "a list of pairs");
        var settings = new BytePairSettings
        {
            UnknownToken = json.TextOr("unk_token", null),
            FusesUnknown = json.Flag("fuse_unk", false),
            FallsBackToBytes = json.Flag("byte_fallback", false),
            IgnoresMerges = json.Flag("ignore_merges", false),
            SubwordPrefix = json.TextOr("continuing_subword_prefix", null) ?? "",
            WordSuffix = json.TextOr("end_of_word_suffix", null) ?? "",
        };
        return new BytePairModel(vocabulary, [.. merges.Select((merge, i) => Pair(merge, $"{json.Place}.merges[{i}]"))], settings, json.Place);
    }

    /// <summary>Reads GPT-2's two files.</summary>
    public static BytePairModel Read(string vocabularyFile, string mergesFile)
    {
        JsonObject vocabulary = JsonObjects.Read(vocabularyFile, SmallFile.MostOfVocabulary);
        var merges = new List<(string, string)>();
        int number = 0;
        foreach (string line in SmallFile.ReadLines(mergesFile, SmallFile.MostOfVocabulary))
        {
            number++;
            if (line.Length == 0 || (number == 1 && line.StartsWith("#version", StringComparison.Ordinal))) continue;
            merges.Add(Pair(line, $"{mergesFile}, line {number}"));
        }
        return new BytePairModel(VocabularyReader.Read(vocabulary, vocabularyFile), merges, new BytePairSettings(), mergesFile);
    }

    private static (string, string) Pair(JsonNode? merge, string place)
    {
        if (merge is JsonArray { Count: 2 } both && both[0] is JsonValue left && both[1] is JsonValue right
            && left.TryGetValue(out string? a) && right.TryGetValue(out string? b)) return (a, b);
        return merge is JsonValue text && text.TryGetValue(out string? line) ? Pair(line, place)
            : throw new InputException($"{place} is {merge?.ToJsonString() ?? "null"}, expected two tokens.");
    }

    private static (string, string) Pair(string line, string place)
    {
        string[] parts = line.Split(' ');
        return parts.Length == 2 ? (parts[0], parts[1]) : throw new InputException($"{place} is \"{line}\", expected two tokens with a blank between them.");
    }
}

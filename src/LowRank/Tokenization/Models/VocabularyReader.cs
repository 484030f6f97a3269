using System.Text.Json.Nodes;

namespace LowRank.Tokenization.Models;

/// <summary>Reads a vocabulary written as an object of tokens to ids.</summary>
internal static class VocabularyReader
{
    /// <summary>The <c>vocab</c> of a model in tokenizer.json.</summary>
    public static Dictionary<string, int> Read(ComponentJson json) =>
        json.Json["vocab"] is JsonObject vocabulary ? Read(vocabulary, json.Place) : throw json.Unsupported("vocab", "an object of tokens to ids");

    /// <summary>Tokens to ids.</summary>
    /// <param name="vocabulary">The object.</param>
    /// <param name="place">Where it stands, for messages.</param>
    public static Dictionary<string, int> Read(JsonObject vocabulary, string place)
    {
        var ids = new Dictionary<string, int>(vocabulary.Count);
        foreach ((string token, JsonNode? node) in vocabulary)
        {
            if (node is not JsonValue value || !value.TryGetValue(out int id) || id < 0)
                throw new InputException($"{place}: the id of \"{token}\" is {node?.ToJsonString() ?? "null"}, expected a whole number of at least 0.");
            ids.Add(token, id);
        }
        return ids;
    }

    /// <summary>BERT's <c>vocab.txt</c>: a token a line, the line's number less one its id.</summary>
    public static Dictionary<string, int> ReadLines(string path)
    {
        var ids = new Dictionary<string, int>();
        int number = 0;
        foreach (string line in SmallFile.ReadLines(path, SmallFile.MostOfVocabulary))
        {
            string token = line.TrimEnd('\n', '\r');
            ids[token] = number++; // a token that stands twice keeps its last number, as in transformers
        }
        return ids.Count > 0 ? ids : throw new InputException($"{path} is empty, expected a token a line.");
    }
}

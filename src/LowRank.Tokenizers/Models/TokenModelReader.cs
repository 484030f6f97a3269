using System.Text.Json.Nodes;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Models;

/// <summary>Turns pieces of text into tokens.</summary>
internal interface ITokenModel
{
    /// <summary>Tokens to ids.</summary>
    IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>Adds a piece's ids to a list.</summary>
    void Encode(Piece piece, List<int> ids);

    /// <summary>As <see cref="Encode"/>, and adds where each token stands in <see cref="Piece.Text"/>: its first unit
    /// and its last.</summary>
    void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)> spans);
}

/// <summary>Makes models by the types that tokenizer.json names.</summary>
internal static class TokenModelReader
{
    private static readonly Dictionary<string, Func<ComponentJson, ITokenModel>> Types = new()
    {
        ["BPE"] = BytePairReader.Read,
        ["Unigram"] = UnigramModel.Read,
        ["WordPiece"] = WordPieceModel.Read,
    };

    public static ITokenModel Read(ComponentJson json)
    {
        // Files from before the type was written are known by what they hold, as the tokenizers library knows them.
        string? known = json.Json["merges"] is not null ? "BPE"
            : json.Json["vocab"] is JsonArray ? "Unigram"
            : json.Json.ContainsKey("continuing_subword_prefix") ? "WordPiece" : null;
        string type = json.TextOr("type", known) ?? json.Type;
        return Types.TryGetValue(type, out Func<ComponentJson, ITokenModel>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);
    }
}

/// <summary>Reads a vocabulary written as an object of tokens to ids.</summary>
internal static class VocabularyReader
{
    /// <summary>The <c>vocab</c> of a model in tokenizer.json.</summary>
    public static Dictionary<string, int> Read(ComponentJson json) =>
        json.Json["vocab"] is JsonObject vocabulary ? Read(vocabulary, json.Place)
            : throw json.Unsupported("vocab", "an object of tokens to ids");

    /// <summary>Tokens to ids.</summary>
    /// <param name="vocabulary">The object.</param>
    /// <param name="place">Where it stands, for messages.</param>
    public static Dictionary<string, int> Read(JsonObject vocabulary, string place)
    {
        var ids = new Dictionary<string, int>(vocabulary.Count);
        foreach ((string token, JsonNode? node) in vocabulary)
        {
            if (node is not JsonValue value || !value.TryGetValue(out int id) || id < 0)
                throw new InputException(
                    $"{place}: the id of \"{token}\" is {node?.ToJsonString() ?? "null"}, expected a whole number " +
                    "of at least 0.");
            ids.Add(token, id);
        }
        return ids;
    }

    /// <summary>BERT's <c>vocab.txt</c>: one token per line, the line's number less one its id.</summary>
    public static Dictionary<string, int> ReadLines(string path)
    {
        var ids = new Dictionary<string, int>();
        int number = 0;
        foreach (string line in SmallFile.ReadLines(path, SmallFile.MostOfVocabulary))
        {
            string token = line.TrimEnd('\n', '\r');
            ids[token] = number++; // a token that stands twice keeps its last number, as in transformers
        }
        return ids.Count > 0 ? ids : throw new InputException($"{path} is empty, expected one token per line.");
    }
}

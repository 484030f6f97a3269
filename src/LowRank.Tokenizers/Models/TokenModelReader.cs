using System.Text.Json.Nodes;
using LowRank.Tokenizers.PreTokenizers;

namespace LowRank.Tokenizers.Models;

/// <summary>Converts pieces of text to tokens.</summary>
internal interface ITokenModel
{
    /// <summary>Maps tokens to ids.</summary>
    IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>Appends a piece's ids to a list.</summary>
    void Encode(Piece piece, List<int> ids);

    /// <summary>Like <see cref="Encode"/>, and appends each token's position in <see cref="Piece.Text"/>: its first and
    /// its last unit.</summary>
    void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)> spans);
}

/// <summary>Creates models by their types in tokenizer.json.</summary>
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
        // Files that predate the type field are recognised by their content, as in the tokenizers library.
        string? known = json.Json["merges"] is not null ? "BPE"
            : json.Json["vocab"] is JsonArray ? "Unigram"
            : json.Json.ContainsKey("continuing_subword_prefix") ? "WordPiece" : null;
        string type = json.TextOr("type", known) ?? json.Type;
        return Types.TryGetValue(type, out Func<ComponentJson, ITokenModel>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);
    }
}

/// <summary>Reads a vocabulary from an object that maps tokens to ids.</summary>
internal static class VocabularyReader
{
    /// <summary>The <c>vocab</c> of a model in tokenizer.json.</summary>
    public static Dictionary<string, int> Read(ComponentJson json) =>
        json.Json["vocab"] is JsonObject vocabulary ? Read(vocabulary, json.Place)
            : throw json.Unsupported("vocab", "an object of tokens to ids");

    /// <summary>Maps tokens to ids.</summary>
    /// <param name="vocabulary">The object.</param>
    /// <param name="place">Its position, for messages.</param>
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

    /// <summary>BERT's <c>vocab.txt</c>: one token per line, with ids counted from 0.</summary>
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

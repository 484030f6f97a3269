using System.Text.Json.Nodes;

namespace LowRank.Tokenization.Models;

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
        return Types.TryGetValue(type, out Func<ComponentJson, ITokenModel>? make) ? make(json) : throw json.UnknownType(Types.Keys);
    }
}

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
        // Files from before the type was written are BPE where they have merges.
        string type = json.TextOr("type", json.Json["merges"] is null ? null : "BPE") ?? json.Type;
        return Types.TryGetValue(type, out Func<ComponentJson, ITokenModel>? make) ? make(json) : throw json.UnknownType(Types.Keys);
    }
}

using LowRank.Tokenizers;
using System.Text;
using LowRank.Data;

namespace LowRank.Tests.Data;

/// <summary>A tokenizer whose ids can be told by hand: bytes are 0 to 255, then special tokens, then longer pieces, the
/// longest of which is always taken first.</summary>
internal sealed class ByteTokenizer(params string[] pieces) : ITextTokenizer
{
    public const int Begin = 256, End = 257, TurnBegin = 258, TurnEnd = 259, FirstPiece = 260;
    private static readonly string[] Special = ["<s>", "</s>", "<|im_start|>", "<|im_end|>"];
    private readonly (int Id, byte[] Bytes)[] longFirst =
        [.. Special.Concat(pieces).Select((piece, i) => (256 + i, Encoding.UTF8.GetBytes(piece)))
            .OrderByDescending(piece => piece.Item2.Length)];

    public bool AddsEnd { get; init; }

    public bool AddsBegin { get; init; } = true;

    /// <summary>The token that ends a text, where it has one.</summary>
    public int EndId { get; init; } = End;

    /// <summary>Whether it knows ChatML's tokens by name.</summary>
    public bool KnowsTurns { get; init; } = true;

    /// <summary>As sentencepiece does: a space before a text, which decoding takes away again.</summary>
    public bool PrefixesSpace { get; init; }

    public Func<string, string> Normalize { get; init; } = text => text;

    public bool HasEnd { get; init; } = true;

    public int VocabularySize => FirstPiece + pieces.Length;

    public int? EosTokenId => HasEnd ? EndId : null;

    public string? ChatTemplateSource { get; init; }

    public IReadOnlyDictionary<string, string> SpecialTokens { get; } =
        new Dictionary<string, string> { ["bos_token"] = "<s>", ["eos_token"] = "</s>" };

    public int[] Encode(string text, bool addSpecialTokens = true)
    {
        var ids = new List<int>();
        text = Normalize(text);
        if (addSpecialTokens && AddsBegin) ids.Add(Begin);
        byte[] bytes = Encoding.UTF8.GetBytes(PrefixesSpace && text.Length > 0 ? " " + text : text);
        for (int at = 0; at < bytes.Length;)
        {
            (int id, byte[]? piece) = longFirst.FirstOrDefault(p => bytes.AsSpan(at).StartsWith(p.Bytes));
            ids.Add(piece is null ? bytes[at] : id);
            at += piece?.Length ?? 1;
        }
        if (addSpecialTokens && AddsEnd) ids.Add(EndId);
        return [.. ids];
    }

    public string Decode(IReadOnlyList<int> ids)
    {
        byte[] bytes = [.. ids.SelectMany(id => id < 256 ? [(byte)id] : longFirst.First(p => p.Id == id).Bytes)];
        string text = Encoding.UTF8.GetString(bytes);
        if (!PrefixesSpace) return text;
        return text.StartsWith("<s> ", StringComparison.Ordinal) ? "<s>" + text[4..] : text.StartsWith(' ')
            ? text[1..] : text;
    }

    public int? TokenToId(string token) => Array.IndexOf(Special, token) is >= 0 and var i && (KnowsTurns || i < 2)
        ? 256 + i : null;
}

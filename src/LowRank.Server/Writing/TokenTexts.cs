using System.Runtime.CompilerServices;
using System.Text;
using LowRank.Server.Responses;
using LowRank.Serving;
using LowRank.Tokenizers;

namespace LowRank.Server.Writing;

/// <summary>The texts of a tokenizer's tokens, and log-probabilities as answers show them.</summary>
internal sealed class TokenTexts
{
    /// <summary>In place of minus infinity, which JSON cannot say.</summary>
    public const float Impossible = -9999;

    private static readonly ConditionalWeakTable<Tokenizer, TokenTexts> Known = [];

    private readonly Tokenizer tokenizer;
    private readonly Lazy<IReadOnlyList<ReadOnlyMemory<byte>>?> bytes;

    private TokenTexts(Tokenizer tokenizer)
    {
        this.tokenizer = tokenizer;
        bytes = new(() =>
        {
            try
            {
                return tokenizer.TokenBytes();
            }
            catch (InputException)
            {
                return null; // what a token adds depends on the tokens around it: it has no bytes of its own
            }
        });
    }

    /// <summary>The texts of a tokenizer.</summary>
    public static TokenTexts Of(Tokenizer tokenizer) => Known.GetValue(tokenizer, one => new TokenTexts(one));

    /// <summary>A token's text; a part of a character is shown as a replacement.</summary>
    public string Text(int id) => Bytes(id) is { } own ? Encoding.UTF8.GetString(own.Span) : tokenizer.Decode([id]);

    /// <summary>A token's text; null for a part of a character.</summary>
    public string? Whole(int id) =>
        Bytes(id) is { } own && !System.Text.Unicode.Utf8.IsValid(own.Span) ? null : Text(id);

    /// <summary>The bytes of a token's text.</summary>
    public int[] Numbers(int id) => Shown(id) ?? [.. Encoding.UTF8.GetBytes(Text(id)).Select(value => (int)value)];

    /// <summary>A token as a chat's log-probabilities show it.</summary>
    public TokenLogProb Show(ScoredToken token) => new(Text(token.Id), Finite(token.LogProb ?? Impossible),
        Shown(token.Id), [.. token.Likeliest.Select(other =>
            new TopLogProb(Text(other.Id), Finite(other.LogProb), Shown(other.Id)))]);

    /// <summary>Tokens as the earlier form of log-probabilities shows them.</summary>
    /// <param name="tokens">The tokens.</param>
    /// <param name="offset">Characters of the text before them.</param>
    public TextLogProbs Show(IReadOnlyList<ScoredToken> tokens, int offset)
    {
        List<int> offsets = [];
        foreach (ScoredToken token in tokens)
        {
            offsets.Add(offset);
            offset += Text(token.Id).EnumerateRunes().Count();
        }
        return new TextLogProbs([.. tokens.Select(token => Text(token.Id))],
            [.. tokens.Select(token => token.LogProb is { } value ? Finite(value) : (float?)null)],
            [.. tokens.Select(Likeliest)], offsets);
    }

    /// <summary>A log-probability that JSON can say.</summary>
    public static float Finite(float value) => float.IsFinite(value) ? value : Impossible;

    private ReadOnlyMemory<byte>? Bytes(int id) => bytes.Value is { } all && id < all.Count ? all[id] : null;

    private int[]? Shown(int id) => Bytes(id) is { } own ? [.. own.ToArray().Select(value => (int)value)] : null;

    // With the token itself, as it is shown beside the likeliest; two with one text share a line.
    private Dictionary<string, float>? Likeliest(ScoredToken token)
    {
        if (token.LogProb is not { } own) return null;
        var shown = new Dictionary<string, float>(StringComparer.Ordinal);
        foreach ((int id, float value) in token.Likeliest) shown.TryAdd(Text(id), Finite(value));
        shown.TryAdd(Text(token.Id), Finite(own));
        return shown;
    }
}

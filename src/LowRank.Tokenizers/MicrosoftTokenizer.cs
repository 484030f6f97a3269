using System.Buffers;
using Microsoft.ML.Tokenizers;
using MicrosoftBase = Microsoft.ML.Tokenizers.Tokenizer;

namespace LowRank.Tokenizers;

/// <summary>Adapts tokenizers for libraries that use <c>Microsoft.ML.Tokenizers</c>.</summary>
public static class MicrosoftTokenizerExtensions
{
    /// <summary>The tokenizer as one of <c>Microsoft.ML.Tokenizers</c>. Offsets, indices and character counts refer to
    /// the original text, even if it is normalised: normalised texts are never returned. When a text is cut to a number
    /// of tokens, the cut is between characters: tokens with only a part of a character are left out.</summary>
    /// <param name="tokenizer">The tokenizer.</param>
    /// <param name="addSpecialTokens">Whether encoding adds the model's special tokens around a text and counts
    /// them.</param>
    /// <param name="skipSpecialTokens">Whether decoding skips special tokens.</param>
    public static MicrosoftBase AsMicrosoftTokenizer(
        this Tokenizer tokenizer, bool addSpecialTokens = true, bool skipSpecialTokens = true)
    {
        ArgumentNullException.ThrowIfNull(tokenizer);
        return new MicrosoftTokenizer(tokenizer, addSpecialTokens, skipSpecialTokens);
    }
}

/// <summary>Our tokenizer as one of <c>Microsoft.ML.Tokenizers</c>.</summary>
internal sealed class MicrosoftTokenizer(Tokenizer tokenizer, bool addsSpecialTokens, bool skipsSpecialTokens)
    : MicrosoftBase
{
    /// <inheritdoc/>
    public override string Decode(IEnumerable<int> ids)
    {
        ArgumentNullException.ThrowIfNull(ids);
        return tokenizer.Decode(ids, skipsSpecialTokens);
    }

    /// <inheritdoc/>
    public override OperationStatus Decode(
        IEnumerable<int> ids, Span<char> destination, out int idsConsumed, out int charsWritten)
    {
        ArgumentNullException.ThrowIfNull(ids);
        StreamingDecoder decoder = tokenizer.CreateStreamingDecoder(skipsSpecialTokens);
        (idsConsumed, charsWritten) = (0, 0);
        int given = 0;
        foreach (int id in ids)
        {
            string text = decoder.Add(id);
            given++;
            if (text.Length == 0) continue; // shown with a later token
            if (!text.TryCopyTo(destination[charsWritten..])) return OperationStatus.DestinationTooSmall;
            (idsConsumed, charsWritten) = (given, charsWritten + text.Length);
        }
        string rest = decoder.Flush();
        if (!rest.TryCopyTo(destination[charsWritten..])) return OperationStatus.DestinationTooSmall;
        (idsConsumed, charsWritten) = (given, charsWritten + rest.Length);
        return OperationStatus.Done;
    }

    /// <inheritdoc/>
    protected override EncodeResults<EncodedToken> EncodeToTokens(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        text ??= textSpan.ToString();
        EncodedText all = Encode(text, settings);
        int count = LongestPrefix(all, settings.MaxTokenCount);
        var tokens = new EncodedToken[count];
        for (int i = 0; i < count; i++)
            tokens[i] = new EncodedToken(
                all.Ids[i], tokenizer.IdToToken(all.Ids[i]) ?? "", all.Spans[i].Start..all.Spans[i].End);
        return new EncodeResults<EncodedToken> { Tokens = tokens, CharsConsumed = End(all, count, text) };
    }

    /// <inheritdoc/>
    protected override EncodeResults<int> EncodeToIds(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings)
    {
        text ??= textSpan.ToString();
        if (IsPlain(settings))
            return new EncodeResults<int>
            {
                Tokens = tokenizer.Encode(text, addsSpecialTokens), CharsConsumed = text.Length,
            };
        EncodedText all = Encode(text, settings);
        int count = LongestPrefix(all, settings.MaxTokenCount);
        return new EncodeResults<int> { Tokens = all.Ids[..count], CharsConsumed = End(all, count, text) };
    }

    /// <inheritdoc/>
    protected override int CountTokens(string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings) =>
        EncodeToIds(text, textSpan, settings).Tokens.Count;

    /// <inheritdoc/>
    protected override int GetIndexByTokenCount(
        string? text, ReadOnlySpan<char> textSpan, EncodeSettings settings, bool fromEnd, out string? normalizedText,
        out int tokenCount)
    {
        text ??= textSpan.ToString();
        normalizedText = null;
        EncodedText all = Encode(text, settings);
        tokenCount = fromEnd ? LongestSuffix(all, settings.MaxTokenCount) : LongestPrefix(all, settings.MaxTokenCount);
        if (!fromEnd) return End(all, tokenCount, text);
        return tokenCount == all.Length ? 0 : tokenCount == 0 ? text.Length : all.Spans[^tokenCount].Start;
    }

    private static bool IsPlain(EncodeSettings settings) =>
        settings is { ConsiderNormalization: true, ConsiderPreTokenization: true, MaxTokenCount: int.MaxValue };

    // Special tokens before a text are placed at its start and those after it at its end, so that spans are in order.
    private EncodedText Encode(string text, EncodeSettings settings)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(settings.MaxTokenCount, nameof(settings));
        EncodedText inner =
            tokenizer.EncodeAligned(text, settings.ConsiderNormalization, settings.ConsiderPreTokenization);
        if (!addsSpecialTokens) return inner;
        (IReadOnlyList<int> before, IReadOnlyList<int> after) = (tokenizer.Frame.Before, tokenizer.Frame.After);
        return new EncodedText(
            [.. before, .. inner.Ids, .. after],
            [
                .. before.Select(_ => default(TokenSpan)), .. inner.Spans,
                .. after.Select(_ => new TokenSpan(text.Length, text.Length)),
            ]);
    }

    private static int End(EncodedText all, int count, string text) =>
        count == all.Length ? text.Length : count == 0 ? 0 : all.Spans[count - 1].End;

    // The maximum number of leading tokens whose characters no later token shares.
    private static int LongestPrefix(EncodedText all, int most)
    {
        int count = Math.Min(most, all.Length);
        while (count > 0 && !IsBoundary(all, count)) count--;
        return count;
    }

    private static int LongestSuffix(EncodedText all, int most)
    {
        int first = all.Length - Math.Min(most, all.Length);
        while (first < all.Length && !IsBoundary(all, first)) first++;
        return all.Length - first;
    }

    private static bool IsBoundary(EncodedText all, int at) =>
        at == 0 || at == all.Length || all.Spans[at].Start >= all.Spans[at - 1].End;
}

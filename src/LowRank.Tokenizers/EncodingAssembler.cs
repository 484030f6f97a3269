using System.Runtime.InteropServices;
using LowRank.Tokenizers.PostProcessors;

namespace LowRank.Tokenizers;

/// <summary>Truncates texts, adds special tokens around them and pads them, like the tokenizers library.</summary>
/// <param name="frame">The special tokens.</param>
/// <param name="padding">The padding token; null if the tokenizer has none.</param>
/// <param name="lengths">The sides, if the options specify none, and the type id of padding.</param>
/// <param name="trim">Computes a token's span without spaces at its edges from the span, the token and whether it comes
/// first after truncation; null if spans stay unchanged.</param>
internal sealed class EncodingAssembler(
    SpecialTokenFrame frame, int? padding, LengthSettings lengths, Func<TokenSpan, int, bool, TokenSpan>? trim)
{
    /// <summary>One encoding, or with a stride as many as the texts need.</summary>
    /// <param name="texts">One or two texts.</param>
    /// <param name="options">The encoding options.</param>
    /// <param name="windows">Whether the truncated rest becomes further encodings.</param>
    /// <exception cref="InputException">The length is too short, or padding is requested but there is no padding
    /// token.</exception>
    public IReadOnlyList<TokenEncoding> Assemble(EncodedText[] texts, EncodingOptions options, bool windows)
    {
        Check(texts.Length, options);
        options = options with { TruncationSide = options.TruncationSide ?? lengths.TruncationSide,
            PaddingSide = options.PaddingSide ?? lengths.PaddingSide };
        IReadOnlyList<TemplatePart> template = Template(texts.Length, options.AddSpecialTokens);
        List<EncodedText[]> parts = [texts];
        if (options.MaxLength is { } length) parts = Cut(texts, options, length - template.Sum(part => part.Ids.Count));
        if (!windows) parts = parts[..1];
        return [.. parts.Select(part => Pad(Join(template, part), options))];
    }

    private static void Check(int texts, EncodingOptions options)
    {
        List<string> problems = [];
        if (options.MaxLength < 1) problems.Add($"MaxLength is {options.MaxLength}, expected at least 1");
        if (options.PadTo < 1) problems.Add($"PadTo is {options.PadTo}, expected at least 1");
        if (options.Stride < 0) problems.Add($"Stride is {options.Stride}, expected at least 0");
        if (texts == 1 && options.Truncation == Truncation.OnlySecond)
            problems.Add("Truncation is OnlySecond, but there is one text");
        if (problems.Count > 0) throw new InputException("The text cannot be encoded so:", problems);
    }

    private IReadOnlyList<TemplatePart> Template(int texts, bool special)
    {
        if (texts == 1) return special ? frame.Single : SpecialTokenFrame.None.Single;
        return special && frame.Pair is { } pair ? pair : frame.BarePair;
    }

    private static List<EncodedText[]> Cut(EncodedText[] texts, EncodingOptions options, int room)
    {
        if (room < 0)
            throw new InputException(
                $"max_length {options.MaxLength} leaves no room for {-room} of the special tokens; raise it.");
        int total = texts.Sum(text => text.Length);
        if (total <= room) return [texts];
        if (texts.Length == 1) return [.. Windows(texts[0], room, options).Select(part => new[] { part })];
        if (options.Truncation == Truncation.LongestFirst)
        {
            (int first, int second) = Shares(texts[0].Length, texts[1].Length, room);
            return Combine([.. Windows(texts[0], first, options)], [.. Windows(texts[1], second, options)]);
        }
        int cut = options.Truncation == Truncation.OnlyFirst ? 0 : 1, left = texts[cut].Length - (total - room);
        if (left <= 0)
            throw new InputException(
                $"The {(cut == 0 ? "second" : "first")} text alone has {texts[1 - cut].Length} tokens, which " +
                $"leaves nothing of the other within max_length {options.MaxLength}. " +
                "Raise max_length, shorten the text, or cut the longest first.");
        EncodedText[] windows = [.. Windows(texts[cut], left, options)];
        return cut == 0 ? Combine(windows, [texts[1]]) : Combine([texts[0]], windows);
    }

    // The tokenizers library pairs every further part of one text with the whole kept part of the other, and parts with
    // parts.
    private static List<EncodedText[]> Combine(EncodedText[] first, EncodedText[] second)
    {
        List<EncodedText[]> all = [[first[0], second[0]]];
        foreach (EncodedText part in first[1..])
        {
            all.Add([part, second[0]]);
            all.AddRange(second[1..].Select(other => new[] { part, other }));
        }
        all.AddRange(second[1..].Select(other => new[] { first[0], other }));
        return all;
    }

    private static (int First, int Second) Shares(int first, int second, int room)
    {
        bool swapped = first > second;
        (int shorter, int longer) = swapped ? (second, first) : (first, second);
        longer = shorter > room ? shorter : Math.Max(shorter, room - shorter);
        if (shorter + longer > room) (shorter, longer) = (room / 2, room / 2 + room % 2);
        return swapped ? (longer, shorter) : (shorter, longer);
    }

    private static IEnumerable<EncodedText> Windows(EncodedText text, int length, EncodingOptions options)
    {
        if (length >= text.Length)
        {
            yield return text;
            yield break;
        }
        if (length == 0)
        {
            yield return text.Part(0, 0);
            yield break;
        }
        if (options.Stride >= length)
            throw new InputException(
                $"stride is {options.Stride}, expected less than the {length} tokens that a window has room for. " +
                "Lower it, or raise max_length.");
        int step = length - options.Stride;
        if (options.TruncationSide == TextSide.Right)
        {
            for (int start = 0; ; start += step)
            {
                int end = Math.Min(start + length, text.Length);
                yield return text.Part(start, end);
                if (end == text.Length) yield break;
            }
        }
        for (int end = text.Length; ; end -= step)
        {
            int start = Math.Max(0, end - length);
            yield return text.Part(start, end);
            if (start == 0) yield break;
        }
    }

    private TokenEncoding Join(IReadOnlyList<TemplatePart> template, EncodedText[] texts)
    {
        List<int> ids = [], types = [], sequences = [];
        List<bool> special = [];
        List<TokenSpan> spans = [];
        foreach (TemplatePart part in template)
        {
            EncodedText added = part.Sequence is { } number ? texts[number]
                : new EncodedText([.. part.Ids], new TokenSpan[part.Ids.Count]);
            ids.AddRange(added.Ids);
            spans.AddRange(part.Sequence is null || trim is null ? added.Spans
                : added.Spans.Select((span, i) => trim(span, added.Ids[i], i == 0)));
            types.AddRange(Enumerable.Repeat(part.Type, added.Length));
            special.AddRange(Enumerable.Repeat(part.Sequence is null, added.Length));
            sequences.AddRange(Enumerable.Repeat(part.Sequence ?? -1, added.Length));
        }
        return new TokenEncoding(
            [.. ids], [.. types], [.. Enumerable.Repeat(1, ids.Count)], [.. special], [.. spans], [.. sequences]);
    }

    private TokenEncoding Pad(TokenEncoding encoding, EncodingOptions options)
    {
        int missing = (options.PadTo ?? 0) - encoding.Ids.Length;
        if (missing <= 0) return encoding;
        int id = padding
            ?? throw new InputException(
                "Padding is asked for, but the tokenizer names no pad_token. Add it to tokenizer_config.json.");
        T[] Fill<T>(T[] values, T value) => options.PaddingSide == TextSide.Right
            ? [.. values, .. Enumerable.Repeat(value, missing)] : [.. Enumerable.Repeat(value, missing), .. values];
        return new TokenEncoding(
            Fill(encoding.Ids, id), Fill(encoding.TypeIds, lengths.PadTypeId), Fill(encoding.AttentionMask, 0),
            Fill(encoding.SpecialTokens, true), Fill(encoding.Offsets, default), Fill(encoding.Sequences, -1));
    }
}

/// <summary>The tokens of one text, without special tokens.</summary>
/// <param name="Ids">Token ids.</param>
/// <param name="Spans">The position of each token in the text.</param>
internal sealed record EncodedText(int[] Ids, TokenSpan[] Spans)
{
    public int Length => Ids.Length;

    public EncodedText Part(int start, int end) => new(Ids[start..end], Spans[start..end]);
}

/// <summary>The model input for a text or a pair of texts; all lists have the same length.</summary>
/// <param name="Ids">Token ids, including special tokens.</param>
/// <param name="TypeIds">The post-processor's type id of each token: 0 for the first text and, for models like BERT, 1
/// for the second.</param>
/// <param name="AttentionMask">1 for tokens, 0 for padding.</param>
/// <param name="SpecialTokens">Whether a token was added by the post-processor or is padding.</param>
/// <param name="Offsets">The position of each token in its text; (0, 0) for special tokens.</param>
/// <param name="Sequences">0 for the first text, 1 for the second, -1 for special tokens.</param>
public sealed record TokenEncoding(
    int[] Ids, int[] TypeIds, int[] AttentionMask, bool[] SpecialTokens, TokenSpan[] Offsets, int[] Sequences);

/// <summary>The position of a token in its text.</summary>
/// <param name="Start">Index of its first UTF-16 unit.</param>
/// <param name="End">Index after its last unit.</param>
[StructLayout(LayoutKind.Auto)]
public readonly record struct TokenSpan(int Start, int End);

/// <summary>How to encode a text as a <see cref="TokenEncoding"/>.</summary>
public sealed record EncodingOptions
{
    /// <summary>Whether the post-processor adds its special tokens.</summary>
    public bool AddSpecialTokens { get; init; } = true;

    /// <summary>Maximum number of tokens, including special ones; null for no limit.</summary>
    public int? MaxLength { get; init; }

    /// <summary>Which text of a pair is truncated.</summary>
    public Truncation Truncation { get; init; } = Truncation.LongestFirst;

    /// <summary>The side on which texts are truncated; null for the side in the tokenizer's files, otherwise
    /// right.</summary>
    public TextSide? TruncationSide { get; init; }

    /// <summary>Number of tokens of the truncated text that windows share.</summary>
    public int Stride { get; init; }

    /// <summary>The length to which shorter encodings are padded; null for none.</summary>
    public int? PadTo { get; init; }

    /// <summary>The side of the padding; null for the side in the tokenizer's files, otherwise right.</summary>
    public TextSide? PaddingSide { get; init; }
}

/// <summary>A side of a text.</summary>
public enum TextSide
{
    /// <summary>The end.</summary>
    Right,

    /// <summary>The beginning.</summary>
    Left,
}

/// <summary>Which text of a pair is truncated if both together are too long.</summary>
public enum Truncation
{
    /// <summary>The longer one, token by token.</summary>
    LongestFirst,

    /// <summary>The first.</summary>
    OnlyFirst,

    /// <summary>The second.</summary>
    OnlySecond,
}

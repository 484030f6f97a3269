using System.Globalization;
using System.Text;

namespace LowRank.Tokenizers.PreTokenizers;

/// <summary>Splits a piece of text further.</summary>
internal interface IPreTokenizer
{
    /// <summary>Appends the parts of a piece to a list.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="isFirst">Whether it is at the start of the text.</param>
    /// <param name="parts">Receives the parts, in order; empty ones are left out.</param>
    /// <param name="budget">Their maximum total length; null for the piece's default.</param>
    void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null);
}

/// <summary>Creates pre-tokenizers by their types in tokenizer.json.</summary>
internal static class PreTokenizerReader
{
    private static readonly Dictionary<string, Func<ComponentJson, IPreTokenizer>> Types = new()
    {
        ["Sequence"] = json => new SequencePreTokenizer([.. json.Children("pretokenizers").Select(Read)]),
        ["ByteLevel"] = ByteLevelPreTokenizer.Read,
        ["Metaspace"] = json => new MetaspacePreTokenizer(json),
        ["Split"] = Split,
        ["Whitespace"] = _ => new SequencePreTokenizer( // \w+|[^\w\s]+
        [
            new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
            new SplitPreTokenizer(new RunePattern(WordCharacter.Is), SplitBehavior.Contiguous, invert: false),
        ]),
        ["WhitespaceSplit"] = _ =>
            new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
        ["Digits"] = json => new SplitPreTokenizer(new RunePattern(IsNumeric),
            json.Flag("individual_digits", false) ? SplitBehavior.Isolated : SplitBehavior.Contiguous, invert: false),
        ["Punctuation"] = json =>
            new SplitPreTokenizer(new RunePattern(IsPunctuation), Behavior(json, "Isolated"), invert: false),
        ["BertPreTokenizer"] = _ => new SequencePreTokenizer(
        [
            new SplitPreTokenizer(new RunePattern(Rune.IsWhiteSpace), SplitBehavior.Removed, invert: false),
            new SplitPreTokenizer(new RunePattern(IsPunctuation), SplitBehavior.Isolated, invert: false),
        ]),
        ["CharDelimiterSplit"] = json => new SplitPreTokenizer(
            new LiteralPattern(Delimiter(json)), SplitBehavior.Removed, invert: false),
    };

    public static IPreTokenizer Read(ComponentJson json) =>
        Types.TryGetValue(json.Type, out Func<ComponentJson, IPreTokenizer>? make) ? make(json)
            : throw json.UnknownType(Types.Keys);

    private static SplitPreTokenizer Split(ComponentJson json)
    {
        (string text, bool isRegex) = json.Pattern("pattern");
        IPattern pattern = isRegex ? SplitPatterns.Regex(text, json.Place) : new LiteralPattern(text);
        return new SplitPreTokenizer(pattern, Behavior(json, null), json.Flag("invert", false));
    }

    private static string Delimiter(ComponentJson json)
    {
        string text = json.Text("delimiter");
        return text.Length > 0 ? text : throw json.Unsupported("delimiter", "one character");
    }

    private static SplitBehavior Behavior(ComponentJson json, string? otherwise) =>
        Enum.TryParse(json.TextOr("behavior", otherwise), out SplitBehavior behavior) && Enum.IsDefined(behavior)
            ? behavior
            : throw json.Unsupported("behavior", string.Join(", ", Enum.GetNames<SplitBehavior>()));

    private static bool IsNumeric(Rune rune) => Rune.GetUnicodeCategory(rune)
        is UnicodeCategory.DecimalDigitNumber or UnicodeCategory.LetterNumber or UnicodeCategory.OtherNumber;

    // ASCII punctuation includes symbols such as $ and +.
    private static bool IsPunctuation(Rune rune) =>
        rune.Value is (>= '!' and <= '/') or (>= ':' and <= '@') or (>= '[' and <= '`') or (>= '{' and <= '~')
            || Rune.IsPunctuation(rune);
}

/// <summary>A part of a text that the model tokenizes separately.</summary>
/// <param name="Text">The text that it is part of.</param>
/// <param name="Start">Its start.</param>
/// <param name="Length">Its length in UTF-16 units.</param>
/// <param name="AsBytes">Whether the model sees its UTF-8 bytes, in <see cref="ByteAlphabet"/>.</param>
/// <param name="Base">The position of unit 0 of <paramref name="Text"/> in the normalised text; -1 and so on for an
/// inserted prefix.</param>
/// <param name="Floor">The unit that prefix units map to: the first one of the text.</param>
/// <param name="Map">The position of each unit of <paramref name="Text"/>, if they are not consecutive.</param>
internal readonly record struct Piece(
    string Text, int Start, int Length, bool AsBytes, int Base = 0, int Floor = 0, int[]? Map = null)
{
    public ReadOnlySpan<char> Span => Text.AsSpan(Start, Length);

    /// <summary>The position of a unit of <see cref="Text"/> in the normalised text.</summary>
    public int Origin(int unit) => Map is null ? Math.Max(Base + unit, Floor) : Map[unit];

    /// <summary>The piece as a separate text of the same length.</summary>
    public Piece Whole() => Length == Text.Length ? this
        : this with { Text = Span.ToString(), Start = 0, Base = Base + Start, Map = Map?[Start..(Start + Length)] };

    /// <summary>A whole piece with another text of the same length.</summary>
    public Piece WithText(string text) => this with { Text = text };

    /// <summary>A whole piece with a prefix.</summary>
    public Piece Prepended(string before)
    {
        Piece own = this;
        return new Piece(before + Text, 0, before.Length + Text.Length, AsBytes, Base - before.Length, Origin(0),
            Map is null ? null : [.. Enumerable.Repeat(own.Origin(0), before.Length), .. Map]);
    }

    /// <summary>A part of a whole piece.</summary>
    public Piece Part(int start, int length) => this with { Start = start, Length = length };
}

/// <summary>Pre-tokenizers in sequence, each applied to the pieces of the previous one.</summary>
internal sealed class SequencePreTokenizer(IReadOnlyList<IPreTokenizer> stages) : IPreTokenizer
{
    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        budget ??= new TextBudget(piece.Length);
        List<Piece> current = [piece];
        foreach (IPreTokenizer stage in stages)
        {
            // "First" means at the start of the text itself: not a piece after spaces that an earlier stage removed.
            isFirst = isFirst && current.Count > 0 && current[0].Start == 0;
            var next = new List<Piece>(current.Count * 2);
            for (int i = 0; i < current.Count; i++)
            {
                // A stage after the byte level sees the bytes' characters, as in the reference.
                Piece at = current[i].AsBytes ? Written(current[i]) : current[i];
                stage.Split(at, isFirst && i == 0, next, budget);
            }
            budget.Check(next.Sum(part => (long)part.Length));
            current = next;
        }
        parts.AddRange(current);
    }

    private static Piece Written(Piece piece)
    {
        string bytes = ByteAlphabet.Write(piece.Span);
        var map = new int[bytes.Length];
        int next = 0, at = piece.Start;
        foreach (System.Text.Rune rune in piece.Span.EnumerateRunes())
        {
            for (int i = 0; i < rune.Utf8SequenceLength; i++) map[next++] = piece.Origin(at);
            at += rune.Utf16SequenceLength;
        }
        return new Piece(bytes, 0, bytes.Length, AsBytes: false, Map: map);
    }
}

/// <summary>Optionally splits with GPT-2's pattern, and represents text as bytes for the model.</summary>
/// <param name="addsPrefixSpace">Whether to insert a space before a text that does not start with one.</param>
/// <param name="splits">Whether to split.</param>
internal sealed class ByteLevelPreTokenizer(bool addsPrefixSpace, bool splits) : IPreTokenizer
{
    /// <summary>Reads one of a tokenizer.json.</summary>
    public static ByteLevelPreTokenizer Read(ComponentJson json) =>
        new(json.Flag("add_prefix_space", true), json.Flag("use_regex", true));

    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        if (piece.Length == 0) return;
        Piece whole = piece.Whole() with { AsBytes = true };
        if (addsPrefixSpace && !whole.Text.StartsWith(' ')) whole = whole.Prepended(" ");
        if (!splits)
        {
            parts.Add(whole);
            return;
        }
        foreach ((int start, int length, bool _) in SplitPatterns.Gpt2.Find(whole.Text))
            parts.Add(whole.Part(start, length));
    }
}

/// <summary>sentencepiece's handling of spaces: writes them as ▁, inserts one before the text, and starts pieces with
/// them.</summary>
internal sealed class MetaspacePreTokenizer : IPreTokenizer
{
    private readonly string replacement;
    private readonly string scheme;
    private readonly SplitPreTokenizer? split;

    public MetaspacePreTokenizer(ComponentJson json)
    {
        replacement = json.TextOr("replacement", "▁")!;
        scheme = Scheme(json);
        if (scheme is not ("always" or "first" or "never"))
            throw json.Unsupported("prepend_scheme", "always, first or never");
        if (replacement.Length != 1) throw json.Unsupported("replacement", "one character");
        if (json.Flag("split", true))
            split = new SplitPreTokenizer(
                new RunePattern(rune => rune.Value == replacement[0]), SplitBehavior.MergedWithNext, invert: false);
    }

    /// <summary>When to insert the space before the text: "always", "first" or "never"; older files specify it with
    /// add_prefix_space.</summary>
    public static string Scheme(ComponentJson json) =>
        json.TextOr("prepend_scheme", null) ?? (json.Flag("add_prefix_space", true) ? "always" : "never");

    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        if (piece.Length == 0) return;
        Piece whole = piece.Whole();
        whole = whole.WithText(whole.Text.Replace(" ", replacement, StringComparison.Ordinal));
        bool prepends = scheme == "always" || (scheme == "first" && isFirst);
        if (prepends && !whole.Text.StartsWith(replacement, StringComparison.Ordinal))
            whole = whole.Prepended(replacement);
        if (split is null) parts.Add(whole);
        else split.Split(whole, isFirst, parts, budget);
    }
}

/// <summary>Splits at the matches of a pattern.</summary>
/// <param name="pattern">The pattern.</param>
/// <param name="behavior">What to do with the matches.</param>
/// <param name="invert">Whether the text between the matches counts as the match.</param>
internal sealed class SplitPreTokenizer(IPattern pattern, SplitBehavior behavior, bool invert) : IPreTokenizer
{
    public void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null)
    {
        Piece whole = piece.Whole();
        (int Start, int End)? open = null;
        bool openIsMatch = false;
        foreach ((int start, int length, bool found) in pattern.Find(whole.Text, budget))
        {
            bool isMatch = found != invert;
            bool joins = open is not null && behavior switch
            {
                SplitBehavior.MergedWithPrevious => isMatch && !openIsMatch,
                SplitBehavior.MergedWithNext => openIsMatch && !isMatch,
                SplitBehavior.Contiguous => isMatch == openIsMatch,
                _ => false,
            };
            if (joins) open = (open!.Value.Start, start + length);
            else
            {
                Close();
                open = (start, start + length);
            }
            openIsMatch = isMatch;
        }
        Close();

        void Close()
        {
            if (open is not { } range || range.Start == range.End || (behavior == SplitBehavior.Removed && openIsMatch))
                return;
            parts.Add(whole.Part(range.Start, range.End - range.Start));
        }
    }
}

/// <summary>What a split does with the matches.</summary>
internal enum SplitBehavior
{
    /// <summary>They are removed.</summary>
    Removed,

    /// <summary>Each becomes a separate piece.</summary>
    Isolated,

    /// <summary>Each is appended to the piece before it.</summary>
    MergedWithPrevious,

    /// <summary>Each is prepended to the piece after it.</summary>
    MergedWithNext,

    /// <summary>Neighbouring matches become one piece.</summary>
    Contiguous,
}

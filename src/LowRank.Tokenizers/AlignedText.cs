using System.Text;

namespace LowRank.Tokenizers;

/// <summary>A modified text that maps each of its UTF-16 units to a span of the original.</summary>
/// <remarks>The rules are those of the tokenizers library (NormalizedString): a replacement maps to the character it
/// replaces, an insertion to the character before it, and a prefix to the first character of the text.</remarks>
internal sealed class AlignedText
{
    private readonly int[] starts;
    private readonly int[] ends;

    private AlignedText(string text, int[] starts, int[] ends, TextBudget budget) =>
        (Text, this.starts, this.ends, Budget) = (text, starts, ends, budget);

    /// <summary>The maximum length, shared by all modifications.</summary>
    public TextBudget Budget { get; }

    /// <summary>The current text.</summary>
    public string Text { get; }

    /// <summary>An unmodified text: each character (a surrogate pair counts as one) maps to itself.</summary>
    /// <param name="text">The text.</param>
    /// <param name="budget">The maximum length; null for the text's default.</param>
    public static AlignedText Of(string text, TextBudget? budget = null)
    {
        int[] starts = new int[text.Length], ends = new int[text.Length];
        for (int i = 0; i < text.Length;)
        {
            int length = char.IsHighSurrogate(text[i]) && i + 1 < text.Length
                && char.IsLowSurrogate(text[i + 1]) ? 2 : 1;
            for (int k = 0; k < length; k++) (starts[i + k], ends[i + k]) = (i, i + length);
            i += length;
        }
        return new AlignedText(text, starts, ends, budget ?? new TextBudget(text.Length));
    }

    /// <summary>The original span of units.</summary>
    /// <param name="first">The first unit.</param>
    /// <param name="last">The last unit.</param>
    public TokenSpan Span(int first, int last) => new(starts[first], ends[last]);

    /// <summary>Replaces each character with a text, which may be empty.</summary>
    public AlignedText MapCharacters(Func<Rune, string> replace) => Build((add, copy) =>
    {
        for (int i = 0; i < Text.Length;)
        {
            Rune.DecodeFromUtf16(Text.AsSpan(i), out Rune rune, out int length);
            add(replace(rune), i);
            i += length;
        }
    });

    /// <summary>Replaces consecutive parts; a part's new characters map to its old ones in order, and extra ones to the
    /// last.</summary>
    public AlignedText MapParts(IEnumerable<(int Start, int Length)> parts, Func<string, string> replace) =>
        MapPlaced(parts, (_, old) => replace(old));

    /// <summary>Like <see cref="MapParts"/>, with the position of each part.</summary>
    public AlignedText MapPlaced(IEnumerable<(int Start, int Length)> parts, Func<int, string, string> replace) =>
        Build((add, copy) =>
    {
        foreach ((int start, int length) in parts)
        {
            string old = Text.Substring(start, length);
            int[] places = [.. Characters(old).Select(character => start + character.At)];
            int next = 0;
            foreach ((string character, _) in Characters(replace(start, old)))
                add(character, places[Math.Min(next++, places.Length - 1)]);
        }
    });

    /// <summary>Replaces parts of the text; the new text maps to the last character of the replaced part.</summary>
    /// <param name="matches">Start and length, in order and not overlapping.</param>
    /// <param name="content">The new text.</param>
    public AlignedText Replace(IEnumerable<(int Start, int Length)> matches, string content) => Build((add, copy) =>
    {
        int done = 0;
        foreach ((int start, int length) in matches)
        {
            copy(done, start);
            add(content, Math.Max(start + length - 1, 0));
            done = start + length;
        }
        copy(done, Text.Length);
    });

    /// <summary>Prepends a text unless it is empty.</summary>
    public AlignedText Prepend(string before) => Text.Length == 0 ? this : Build((add, copy) =>
    {
        add(before, 0);
        copy(0, Text.Length);
    });

    /// <summary>Appends a text unless it is empty.</summary>
    public AlignedText Append(string after) => Text.Length == 0 ? this : Build((add, copy) =>
    {
        copy(0, Text.Length);
        add(after, Text.Length - 1);
    });

    /// <summary>A part of the text.</summary>
    public AlignedText Slice(int start, int end) => new(Text[start..end], starts[start..end], ends[start..end], Budget);

    /// <summary>Applies a change that keeps clusters (a character with its marks) separate; a cluster's new characters
    /// map to its old ones in order.</summary>
    /// <param name="change">The change, such as a Unicode normalization.</param>
    public AlignedText MapClusters(Func<string, string> change)
    {
        if (change(Text) == Text) return this;
        return Build((add, copy) =>
        {
            for (int i = 0; i < Text.Length;)
            {
                int end = ClusterEnd(i);
                string cluster = Text[i..end], changed = change(cluster);
                if (changed == cluster) copy(i, end);
                else AddCluster(cluster, changed, i, change, add);
                i = end;
            }
        });
    }

    private static void AddCluster(
        string cluster, string changed, int at, Func<string, string> change, Action<string, int> add)
    {
        List<(string Text, int At)> old = [.. Characters(cluster)];
        string[] alone = [.. old.Select(character => change(character.Text))];
        List<string> made = [.. Characters(changed).Select(character => character.Text)];
        // Nothing was composed: each new character comes from one old one (marks may have been reordered).
        int[] counts = [.. alone.Select(text => Characters(text).Count())];
        if (counts.Sum() == made.Count)
        {
            int next = 0;
            for (int j = 0; j < counts.Length; j++)
                for (int k = 0; k < counts[j]; k++) add(made[next++], at + old[j].At);
            return;
        }
        // Composed: the first new character maps to the first old one, composed marks disappear, and the rest keep
        // their mapping.
        for (int j = 0; j < made.Count; j++)
            add(made[j], at + old[j == 0 ? 0 : Math.Max(0, old.Count - made.Count + j)].At);
    }

    private static IEnumerable<(string Text, int At)> Characters(string text)
    {
        int at = 0;
        foreach (Rune rune in text.EnumerateRunes())
        {
            yield return (rune.ToString(), at);
            at += rune.Utf16SequenceLength;
        }
    }

    private int ClusterEnd(int start)
    {
        Rune.DecodeFromUtf16(Text.AsSpan(start), out _, out int length);
        int end = start + length;
        while (end < Text.Length)
        {
            Rune.DecodeFromUtf16(Text.AsSpan(end), out Rune rune, out length);
            if (!Continues(rune)) break;
            end += length;
        }
        return end;
    }

    // Marks, and the Hangul letters that compose with the preceding character.
    private static bool Continues(Rune rune) => rune.Value is >= 0x1160 and <= 0x11FF || Rune.GetUnicodeCategory(rune)
        is System.Globalization.UnicodeCategory.NonSpacingMark
        or System.Globalization.UnicodeCategory.SpacingCombiningMark
        or System.Globalization.UnicodeCategory.EnclosingMark;

    // add appends text that maps to the unit at an index; copy copies units unchanged.
    private AlignedText Build(Action<Action<string, int>, Action<int, int>> write)
    {
        var text = new StringBuilder(Text.Length);
        List<int> from = new(Text.Length), to = new(Text.Length);
        void Add(string added, int unit)
        {
            Budget.Check((long)text.Length + added.Length);
            text.Append(added);
            for (int i = 0; i < added.Length; i++)
            {
                from.Add(unit < starts.Length ? starts[unit] : 0); // an empty text has no unit to stand for
                to.Add(unit < ends.Length ? ends[unit] : 0);
            }
        }
        void Copy(int start, int end)
        {
            text.Append(Text, start, end - start);
            for (int i = start; i < end; i++)
            {
                from.Add(starts[i]);
                to.Add(ends[i]);
            }
        }
        write(Add, Copy);
        return new AlignedText(text.ToString(), [.. from], [.. to], Budget);
    }
}

using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace LowRank.Recipes;

/// <summary>Reads YAML into values that know their position, and records constructs that recipes do not
/// allow.</summary>
/// <remarks>Anchors, aliases, merge keys and tags are rejected: a setting is written where it applies.</remarks>
internal sealed class YamlTree
{
    private const int DeepestNesting = 32; // a recipe needs four levels; deeper input would only exhaust the stack
    private readonly Parser parser;
    private readonly Func<Mark, YamlPlace> place;
    private readonly RecipeProblems problems;

    private YamlTree(string text, Func<Mark, YamlPlace> place, RecipeProblems problems)
    {
        parser = new Parser(new StringReader(text));
        this.place = place;
        this.problems = problems;
    }

    /// <summary>Reads one document; null if there is none or it is not YAML, which is then recorded.</summary>
    /// <param name="text">YAML.</param>
    /// <param name="place">Creates a place from a mark.</param>
    /// <param name="problems">Receives the problems.</param>
    public static YamlValue? Read(string text, Func<Mark, YamlPlace> place, RecipeProblems problems)
    {
        var tree = new YamlTree(text, place, problems);
        try
        {
            return tree.ReadDocument();
        }
        // The scanner has bugs of its own, which it reports as exceptions without a position.
        catch (Exception e)
            when (e is YamlException or InvalidOperationException or ArgumentException or FormatException
            or OverflowException)
        {
            Mark where = e is YamlException { Start: { Line: > 0 } start } ? start : tree.parser.Current?.End
                ?? new Mark(0, 1, 1);
            string reason = e is YamlException ? (e.InnerException ?? e).Message
                : "a value, a bracket or a quote is not closed, or stands where it cannot";
            if (TabIndent(text, where.Line) is { } tab)
                (where, reason) = (tab, "the line is indented by a tab; YAML wants spaces");
            problems.Add(place(where), $"this is not YAML: {reason}");
            return null;
        }
    }

    private YamlValue? ReadDocument()
    {
        parser.Consume<StreamStart>();
        if (parser.Accept<StreamEnd>(out _)) return null;
        parser.Consume<DocumentStart>();
        YamlValue? value = ReadValue(0);
        parser.Consume<DocumentEnd>();
        if (parser.Accept<DocumentStart>(out var second))
            problems.Add(place(second.Start),
                "a second YAML document begins, expected one alone; remove what follows ---");
        return value;
    }

    // Null for an alias, which is recorded.
    private YamlValue? ReadValue(int depth)
    {
        if (parser.TryConsume<AnchorAlias>(out var alias))
        {
            problems.Add(place(alias.Start), "values that refer to another by *",
                () => $"*{alias.Value} refers to another value, which recipes do not support; write the value out");
            return null;
        }
        if (parser.Current is not NodeEvent node)
            throw new YamlException(parser.Current!.Start, parser.Current.End, "a value is missing");
        if (!node.Anchor.IsEmpty)
            problems.Add(place(node.Start), "values that are named by &",
                () => $"&{node.Anchor} names a value, which recipes do not support; remove it");
        if (!node.Tag.IsEmpty && node.Tag.Value != "!")
            problems.Add(place(node.Start), "tags", () => $"the tag {node.Tag} is not supported in recipes; remove it");
        if (depth > DeepestNesting)
            throw new YamlException(node.Start, node.End, $"values are nested more than {DeepestNesting} deep");
        if (parser.TryConsume<Scalar>(out var scalar))
            return new YamlValue(
                YamlKind.Scalar, place(scalar.Start)) { Text = scalar.Value,
                IsPlain = scalar.Style == ScalarStyle.Plain };
        return parser.TryConsume<SequenceStart>(out var list) ? ReadList(list, depth)
            : ReadMap(parser.Consume<MappingStart>(), depth);
    }

    private YamlValue ReadList(SequenceStart start, int depth)
    {
        var list = new YamlValue(YamlKind.List, place(start.Start));
        while (!parser.TryConsume<SequenceEnd>(out _))
            if (ReadValue(depth + 1) is { } item) list.Items.Add(item);
        return list;
    }

    private YamlValue ReadMap(MappingStart start, int depth)
    {
        var map = new YamlValue(YamlKind.Map, place(start.Start));
        while (!parser.TryConsume<MappingEnd>(out _))
        {
            YamlValue? key = ReadValue(depth + 1), value = ReadValue(depth + 1);
            if (key is null) continue;
            if (key.Kind != YamlKind.Scalar)
                problems.Add(key.Place, "keys that are no text", () => $"a key is {key}, expected a text");
            else if (key is { IsPlain: true, Text: "<<" })
                problems.Add(key.Place, "merge keys",
                    () => "the merge key << is not supported in recipes; write the keys out");
            else if (map.PlaceOf(key.Text) is { } first)
                problems.Add(key.Place, "keys that are given again",
                    () => $"{YamlValue.Short(key.Text)} is given a second time, first on line {first.Line}; keep " +
                    "one of them");
            else
                // A rejected alias leaves null, so that the key counts as known and is not reported again.
                map.Set(key, value ?? new YamlValue(YamlKind.Scalar, key.Place) { IsPlain = true });
        }
        return map;
    }

    // The parser reports tabs only where they no longer fit: the first one from there on is the likely cause.
    private static Mark? TabIndent(string text, long firstLine)
    {
        string[] lines = text.Split('\n');
        for (long line = Math.Max(1, firstLine); line <= lines.Length; line++)
            if (lines[line - 1].TakeWhile(char.IsWhiteSpace).Contains('\t')) return new Mark(0, line, 1);
        return null;
    }
}

/// <summary>A YAML value with its position.</summary>
internal sealed class YamlValue(YamlKind kind, YamlPlace place)
{
    private const int LongestQuote = 200; // a message of megabytes helps nobody
    private readonly List<(YamlValue Key, YamlValue Value)> entries = [];
    private readonly Dictionary<string, int> places = []; // of keys among the entries: a map may have very many

    public YamlKind Kind { get; } = kind;

    public YamlPlace Place { get; } = place;

    /// <summary>A scalar's text without quotes.</summary>
    public string Text { get; init; } = "";

    /// <summary>Whether a scalar is unquoted: only then can it be a number, true, false or null.</summary>
    public bool IsPlain { get; init; }

    /// <summary>The items of a list.</summary>
    public List<YamlValue> Items { get; } = [];

    /// <summary>The keys and values of a map, in order; each key once.</summary>
    public IReadOnlyList<(YamlValue Key, YamlValue Value)> Entries => entries;

    /// <summary>Whether it is YAML's null, which takes a key's default.</summary>
    public bool IsNull => Kind == YamlKind.Scalar && IsPlain && Text is ("" or "null" or "Null" or "NULL" or "~");

    /// <summary>The value of a key; null if the map lacks it.</summary>
    public YamlValue? Find(string key) => places.TryGetValue(key, out int index) ? entries[index].Value : null;

    /// <summary>The position of a key; null if the map lacks it.</summary>
    public YamlPlace? PlaceOf(string key) => places.TryGetValue(key, out int index) ? entries[index].Key.Place : null;

    /// <summary>Sets a key's value, replacing an existing one.</summary>
    public void Set(YamlValue key, YamlValue value)
    {
        if (places.TryAdd(key.Text, entries.Count)) entries.Add((key, value));
        else entries[places[key.Text]] = (key, value);
    }

    /// <summary>Removes a key if it exists.</summary>
    public void Remove(string key)
    {
        if (!places.TryGetValue(key, out int at)) return;
        entries.RemoveAt(at);
        places.Clear();
        for (int i = 0; i < entries.Count; i++) places.Add(entries[i].Key.Text, i);
    }

    /// <summary>The value as quoted in messages.</summary>
    public override string ToString() => Kind switch
    {
        YamlKind.List => Items.Count == 0 ? "an empty list" : "a list",
        YamlKind.Map => "a section of keys",
        _ when IsPlain => Text.Length == 0 ? "empty" : Short(Text),
        _ => $"\"{Short(Text)}\"",
    };

    /// <summary>A text as quoted in messages; a long one is truncated.</summary>
    public static string Short(string text) => text.Length <= LongestQuote ? text : text[..LongestQuote] + "…";
}

/// <summary>The three shapes of YAML.</summary>
internal enum YamlKind
{
    /// <summary>A text, a number, true, false or null.</summary>
    Scalar,

    /// <summary>A list.</summary>
    List,

    /// <summary>Keys with values.</summary>
    Map,
}

/// <summary>The position of a value: in the recipe's file, or in an override.</summary>
/// <param name="Name">The file, or the override as given.</param>
/// <param name="Line">Line in the file from 1; for an override its position among all of them.</param>
/// <param name="Column">Column in the file from 1.</param>
/// <param name="IsOverride">Whether the value came from <c>--set</c>.</param>
internal readonly record struct YamlPlace(string Name, long Line, long Column, bool IsOverride)
{
    /// <summary>The folder that a relative path here is relative to; null for the recipe's own folder.</summary>
    public string? Folder { get; init; }

    /// <summary>The position as shown in messages.</summary>
    public Words Words => IsOverride ? Words.Of($"{KnownSettings.Override} {YamlValue.Short(Name)}")
        : Words.Of($"{Name}, line {Line}, column {Column}");

    /// <inheritdoc/>
    public override string ToString() => Words.ToString();
}

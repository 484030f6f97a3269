namespace LowRank.Recipes;

/// <summary>A YAML value with the place it was written at.</summary>
internal sealed class YamlValue(YamlKind kind, YamlPlace place)
{
    private const int LongestQuote = 200; // a message of megabytes helps nobody
    private readonly List<(YamlValue Key, YamlValue Value)> entries = [];
    private readonly Dictionary<string, int> places = []; // of keys among the entries: a map may have very many

    public YamlKind Kind { get; } = kind;

    public YamlPlace Place { get; } = place;

    /// <summary>A scalar's text, quotes removed.</summary>
    public string Text { get; init; } = "";

    /// <summary>Whether a scalar stands without quotes: only then it can be a number, true, false or null.</summary>
    public bool IsPlain { get; init; }

    /// <summary>The items of a list.</summary>
    public List<YamlValue> Items { get; } = [];

    /// <summary>The keys and values of a map, in their order; each key once.</summary>
    public IReadOnlyList<(YamlValue Key, YamlValue Value)> Entries => entries;

    /// <summary>Whether it is YAML's null, which takes a key's default.</summary>
    public bool IsNull => Kind == YamlKind.Scalar && IsPlain && Text is ("" or "null" or "Null" or "NULL" or "~");

    /// <summary>The value of a key; null when the map lacks it.</summary>
    public YamlValue? Find(string key) => places.TryGetValue(key, out int index) ? entries[index].Value : null;

    /// <summary>Where a key was written; null when the map lacks it.</summary>
    public YamlPlace? PlaceOf(string key) => places.TryGetValue(key, out int index) ? entries[index].Key.Place : null;

    /// <summary>Gives a key a value, in place of the one it had.</summary>
    public void Set(YamlValue key, YamlValue value)
    {
        if (places.TryAdd(key.Text, entries.Count)) entries.Add((key, value));
        else entries[places[key.Text]] = (key, value);
    }

    /// <summary>Takes a key out, where it is there.</summary>
    public void Remove(string key)
    {
        if (!places.TryGetValue(key, out int at)) return;
        entries.RemoveAt(at);
        places.Clear();
        for (int i = 0; i < entries.Count; i++) places.Add(entries[i].Key.Text, i);
    }

    /// <summary>The value as messages quote it.</summary>
    public override string ToString() => Kind switch
    {
        YamlKind.List => Items.Count == 0 ? "an empty list" : "a list",
        YamlKind.Map => "a section of keys",
        _ when IsPlain => Text.Length == 0 ? "empty" : Short(Text),
        _ => $"\"{Short(Text)}\"",
    };

    /// <summary>A text as messages quote it: of a long one its beginning.</summary>
    public static string Short(string text) => text.Length <= LongestQuote ? text : text[..LongestQuote] + "…";
}

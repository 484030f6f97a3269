namespace LowRank.Recipes;

/// <summary>A YAML value with the place it was written at.</summary>
internal sealed class YamlValue(YamlKind kind, YamlPlace place)
{
    public YamlKind Kind { get; } = kind;

    public YamlPlace Place { get; } = place;

    /// <summary>A scalar's text, quotes removed.</summary>
    public string Text { get; init; } = "";

    /// <summary>Whether a scalar stands without quotes: only then it can be a number, true, false or null.</summary>
    public bool IsPlain { get; init; }

    /// <summary>The items of a list.</summary>
    public List<YamlValue> Items { get; } = [];

    /// <summary>The keys and values of a map, in their order; each key once.</summary>
    public List<(YamlValue Key, YamlValue Value)> Entries { get; } = [];

    /// <summary>Whether it is YAML's null, which takes a key's default.</summary>
    public bool IsNull => Kind == YamlKind.Scalar && IsPlain && Text is ("" or "null" or "Null" or "NULL" or "~");

    /// <summary>The value of a key; null when the map lacks it.</summary>
    public YamlValue? Find(string key)
    {
        int index = Entries.FindIndex(entry => entry.Key.Text == key);
        return index < 0 ? null : Entries[index].Value;
    }

    /// <summary>Gives a key a value, in place of the one it had.</summary>
    public void Set(YamlValue key, YamlValue value)
    {
        int index = Entries.FindIndex(entry => entry.Key.Text == key.Text);
        if (index < 0) Entries.Add((key, value));
        else Entries[index] = (key, value);
    }

    /// <summary>The value as messages quote it.</summary>
    public override string ToString() => Kind switch
    {
        YamlKind.List => Items.Count == 0 ? "an empty list" : "a list",
        YamlKind.Map => "a section of keys",
        _ when IsPlain => Text.Length == 0 ? "empty" : Text,
        _ => $"\"{Text}\"",
    };
}

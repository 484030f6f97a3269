namespace LowRank.Recipes;

/// <summary>Writes down what the reader asks of each key, so that the published schema says what the reader does.</summary>
internal sealed class SchemaRecorder
{
    /// <summary>The keys of each section, by its path; those of the recipe itself under the empty one.</summary>
    public Dictionary<string, Dictionary<string, KeySchema>> Sections { get; } = [];

    /// <summary>Notes a key; the first question about it holds.</summary>
    public void Note(string section, string key, KeySchema schema)
    {
        if (!Sections.TryGetValue(section, out Dictionary<string, KeySchema>? keys)) Sections[section] = keys = [];
        keys.TryAdd(key, schema);
    }
}

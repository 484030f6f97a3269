using LowRank.Adapters;

namespace LowRank.Recipes;

/// <summary>All keys of a recipe, and suggestions for unknown keys.</summary>
internal static class RecipeKeys
{
    private static volatile KeyTable table = new(AdapterMethods.All.Count);

    /// <summary>All keys by section, starting with the recipe's own.</summary>
    public static IReadOnlyList<RecipeKey> All => Table.All;

    /// <summary>The keys of each section; those of the recipe itself under the empty name.</summary>
    public static IReadOnlyDictionary<string, IReadOnlyList<RecipeKey>> Sections => Table.Sections;

    /// <summary>The declaration of a key by its full name.</summary>
    public static RecipeKey Get(string full) => Table.ByName[full];

    /// <summary>Whether recipes have a key, by its full name, or a section that names its own keys.</summary>
    public static bool Has(string full) => Table.ByName.ContainsKey(full)
        || (full.LastIndexOf('.') is > 0 and var dot && Table.ByName.ContainsKey(full[..dot]));

    // Methods are only ever added, so their number tells whether the table has the keys of all of them.
    private static KeyTable Table
    {
        get
        {
            int methods = AdapterMethods.All.Count;
            KeyTable known = table;
            return known.Methods == methods ? known : table = new KeyTable(methods);
        }
    }

    /// <summary>The advice for an unknown key: the closest known one in its section, otherwise in another section,
    /// otherwise a list.</summary>
    /// <param name="section">The section that contains it.</param>
    /// <param name="key">The key.</param>
    /// <param name="placeOf">Returns the position at which the section gives a key; null if it does not.</param>
    public static string Advice(string section, string key, Func<string, YamlPlace?>? placeOf = null)
    {
        if (Nearest(section, key) is { } here)
            return placeOf?.Invoke(here) is { } place
                ? $"it looks like {Full(section, here)}, which is given too ({place}); keep one of them"
                : $"did you mean {Full(section, here)}?";
        foreach (string other in Sections.Keys)
            if (other != section && Nearest(other, key) is { } there) return $"did you mean {Full(other, there)}?";
        return $"known here: {string.Join(", ", Sections[section].Select(known => known.Name))}";
    }

    /// <summary>A key prefixed with its section.</summary>
    public static string Full(string section, string key) => section.Length == 0 ? key : $"{section}.{key}";

    private static string? Nearest(string section, string key)
    {
        if (key.Length > 64) return null; // no key is that long, and the distance takes time with the length
        string plain = Plain(key);
        string nearest = Sections[section].Select(known => known.Name)
            .MinBy(candidate => Distance(Plain(candidate), plain))!;
        // Up to a third of the letters may be wrong: with more it is a different word, and a wrong guess helps less
        // than the list.
        return Distance(Plain(nearest), plain) <= plain.Length / 3 ? nearest : null;
    }

    // learningRate, learning-rate and learning_rate are the same word.
    private static string Plain(string key) => key.Replace("_", "").Replace("-", "").ToLowerInvariant();

    // Levenshtein distance, with a swap of two neighbours as one error (optimal string alignment).
    private static int Distance(string a, string b)
    {
        var table = new int[a.Length + 1, b.Length + 1];
        for (int i = 0; i <= a.Length; i++) table[i, 0] = i;
        for (int j = 0; j <= b.Length; j++) table[0, j] = j;
        for (int i = 1; i <= a.Length; i++)
            for (int j = 1; j <= b.Length; j++)
            {
                int change = table[i - 1, j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
                table[i, j] = Math.Min(Math.Min(table[i - 1, j], table[i, j - 1]) + 1, change);
                if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                    table[i, j] = Math.Min(table[i, j], table[i - 2, j - 2] + 1);
            }
        return table[a.Length, b.Length];
    }

    private sealed class KeyTable
    {
        public KeyTable(int methods)
        {
            Methods = methods;
            All =
            [
                .. OwnKeys.All, .. DataKeys.All, .. DataKeys.OfTemplate, .. DataKeys.OfTables, .. AdapterKeys.All,
                .. AdapterKeys.OfMethods(), .. TrainingKeys.All, .. TaskKeys.All, .. ObjectiveKeys.All,
                .. ComparisonKeys.All,
            ];
            Sections = All.GroupBy(key => key.Section)
                .ToDictionary(section => section.Key, section => (IReadOnlyList<RecipeKey>)[.. section]);
            ByName = All.ToDictionary(key => key.Full);
        }

        public int Methods { get; }

        public IReadOnlyList<RecipeKey> All { get; }

        public IReadOnlyDictionary<string, IReadOnlyList<RecipeKey>> Sections { get; }

        public IReadOnlyDictionary<string, RecipeKey> ByName { get; }
    }
}

using System.Globalization;

namespace LowRank.Tokenizers.Unicode;

/// <summary>The embedded normalization.txt in parsed form, generated from Python's unicodedata by
/// tests/LowRank.ParityTests/Reference/make_normalization_data.py. Its header describes the format.</summary>
internal sealed class NormalizationData
{
    private const string ResourceName = "LowRank.Tokenizers.Unicode.normalization.txt";

    private NormalizationData()
    {
    }

    /// <summary>Combining classes other than 0.</summary>
    public Dictionary<int, byte> Classes { get; } = [];

    /// <summary>Canonical decompositions, one level.</summary>
    public Dictionary<int, int[]> Canonical { get; } = [];

    /// <summary>Compatibility decompositions, one level, of the characters without a canonical one.</summary>
    public Dictionary<int, int[]> Compatibility { get; } = [];

    /// <summary>Characters whose two-character decompositions are not composed again (the composition
    /// exclusions).</summary>
    public HashSet<int> NeverComposed { get; } = [];

    /// <summary>Reads the data of this library.</summary>
    /// <exception cref="InvalidOperationException">The library was built without its data.</exception>
    public static NormalizationData ReadEmbedded()
    {
        using Stream stream = typeof(NormalizationData).Assembly.GetManifestResourceStream(ResourceName)
            ?? throw new InvalidOperationException(
                $"The resource {ResourceName} is missing from LowRank.dll: rebuild the library from complete sources.");
        using var reader = new StreamReader(stream);
        var data = new NormalizationData();
        Action<int, string>? add = null;
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#')) continue;
            if (line.StartsWith('@')) add = data.SectionOf(line);
            else
                ReadRun(line, add
                    ?? throw new InvalidDataException($"{ResourceName}: '{line}' stands before the first section."));
        }
        return data;
    }

    private Action<int, string> SectionOf(string line) => line switch
    {
        "@classes" => (point, entry) => Classes.Add(point, byte.Parse(entry, CultureInfo.InvariantCulture)),
        "@canonical" => AddCanonical,
        "@compatibility" => (point, entry) => Compatibility.Add(point, Points(entry)),
        _ => throw new InvalidDataException(
            $"{ResourceName}: '{line}' is no section; there are @classes, @canonical and @compatibility."),
    };

    private void AddCanonical(int point, string entry)
    {
        if (entry.StartsWith('!')) NeverComposed.Add(point);
        Canonical.Add(point, Points(entry.TrimStart('!')));
    }

    private static void ReadRun(string line, Action<int, string> add)
    {
        int equals = line.IndexOf('=', StringComparison.Ordinal);
        int point = Point(line[..equals]);
        foreach (string entry in line[(equals + 1)..].Split(';')) add(point++, entry);
    }

    private static int[] Points(string entry) => [.. entry.Split(' ').Select(Point)];

    private static int Point(string text) =>
        int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}

/// <summary>Combining classes, decompositions and composites, read once from the embedded data on first use.</summary>
internal sealed class NormalizationTables
{
    private static readonly Lazy<NormalizationTables> Instance =
        new(() => new NormalizationTables(NormalizationData.ReadEmbedded()));
    private readonly Dictionary<int, byte> classes;
    private readonly CodePointSet marks = new();
    private readonly Dictionary<(int First, int Second), int> composites = [];

    private NormalizationTables(NormalizationData data)
    {
        classes = data.Classes;
        foreach (int point in classes.Keys) marks.Add(point);
        foreach ((int point, int[] parts) in data.Canonical)
        {
            if (parts.Length == 2 && !data.NeverComposed.Contains(point)) composites.Add((parts[0], parts[1]), point);
        }
        Canonical = new DecompositionTable(
            data.Canonical.Keys.ToDictionary(point => point, point => Expand(point, data, compatibility: false)));
        Compatibility = new DecompositionTable(
            data.Canonical.Keys.Concat(data.Compatibility.Keys)
                .ToDictionary(point => point, point => Expand(point, data, compatibility: true)));
        MarkAffected(Canonical);
        MarkAffected(Compatibility);
    }

    /// <summary>The tables, shared by the whole program.</summary>
    public static NormalizationTables Shared => Instance.Value;

    /// <summary>Canonical decompositions, for NFD and NFC.</summary>
    public DecompositionTable Canonical { get; }

    /// <summary>Compatibility decompositions, which include the canonical ones, for NFKD and NFKC.</summary>
    public DecompositionTable Compatibility { get; }

    /// <summary>The canonical combining class: 0 for a starter, otherwise 1 to 240, which determines the order of
    /// consecutive marks.</summary>
    public int CombiningClass(int point) => marks.Contains(point) ? classes[point] : 0;

    /// <summary>The character that two characters compose to, if any.</summary>
    public bool TryCompose(int first, int second, out int composite) =>
        HangulSyllable.TryCompose(first, second, out composite)
            || composites.TryGetValue((first, second), out composite);

    private static int[] Expand(int point, NormalizationData data, bool compatibility)
    {
        if (data.Canonical.TryGetValue(point, out int[]? parts)
            || (compatibility && data.Compatibility.TryGetValue(point, out parts)))
        {
            return [.. parts.SelectMany(part => Expand(part, data, compatibility))];
        }
        return [point];
    }

    private void MarkAffected(DecompositionTable table)
    {
        HashSet<int> composed = [.. composites.Values];
        foreach (int point in table.Points)
        {
            table.AffectedDecomposing.Add(point);
            // A character with a composite and no compatibility part is restored by composition.
            bool returns = composed.Contains(point) && Canonical.TryGet(point, out int[]? canonical)
                && table.TryGet(point, out int[]? parts) && parts.AsSpan().SequenceEqual(canonical);
            if (!returns) table.AffectedComposing.Add(point);
        }
        foreach (int point in classes.Keys)
        {
            table.AffectedDecomposing.Add(point);
            table.AffectedComposing.Add(point);
        }
        foreach ((int _, int second) in composites.Keys) table.AffectedComposing.Add(second);
        for (int point = 0x1100; point < 0xD7B0; point++)
        {
            if (HangulSyllable.IsSyllable(point)) table.AffectedDecomposing.Add(point);
            if (HangulSyllable.JoinsBefore(point)) table.AffectedComposing.Add(point);
        }
    }
}

using System.Globalization;

namespace LowRank.Tokenization.Unicode;

/// <summary>
/// The embedded normalization.txt as written, made from Python's unicodedata by
/// tests/LowRank.ParityTests/Reference/make_normalization_data.py. Its header tells the format.
/// </summary>
internal sealed class NormalizationData
{
    private const string ResourceName = "LowRank.Tokenization.Unicode.normalization.txt";

    private NormalizationData()
    {
    }

    /// <summary>Combining classes other than 0.</summary>
    public Dictionary<int, byte> Classes { get; } = [];

    /// <summary>Canonical decompositions, of one level.</summary>
    public Dictionary<int, int[]> Canonical { get; } = [];

    /// <summary>Compatibility decompositions, of one level, of the characters that have no canonical one.</summary>
    public Dictionary<int, int[]> Compatibility { get; } = [];

    /// <summary>Characters that decompose to two which are not composed again (the composition exclusions).</summary>
    public HashSet<int> NeverComposed { get; } = [];

    /// <summary>Reads the data of this library.</summary>
    /// <exception cref="InvalidOperationException">The library was built without its data.</exception>
    public static NormalizationData ReadEmbedded()
    {
        using Stream stream = typeof(NormalizationData).Assembly.GetManifestResourceStream(ResourceName)
            ?? throw new InvalidOperationException($"The resource {ResourceName} is missing from LowRank.dll: rebuild the library from complete sources.");
        using var reader = new StreamReader(stream);
        var data = new NormalizationData();
        Action<int, string>? add = null;
        while (reader.ReadLine() is { } line)
        {
            if (line.StartsWith('#')) continue;
            if (line.StartsWith('@')) add = data.SectionOf(line);
            else ReadRun(line, add ?? throw new InvalidDataException($"{ResourceName}: '{line}' stands before the first section."));
        }
        return data;
    }

    private Action<int, string> SectionOf(string line) => line switch
    {
        "@classes" => (point, entry) => Classes.Add(point, byte.Parse(entry, CultureInfo.InvariantCulture)),
        "@canonical" => AddCanonical,
        "@compatibility" => (point, entry) => Compatibility.Add(point, Points(entry)),
        _ => throw new InvalidDataException($"{ResourceName}: '{line}' is no section; there are @classes, @canonical and @compatibility."),
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

    private static int Point(string text) => int.Parse(text, NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
}

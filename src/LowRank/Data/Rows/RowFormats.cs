namespace LowRank.Data.Rows;

/// <summary>All formats of data files, found by their type: adding one edits no list.</summary>
internal static class RowFormats
{
    private static readonly string[] Compressions = [".gz", ".zst", ".bz2", ".xz"];

    private static readonly Dictionary<string, IRowFormat> ByExtension = typeof(RowFormats).Assembly.GetTypes()
        .Where(type => typeof(IRowFormat).IsAssignableFrom(type) && type is { IsAbstract: false, IsInterface: false })
        .Select(type => (IRowFormat)Activator.CreateInstance(type)!)
        .SelectMany(format => format.Extensions.Select(extension => KeyValuePair.Create(extension, format)))
        .ToDictionary(StringComparer.OrdinalIgnoreCase);

    /// <summary>The ends of file names that can be read, sorted.</summary>
    public static IReadOnlyList<string> Extensions { get; } = [.. ByExtension.Keys.Order(StringComparer.Ordinal)];

    /// <summary>The format of a file by its name, the end that tells its compression left out; JSONL where the name tells none.</summary>
    public static IRowFormat Of(string path) => Named(path) ?? ByExtension[".jsonl"];

    /// <summary>Whether a file's name tells a format.</summary>
    public static bool Knows(string path) => Named(path) is not null;

    private static IRowFormat? Named(string path)
    {
        string end = Path.GetExtension(path);
        if (Compressions.Contains(end, StringComparer.OrdinalIgnoreCase)) end = Path.GetExtension(path[..^end.Length]);
        return ByExtension.GetValueOrDefault(end);
    }
}

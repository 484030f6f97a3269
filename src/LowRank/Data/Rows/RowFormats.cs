using System.Text;

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

    /// <summary>The format of content without a name: JSON, lines of JSON, plain text where the options say what it is, else a table.</summary>
    /// <param name="beginning">The first bytes.</param>
    /// <param name="options">What the user says of plain text.</param>
    public static IRowFormat OfContent(ReadOnlySpan<byte> beginning, RowOptions options)
    {
        if (beginning.StartsWith(Encoding.UTF8.Preamble)) beginning = beginning[Encoding.UTF8.Preamble.Length..];
        beginning = beginning.TrimStart(" \t\r\n"u8);
        if (beginning.StartsWith("["u8)) return ByExtension[".json"];
        if (beginning.IsEmpty || beginning.StartsWith("{"u8)) return ByExtension[JsonFormat.IsOneLine(beginning) && !SquadRows.IsArticle(beginning) ? ".jsonl" : ".json"];
        int end = beginning.IndexOfAny("\r\n"u8);
        ReadOnlySpan<byte> line = end < 0 ? beginning : beginning[..end];
        return ByExtension[options.Text != PlainText.Pairs || line.IndexOf("||"u8) >= 0 ? ".txt" : ".csv"];
    }

    private static IRowFormat? Named(string path)
    {
        string end = Path.GetExtension(path);
        if (Compressions.Contains(end, StringComparer.OrdinalIgnoreCase)) end = Path.GetExtension(path[..^end.Length]);
        return ByExtension.GetValueOrDefault(end);
    }
}

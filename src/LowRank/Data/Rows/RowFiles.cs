using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.IO;

namespace LowRank.Data.Rows;

/// <summary>The files that paths, folders and patterns of a recipe name.</summary>
internal static class RowFiles
{
    /// <summary>The path that stands for standard input.</summary>
    public const string StandardInput = "-";

    private const int NamedOthers = 3;

    private static readonly EnumerationOptions Everything = new()
    {
        RecurseSubdirectories = true,
        AttributesToSkip = FileAttributes.Hidden | FileAttributes.System, // .git and the like
        MaxRecursionDepth = 32, // a link that leads back would go on for ever
    };

    /// <summary>The files, each path's in the order of their names.</summary>
    /// <param name="paths">Files; folders, whose data files are taken with those below; patterns with * (within a
    /// name), ** (over folders) and ?.</param>
    /// <param name="problems">Receives paths that name nothing.</param>
    /// <param name="notes">Receives what was passed over; null for nobody.</param>
    public static IReadOnlyList<string> Expand(
        IReadOnlyList<string> paths, DataProblems problems, ICollection<string>? notes = null)
    {
        var files = new List<string>();
        foreach (string path in paths.Select(path => EmbeddedFiles.Resolve(path)))
        {
            if (files.Contains(path) && IsReadOnce(path))
                problems.Add(new DataPlace(Name(path), 0), "it is named twice, and can be read once. Name it once.");
            else if (path == StandardInput || File.Exists(path)) files.Add(path);
            else if (Directory.Exists(path)) files.AddRange(InFolder(path, problems, notes));
            else if (path.AsSpan().IndexOfAny('*', '?') >= 0) files.AddRange(Matching(path, problems));
            else files.Add(path); // opening it says what is wrong
        }
        return files;
    }

    /// <summary>Whether a path can be read once only: standard input, or a pipe.</summary>
    public static bool IsReadOnce(string path) => path == StandardInput || FileKind.IsPipe(path);

    /// <summary>The name of a file in messages.</summary>
    public static string Name(string path) => path == StandardInput ? "standard input" : path;

    /// <summary>Paths that name no file, each with what is wrong.</summary>
    public static IReadOnlyList<string> Missing(IReadOnlyList<string> paths)
    {
        var problems = new DataProblems();
        IEnumerable<string> absent = Expand(paths, problems).Where(file => !File.Exists(file))
            .Select(file => $"{file} was not found; expected a data file or a folder of them.");
        return [.. absent, .. problems.Shown];
    }

    /// <summary>Opens a file, decompressed.</summary>
    /// <returns>Null where it cannot be read, which is noted.</returns>
    public static Stream? Open(string path, bool streamed, DataProblems problems)
    {
        if (FileKind.Special(path) is { } special)
        {
            problems.Add(new DataPlace(Name(path), 0), $"this is {special}. Expected a data file, such as JSONL.");
            return null;
        }
        Stream? file = null;
        try
        {
            file = path == StandardInput ? Console.OpenStandardInput()
                : FileKind.IsPipe(path) ? SmallFile.OpenPipe(path)
                : new FileStream(
                    path, FileMode.Open, FileAccess.Read, FileShare.Read, bufferSize: 0, FileOptions.SequentialScan);
            if (file.CanSeek && path != StandardInput) LfsPointer.Refuse(path, file);
            return Decompression.Open(file, streamed);
        }
        catch (InputException failure)
        {
            file?.Dispose();
            problems.Add(new DataPlace(Name(path), 0), failure.Message);
        }
        catch (Exception failure) when (file is not null && Decompression.IsDamage(failure))
        {
            file.Dispose();
            problems.Add(new DataPlace(Name(path), 0), Decompression.Damaged(failure));
        }
        catch (Exception failure)
            when (failure is IOException or UnauthorizedAccessException && AssemblyFailure.Name(failure) is null)
        {
            file?.Dispose();
            string found = failure is FileNotFoundException or DirectoryNotFoundException ? "there is no such file"
                : failure.Message.TrimEnd('.');
            problems.Add(new DataPlace(Name(path), 0), $"{found}. Expected a data file, such as JSONL.");
        }
        return null;
    }

    private static IEnumerable<string> InFolder(string folder, DataProblems problems, ICollection<string>? notes)
    {
        string[] all = [.. Enumerate(folder, problems).Order(StringComparer.Ordinal)];
        string[] data = [.. all.Where(RowFormats.Knows)], others = [.. all.Except(data)];
        if (data.Length == 0)
            problems.Add(new DataPlace(folder, 0),
                "the folder has no data file. Expected files that end in " +
                $"{string.Join(", ", RowFormats.Extensions)}, compressed or not.");
        else if (others.Length > 0)
            notes?.Add(
                $"{folder}: {data.Length} data files are read; {others.Length} others are not " +
                $"({string.Join(", ", others.Take(NamedOthers).Select(Path.GetFileName))}{(others.Length > NamedOthers ? ", …" : "")}).");
        return data;
    }

    private static IEnumerable<string> Matching(string pattern, DataProblems problems)
    {
        string separators = pattern.Replace('\\', '/');
        int wild = separators.AsSpan().IndexOfAny('*', '?');
        int slash = separators.AsSpan(0, wild).LastIndexOf('/');
        string root = slash <= 0 ? "/" : pattern[..slash];
        string expression = Regex.Escape(separators[(slash + 1)..])
            .Replace(@"\*\*/", "(?:.*/)?", StringComparison.Ordinal).Replace(@"\*\*", ".*", StringComparison.Ordinal)
            .Replace(@"\*", "[^/]*", StringComparison.Ordinal).Replace(@"\?", "[^/]", StringComparison.Ordinal);
        var names = new Regex($"^{expression}$", RegexOptions.NonBacktracking);
        string[] found = Directory.Exists(root)
            ? [.. Enumerate(root, problems)
            .Where(file => names.IsMatch(Path.GetRelativePath(root, file).Replace('\\', '/')))
            .Order(StringComparer.Ordinal)]
            : [];
        if (found.Length == 0)
            problems.Add(new DataPlace(pattern, 0),
                "no file fits this pattern. In patterns * stands for any part of a name, ** for any folders, ? for " +
                "a character.");
        return found;
    }

    private static string[] Enumerate(string folder, DataProblems problems)
    {
        try
        {
            return Directory.GetFiles(folder, "*", Everything);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            problems.Add(new DataPlace(folder, 0), $"the folder cannot be read: {failure.Message}");
            return [];
        }
    }
}

/// <summary>All formats of data files: those of this library in one list, and those that a program
/// registers.</summary>
public static class RowFormats
{
    private static readonly string[] Compressions = [".gz", ".zst", ".bz2", ".xz"];

    private static readonly IRowFormat[] BuiltIn =
        [new DelimitedFormat(), new JsonFormat(), new JsonLinesFormat(), new ParquetFormat(), new TextFormat()];

    private static readonly Registry<NamedRowFormat> ByExtension = new("format of data files", named => named.Extension,
        [.. BuiltIn.SelectMany(format => format.Extensions.Select(extension => new NamedRowFormat(extension, format)))],
        Compressions);

    /// <summary>The ends of file names that can be read, sorted.</summary>
    public static IReadOnlyList<string> Extensions => ByExtension.Names;

    /// <summary>Adds a format of your own, for every file that is read afterwards; from any thread.</summary>
    /// <param name="extension">The end of its files' names in lower case, such as <c>.log</c>.</param>
    /// <param name="read">Gives the rows of a file in their order, from its decompressed content and its path. Where
    /// it throws an <see cref="InputException"/>, the data cannot be used.</param>
    /// <exception cref="ArgumentException">The end is taken, or is no end of a name in lower case.</exception>
    public static void Register(string extension, Func<Stream, string, IEnumerable<JsonObject>> read)
    {
        ArgumentNullException.ThrowIfNull(read);
        if (extension is not ['.', _, ..] || extension.LastIndexOf('.') != 0
            || !string.Equals(extension, extension.ToLowerInvariant(), StringComparison.Ordinal))
            throw new ArgumentException(
                $"\"{extension}\" is no end of a file's name in lower case; expected one such as .log.",
                nameof(extension));
        ByExtension.Register(new NamedRowFormat(extension, new RegisteredRowFormat(extension, read)));
    }

    /// <summary>The format of a file by its name, the end that tells its compression left out; JSONL where the name
    /// tells none.</summary>
    internal static IRowFormat Of(string path) => Named(path) ?? Find(".jsonl");

    /// <summary>Whether a file's name tells a format.</summary>
    internal static bool Knows(string path) => Named(path) is not null;

    /// <summary>The format of content without a name: JSON, lines of JSON, plain text where the options say what it is,
    /// else a table.</summary>
    /// <param name="beginning">The first bytes.</param>
    /// <param name="options">What the user says of plain text.</param>
    internal static IRowFormat OfContent(ReadOnlySpan<byte> beginning, RowOptions options)
    {
        if (beginning.StartsWith(Encoding.UTF8.Preamble)) beginning = beginning[Encoding.UTF8.Preamble.Length..];
        beginning = beginning.TrimStart(" \t\r\n"u8);
        if (beginning.StartsWith("["u8)) return Find(".json");
        if (beginning.IsEmpty || beginning.StartsWith("{"u8))
            return Find(JsonFormat.IsOneLine(beginning) && !SquadRows.IsArticle(beginning) ? ".jsonl" : ".json");
        int end = beginning.IndexOfAny("\r\n"u8);
        ReadOnlySpan<byte> line = end < 0 ? beginning : beginning[..end];
        return Find(options.Text != PlainText.Pairs || line.IndexOf("||"u8) >= 0 ? ".txt" : ".csv");
    }

    private static IRowFormat? Named(string path)
    {
        string end = Path.GetExtension(path);
        if (Compressions.Contains(end, StringComparer.OrdinalIgnoreCase)) end = Path.GetExtension(path[..^end.Length]);
        return ByExtension.Find(end.ToLowerInvariant())?.Format;
    }

    private static IRowFormat Find(string extension) => ByExtension.Find(extension)!.Format;

    private sealed record NamedRowFormat(string Extension, IRowFormat Format);

    private sealed class RegisteredRowFormat(
        string extension, Func<Stream, string, IEnumerable<JsonObject>> read) : IRowFormat
    {
        public IReadOnlyList<string> Extensions { get; } = [extension];

        public IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems) =>
            read(content, path).Select((row, index) =>
                new ReadRow(new DataPlace(path, index + 1) { IsRow = true }, Parsed(row)));

        // What a program made has numbers of its own types, which are not each other's; what is parsed has not.
        private static JsonObject Parsed(JsonObject row) => JsonNode.Parse(row.ToJsonString())!.AsObject();
    }
}

/// <summary>A file format of rows, listed in <see cref="RowFormats"/>.</summary>
internal interface IRowFormat
{
    /// <summary>The ends of file names it reads, such as <c>.jsonl</c>.</summary>
    IReadOnlyList<string> Extensions { get; }

    /// <summary>Whether it reads a stream from its beginning to its end: only then a compressed file can be
    /// one.</summary>
    bool IsStreamed => true;

    /// <summary>The rows in their order, in memory that does not grow with the file.</summary>
    /// <param name="content">The file, decompressed.</param>
    /// <param name="path">Its name for messages.</param>
    /// <param name="options">What plain text and tables mean.</param>
    /// <param name="problems">Receives what is wrong with the file as a whole; a wrong row tells when it is
    /// read.</param>
    IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems);
}

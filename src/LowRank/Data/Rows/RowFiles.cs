using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using LowRank.IO;

namespace LowRank.Data.Rows;

/// <summary>Finds the files that the paths, folders and patterns of a recipe name.</summary>
internal static class RowFiles
{
    /// <summary>The path that stands for standard input.</summary>
    public const string StandardInput = "-";

    private const int NamedOthers = 3;

    private static readonly EnumerationOptions Everything = new()
    {
        RecurseSubdirectories = true,
        AttributesToSkip = FileAttributes.Hidden | FileAttributes.System, // .git and the like
        MaxRecursionDepth = 32, // a circular link would recurse forever
    };

    /// <summary>The files, those of each path sorted by name.</summary>
    /// <param name="paths">Files; folders, including data files in subfolders; patterns with * (within a name), **
    /// (across folders) and ?.</param>
    /// <param name="problems">Receives paths that match nothing.</param>
    /// <param name="notes">Receives notes about skipped files; may be null.</param>
    public static IReadOnlyList<string> Expand(
        IReadOnlyList<string> paths, DataProblems problems, ICollection<Words>? notes = null)
    {
        var files = new List<string>();
        foreach (string path in paths.Select(path => EmbeddedFiles.Resolve(path)))
        {
            if (files.Contains(path) && IsReadOnce(path))
                problems.Add(new DataPlace(Name(path), 0), "it is named twice but can be read only once. Name it " +
                    "once.");
            else if (path == StandardInput || File.Exists(path)) files.Add(path);
            else if (Directory.Exists(path)) files.AddRange(InFolder(path, problems, notes));
            else if (path.AsSpan().IndexOfAny('*', '?') >= 0) files.AddRange(Matching(path, problems));
            else files.Add(path); // opening it reports the problem
        }
        return files;
    }

    /// <summary>Whether a path can be read only once: standard input, or a pipe.</summary>
    public static bool IsReadOnce(string path) => path == StandardInput || FileKind.IsPipe(path);

    /// <summary>The name of a file in messages.</summary>
    public static string Name(string path) => path == StandardInput ? "standard input" : path;

    /// <summary>Paths that name no file, each with its problem.</summary>
    public static IReadOnlyList<string> Missing(IReadOnlyList<string> paths)
    {
        var problems = new DataProblems();
        IEnumerable<string> absent = Expand(paths, problems).Where(file => !File.Exists(file))
            .Select(file => $"{file} was not found; expected a data file or a folder of them.");
        return [.. absent, .. problems.Shown.Select(problem => problem.ToString())];
    }

    /// <summary>Opens a file, decompressed.</summary>
    /// <returns>Null if it cannot be read, which is recorded.</returns>
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

    private static IEnumerable<string> InFolder(string folder, DataProblems problems, ICollection<Words>? notes)
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
                $"({string.Join(", ", others.Take(NamedOthers).Select(Path.GetFileName))}{(others.Length > NamedOthers
                    ? ", …" : "")}).");
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
                "no file matches this pattern. In patterns * matches any part of a name, ** any folders, and ? one " +
                "character.");
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

/// <summary>All formats of data files: the built-in ones and those that a program registers.</summary>
public static class RowFormats
{
    private static readonly string[] Compressions = [".gz", ".zst", ".bz2", ".xz"];

    private static readonly IRowFormat[] BuiltIn =
        [new DelimitedFormat(), new JsonFormat(), new JsonLinesFormat(), new ParquetFormat(), new TextFormat()];

    private static readonly Registry<NamedRowFormat> ByExtension = new("format of data files", named => named.Extension,
        [.. BuiltIn.SelectMany(format => format.Extensions.Select(extension => new NamedRowFormat(extension, format)))],
        Compressions);

    /// <summary>The supported file extensions, sorted.</summary>
    public static IReadOnlyList<string> Extensions => ByExtension.Names;

    /// <summary>Registers your own format for all files read from now on. Thread-safe.</summary>
    /// <param name="extension">The file extension in lower case, such as <c>.log</c>.</param>
    /// <param name="read">Returns the rows of a file in order, given its decompressed content and its path. An <see
    /// cref="InputException"/> means that the data cannot be used.</param>
    /// <exception cref="ArgumentException">The extension is already registered, or is not a lower-case
    /// extension.</exception>
    public static void Register(string extension, Func<Stream, string, IEnumerable<JsonObject>> read)
    {
        ArgumentNullException.ThrowIfNull(read);
        if (extension is not ['.', _, ..] || extension.LastIndexOf('.') != 0
            || !string.Equals(extension, extension.ToLowerInvariant(), StringComparison.Ordinal))
            throw new ArgumentException(
                $"\"{extension}\" is not a lower-case file extension; expected one such as .log.",
                nameof(extension));
        ByExtension.Register(new NamedRowFormat(extension, new RegisteredRowFormat(extension, read)));
    }

    /// <summary>The format of a file by its name, ignoring a compression extension; JSONL if the name has no known
    /// extension.</summary>
    internal static IRowFormat For(string path) => Named(path) ?? Find(".jsonl");

    /// <summary>Whether a file's name determines a format.</summary>
    internal static bool Knows(string path) => Named(path) is not null;

    /// <summary>The format of content without a name: JSON, JSON Lines, plain text if the options say so, otherwise a
    /// table.</summary>
    /// <param name="beginning">The first bytes.</param>
    /// <param name="options">The user's options for plain text.</param>
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

        // Rows created by a program have numbers of specific .NET types, unlike parsed JSON, so they are converted.
        private static JsonObject Parsed(JsonObject row) => JsonNode.Parse(row.ToJsonString())!.AsObject();
    }
}

/// <summary>A file format of rows, listed in <see cref="RowFormats"/>.</summary>
internal interface IRowFormat
{
    /// <summary>The file extensions that it reads, such as <c>.jsonl</c>.</summary>
    IReadOnlyList<string> Extensions { get; }

    /// <summary>Whether it reads a stream from beginning to end; only such a format can be compressed.</summary>
    bool IsStreamed => true;

    /// <summary>The rows in order, in memory that does not grow with the file.</summary>
    /// <param name="content">The file, decompressed.</param>
    /// <param name="path">Its name for messages.</param>
    /// <param name="options">The options for plain text and tables.</param>
    /// <param name="problems">Receives problems of the file as a whole; an invalid row reports its problem when it is
    /// read.</param>
    IEnumerable<UnreadRow> Read(Stream content, string path, RowOptions options, DataProblems problems);
}

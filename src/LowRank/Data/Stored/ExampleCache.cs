using System.Text.RegularExpressions;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using LowRank.Data.Rows;
using LowRank.Tokenizers;

namespace LowRank.Data.Stored;

/// <summary>Tokenised data in files in the user's cache. The key covers the content of the data files, the tokenizer
/// with its chat template, the options, and the program version.</summary>
/// <remarks>Several processes may use it at once: a file appears complete or not at all, and two processes that write
/// the same file write the same bytes. Files that were not used for a month are deleted when another is
/// created.</remarks>
internal sealed partial class ExampleCache
{
    /// <summary>The environment variable that names the folder.</summary>
    public const string Variable = "LOWRANK_CACHE";

    private const string End = ".tokens";
    private static readonly TimeSpan Kept = TimeSpan.FromDays(30), Abandoned = TimeSpan.FromDays(1);
    private readonly string folder;
    private readonly long leastBytes;

    /// <summary>A cache in a folder.</summary>
    /// <param name="folder">The folder; null for the value of <see cref="Variable"/>, else <c>lowrank/tokens</c> in the
    /// user's cache.</param>
    /// <param name="leastBytes">Smaller data is tokenised in memory, which is faster than looking it up.</param>
    public ExampleCache(string? folder = null, long leastBytes = 1 << 22) =>
        (this.folder, this.leastBytes) = (folder ?? DefaultFolder(), leastBytes);

    /// <summary>Reads all rows of a source, or their cached examples.</summary>
    /// <inheritdoc cref="ExampleLoader.Load(RowSource, ITextTokenizer?, ExampleOptions)"/>
    public LoadedExamples Load(RowSource source, Tokenizer? tokenizer, ExampleOptions options)
    {
        var problems = new DataProblems();
        IReadOnlyList<string> files = RowFiles.Expand(source.Paths, problems);
        bool all = problems.Count == 0 && files.All(file => File.Exists(file) && !RowFiles.IsReadOnce(file));
        if (!all || options.ChatFormat is not null || files.Sum(file => new FileInfo(file).Length) < leastBytes)
            return ExampleLoader.Load(source, tokenizer, options);
        string key = Key(source, files, tokenizer, options), path = Path.Combine(folder, key + End);
        if (ExampleFile.Open(path, key) is { } known)
        {
            Touch(path);
            return Loaded(known);
        }
        try
        {
            Directory.CreateDirectory(folder);
            Clean();
            Make(source, tokenizer, options, key, path);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            LoadedExamples held = ExampleLoader.Load(source, tokenizer, options);
            return held with { Notes = [
                .. held.Notes,
                Words.Of(
                    $"tokenised data could not be stored in {folder} ({failure.Message.TrimEnd('.')}) and is kept in " +
                    $"memory. Choose another folder with {Variable}, or do not store it" +
                    $"{KnownSettings.TokenCache.To("false").Aside}.")] };
        }
        return Loaded(
            ExampleFile.Open(path, key)
            ?? throw new InputException(
                $"{path} was written but cannot be read again. Choose another folder with {Variable}, or do " +
                $"not store it{KnownSettings.TokenCache.To("false").Aside}."));
    }

    private static LoadedExamples Loaded(StoredExamples stored) =>
        new(stored, stored.Content.Summary) { TurnsToldBy = stored.Content.TurnsToldBy,
            HasConversations = stored.Content.HasConversations, Notes = stored.Content.Notes };

    private static void Make(RowSource source, Tokenizer? tokenizer, ExampleOptions options, string key, string path)
    {
        var loading = new ExampleLoading(source, tokenizer, options);
        ExampleFile.Write(path, loading.Examples(), (files, fingerprint) => new StoredContent
        {
            Key = key,
            Fingerprint = fingerprint,
            Summary = loading.Finish(),
            TurnsToldBy = loading.TurnsToldBy,
            HasConversations = loading.HasConversations,
            Notes = loading.Notes,
            Files = files,
        });
    }

    private static string Key(
        RowSource source, IReadOnlyList<string> files, Tokenizer? tokenizer, ExampleOptions options)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        void Add(string text)
        {
            byte[] utf8 = Encoding.UTF8.GetBytes(text);
            hash.AppendData(BitConverter.GetBytes(utf8.Length));
            hash.AppendData(utf8);
        }
        Add(typeof(ExampleCache).Module.ModuleVersionId.ToString());
        Add(tokenizer?.Fingerprint ?? "");
        Add(string.Create(
            CultureInfo.InvariantCulture, $"{options.TrainOn} {options.MaxLength} {options.VocabularySize}"));
        RowOptions rows = source.Options;
        Add($"{rows.OnBadRow} {rows.Text} {rows.Csv} {rows.Deduplicate} {source.Split}");
        foreach ((string name, string theirs) in rows.Columns) Add($"{name}\0{theirs}");
        foreach ((string part, string words) in rows.Template?.Sources ?? new Dictionary<string, string>())
            Add($"{part}\0{words}");
        foreach (string path in source.Paths) Add(path); // notes and messages name them
        foreach (string file in files)
        {
            Add(file);
            using FileStream content = File.OpenRead(file);
            hash.AppendData(SHA256.HashData(content));
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    private void Clean()
    {
        foreach (string file in Directory.EnumerateFiles(folder))
        {
            TimeSpan age = DateTime.UtcNow - File.GetLastWriteTimeUtc(file);
            string name = Path.GetFileName(file);
            if ((Whole().IsMatch(name) && age > Kept) || (Begun().IsMatch(name) && age > Abandoned)) File.Delete(file);
        }
    }

    private static void Touch(string path)
    {
        try
        {
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow);
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            return; // a read-only cache is used unchanged
        }
    }

    private static string DefaultFolder()
    {
        if (Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } named) return named;
        string? caches = OperatingSystem.IsWindows()
            ? Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData)
            : Environment.GetEnvironmentVariable("XDG_CACHE_HOME");
        return Path.Combine(string.IsNullOrEmpty(caches)
            ? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache")
            : caches, "lowrank", "tokens");
    }

    // Names that this class and AtomicFile use; the folder may contain other files.
    [GeneratedRegex(@"\A[0-9a-f]{64}\.tokens\z")]
    private static partial Regex Whole();

    [GeneratedRegex(
        @"\A\.([0-9a-f]{64}\.tokens\.[0-9a-f]{32}|[0-9a-f]{32}\.offsets)\.tmp\z", RegexOptions.ExplicitCapture)]
    private static partial Regex Begun();
}

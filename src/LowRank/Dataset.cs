using System.Diagnostics.CodeAnalysis;
using System.Runtime.CompilerServices;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization.Metadata;
using LowRank.Data;
using LowRank.Data.Rows;

namespace LowRank;

/// <summary>Rows: of files, or of a program. A text stands for a file, a folder or a pattern.</summary>
/// <remarks>A row has fields: <c>text</c>; <c>prompt</c> and <c>completion</c>; <c>messages</c> with <c>role</c> and
/// <c>content</c> each; <c>text</c> and <c>label</c>; those of other tasks are in docs/recipes.md. Files may be JSON
/// Lines, JSON, CSV, TSV, Parquet and plain text, compressed or not. Objects of a program become rows by
/// System.Text.Json, their properties in snake_case: <c>InputIds</c> is <c>input_ids</c>; a string is a row with
/// <c>text</c>.</remarks>
/// <example><code>
/// Dataset files = Dataset.FromFiles("reviews/*.csv") with { Columns = new Dictionary&lt;string, string&gt; {
/// ["label"] = "stars" } };
/// Dataset memory = Dataset.From(orders.Select(order => new { prompt = order.Question, completion = order.Answer }));
/// </code></example>
public sealed record Dataset
{
    private static readonly JsonSerializerOptions Names =
        new() { PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower };

    private readonly Func<CancellationToken, IAsyncEnumerable<JsonNode?>>? rows;

    private Dataset(IReadOnlyList<string> files, Func<CancellationToken, IAsyncEnumerable<JsonNode?>>? rows) =>
        (Files, this.rows) = (files, rows);

    /// <summary>Files, folders and patterns; empty for rows of a program.</summary>
    public IReadOnlyList<string> Files { get; }

    /// <summary>The rows' names of fields by those that the task reads, such as label by stars. Default:
    /// none.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>Words around the fields, in Jinja, by what they make: <c>text</c>; <c>prompt</c> and
    /// <c>completion</c>; <c>user</c>, <c>assistant</c> and perhaps <c>system</c>. Default: none.</summary>
    public IReadOnlyDictionary<string, string> Template { get; init; } = new Dictionary<string, string>();

    /// <summary>What files of plain text hold. Default: null, what those held that the adapter in use was trained on,
    /// else a prompt and its completion per line.</summary>
    public PlainText? Text { get; init; }

    /// <summary>How tables in text are written (CSV, TSV). Default: null, as those that the adapter in use was trained
    /// on, else with a header and a separator that is detected.</summary>
    public TableOptions? Csv { get; init; }

    /// <summary>What becomes of rows that cannot be used. Default: they are an error.</summary>
    public BadRows OnBadRow { get; init; } = BadRows.Error;

    /// <summary>Whether a row that was there before is left out. Default: false.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether the rows are a program's.</summary>
    internal bool IsHeld => rows is not null;

    /// <summary>Rows of files.</summary>
    /// <param name="paths">Files; folders, with those below; patterns with *, ** and ?.</param>
    public static Dataset FromFiles(params IReadOnlyList<string> paths)
    {
        ArgumentNullException.ThrowIfNull(paths);
        string[] files = [.. paths];
        if (files.Length == 0)
            throw new ArgumentException("There is no file to read; give one at least.", nameof(paths));
        int wrong = Array.FindIndex(files, string.IsNullOrWhiteSpace);
        if (wrong >= 0)
            throw new ArgumentException(
                $"The path at {wrong} is {(files[wrong] is null ? "null" : "empty")}.", nameof(paths));
        return new Dataset(files, null);
    }

    /// <summary>Rows of a file, a folder or a pattern.</summary>
    /// <param name="path">The file, folder or pattern.</param>
    public static implicit operator Dataset(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return FromFiles(path);
    }

    /// <summary>A row with <c>text</c> for each.</summary>
    public static Dataset FromTexts(params IReadOnlyList<string> texts)
    {
        ArgumentNullException.ThrowIfNull(texts);
        return From(texts, text => Row(text));
    }

    /// <summary>Rows of a program: objects, dictionaries, <see cref="JsonObject"/>s, or strings.</summary>
    /// <param name="rows">The rows; enumerated each time that the dataset is used, on a thread of the pool.</param>
    [RequiresUnreferencedCode("Rows become JSON by reflection; a trimmed program gives their JsonTypeInfo.")]
    [RequiresDynamicCode("Rows become JSON by reflection; a trimmed program gives their JsonTypeInfo.")]
    public static Dataset From<T>(IEnumerable<T> rows) => From(rows, row => Row(row));

    /// <summary>Rows of a program as they come.</summary>
    /// <inheritdoc cref="From{T}(IEnumerable{T})"/>
    [RequiresUnreferencedCode("Rows become JSON by reflection; a trimmed program gives their JsonTypeInfo.")]
    [RequiresDynamicCode("Rows become JSON by reflection; a trimmed program gives their JsonTypeInfo.")]
    public static Dataset From<T>(IAsyncEnumerable<T> rows)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return new Dataset([], cancellation => Convert(rows, cancellation));
    }

    /// <summary>Rows of a program, by a type's own description, for programs that are trimmed.</summary>
    /// <param name="rows">The rows.</param>
    /// <param name="type">How one becomes JSON; its names of properties are the fields.</param>
    public static Dataset From<T>(IEnumerable<T> rows, JsonTypeInfo<T> type) =>
        From(rows, row => JsonSerializer.SerializeToNode(row, type));

    /// <summary>The rows of a program.</summary>
    /// <exception cref="InputException">A row is no object, or has what JSON cannot say.</exception>
    internal async IAsyncEnumerable<JsonObject> Rows([EnumeratorCancellation] CancellationToken cancellation)
    {
        long number = 0;
        await foreach (JsonNode? row in rows!(cancellation).WithCancellation(cancellation).ConfigureAwait(false))
        {
            cancellation.ThrowIfCancellationRequested(); // which a program's own rows may not heed
            number++;
            yield return row as JsonObject ?? throw new InputException(
                $"rows, row {number} is {Data.Row.Describe(row)}, expected an object with fields such as " +
                "\"text\", or \"prompt\" and \"completion\".");
        }
    }

    /// <summary>The rows as a model's tasks read them.</summary>
    /// <param name="kept">How they are read where nothing else is said: as those were that an adapter was trained
    /// on.</param>
    /// <param name="unanswered">Whether what only an answer needs may be missing.</param>
    /// <param name="held">The rows of a program, collected.</param>
    internal RowSource Source(RowOptions kept, bool unanswered, IReadOnlyList<JsonObject>? held)
    {
        Dictionary<string, string> columns = new(kept.Columns);
        foreach ((string ours, string theirs) in Columns) columns[ours] = theirs;
        RowOptions options = kept with
        {
            Columns = columns,
            Template = Template.Count > 0 ? new RowTemplate(Template) : kept.Template,
            Text = Text ?? kept.Text,
            Csv = Csv ?? kept.Csv,
            OnBadRow = OnBadRow,
            Deduplicate = Deduplicate,
            Unanswered = unanswered,
        };
        return held is null ? RowSource.From(Files, options) : RowSource.From(held, options);
    }

    /// <summary>The rows of a program, all of them; null for files.</summary>
    internal async Task<IReadOnlyList<JsonObject>?> Collect(CancellationToken cancellation)
    {
        if (!IsHeld) return null;
        List<JsonObject> all = await Task.Run(
            async () => await Rows(cancellation).ToListAsync(cancellation).ConfigureAwait(false), cancellation)
            .ConfigureAwait(false);
        return all.Count > 0 ? all : throw new InputException("There is no row. Expected at least one.");
    }

    /// <summary>Whether rows of another set are read in the same way.</summary>
    internal bool IsReadAs(Dataset other) => (Text, Csv, OnBadRow, Deduplicate)
        == (other.Text, other.Csv, other.OnBadRow, other.Deduplicate)
        && AreEqual(Columns, other.Columns) && AreEqual(Template, other.Template);

    /// <summary>What is wrong with how the rows are to be read.</summary>
    /// <param name="isEach">Whether each row gets a result, so that none may be left out.</param>
    internal OptionProblems Problems(bool isEach)
    {
        OptionProblems problems = new(nameof(Dataset));
        RequireTexts(problems, nameof(Columns), Columns);
        RequireTexts(problems, nameof(Template), Template);
        if (Template is { Count: > 0 } && !Template.Values.Contains(null))
            problems.AddOf(() => new RowTemplate(Template));
        problems.RequireDefined(nameof(OnBadRow), OnBadRow);
        if (Text is { } text) problems.RequireDefined(nameof(Text), text);
        const string OfFiles = "has no effect on rows of a program. Leave it out.";
        problems.AddIf(IsHeld && Text is not null, nameof(Text), OfFiles);
        problems.AddIf(IsHeld && Csv is not null, nameof(Csv), OfFiles);
        problems.AddIf(isEach && OnBadRow == BadRows.Skip, nameof(OnBadRow),
            $"is {OnBadRow}, and each row gets a result. Leave it out, and remove rows that cannot be used.");
        problems.AddIf(isEach && Deduplicate, nameof(Deduplicate),
            "is true, and each row gets a result. Leave it out, and remove rows that are there twice.");
        return problems;
    }

    private static void RequireTexts(
        OptionProblems problems, string option, IReadOnlyDictionary<string, string>? texts)
    {
        problems.Require(option, texts);
        problems.AddIf(texts?.Values.Contains(null) ?? false, option, "has an entry that is null. Remove it.");
    }

    private static bool AreEqual(
        IReadOnlyDictionary<string, string>? one, IReadOnlyDictionary<string, string>? other) =>
        one is null || other is null ? one == other : one.Count == other.Count
            && one.All(entry => other.TryGetValue(entry.Key, out string? value) && value == entry.Value);

    private static Dataset From<T>(IEnumerable<T> rows, Func<T, JsonNode?> convert)
    {
        ArgumentNullException.ThrowIfNull(rows);
        return new Dataset([], cancellation =>
            rows.Select((row, index) => Converted(row, index, convert)).ToAsyncEnumerable());
    }

    [RequiresUnreferencedCode("Rows become JSON by reflection.")]
    [RequiresDynamicCode("Rows become JSON by reflection.")]
    private static async IAsyncEnumerable<JsonNode?> Convert<T>(
        IAsyncEnumerable<T> rows, [EnumeratorCancellation] CancellationToken cancellation)
    {
        int index = 0;
        await foreach (T row in rows.WithCancellation(cancellation).ConfigureAwait(false))
            yield return Converted(row, index++, given => Row(given));
    }

    private static JsonNode? Converted<T>(T row, int index, Func<T, JsonNode?> convert)
    {
        try
        {
            return convert(row);
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException or JsonException)
        {
            throw new InputException($"rows, row {index + 1} cannot be written as JSON: {e.Message}", e);
        }
    }

    private static JsonObject Row(string text) => new() { ["text"] = text };

    [RequiresUnreferencedCode("Rows become JSON by reflection.")]
    [RequiresDynamicCode("Rows become JSON by reflection.")]
    private static JsonNode? Row<T>(T row) =>
        row is string text ? Row(text) : JsonSerializer.SerializeToNode(row, row?.GetType() ?? typeof(T), Names);
}

using System.CommandLine;
using LowRank.Adapters;
using LowRank.Cli.Common;
using LowRank.Data.Rows;
using LowRank.Recipes;

namespace LowRank.Cli.Commands;

/// <summary>The options --data, --recipe and --columns: which rows to read, and how.</summary>
/// <remarks>--recipe decides how rows are read, else what training saved beside the adapter (or in the merged model's
/// folder), else rows are read as they are. --columns overrides all of these, column by column.</remarks>
internal sealed class DataOptions(string what)
{
    private readonly Option<string[]> data = new("--data")
    {
        Description = $"{what} Use - for standard input.",
        Required = true,
    };
    private readonly Option<string?> recipe = new("--recipe")
    {
        Description =
            "Read rows as this recipe says (data.columns, data.template, data.text, data.csv, data.train_on) instead " +
            "of as the adapter's folder says.",
    };
    private readonly Option<string[]> columns = new("--columns")
    {
        Description =
            "The column that holds a field, such as label=sentiment. May be repeated; overrides the recipe's and the " +
            "adapter's.",
        DefaultValueFactory = _ => [],
    };

    private bool takesRecipe = true;

    /// <summary>Adds the options to a command.</summary>
    public DataOptions AddTo(Command command, bool isRequired = true, bool takesRecipe = true)
    {
        data.Required = isRequired;
        if (!isRequired) data.DefaultValueFactory = _ => [];
        command.Add(data);
        if (takesRecipe) command.Add(recipe);
        command.Add(columns);
        this.takesRecipe = takesRecipe;
        return this;
    }

    /// <summary>When the options take effect, and what is wrong with them before anything is opened.</summary>
    public IReadOnlyList<OptionUse> Uses =>
    [
        OptionUse.Always([data, columns, .. takesRecipe ? new[] { recipe } : []]),
        OptionUse.Data(data, path => RowSource.Missing([path])),
        OptionUse.Rule(Problems),
    ];

    /// <summary>The files, folders and patterns.</summary>
    public string[] Paths(ParseResult parsed) => parsed.GetValue(data) ?? [];

    /// <summary>The files that the command reads: data and a recipe.</summary>
    public IEnumerable<string> Inputs(ParseResult parsed) =>
    [
        .. RowSource.Files(Paths(parsed)),
        .. takesRecipe && parsed.GetValue(recipe) is { } path ? new[] { path } : [],
    ];

    /// <summary>Whether columns are given.</summary>
    public bool NamesColumns(ParseResult parsed) => parsed.GetValue(columns) is { Length: > 0 };

    /// <summary>How the given recipe reads rows; null without a recipe.</summary>
    public AdapterData? OfRecipe(ParseResult parsed) => parsed.GetValue(recipe) is { } path
        ? Recipe.Load(path).Data.Reading() ?? new AdapterData() : null;

    /// <summary>How rows are read; prints a note unless they are read as they are.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="kept">What training saved; null if it saved nothing.</param>
    /// <param name="folder">Where it is saved.</param>
    public AdapterData Reading(ParseResult parsed, AdapterData? kept, string folder)
    {
        AdapterData? ofRecipe = OfRecipe(parsed), begun = ofRecipe ?? kept;
        AdapterData reading = begun ?? new AdapterData();
        var given = (parsed.GetValue(columns) ?? []).Select(Column)
            .ToDictionary(column => column.Ours, column => column.Theirs);
        if (given.Count > 0)
        {
            Dictionary<string, string> all = new(reading.Columns ?? new Dictionary<string, string>());
            foreach ((string ours, string theirs) in given) all[ours] = theirs;
            reading = reading with { Columns = all };
        }
        string[] says = [.. begun is null || begun == new AdapterData() ? []
            : new[] { ofRecipe is null ? Path.Combine(folder, AdapterData.FileName) : parsed.GetValue(recipe)! },
            .. given.Count > 0 ? new[] { "--columns" } : []];
        if (says.Length > 0)
            Console.Error.WriteLine(
                $"note: rows are read as {string.Join(" and ", says)} " +
                $"say{(says.Length == 1 && given.Count == 0 ? "s" : "")}: {reading}");
        return reading;
    }

    /// <summary>The rows.</summary>
    /// <param name="parsed">The command line.</param>
    /// <param name="reading">How they are read.</param>
    /// <param name="unanswered">Whether fields that only an answer needs may be missing.</param>
    public RowSource Source(ParseResult parsed, AdapterData reading, bool unanswered) =>
        RowSource.From(Paths(parsed), reading.Rows() with { Unanswered = unanswered });

    private IEnumerable<string> Problems(ParseResult parsed)
    {
        string[] given = parsed.GetValue(columns) ?? [];
        foreach (string column in given.Where(column => Column(column) is not { Ours.Length: > 0, Theirs.Length: > 0 }))
            yield return $"--columns is {column}, expected FIELD=COLUMN such as label=sentiment";
        foreach (var twice in given.Select(Column).GroupBy(column => column.Ours)
            .Where(group => group.Key.Length > 0 && group.Count() > 1))
            yield return $"--columns gives {twice.Key} twice; remove one of them";
        if (parsed.GetValue(recipe) is { } path && !File.Exists(path))
            yield return $"--recipe is {path}, but there is no such file";
    }

    private static (string Ours, string Theirs) Column(string text) =>
        text.IndexOf('=', StringComparison.Ordinal) is > 0 and var at ? (text[..at], text[(at + 1)..]) : ("", "");
}

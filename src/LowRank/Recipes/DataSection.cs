using LowRank.Data.Rows;

namespace LowRank.Recipes;

/// <summary>What is learned from: the recipe's <c>data</c>.</summary>
public sealed record DataSection
{
    /// <summary>Files, folders and patterns to train on; at least one.</summary>
    public required IReadOnlyList<string> Train { get; init; }

    /// <summary>How much of the mixture each entry of <see cref="Train"/> makes up, in proportion; null takes every row once.</summary>
    public IReadOnlyList<double>? Weights { get; init; }

    /// <summary>Files, folders and patterns to evaluate on; may be empty.</summary>
    public IReadOnlyList<string> Validation { get; init; } = [];

    /// <summary>Share of the training rows that is held out to evaluate on; 0 for none.</summary>
    public double ValidationShare { get; init; }

    /// <summary>Another seed holds out other rows.</summary>
    public long SplitSeed { get; init; } = 42;

    /// <summary>"completion": loss on completions and the assistant's turns only; "all": on every token.</summary>
    public string TrainOn { get; init; } = "completion";

    /// <summary>The chat template that writes conversations: a file, or the name of one in the model's folder; null for the model's own.</summary>
    public string? ChatTemplate { get; init; }

    /// <summary>The data's names of fields by those that the task reads.</summary>
    public IReadOnlyDictionary<string, string> Columns { get; init; } = new Dictionary<string, string>();

    /// <summary>The user's own words around the fields, in Jinja: text; prompt and completion; user, assistant and perhaps system.</summary>
    public IReadOnlyDictionary<string, string> Template { get; init; } = new Dictionary<string, string>();

    /// <summary>What files of plain text hold: pairs, lines, document.</summary>
    public string Text { get; init; } = "pairs";

    /// <summary>How tables in text are written (CSV, TSV).</summary>
    public TableOptions Csv { get; init; } = new();

    /// <summary>"error": a wrong row ends the run before any work; "skip": it is left out and counted.</summary>
    public string OnBadRow { get; init; } = "error";

    /// <summary>Whether a row that was there before is left out.</summary>
    public bool Deduplicate { get; init; }

    /// <summary>Whether tokenised data is kept in the user's cache.</summary>
    public bool Cache { get; init; } = true;

    /// <summary>Whether rows are made as training asks for them, drawn from a bounded buffer.</summary>
    public bool Streaming { get; init; }

    /// <summary>Rows of that buffer.</summary>
    public int ShuffleBuffer { get; init; } = 10_000;
}

namespace LowRank.Recipes;

/// <summary>The table before and after training: the recipe's <c>comparison</c>.</summary>
public sealed record ComparisonSection
{
    /// <summary>Files, folders and patterns of held-out rows; the validation data by default.</summary>
    public IReadOnlyList<string> Data { get; init; } = [];

    /// <summary>Generations shown side by side.</summary>
    public int Generations { get; init; } = 3;

    /// <summary>Rows whose completion is generated to count the facts it states; 0 for none.</summary>
    public int Facts { get; init; }

    /// <summary>Prompts whose text is generated to measure BLEU, ROUGE-L and chrF against all completions of the prompt; 0 for
    /// none.</summary>
    public int References { get; init; }

    /// <summary>Most tokens of a generation.</summary>
    public int MaxNewTokens { get; init; } = 64;

    /// <summary>Whether the texts are generated at every evaluation too, and before the first step.</summary>
    public bool EveryEvaluation { get; init; }
}

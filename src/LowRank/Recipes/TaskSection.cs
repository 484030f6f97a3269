namespace LowRank.Recipes;

/// <summary>A task's own settings: the recipe's <c>task_options</c>. Each key belongs to some tasks; one that has no effect on
/// the recipe's task is refused.</summary>
public sealed record TaskSection
{
    /// <summary>The labels in the order of their numbers; null takes them from the base's head or the data.</summary>
    public IReadOnlyList<string>? Labels { get; init; }

    /// <summary>single_label_classification, multi_label_classification or regression; null lets the data tell.</summary>
    public string? Problem { get; init; }

    /// <summary>One of <see cref="Models.Sentences.SentenceFolder.ModeNames"/>; null takes the model's own way, else mean.</summary>
    public string? Pooling { get; init; }

    /// <summary>Whether a head that the base has is replaced by a new one, as for another number of labels.</summary>
    public bool NewHead { get; init; }

    /// <summary>What cosines are divided by in the contrastive loss.</summary>
    public double Temperature { get; init; } = 0.05;

    /// <summary>Share of tokens that are predicted.</summary>
    public double MaskShare { get; init; } = 0.15;

    /// <summary>Tokens that windows of a long context share.</summary>
    public int Stride { get; init; } = 128;

    /// <summary>Longest answer in tokens.</summary>
    public int MaxAnswerTokens { get; init; } = 30;
}

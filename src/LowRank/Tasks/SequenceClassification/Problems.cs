namespace LowRank.Tasks.SequenceClassification;

/// <summary>transformers' names of what a text classifier is trained for (problem_type).</summary>
public static class Problems
{
    /// <summary>One label a text.</summary>
    public const string SingleLabel = "single_label_classification";

    /// <summary>Any number of labels a text.</summary>
    public const string MultiLabel = "multi_label_classification";

    /// <summary>A number a text.</summary>
    public const string Regression = "regression";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<string> All { get; } = [SingleLabel, MultiLabel, Regression];
}

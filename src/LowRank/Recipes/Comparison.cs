namespace LowRank.Recipes;

/// <summary>The model before and after training, on the same held-out rows.</summary>
/// <param name="Before">Before the first step.</param>
/// <param name="After">After the last step.</param>
/// <param name="Prompts">The prompts of the generations.</param>
/// <param name="References">The texts the data gives for them.</param>
public sealed record Comparison(ComparisonSide Before, ComparisonSide After, IReadOnlyList<string> Prompts, IReadOnlyList<string> References);

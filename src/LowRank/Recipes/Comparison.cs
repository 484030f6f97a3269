namespace LowRank.Recipes;

/// <summary>The model before and after training, on the same held-out rows.</summary>
/// <param name="Before">Before the first step.</param>
/// <param name="After">After the last step.</param>
/// <param name="Prompts">The prompts of the generations.</param>
/// <param name="References">The texts the data gives for them.</param>
public sealed record Comparison(
    ComparisonSide Before, ComparisonSide After, IReadOnlyList<string> Prompts, IReadOnlyList<string> References);

/// <summary>How the model does before or after training.</summary>
/// <param name="Loss">Mean held-out loss a label, in nats.</param>
/// <param name="FactsStated">Facts that stand in the generated texts; 0 when none were asked for.</param>
/// <param name="Facts">Facts that were asked for.</param>
/// <param name="Texts">The first generations, in the order of the data.</param>
public sealed record ComparisonSide(double Loss, int FactsStated, int Facts, IReadOnlyList<string> Texts)
{
    /// <summary>Metrics of generated texts against the data's (BLEU and others, 0 to 100); empty when none were asked
    /// for.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

namespace LowRank.Recipes;

/// <summary>The model before and after training, on the same held-out rows.</summary>
/// <param name="Before">The measurement before the first step.</param>
/// <param name="After">The measurement after the last step.</param>
/// <param name="Prompts">The prompts of the generations.</param>
/// <param name="References">The reference texts for them in the data.</param>
public sealed record Comparison(
    ComparisonSide Before, ComparisonSide After, IReadOnlyList<string> Prompts, IReadOnlyList<string> References);

/// <summary>A measurement of the model before or after training.</summary>
/// <param name="Loss">Mean held-out loss per label, in nats.</param>
/// <param name="FactsStated">Number of facts that the generated texts state; 0 if none were requested.</param>
/// <param name="Facts">Number of requested facts.</param>
/// <param name="Texts">The first generations, in data order.</param>
public sealed record ComparisonSide(double Loss, int FactsStated, int Facts, IReadOnlyList<string> Texts)
{
    /// <summary>Metrics of preferences (such as <c>rewards/accuracies</c>), and of generated texts against the data's
    /// (BLEU and others, 0 to 100) if requested.</summary>
    public IReadOnlyDictionary<string, double> Metrics { get; init; } = new Dictionary<string, double>();
}

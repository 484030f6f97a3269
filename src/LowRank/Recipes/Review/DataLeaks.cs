namespace LowRank.Recipes.Review;

/// <summary>Held-out rows that training shows: what is measured on them is no measure.</summary>
/// <param name="Exact">Rows that are there token for token.</param>
/// <param name="Normalized">Further rows whose letters and digits are there.</param>
/// <param name="Prompts">Further rows whose prompt is there, with another completion.</param>
/// <param name="Places">The first ten, each with the place of its twin.</param>
public sealed record DataLeaks(long Exact, long Normalized, long Prompts, IReadOnlyList<string> Places);

namespace LowRank.Recipes.Runs;

/// <summary>A key of a run's recipe.</summary>
/// <param name="Key">With its sections, such as training.learning_rate.</param>
/// <param name="Value">As YAML writes it.</param>
public sealed record RunSetting(string Key, string Value);
